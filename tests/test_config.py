"""The configuration: every shipped file holds, every impossible value is named, and what is derived from it is in step."""

import copy
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from semcom.analysis.trials import changes
from semcom.common.errors import InputError
from semcom.config.experiment import RESERVED, Config
from semcom.config.jobs import FinetuneJob, finetune_job, pretrain_job
from semcom.config.loading import (
    check_given_once,
    given_file,
    given_settings,
    load_config,
    parse_config,
    read_layers,
)
from semcom.config.merging import merged
from semcom.config.paths import folder, runs
from semcom.config.reference import CHOICES, choices, choices_page, leaves, reasons, schema

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("README.md")]


def named(page: Path) -> set[str]:
    """Configurations that a page links to or runs, without the ending; a user's own is on no page, and not asked about."""
    links = re.findall(r"\]\(([\w./-]+)\.yaml\)", page.read_text())
    found = {page.parent.joinpath(link).resolve().relative_to(ROOT).as_posix() for link in links}
    found |= set(re.findall(r"--configfile[= ](config/[\w./-]+)\.yaml", page.read_text()))
    return {name for name in found if name.startswith("config/")}


SHIPPED = sorted({"tests/config"}.union(*map(named, PAGES)))
STUDIES = [Path(name).name for name in SHIPPED if name.startswith("config/studies/")]
KEPT = {  # an experiment in results/reference, and the configuration that made it
    "nyud2-small": "config/nyud2-small",
    "rooms": "config/demo",
    "rooms-uses": "config/questions/channel-uses",
    "rooms-label": "config/questions/label",
    "nyud2-32": "config/studies/nyud2-32",
    "nyud2-32-long": "config/studies/nyud2-32-long",
    "nyud2-48": "config/studies/nyud2-48",
    "nyud2-small-unclipped": "config/studies/unclipped",
}


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def change(raw: dict, key: str, value: object) -> dict:
    """A copy with the value at a dotted key replaced; REMOVED takes the key away."""
    changed = copy.deepcopy(raw)
    *path, last = key.split(".")
    section = changed
    for step in path:
        section = section[step]
    if value is REMOVED:
        del section[last]
    else:
        section[last] = value
    return changed


REMOVED = object()


def shipped(name: str) -> Config:
    return load_config(ROOT / f"{name}.yaml")


def study(name: str) -> Config:
    return shipped(f"config/studies/{name}")


def jobs_of(config: Config) -> dict:
    """Path and settings of every run of the grid, but for the arithmetic, which each machine chooses."""
    settings = {
        run: pretrain_job(config, run.method)
        if run.stage == "pretrain"
        else finetune_job(config, run.method, run.snr_db, run.label_fraction)
        for run in runs(config)
    }
    return {run.fill(folder("x", run.stage)): job.model_dump(exclude={"compute"}) for run, job in settings.items()}


@pytest.mark.parametrize("name", SHIPPED)
def test_one_file_is_one_experiment(name):
    assert jobs_of(shipped(name))


def test_what_is_shipped_is_found_on_the_pages():
    for name in ("config/config", "config/demo", "config/studies/literal", "config/examples/three-modalities"):
        assert name in SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_configuration_says_what_it_extends_and_only_what_differs(name):
    *below, (path, own) = read_layers(ROOT / f"{name}.yaml").items()
    assert "extends" in own and path == ROOT / f"{name}.yaml"
    base: dict = {}
    for _, layer in below:
        base = merged(base, layer)
    assert not list(repeated({key: value for key, value in own.items() if key != "extends"}, base))


def repeated(own: dict, base: dict, prefix: str = ""):
    """Keys whose value is already so in the base; an entry that is `like` another stands for itself."""
    for key, value in own.items():
        below = base.get(key, ...)
        if isinstance(value, dict) and isinstance(below, dict) and value:
            if "like" not in value and "loss" not in value:
                yield from repeated(value, below, f"{prefix}{key}.")
        elif value == below and type(value) is type(below):
            yield f"{prefix}{key}"


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_says_its_command_and_its_readme_too(name):
    command = "make bench" if name == "bench" else f"--configfile=config/studies/{name}.yaml"
    page = (ROOT / "config/studies/README.md").read_text()
    assert command in (ROOT / f"config/studies/{name}.yaml").read_text() and command in page and f"{name}.yaml" in page


@pytest.mark.parametrize("experiment", KEPT)
def test_a_configuration_kept_with_its_results_runs_the_same_experiment(experiment):
    kept, current = load_config(ROOT / f"results/reference/{experiment}/config.yaml"), shipped(KEPT[experiment])
    assert kept.experiment == current.experiment == experiment
    assert jobs_of(kept) == jobs_of(current)


def test_every_method_is_tried_equally_often_and_no_trial_sees_a_test_scene():
    config = study("trials")
    tried = Counter(config.family(method) for method in config.grid.methods)
    assert set(tried) == {"proposed", "simclr", "barlow_twins", "supervised"} and len(set(tried.values())) == 1
    assert config.data.withhold_test and config.data.validation_fraction > 0
    assert len({(config.family(m), changes(config, m, config.family(m))) for m in config.grid.methods}) == len(
        config.grid.methods
    )


