"""The configuration: every shipped file holds, every impossible value is named, and what is derived from it is in step."""

import copy
import re
import subprocess
import sys
from collections import Counter

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from semcom.analysis.trials import changes, family
from semcom.common.errors import InputError
from semcom.config.experiment import Config, load_config, merged, parse_config
from semcom.config.jobs import FinetuneJob, finetune_job, pretrain_job
from semcom.config.paths import runs
from semcom.config.reference import choices, leaves, schema

COMPLETE = ["config", "nyud2-small", "demo", "test"]
PARTIAL = {  # and what each stands on
    "ablation": ("nyud2-small", "trials"),
    "bench": ("nyud2-small",),
    "channels": ("demo",),
    "choices": ("nyud2-small", "trials"),
    "demo-trials": ("demo",),
    "finalists": ("nyud2-small", "trials"),
    "frozen": ("nyud2-small", "trials"),
    "gradients": ("nyud2-small",),
    "literal": ("config",),
    "nyud2-32": ("nyud2-small",),
    "nyud2-32-long": ("nyud2-small", "nyud2-32"),
    "nyud2-48": ("nyud2-small",),
    "trials": ("nyud2-small",),
    "unclipped": ("nyud2-small",),
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


@pytest.mark.parametrize("name", COMPLETE)
def test_shipped_configurations_are_complete_by_themselves(name):
    config = load_config(ROOT / f"config/{name}.yaml")
    for method in config.grid.methods:
        for snr_db in config.grid.snr_db:
            for fraction in config.grid.label_fractions:
                assert finetune_job(config, method, snr_db, fraction).schedule.epochs > 0


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_configuration_says_the_same_on_top_of_the_default(name):
    """As the workflow reads it. An empty mapping takes nothing away from what is below it."""
    alone = load_config(ROOT / f"config/{name}.yaml")
    on_default = load_config(ROOT / "config/config.yaml", ROOT / f"config/{name}.yaml")
    assert {method: on_default.methods[method] for method in alone.methods} == alone.methods
    assert on_default.model_dump(exclude={"methods"}) == alone.model_dump(exclude={"methods"})


def test_no_other_configuration_is_left_unchecked():
    assert {path.stem for path in (ROOT / "config").glob("*.yaml")} == {*COMPLETE, *PARTIAL}


def on_top(name: str) -> Config:
    return load_config(*(ROOT / f"config/{each}.yaml" for each in (*PARTIAL[name], name)))


@pytest.mark.parametrize("name", PARTIAL)
def test_partial_configurations_fit_what_they_stand_on(name):
    assert on_top(name).experiment != load_config(ROOT / f"config/{PARTIAL[name][0]}.yaml").experiment


@pytest.mark.parametrize("name", [name for name, base in PARTIAL.items() if base != ("config",)])
def test_a_file_on_top_of_others_is_refused_without_them(name):
    """Alone, or before them, it would be another experiment under its name."""
    path, base = ROOT / f"config/{name}.yaml", PARTIAL[name]
    assert yaml.safe_load(path.read_text())["stands_on"] == [f"{each}.yaml" for each in base]
    for paths in ([path], [path, *(ROOT / f"config/{each}.yaml" for each in base)]):
        says = rf"{name}.yaml: stands on {base[0]}.yaml.*; give --configfile .*{base[-1]}.yaml \S*/{name}.yaml$"
        with pytest.raises(InputError, match=says):
            load_config(ROOT / "config/config.yaml", *paths)
    assert "stands_on" not in on_top(name).model_dump()  # what is kept of it is whole


def test_every_method_is_tried_equally_often_and_no_trial_sees_a_test_scene():
    config = on_top("trials")
    tried = Counter(family(config, method) for method in config.grid.methods)
    assert set(tried) == {"proposed", "simclr", "barlow_twins", "supervised"} and len(set(tried.values())) == 1
    assert config.data.withhold_test and config.data.validation_fraction > 0
    assert len({(family(config, m), changes(config, m, family(config, m))) for m in config.grid.methods}) == len(
        config.grid.methods
    )


def test_trials_begin_at_the_same_settings_whatever_was_chosen_since():
    """`trials.yaml` stands on a file that has what its own table recommends."""
    config = on_top("trials")
    job = finetune_job(config, "supervised", 10, 1.0)
    for method in ("proposed", "simclr", "barlow_twins"):
        assert finetune_job(config, method, 10, 1.0) == job.model_copy(update={"method": method})
        assert config.pretrain_settings(method) == config.pretrain
    assert job.schedule == config.finetune and job.decoder == config.decoder


def test_finalists_are_the_two_best_of_each_method_and_run_as_they_were_tried():
    config, tried = on_top("finalists"), on_top("trials")
    table = pd.read_csv(ROOT / "results/reference/trials/tables/trials.csv")
    assert set(table["trial"]) == set(tried.grid.methods)
    best = table.sort_values("score", ascending=False).groupby("family")["trial"].head(2)
    assert set(best) <= set(config.grid.methods) and len(best) == 8
    for method in config.grid.methods:
        assert finetune_job(config, method, 10, 0.5) == finetune_job(tried, method, 10, 0.5)


def test_more_choices_are_tried_equally_often_and_one_at_a_time_from_the_best_trial():
    config, tried = on_top("choices"), on_top("trials")
    table = pd.read_csv(ROOT / "results/reference/trials/tables/choices.csv")
    assert set(table["trial"]) == set(config.grid.methods)
    best = {family(config, method): method for method in config.grid.methods if method in tried.methods}
    for method in best.values():
        assert finetune_job(config, method, 10, 0.5) == finetune_job(tried, method, 10, 0.5)
    new = [method for method in config.grid.methods if method not in tried.methods]
    assert len(set(Counter(family(config, method) for method in new).values())) == 1
    for method in new:
        base = config.method(method).like
        assert changes(config, base, best[family(config, method)]) in ("", "pretrained_by None")
        changed = changes(config, method, base).split(", pretrained_by")[0]  # stage I is then the best trial's own
        keys = {entry.split()[0] for entry in re.sub(r"\[[^]]*\]", "[]", changed).split(", ")}
        if method.endswith("-headed"):  # the loss sees K features then, not a projector's
            assert keys - {"projector", "options.shared_features"} == {"encoder.hidden"}
        elif not method.endswith("-scaled"):
            assert len(keys) == 1 and keys != {""}


def test_a_scaled_loss_is_what_its_settings_stand_for():
    """A loss times s under clipping at C with step size a and decay d: a (min(1, C / |s g|) s g + d w)."""
    config, scale = on_top("choices"), 0.1
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
    config, tried = on_top("ablation"), on_top("trials")
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
        ("pretrain.learning_rate", "1e-3", ["pretrain.learning_rate", "'1e-3'", "write 1.0e-3"]),
        ("compute.threads", True, ["compute.threads", "True", "integer"]),
        ("data", 3, ["data", "3"]),
        ("modalities", ["rgb"], ["modalities: ['rgb']", "'proposed'", "name more"]),
        ("compute.device", "tpu", ["compute.device", "'tpu'"]),
        ("augmentation.crop_size", 512, ["augmentation.crop_size: 512", "data.image_size 256", "lower it"]),
        ("data.reader", "rooms", ["data", "rooms: is null"]),
        ("experiment", "a/b", ["experiment", "'a/b'"]),
        ("grid.label_fractions", [0], ["grid.label_fractions.0", "greater than 0"]),
        ("grid.label_fractions", [1.0, 1.5], ["grid.label_fractions.1", "1.5", "less than or equal to 1"]),
        ("grid.seeds", [1, 1], ["grid.seeds", "twice"]),
        ("grid.methods", ["simclrr"], ["grid.methods", "'simclrr'", "did you mean 'simclr'"]),
        ("grid.snr_db", [float("nan")], ["grid.snr_db.0", "finite"]),
        ("figures.figure5_label_fraction", 0.25, ["figures.figure5_label_fraction", "0.25", "grid.label_fractions"]),
        ("methods.proposed.options.shared_features", 1100, ["shared_features", "K_sha = 1100", "1024", "lower it"]),
        ("methods.proposed.options.lambda_m", -1.0, ["methods.proposed.options.lambda_m", "-1.0"]),
        ("methods.proposed.options.lambda_z", 1.0, ["methods.proposed.options.lambda_z: unknown key"]),
        ("methods.proposed.loss", "vicreg", ["methods.proposed.loss", "'vicreg'", "decoupled"]),
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
            ["channel.fading.k_factor", "'rayleigh' has no such option (value 3.0)", "fading 'rician' has"],
        ),
        ("channel.fading", {"name": "awgn", "phase": 1.0}, ["channel.fading.phase", "(value 1.0); it has none"]),
        ("channel.fading", {"name": "rician", "k_factor": -1.0}, ["channel.fading.k_factor", "-1.0", "equal to 0"]),
        ("channel.modulation", "qam", ["channel.modulation", "'qam'", "packed"]),
        ("channel.equalizer", "zf", ["channel.equalizer", "'zf'", "zero_forcing"]),
        ("methods.simclr.channel", {"fading": "rican"}, ["methods.simclr.channel.fading", "did you mean 'rician'"]),
        ("methods.simclr.channel", {"fadin": "awgn"}, ["methods.simclr.channel.fadin: unknown key", "'fading'"]),
        (
            "methods.simclr.channel",
            {"snr_offset_db": {"lidar": 1.0}},
            ["methods.simclr.channel.snr_offset_db", "'lidar'", "rgb"],
        ),
        ("channel.snr_offset_db", {"lidar": 1.0}, ["channel.snr_offset_db", "'lidar'", "rgb"]),
        ("data.reader", "sunrgbd", ["data.reader", "'sunrgbd'", "nyud2"]),
        ("data.labeled_mat", "mine.mat", ["data", "belong together"]),
        ("data.download", None, ["data", "no source of scenes"]),
        ("data.withhold_test", True, ["data", "withhold_test", "set validation_fraction"]),
        ("tables.trials", "trials", ["tables.trials", "data.validation_fraction is 0", "null"]),
        ("tables.trials", "best", ["tables.trials", "'best'", "finalists"]),
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