def test_trials_begin_at_the_same_settings_whatever_was_chosen_since():
    """`trials.yaml` stands on a file that has what its own table recommends."""
    config = study("trials")
    job = finetune_job(config, "supervised", 10, 1.0)
    for method in ("proposed", "simclr", "barlow_twins"):
        assert finetune_job(config, method, 10, 1.0) == job.model_copy(update={"method": method})
        assert config.pretrain_settings(method) == config.pretrain
    assert job.schedule == config.finetune and job.decoder == config.decoder


def test_finalists_are_the_two_best_of_each_method_and_run_as_they_were_tried():
    config, tried = study("finalists"), study("trials")
    table = pd.read_csv(ROOT / "results/reference/trials/tables/trials.csv")
    assert set(table["trial"]) == set(tried.grid.methods)
    best = table.sort_values("score", ascending=False).groupby("family")["trial"].head(2)
    assert set(best) <= set(config.grid.methods) and len(best) == 8
    for method in config.grid.methods:
        assert finetune_job(config, method, 10, 0.5) == finetune_job(tried, method, 10, 0.5)


def test_more_choices_are_tried_equally_often_and_one_at_a_time_from_the_best_trial():
    config, tried = study("choices"), study("trials")
    table = pd.read_csv(ROOT / "results/reference/trials/tables/choices.csv")
    assert set(table["trial"]) == set(config.grid.methods)
    best = {config.family(method): method for method in config.grid.methods if method in tried.methods}
    for method in best.values():
        assert finetune_job(config, method, 10, 0.5) == finetune_job(tried, method, 10, 0.5)
    new = [method for method in config.grid.methods if method not in tried.methods]
    assert len(set(Counter(config.family(method) for method in new).values())) == 1
    for method in new:
        base = config.method(method).like
        assert changes(config, base, best[config.family(method)]) in ("", "pretrained_by null")
        changed = changes(config, method, base).split(", pretrained_by")[0]  # stage I is then the best trial's own
        keys = {entry.split()[0] for entry in re.sub(r"\[[^]]*\]", "[]", changed).split(", ")}
        if method.endswith("-headed"):  # the loss sees K features then, not a projector's
            assert keys - {"projector", "options.shared_features"} == {"encoder.hidden"}
        elif not method.endswith("-scaled"):
            assert len(keys) == 1 and keys != {""}


def test_a_scaled_loss_is_what_its_settings_stand_for():
    """A loss times s under clipping at C with step size a and decay d: a (min(1, C / |s g|) s g + d w)."""
    config, scale = study("choices"), 0.1
    for method in (m for m in config.grid.methods if m.endswith("-scaled")):
        scaled, plain = [
            config.pretrain_settings(m) if config.method(m).loss else config.finetune_settings(m)
            for m in (method, config.method(method).like)
        ]
        rates = [name for name in type(plain).model_fields if name.endswith("learning_rate")]
        for rate in rates:
            assert getattr(scaled, rate) == pytest.approx(scale * getattr(plain, rate))
        changed = {
            "clip_gradient_norm": plain.clip_gradient_norm / scale,
            "weight_decay": plain.weight_decay / scale,
        }
        rest = plain.model_copy(update=changed | {rate: getattr(scaled, rate) for rate in rates})
        assert scaled.model_dump() == pytest.approx(rest.model_dump())


def test_an_ablation_goes_from_the_letter_in_single_steps_and_runs_as_it_was_tried():
    config, tried = study("ablation"), study("trials")
    first, *rungs = config.grid.methods
    ours, letter = (pretrain_job(config, name).model_dump(exclude={"method"}) for name in (first, "proposed_literal"))
    assert ours == letter
    for position, method in enumerate(rungs):
        base = config.method(method).like
        assert base in [first, *rungs[:position]] and changes(config, method, base)
        if method in tried.methods:
            assert pretrain_job(config, method) == pretrain_job(tried, method)


def test_the_default_configuration_is_the_paper():
    config = load_config(ROOT / "config/config.yaml")
    assert config.data.image_size == 256 and config.augmentation.crop_size == 224
    assert config.pretrain.batch_size == config.finetune.batch_size == 64
    assert config.pretrain.epochs == config.finetune.epochs == 500
    assert config.grid.methods == ["proposed", "simclr", "barlow_twins", "supervised"]
    assert config.grid.snr_db == [10, 20] and config.grid.label_fractions == [1.0, 0.5]
    assert config.channel.fading.name == "awgn" and config.channel.modulation.name == "literal"
    assert config.encoder.width == 64 and config.encoder.weights == {}


def test_the_literal_reading_is_kept():
    literal = pretrain_job(load_config(ROOT / "config/config.yaml"), "proposed_literal")
    assert literal.loss == "decoupled" and literal.projector == []
    assert literal.options["centre"] is False and literal.options["cross_weight"] == 1.0


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("experimnt", "x", ["experimnt: unknown key", "did you mean 'experiment'"]),
        ("grid.snr", [10], ["grid.snr: unknown key", "did you mean 'snr_db'"]),
        ("augmentation.pretrain.crop_scal", [0.3, 1.0], ["crop_scal: unknown key", "did you mean 'crop_scale'"]),
        ("pretrain.learning_rate", REMOVED, ["pretrain.learning_rate: missing key"]),
        ("pretrain.learning_rate", "1e-3", ["pretrain.learning_rate", "'1e-3' is text: write 0.001"]),
        ("compute.threads", True, ["compute.threads", "True", "must be a whole number"]),
        ("data", 3, ["data", "3"]),
        ("modalities", ["rgb"], ["modalities: ['rgb']", "'proposed'", "name more"]),
        ("compute.device", "tpu", ["compute.device", "'tpu'", "must be auto, cpu, cuda"]),
        ("augmentation.crop_size", 512, ["augmentation.crop_size: 512", "data.image_size 256", "lower it"]),
        ("data.reader", "rooms", ["data", "rooms: is null"]),
        ("data.reader", "sunrgbd", ["data.download", "'labeled_mat'", "'sunrgbd'", "known: scenes, split"]),
        ("experiment", "a/b", ["experiment", "'a/b'", "must be of letters, digits, _ and -"]),
        ("experiment", 2024, ["experiment: value 2024", "must be text, in quotes: '2024'"]),
        ("experiment", "x" * 300, ["experiment: value 'xxx", "xxx ... is not", "must have at most 100 characters"]),
        (
            "experiment",
            "Downloads",
            ["experiment: 'Downloads' names results/downloads", "raw files; take another name"],
        ),
        ("experiment", "reference", ["experiment: 'reference' names results/reference", "take another name"]),
        ("methods.SimCLR", {"like": "simclr"}, ["methods.SimCLR: differs from 'simclr' by case alone", "another name"]),
        ("methods.a b", {"like": "simclr"}, ["methods: name 'a b' is not", "must be of letters"]),
        ("methods.simclr", 3, ["methods.simclr: value 3", "must be keys with values"]),
        ("grid", None, ["grid: value None", "must be keys with values"]),
        ("grid.methods", "simclr", ["grid.methods: value 'simclr'", "must be a list"]),
        ("compute.channels_last", "x", ["compute.channels_last: value 'x'", "must be true, false or 'auto'"]),
        ("data.download.splits_mat.sha256", "0", ["data.download.splits_mat.sha256", "must be the 64 digits"]),
        (
            "figures.accuracy_by",
            {"Figure4": {"x": "snr_db", "label": None, "scale": "linear"}},
            ["'Figure4' is the name"],
        ),
        ("grid.label_fractions", [0], ["grid.label_fractions.0", "greater than 0"]),
        ("grid.label_fractions", [1.0, 1.5], ["grid.label_fractions.1", "1.5", "less than or equal to 1"]),
        ("grid.seeds", [1, 1], ["grid.seeds", "twice"]),
        ("grid.methods", ["simclrr"], ["grid.methods", "'simclrr'", "did you mean 'simclr'"]),
        ("grid.snr_db", [float("nan")], ["grid.snr_db.0", "nan", "greater than or equal to -300"]),
        ("figures.figure5_label_fraction", 0.25, ["figures.figure5_label_fraction", "0.25", "grid.label_fractions"]),
        ("methods.proposed.options.shared_features", 1100, ["shared_features", "K_sha = 1100", "1024", "lower it"]),
        ("methods.proposed.options.lambda_m", -1.0, ["methods.proposed.options.lambda_m", "-1.0"]),
        ("methods.proposed.options.lambda_z", 1.0, ["methods.proposed.options.lambda_z: unknown key"]),
        ("methods.proposed.loss", "no_such_loss", ["methods.proposed.loss", "'no_such_loss'", "decoupled"]),
        ("methods.simclr.pretrain", {"lr": 1.0}, ["methods.simclr.pretrain.lr: unknown key"]),
        ("channel.model", "awgn", ["channel.model: unknown key", "'awgn'", "fading"]),
        ("channel.fading", "rican", ["channel.fading", "'rican'", "did you mean 'rician'"]),
        ("channel.fading", "rician", ["channel.fading.k_factor: missing key"]),
        ("channel.fading", {"k_factor": 3.0}, ["channel.fading.name: missing key"]),
        ("channel.fading", 3, ["channel.fading: value 3", "give a name"]),
        (
            "channel.fading",
            {"name": "rician", "k_facto": 3.0},
            ["channel.fading.k_facto", "(value 3.0)", "did you mean 'k_factor'"],
        ),
        (
            "channel.fading",
            {"name": "rayleigh", "k_factor": 3.0},
            ["channel.fading.k_factor", "'rayleigh' has no such option (value 3.0)", "fading 'rician' ha"],
        ),
        ("channel.fading", {"name": "awgn", "phase": 1.0}, ["channel.fading.phase", "(value 1.0); it has none"]),
        ("channel.fading", {"name": "rician", "k_factor": -1.0}, ["channel.fading.k_factor", "-1.0", "equal to 0"]),
        ("channel.modulation", "no_such_block", ["channel.modulation", "'no_such_block'", "packed"]),
        ("channel.equalizer", "no_such_block", ["channel.equalizer", "'no_such_block'", "zero_forcing"]),
        ("methods.simclr.channel", {"fading": "rican"}, ["methods.simclr.channel.fading", "did you mean 'rician'"]),
        ("methods.simclr.channel", {"fadin": "awgn"}, ["methods.simclr.channel.fadin: unknown key", "'fading'"]),
        (
            "methods.simclr.channel",
            {"snr_offset_db": {"lidar": 1.0}},
            ["methods.simclr.channel.snr_offset_db", "'lidar'", "rgb"],
        ),
        ("channel.snr_offset_db", {"lidar": 1.0}, ["channel.snr_offset_db", "'lidar'", "rgb"]),
        ("data.reader", "no_such_reader", ["data.reader", "'no_such_reader'", "nyud2"]),
        ("data.files", {"labeled_mat": "mine.mat"}, ["data.files", "'splits_mat' is missing", "belong together"]),
        ("data.files", {"labelled_mat": "mine.mat"}, ["data.files", "'labelled_mat'", "did you mean 'labeled_mat'"]),
        ("data.download", None, ["data", "no source of scenes", "labeled_mat and splits_mat", "data.files"]),
        ("data.download.labeled_mat.url", [], ["data.download.labeled_mat.url: unknown key", "did you mean 'urls'"]),
        ("data.download.splits_mat", REMOVED, ["data.download", "'splits_mat' is missing", "all or none"]),
        ("modalities", ["rgb", "dept"], ["modalities: 'dept'", "reader 'nyud2'", "did you mean 'depth'"]),
        ("data.withhold_test", True, ["data", "withhold_test", "set validation_fraction"]),
        ("modalities", ["rgb", "rgb"], ["modalities", "twice", "['rgb', 'rgb']"]),
        ("modalities", ["rgb", "normals"], ["modalities: 'normals' is not one of reader 'nyud2'", "rgb, depth"]),
        ("tables.targets", [0.9, 0.9], ["tables.targets", "twice"]),
        ("tables.trials", "summary", ["tables.trials: 'summary' is the name of another figure or table"]),
        (
            "figures.accuracy_by",
            {"x": {"x": "snr_db", "methods": ["simclr", "simclr"]}},
            ["figures.accuracy_by.x.methods", "twice"],
        ),
        (
            "figures.accuracy_by",
            {"x": {"x": "snr_db", "methods": ["simclrr"]}},
            ["figures.accuracy_by.x.methods: 'simclrr'", "did you mean 'simclr'"],
        ),
        (
            "methods.simclr.channel",
            {"fading": {"name": "rician", "k_facto": 3.0}},
            ["methods.simclr.channel.fading.k_facto", "did you mean 'k_factor'"],
        ),
        ("methods.simclr.channel", {"fading": {"k_factor": 3.0}}, ["methods.simclr.channel.fading.name: missing key"]),
        ("methods.simclr.channel", {"snr_offset": {"rgb": 1.0}}, ["methods.simclr.channel.snr_offset: unknown key"]),
        ("methods.simclr.augmentation", {"crop_size": 512}, ["methods.simclr.augmentation.crop_size: 512", "lower it"]),
        ("ledger.bandwidth_hz", 0.0, ["ledger.bandwidth_hz", "0.0", "greater than 0"]),
        ("ledger.roll_off", -0.1, ["ledger.roll_off", "-0.1", "greater than or equal to 0"]),
        ("ledger.roll_off", 1.5, ["ledger.roll_off", "1.5", "less than or equal to 1"]),
        ("figures.costs", ["bit"], ["figures.costs", "'bit'", "channel_uses", "airtime"]),
        ("figures.costs", ["bits", "airtime", "bits"], ["figures.costs", "lists a value twice"]),
        ("tables.trials", "trials", ["tables.trials", "data.validation_fraction is 0", "null"]),
        ("tables.trials", "../best", ["tables.trials", "'../best'", "must be of letters, digits"]),
        ("tables.trials_kind", "best", ["tables.trials_kind", "'best'", "ranking", "ablation"]),
        ("pretrain.batch_size", 800, ["pretrain.batch_size", "800", "795", "smaller"]),
        ("finetune.batch_size", 500, ["finetune.batch_size", "500", "398", "smaller"]),
        ("finetune.warmup_epochs", 500.0, ["finetune", "warmup_epochs (500.0)", "below epochs"]),
        (
            "finetune.frozen_epochs",
            499,
            ["finetune", "frozen_epochs (499)", "warmup_epochs 2.0", "below epochs", "to 500"],
        ),
        ("augmentation.pretrain.crop_scale", [1.0, 0.3], ["crop_scale", "ascending"]),
    ],
)
def test_a_fault_is_one_line_that_names_key_value_and_remedy(raw, key, value, says):
    with pytest.raises(InputError) as error:
        parse_config(change(raw, key, value), "my.yaml")
    message = str(error.value)
    assert message.startswith("my.yaml: ") and "\n" not in message
    for words in says:
        assert words in message