def test_an_odd_number_of_features_cannot_be_packed(raw):
    raw["encoder"]["features"] = 255
    raw["channel"]["modulation"] = "packed"
    with pytest.raises(InputError, match="encoder.features: 255 is no multiple of 2, .*'packed' needs; take 256"):
        parse_config(raw)
    raw["channel"]["modulation"] = "literal"
    raw["methods"]["simclr"]["channel"] = {"modulation": "peak"}
    with pytest.raises(InputError, match="methods.simclr.channel.modulation 'peak' needs"):
        parse_config(raw)


def test_a_method_that_does_not_run_need_not_fit(raw):
    raw["methods"]["proposed_literal"]["options"]["shared_features"] = 999
    parse_config(raw)


def test_files_that_are_no_configuration_are_named(tmp_path):
    for name, text in {"list.yaml": "- 1", "empty.yaml": "", "broken.yaml": "a: [1"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            load_config(tmp_path / name)
    with pytest.raises(InputError, match="missing.yaml"):
        load_config(tmp_path / "missing.yaml")


def test_files_and_settings_replace_only_what_they_name(tmp_path):
    (tmp_path / "a.yaml").write_text("experiment: a\ngrid: {seeds: [7]}\ndata: {rooms: null}\n")
    (tmp_path / "b.yaml").write_text("grid: {snr_db: [5]}\n")
    whole = load_config(ROOT / "config/config.yaml")
    config = load_config(ROOT / "config/config.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert (config.experiment, config.grid.seeds, config.grid.snr_db) == ("a", [7], [5.0])
    assert config.grid.methods == whole.grid.methods and config.pretrain == whole.pretrain
    named = load_config(ROOT / "config/config.yaml", tmp_path / "a.yaml", settings={"experiment": "c"})
    assert named.experiment == "c" and named.grid.seeds == [7]
    (tmp_path / "b.yaml").write_text("gird: {seeds: [1]}\n")
    with pytest.raises(InputError, match="a.yaml .*b.yaml: gird: unknown key"):
        load_config(ROOT / "config/config.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml")


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
    """config/channels.yaml: names, paths and legends of their own, one stage I."""
    config = on_top("channels")
    jobs = {method: finetune_job(config, method, 10, 1.0) for method in config.grid.methods}
    for method, job in jobs.items():
        base = jobs[family(config, method)]
        assert job.model_copy(update={"method": base.method, "channel": base.channel}) == base
        assert config.stage_one(method) == config.stage_one(base.method)
    for base in ("proposed", "supervised"):
        channels = [str(job.channel) for method, job in jobs.items() if family(config, method) == base]
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
    table = choices(parse_config(raw))
    assert "| `channel.fading.k_factor` | 3.0 | K: power" in table
    assert "| `methods.simclr.channel.equalizer` | mmse | use of" in table


def test_the_readme_lists_every_silent_choice():
    table = choices(load_config(ROOT / "config/config.yaml"))
    assert table in (ROOT / "README.md").read_text(), "paste the output of: python -m semcom.config.reference choices"


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
    code = "import sys; from semcom.config.experiment import load_config; load_config('config/config.yaml'); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": "src"}).returncode == 0


def test_the_conda_environment_says_the_same_as_the_requirements():
    requirements = (ROOT / "envs/requirements.txt").read_text().splitlines()
    pins = [line for line in requirements if line and not line.startswith("#")]
    environment = yaml.safe_load((ROOT / "envs/semcom.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == pins
    assert all("==" in pin for pin in pins)