def test_no_message_is_in_the_words_of_the_library(raw):
    """Of whatever kind a wrong value is, at whatever key."""
    for key in [
        *raw,
        *(f"{section}.{key}" for section in raw if isinstance(raw[section], dict) for key in raw[section]),
    ]:
        for value in (object, [object], {"a": object}):
            with pytest.raises(InputError) as error:
                parse_config(change(raw, key, value))
            assert not re.search("instance of|pattern|nput should|dictionary|[Ss]tring|integer", str(error.value))


def test_costs_of_figures_that_are_not_drawn_are_refused(raw):
    raw["figures"] |= {"figure4_label_fraction": None, "figure5_label_fraction": None, "costs": ["bits"]}
    with pytest.raises(
        InputError, match=r"figures.costs: draws figures 4 and 5 once more, and both are null; set .* to \[\]"
    ):
        parse_config(raw, "my.yaml")
    raw["figures"]["costs"] = []
    assert not parse_config(raw, "my.yaml").figures.costs


def test_folders_that_the_project_makes_are_no_names_of_experiments():
    """Of the folders that its files name below results/, those are experiments that a configuration names."""
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/**/*.smk")]
    files += [*ROOT.glob("*/profile.yaml"), *ROOT.glob("benchmarks/*.py"), ROOT / "Makefile", ROOT / "config/README.md"]
    named = {name for file in files for name in re.findall(r"results/([A-Za-z0-9_-]+)", file.read_text())}
    experiments = {shipped(name).experiment for name in SHIPPED} | {"a", "b", "e", "mine", "README"}
    assert named - experiments == set(RESERVED)


def test_an_odd_number_of_features_cannot_be_packed(raw):
    raw["encoder"]["features"] = 255
    raw["channel"]["modulation"] = "packed"
    with pytest.raises(InputError, match="encoder.features: 255 is no multiple of 2, .*'packed' needs; take 256"):
        parse_config(raw)
    raw["channel"]["modulation"] = "literal"
    raw["methods"]["simclr"]["channel"] = {"modulation": "peak"}
    with pytest.raises(InputError, match="methods.simclr.channel.modulation 'peak' needs"):
        parse_config(raw)


def test_a_method_that_lends_its_stage_one_must_fit_though_it_is_not_in_the_grid(raw):
    raw["modalities"], projector = ["rgb"], raw["methods"]["proposed"]["projector"]
    raw["methods"] = {
        "lent": raw["methods"]["proposed"],
        "borrowing": raw["methods"]["supervised"] | {"pretrained_by": "lent", "projector": projector},
    }
    raw["grid"]["methods"] = ["borrowing"]
    with pytest.raises(InputError, match="modalities: .* are too few for .*'lent', whose loss correlates 2"):
        parse_config(raw)
    raw["modalities"] = ["rgb", "depth"]
    raw["methods"]["lent"] = raw["methods"]["lent"] | {
        "options": raw["methods"]["lent"]["options"] | {"shared_features": 5000}
    }
    with pytest.raises(InputError, match="methods.lent.options.shared_features: K_sha = 5000"):
        parse_config(raw)


def test_batch_sizes_are_those_of_stages_that_run_by_the_key_that_says_them(raw):
    raw["methods"]["simclr"]["pretrain"] = {"batch_size": 16}
    raw["grid"]["methods"] = ["simclr", "supervised"]
    assert parse_config(raw).batches() == {
        "methods.simclr.pretrain.batch_size": ("pretrain", 16),
        "finetune.batch_size": ("finetune", 64),
    }
    raw["pretrain"]["batch_size"] = 5000  # nobody's
    parse_config(raw)


def test_a_method_that_does_not_run_need_not_fit(raw):
    raw["methods"]["proposed_literal"]["options"]["shared_features"] = 999
    parse_config(raw)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- 1", "mine.yaml: holds no keys"),
        (b"", "mine.yaml: holds no keys"),
        (b"# only a comment\n", "mine.yaml: holds no keys"),
        (b"a: 1\nb: [1\nc: 2\n", r"mine.yaml, line 3, column \d+: not valid YAML"),
        (
            b"experiment: a\ngrid:\n\tseeds: [1]\n",
            r"mine.yaml, line 3, column \d+: not valid YAML: .*; indent with spaces",
        ),
        (b"a: *b\n", r"mine.yaml, line 1, column \d+: not valid YAML: .*found undefined alias"),
        (b"a: 1\nb: \x07\n", "mine.yaml: not valid YAML: unacceptable character #x0007"),
        ("# one\nexperiment: Gr\u00fc\u00dfe\n".encode("latin-1"), "mine.yaml, line 2: byte 0xfc is not UTF-8"),
        (b"? [1, 2]\n: 3\n", r"mine.yaml, line 1, column \d+: not valid YAML: .*found unhashable key"),
        (b"1: 2\n", "mine.yaml .*: 1: "),
        (b"grid: {seeds: [1]}\n# x\ngrid: {}\n", "mine.yaml: key 'grid' stands twice, in lines 1 and 3; keep one"),
        (b"grid: {seeds: [1], seeds: [2]}\n", "mine.yaml: key 'seeds' stands twice, in lines 1 and 1; keep one"),
        (b"gird: {seeds: [1]}\n", r"mine.yaml \(extends config/config.yaml\): gird: unknown key"),
        (b"extends: null\nexperiment: a\n", "mine.yaml: modalities: missing key"),
        (b"extends: [a.yaml]\n", "mine.yaml: extends: takes the name of one file, got \\['a.yaml'\\]"),
        (b"extends: /x/a.yaml\n", "mine.yaml: extends: '/x/a.yaml' is an absolute path, .*: [./]+/x/a.yaml$"),
        (b"extends: none.yaml\n", "mine.yaml: extends: no file '.*none.yaml'; write its path relative to the folder"),
        (b"extends: demo.yaml\n", "mine.yaml: extends: no file '.*demo.yaml'; .*; did you mean '.*config/demo.yaml'"),
        (b"extends: mine.yaml\n", "mine.yaml: extends: a circle, .*mine.yaml -> .*mine.yaml; one of them must say"),
    ],
)
def test_a_file_that_is_no_configuration_is_named_in_one_line(tmp_path, monkeypatch, content, says):
    monkeypatch.chdir(ROOT)
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=says) as error:
        load_config(tmp_path / "mine.yaml")
    assert "\n" not in str(error.value)


def test_a_missing_file_a_folder_and_a_missing_default_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("experiment: mine\n")
    for path, says in {
        "nowhere.yaml": "^nowhere.yaml: cannot be read",
        ".": "^.: cannot be read",
        "mine.yaml": "^mine.yaml: extends: missing key, and there is no config/config.yaml here; name a file",
    }.items():
        with pytest.raises(InputError, match=says):
            load_config(path)


def test_a_chain_of_files_is_followed_from_the_lowest_up(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text(
        "experiment: a\ngrid: {seeds: [7], snr_db: [5]}\nmethods: {simclr: {projector: [8]}}\n"
    )
    (tmp_path / "deep/b.yaml").write_text("extends: ../a.yaml\ngrid: {snr_db: [0, 1]}\n")
    (tmp_path / "c.yaml").write_text("extends: deep/b.yaml\nexperiment: c\n")
    assert [path.name for path in read_layers(tmp_path / "c.yaml")] == ["config.yaml", "a.yaml", "b.yaml", "c.yaml"]
    whole, config = load_config(), load_config(tmp_path / "c.yaml")
    assert (config.experiment, config.grid.seeds, config.grid.snr_db) == ("c", [7], [0.0, 1.0])
    assert config.grid.methods == whole.grid.methods and config.pretrain == whole.pretrain
    simclr = whole.methods["simclr"].model_copy(update={"projector": [8]})
    assert config.methods == whole.methods | {"simclr": simclr}
    named = load_config(tmp_path / "c.yaml", settings={"experiment": "d", "grid": {"seeds": [1]}})
    assert (named.experiment, named.grid.seeds, named.grid.snr_db) == ("d", [1], [0.0, 1.0])
    (tmp_path / "a.yaml").write_text("extends: c.yaml\n")
    with pytest.raises(
        InputError, match=r"c.yaml: extends: a circle, \S*b.yaml -> \S*a.yaml -> \S*c.yaml -> \S*b.yaml; "
    ):
        load_config(tmp_path / "deep/b.yaml")


def test_what_is_kept_of_a_configuration_stands_alone(tmp_path, monkeypatch):
    """Whatever config/config.yaml becomes, and wherever it is read."""
    config = study("choices")
    (tmp_path / "kept.yaml").write_text(yaml.safe_dump({"extends": None} | config.model_dump()))
    monkeypatch.chdir(tmp_path)
    assert load_config("kept.yaml") == config


def test_one_file_is_given_and_several_are_told_how_to_become_one():
    assert given_file([]) == Path("config/config.yaml") and given_file(["mine.yaml"]) == Path("mine.yaml")
    says = (
        "^--configfile: takes one file, got config/demo.yaml own/mine.yaml; write `extends: ../config/demo.yaml` into"
    )
    with pytest.raises(InputError, match=says):
        given_file(["config/demo.yaml", "own/mine.yaml"])
    with pytest.raises(InputError, match="only a file can say what it extends"):
        load_config(ROOT / "config/demo.yaml", settings={"extends": "config.yaml"})


def test_settings_of_the_command_line_are_read_as_yaml_and_merged():
    given = given_settings(["experiment=a", "pretrain={epochs: 5, warmup_epochs: 1.0}", "grid={'snr_db': [.inf, 1.5]}"])
    assert given["pretrain"] == {"epochs": 5, "warmup_epochs": 1.0} and given["experiment"] == "a"
    plain, config = load_config(ROOT / "tests/config.yaml"), load_config(ROOT / "tests/config.yaml", settings=given)
    assert config.pretrain == plain.pretrain.model_copy(update={"epochs": 5})
    assert config.grid == plain.grid.model_copy(update={"snr_db": [float("inf"), 1.5]})


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (["experiment"], "--config: 'experiment' is not KEY=VALUE"),
        (["pretrain.epochs=5"], "'pretrain.epochs=5' is not KEY=VALUE; .*'pretrain={epochs: 5}'"),
        (["grid={seeds: [1], seeds: [2]}"], "--config grid: key 'seeds' stands twice, in lines 1 and 1; keep one"),
        (["grid={seeds: [1]}", "grid={snr_db: [2]}"], "--config: key 'grid' is given twice; keep one"),
        (["pretrain={epochs: 5"], "--config pretrain, line 1, column 11: not valid YAML"),
    ],
)
def test_a_fault_in_the_text_of_a_setting_is_named(entries, says):
    with pytest.raises(InputError, match=says) as error:
        given_settings(entries)
    assert "\n" not in str(error.value)


def test_a_fault_is_blamed_on_what_brings_it_in(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: null\n")
    mine = tmp_path / "mine.yaml"
    with pytest.raises(InputError, match="^--config, over .*demo.yaml .*: pretrain.epochs: value 'x'"):
        load_config(ROOT / "config/demo.yaml", settings={"pretrain": {"epochs": "x"}})
    with pytest.raises(InputError, match=f"^{mine}: modalities: missing key"):
        load_config(mine, settings={"experiment": "a"})
    with pytest.raises(InputError, match=f"^--config, over {mine}: experiment: value 'a b'"):
        load_config(mine, settings={"experiment": "a b"})


def test_options_that_snakemake_would_drop_are_refused():
    check_given_once(["all", "--configfile=a.yaml", "--config", "experiment=a", "grid={seeds: [1]}", "--cores", "2"])
    for name in ("--configfile", "--configfiles"):
        with pytest.raises(
            InputError, match="--configfile: takes one file, got a.yaml b.yaml; write `extends: a.yaml`"
        ):
            check_given_once(["--configfile=a.yaml", "--cores", "2", name, "b.yaml", "--", "all"])
    with pytest.raises(InputError, match="--config: is given 2 times, .*; write --config 'experiment=a' 'grid=1'"):
        check_given_once(["--config", "experiment=a", "-C", "grid=1"])


def test_a_key_twice_in_a_file_that_is_extended_is_named_with_that_file(tmp_path):
    (tmp_path / "base.yaml").write_text("channel: {fading: rayleigh}\n\nchannel: {modulation: packed}\n")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\nexperiment: mine\n")
    with pytest.raises(InputError, match="base.yaml: key 'channel' stands twice, in lines 1 and 3; keep one"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("path", ["~/nowhere.mat", "$HOME/nowhere.mat", "${HOME}/nowhere.mat"])
def test_what_a_shell_would_expand_is_spelled_out(raw, path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of")
    raw["data"] |= {"files": {"labeled_mat": path, "splits_mat": path}, "download": None}
    says = f"mine.yaml: data.files.labeled_mat: no file {re.escape(repr(path))}; .* write the path in full: /home/of/nowhere"
    with pytest.raises(InputError, match=says):
        parse_config(raw).check_files("mine.yaml")


def test_overrides_of_a_method_reach_only_that_method(raw):
    raw["methods"]["simclr"]["pretrain"] = {"learning_rate": 0.5}
    config = parse_config(raw)
    assert pretrain_job(config, "simclr").schedule.learning_rate == 0.5
    assert pretrain_job(config, "proposed").schedule.learning_rate == raw["pretrain"]["learning_rate"]


@pytest.mark.parametrize(
    ("section", "change", "reaches"),
    [
        ("encoder", {"features": 64}, lambda job: job.encoder.features == 64),
        ("augmentation", {"pretrain": {"flip": 0.25}}, lambda job: job.views.flip == 0.25 and job.views.hue == 0.1),
        ("augmentation", {"crop_size": 96}, lambda job: job.crop_size == 96),
    ],
)
def test_a_method_overrides_single_keys_of_other_sections(raw, section, change, reaches):
    raw["methods"]["simclr"][section] = change
    config = parse_config(raw)
    assert reaches(pretrain_job(config, "simclr")) and not reaches(pretrain_job(config, "barlow_twins"))


def test_a_method_has_a_channel_of_its_own(raw):
    raw["channel"]["fading"] = {"name": "rician", "k_factor": 3}
    raw["methods"] |= {
        "stronger": {"like": "supervised", "channel": {"fading": {"k_factor": 10.0}}},
        "scattered": {"like": "stronger", "channel": {"fading": "rayleigh", "equalizer": "mmse"}},
    }
    config = parse_config(raw)
    dumped = {name: finetune_job(config, name, 10, 1.0).channel.model_dump() for name in config.methods}
    assert dumped["supervised"]["fading"] == {"name": "rician", "k_factor": 3.0}
    assert dumped["stronger"] == dumped["supervised"] | {"fading": {"name": "rician", "k_factor": 10.0}}
    assert dumped["scattered"] == dumped["supervised"] | {"fading": "rayleigh", "equalizer": "mmse"}
    assert changes(config, "stronger", "supervised") == "channel.fading.k_factor 10.0"
    assert parse_config(config.model_dump()) == config
    job = finetune_job(config, "stronger", 10, 1.0)
    assert FinetuneJob(**job.model_dump()) == job  # as it crosses from the workflow into a script


def test_a_block_of_another_name_takes_no_option_along():
    base = {"fading": {"name": "rician", "k_factor": 3.0}}
    assert merged(base, {"fading": {"k_factor": 1.0}}) == {"fading": {"name": "rician", "k_factor": 1.0}}
    assert merged(base, {"fading": {"name": "nakagami", "m": 2.0}}) == {"fading": {"name": "nakagami", "m": 2.0}}
    assert merged(base, {"fading": "awgn"}) == {"fading": "awgn"}
    methods = {"a": {"loss": None}, "name": {"loss": "simclr"}}  # a method may be called so
    assert merged({"methods": methods}, {"methods": {"name": {"loss": None}}})["methods"]["a"] == {"loss": None}


def test_several_channels_are_methods_of_one_grid():
    """config/studies/channels.yaml: names, paths and legends of their own, one stage I."""
    config = shipped("config/studies/channels")
    jobs = {method: finetune_job(config, method, 10, 1.0) for method in config.grid.methods}
    for method, job in jobs.items():
        base = jobs[config.family(method)]
        assert job.model_copy(update={"method": base.method, "channel": base.channel}) == base
        assert config.stage_one(method) == config.stage_one(base.method)
    for base in ("proposed", "supervised"):
        channels = [str(job.channel) for method, job in jobs.items() if config.family(method) == base]
        assert len(channels) == len(set(channels)) == 3
    assert {run.method for run in runs(config) if run.stage == "pretrain"} == {"proposed"}


def test_a_method_overrides_the_decoder(raw):
    raw["methods"]["simclr"]["decoder"] = {"dropout": 0.5}
    config = parse_config(raw)
    assert finetune_job(config, "simclr", 10, 1.0).decoder.dropout == 0.5
    assert finetune_job(config, "supervised", 10, 1.0).decoder.dropout == raw["decoder"]["dropout"]


def test_a_method_like_another_says_only_what_differs(raw):
    raw["methods"]["a"] = {"like": "proposed", "options": {"centre": True}, "pretrain": {"learning_rate": 0.5}}
    raw["methods"]["b"] = {"like": "a", "options": {"cross_weight": 0.25}}
    config = parse_config(raw)
    proposed, b = pretrain_job(config, "proposed"), pretrain_job(config, "b")
    assert b.options == proposed.options | {"centre": True, "cross_weight": 0.25}
    assert b.schedule == proposed.schedule.model_copy(update={"learning_rate": 0.5})
    assert parse_config(config.model_dump()) == config  # the recorded configuration is the same one


def test_a_method_like_another_with_a_loss_of_its_own_leaves_the_options_behind(raw):
    raw["methods"]["a"] = {"like": "proposed", "loss": "simclr", "options": {"temperature": 0.1}}
    assert pretrain_job(parse_config(raw), "a").options == {"temperature": 0.1}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"a": {"like": "propsed"}}, "methods.a.like: no method 'propsed'; did you mean 'proposed'"),
        ({"a": {"like": "b"}, "b": {"like": "a"}}, "is itself like"),
        ({"a": {"like": "simclr", "pretrained_by": "nobody"}}, "methods.a.pretrained_by: no method 'nobody'"),
        ({"a": {"like": "simclr", "pretrained_by": "supervised"}}, "'supervised' has no stage I of its own"),
        (
            {"alone": {"like": "simclr", "modalities": ["rgb"]}, "a": {"like": "simclr", "pretrained_by": "alone"}},
            "methods.a.pretrained_by: stage I of 'alone' has no encoder of depth, only of rgb",
        ),
        (
            {"a": {"like": "simclr", "pretrained_by": "simclr", "encoder": {"features": 64}}},
            "stage I of 'simclr' has another `encoder` than this method",
        ),
        (
            {"a": {"like": "simclr", "pretrained_by": "simclr", "augmentation": {"depth_encoding": "log"}}},
            "another `augmentation.depth_encoding` than this method",
        ),
        (
            {"a": {"like": "simclr", "pretrained_by": "simclr", "pretrain": {"weight_decay": 0.1}}},
            "stage I of 'simclr' has another `pretrain` than this method",
        ),
        ({"a": {"like": "simclr", "encoder": {"wdth": 8}}}, "methods.a.encoder.wdth: unknown key"),
        (
            {"a": {"like": "simclr", "augmentation": {"crop_size": 999}}},
            "methods.a.augmentation.crop_size: 999 exceeds",
        ),
    ],
)
def test_what_a_method_takes_from_another_is_checked(raw, entries, says):
    raw["methods"] |= entries
    with pytest.raises(InputError) as error:
        parse_config(raw)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_stage_one_is_a_method_s_own_unless_it_names_another(raw):
    raw["methods"]["late"] = {"like": "simclr", "pretrained_by": "simclr", "finetune": {"epochs": 7}}
    config = parse_config(raw)
    assert [config.stage_one(m) for m in ("late", "simclr", "supervised")] == ["simclr", "simclr", None]
    assert config.pretrained_methods() == ["proposed", "simclr", "barlow_twins"]


def test_the_schema_file_is_in_step():
    assert (ROOT / "workflow/schemas/config.schema.yaml").read_text() == schema(), (
        "run: python -m semcom.config.reference schema > workflow/schemas/config.schema.yaml"
    )


def test_the_choices_list_the_options_of_a_block(raw):
    raw["channel"]["fading"] = {"name": "rician", "k_factor": 3.0}
    raw["methods"]["simclr"]["channel"] = {"equalizer": "mmse"}
    found = choices(parse_config(raw))
    assert found["channel.fading.k_factor"][0] == "3.0" and found["channel.fading.k_factor"][1].startswith("K: power")
    assert found["methods.simclr.channel.equalizer"][0] == "mmse"


def test_every_silent_choice_is_listed_with_its_value_and_a_reason():
    """And nothing that is no such choice."""
    page = (ROOT / CHOICES).read_text()
    assert choices_page(shipped("config/config"), page) == page, "run: python -m semcom.config.reference choices"
    assert not [key for key, reason in reasons(page).items() if not reason], "write the reason into docs/choices.md"


def test_config_yaml_marks_every_value_on_which_the_paper_is_silent():
    text = (ROOT / "config/config.yaml").read_text()
    unmarked = []
    for key, field in leaves(Config):
        if (field.json_schema_extra or {}).get("paper") == "silent" and "<method>" not in key:
            name = key.rpartition(".")[2]
            lines = re.findall(rf"^ +{name}:.*$", text, re.MULTILINE)
            unmarked += [line for line in lines if "# silent" not in line and "# paper" not in line]
    assert not unmarked


def test_reading_a_configuration_does_not_import_torch():
    code = "import sys; from semcom.config.loading import load_config; load_config('config/config.yaml'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": "src"}).returncode == 0


def test_the_conda_environment_says_the_same_as_the_requirements():
    requirements = (ROOT / "envs/requirements.txt").read_text().splitlines()
    pins = [line for line in requirements if line and not line.startswith("#")]
    environment = yaml.safe_load((ROOT / "envs/semcom.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == pins
    assert all("==" in pin for pin in pins)
