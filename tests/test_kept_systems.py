"""A trained link as a file, asked again: nothing of it may be lost, and nothing foreign taken for it."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file

from conftest import ROOT, run_snakemake
from semcom.common.errors import InputError
from semcom.config.jobs import EvaluationJob, evaluation_job
from semcom.config.loading import load_config
from semcom.config.sections import BlockSettings
from semcom.link.uplinks import make_uplinks
from semcom.models.kept_system import KeptSystem, load_system, save_system
from semcom.rng import stream
from semcom.training.answers import KeptAnswers, load_answers, save_answers
from semcom.training.finetune import devices_heard, finetune, training_snr
from semcom.training.process import set_up
from semcom.training.reevaluation import reevaluate
from test_stages import CONFIG, made_scenes, stage_two

MEASURED = ["accuracy", "mean_class_accuracy", "loss"]


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


@pytest.fixture(scope="module")
def scenes():
    return made_scenes()


@pytest.fixture(scope="module")
def trained(scenes):
    set_up(CONFIG.compute)
    job = stage_two(epochs=3)
    return job, finetune(job, scenes, 0, None)


@pytest.fixture
def kept(trained, scenes, tmp_path):
    job, result = trained
    path = tmp_path / "system.safetensors"
    save_system(KeptSystem(result.system, job, 0, result.status, result.arithmetic), scenes, path)
    return path


def asked(job, **conditions) -> EvaluationJob:
    """An evaluation of a job under conditions: each the channel's changes, and who is silent."""
    made = {
        name: {"channel": {**job.channel.model_dump(), **channel}, "silent": silent}
        for name, (channel, silent) in ({"as_trained": ({}, {})} | conditions).items()
    }
    fixed = {"evaluation": "e", "method": job.method, "snr_db": None, "channel_draws": None}
    return EvaluationJob(**fixed, conditions=made, compute=job.compute.model_dump())


def test_asked_as_it_was_trained_a_kept_system_scores_as_in_its_last_row_to_the_bit(trained, kept, scenes):
    job, result = trained
    again = reevaluate(asked(job), load_system(kept, scenes), scenes)
    last = result.rounds[result.rounds["round"] == result.rounds["round"].max()]
    for split in last["split"]:
        told, now = (table[table["split"] == split].iloc[0] for table in (last, again))
        assert [now[name] for name in MEASURED] == [told[name] for name in MEASURED]
    assert again["tested_snr_db"].tolist() == [job.snr_db] * len(again)
    assert (again["channel_uses"] == 2 * job.encoder.features).all()  # `literal`, two devices


def test_the_answers_of_the_last_evaluation_give_its_accuracy(trained, scenes, tmp_path):
    job, result = trained
    save_answers(KeptAnswers({"seed": 0}, result.answers, scenes.class_names, "ok"), tmp_path / "a.safetensors")
    back = load_answers(tmp_path / "a.safetensors")
    test = back.splits["test"]
    assert test.logits.shape == (job.schedule.channel_draws, 30, 3) and test.logits.dtype == np.float16
    assert test.hits().mean() == pytest.approx(result.rounds["accuracy"].iloc[-1], abs=1e-7)
    assert (test.labels == scenes.labels[scenes.indices["test"]].numpy()).all()
    assert (test.scenes == scenes.indices["test"].numpy()).all()


def test_a_run_that_goes_on_from_its_last_checkpoint_leaves_the_same_system_and_answers(trained, scenes):
    job, whole = trained
    states = []

    class Recorder:
        def start(self, total, fault_in):
            return states[0] if states else None

        def step_done(self, done, state, **told):
            pass

        def trained(self, state):
            states.append(state)

    finetune(job, scenes, 0, None, Recorder())
    again = finetune(job, scenes, 0, None, Recorder())
    for name, value in whole.system.state_dict().items():
        assert torch.equal(value, again.system.state_dict()[name])
    assert (again.answers["test"].logits == whole.answers["test"].logits).all()


def test_a_run_that_diverged_has_blanks_and_its_status(trained, scenes, tmp_path):
    job, _ = trained
    save_system(KeptSystem(None, job, 0, "diverged", None), scenes, tmp_path / "none.safetensors")
    table = reevaluate(asked(job), load_system(tmp_path / "none.safetensors", scenes), scenes)
    assert table["status"].tolist() == ["diverged"] and table[MEASURED].isna().all(axis=None)


def test_of_two_devices_that_are_silent_none_counts_and_the_decoder_guesses(trained, kept, scenes):
    job, _ = trained
    silent = {"depth": "zeros", "rgb": "zeros"}
    table = reevaluate(asked(job, none=({}, silent), one=({}, {"depth": "noise"})), load_system(kept, scenes), scenes)
    table = table.set_index("condition")
    assert table["channel_uses"].to_dict() == {"as_trained": 32, "none": 0, "one": 16}
    assert table["accuracy"]["as_trained"] > table["accuracy"]["none"]
    shares = np.bincount(scenes.labels[scenes.indices["test"]]) / 30
    assert any(table["accuracy"]["none"] == pytest.approx(share) for share in shares)  # one class for all scenes


def test_the_noiseless_limit_and_a_deep_fade_frame_what_is_in_between(trained, kept, scenes):
    job, _ = trained
    question = asked(job).model_copy(update={"snr_db": [-40.0, job.snr_db, 60.0]})
    table = reevaluate(question, load_system(kept, scenes), scenes)
    low, own, high = table["accuracy"]
    assert low < own <= high + 0.05


def with_metadata(path, **changes):
    """The file with other metadata, its arrays as they were."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata() | changes
    save_file(load_file(path), path, metadata)


DAMAGE = {
    "missing": (lambda path: path.unlink(), "not found"),
    "empty": (lambda path: path.write_bytes(b""), "no safetensors file, or damaged"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "no safetensors file, or damaged"),
    "a byte changed": (
        lambda path: path.write_bytes(
            path.read_bytes()[:-10] + bytes([path.read_bytes()[-10] ^ 1]) + path.read_bytes()[-9:]
        ),
        "damaged, its content has another sha256",
    ),
    "another kind": (lambda path: save_file({"a": np.zeros(3)}, path), "is of format None"),
    "a later version": (lambda path: with_metadata(path, format="semcom-system-9"), "is of format 'semcom-system-9'"),
    "text": (lambda path: path.write_text("hello, this is text"), "no safetensors file, or damaged"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_is_not_a_whole_system_is_refused_in_one_line(kind, kept, scenes):
    spoil, said = DAMAGE[kind]
    spoil(kept)
    with pytest.raises(InputError, match=said) as refused:
        load_system(kept, scenes)
    assert str(kept) in str(refused.value) and "\n" not in str(refused.value)


def test_a_system_is_not_asked_about_scenes_that_it_cannot_know(kept, scenes):
    with pytest.raises(InputError, match="the scenes have no depth"):
        load_system(kept, made_scenes(("rgb",)))
    with pytest.raises(InputError, match="other scenes, which differ in their classes"):
        load_system(kept, dataclasses.replace(scenes, class_names=("a", "b", "c")))
    nearer = dataclasses.replace(scenes.modalities["depth"], mean=(1.0,))
    with pytest.raises(InputError, match="other scenes, which differ in their modalities"):
        load_system(kept, dataclasses.replace(scenes, modalities=scenes.modalities | {"depth": nearer}))


def features(job, scenes=24):
    return {m: torch.randn(scenes, job.encoder.features, generator=stream(0, m)) for m in job.modalities}


@pytest.mark.parametrize("equalizer", ["zero_forcing", "mmse"])
def test_an_snr_of_each_scene_is_that_snr(equalizer):
    job = stage_two()
    blocks = {"fading": BlockSettings(name="rayleigh"), "equalizer": BlockSettings(name=equalizer)}
    links = make_uplinks(job.channel.model_copy(update=blocks), job.modalities)
    z = features(job)

    def received(snr_db):
        return links.receive(z, snr_db, {m: stream(0, "noise", m) for m in job.modalities})

    assert torch.allclose(received(torch.full((24,), 7.0)), received(7.0), atol=1e-5)
    mixed = received(torch.tensor([7.0, 20.0]).repeat(12))
    assert torch.allclose(mixed[::2], received(7.0)[::2], atol=1e-5)
    assert torch.allclose(mixed[1::2], received(20.0)[1::2], atol=1e-5)


def test_a_silent_device_changes_nothing_of_the_others():
    job = stage_two()
    z, half = features(job), 2 * job.encoder.features

    def received(**silent):
        links = make_uplinks(job.channel, job.modalities, silent)
        return links.receive(z, 10.0, {m: stream(0, "noise", m) for m in job.modalities})

    whole, zeros, noise = received(), received(depth="zeros"), received(depth="noise")
    assert torch.equal(whole[:, :half], zeros[:, :half]) and torch.equal(whole[:, :half], noise[:, :half])
    assert not zeros[:, half:].any()
    power = noise[:, half:].square().mean()  # N0/2 in each real dimension, of 24 x 16 uses
    assert power == pytest.approx(0.1 / 2, rel=5 * math.sqrt(2 / (24 * 32)))


def test_training_over_a_range_draws_each_scene_its_own_snr_and_repeats_itself():
    job = stage_two(snr_range_db=[-5.0, 15.0])
    drawn = torch.cat([training_snr(job, 0, step, torch.arange(64)) for step in range(100)])
    assert torch.equal(training_snr(job, 0, 3, torch.arange(64)), drawn[3 * 64 : 4 * 64])
    assert -5 <= drawn.min() and drawn.max() <= 15
    assert drawn.mean() == pytest.approx(5, abs=5 * 20 / math.sqrt(12 * len(drawn)))
    assert training_snr(stage_two(), 0, 0, torch.arange(4)) == 20


def test_modality_dropout_silences_each_device_as_often_as_asked_and_never_all():
    job, p = stage_two(modality_dropout=0.3), 0.3
    heard = [devices_heard(job, 0, step, torch.arange(64)) for step in range(100)]
    both = torch.stack([torch.cat([h[m] for h in heard]) for m in job.modalities])
    assert both.any(dim=0).all()
    for of_device in both:  # silent with p, but where both would be: p - p^2
        expected = p - p**2
        assert 1 - of_device.float().mean() == pytest.approx(expected, abs=5 * math.sqrt(expected / 6400))
    assert devices_heard(stage_two(), 0, 0, torch.arange(4)) is None


def test_of_a_device_that_is_not_heard_the_decoder_gets_zeros_scene_by_scene():
    job = stage_two()
    z, half = features(job), 2 * job.encoder.features
    links, heard = make_uplinks(job.channel, job.modalities), {m: torch.arange(24) % 2 == 0 for m in job.modalities}
    heard["rgb"] = torch.ones(24, dtype=torch.bool)
    whole, some = (
        links.receive(z, 10.0, {m: stream(0, "noise", m) for m in job.modalities}, of) for of in (None, heard)
    )
    assert torch.equal(some[:, :half], whole[:, :half]) and torch.equal(some[::2], whole[::2])
    assert not some[1::2, half:].any()


def test_training_with_modality_dropout_is_another_training_and_repeats_itself(scenes):
    job = stage_two(epochs=1, modality_dropout=0.5)
    one, again, without = (finetune(j, scenes, 0, None).rounds for j in (job, job, stage_two(epochs=1)))
    pd.testing.assert_frame_equal(one, again)
    assert one["loss"].iloc[0] == without["loss"].iloc[0] and one["loss"].iloc[-1] != without["loss"].iloc[-1]


def faults():
    def evaluation(**changes):
        return {"evaluations": {"e": changes}}

    def condition(**changes):
        return evaluation(conditions={"c": changes})

    return {
        "a method beside the grid": (evaluation(methods=["simclrr"]), "e.methods: 'simclrr' is not one of grid.methods"),
        "no method": (evaluation(methods=[]), "evaluations.e.methods"),
        "an SNR twice": (evaluation(snr_db=[1, 1]), "lists a value twice"),
        "no condition": (evaluation(conditions={}), "evaluations.e.conditions"),
        "an unknown device": (condition(silent={"lidar": "zeros"}), "c.silent: 'lidar' is not one of modalities"),
        "an unknown kind of silence": (condition(silent={"rgb": "quiet"}), "evaluations.e.conditions.c.silent.rgb"),
        "an unknown fading": (condition(channel={"fading": "no_such"}), "c.channel.fading: no module 'no_such'"),
        "an unknown key": (condition(channel={"fadding": "awgn"}), "c.channel.fadding: unknown key"),
        "another number of values": (condition(channel={"modulation": "packed"}), "gives the decoder 16 values a device"),
        "a table's name": ({"evaluations": {"summary": {}}}, "'summary' is the name of another figure or table"),
        "no systems kept": ({"keep_systems": False, "evaluations": {"e": {}}}, "evaluations.e: needs the trained links"),
        "an SNR range": ({"finetune": {"snr_range_db": [20, 0]}}, "finetune.snr_range_db.*ascending"),
        "no device left": ({"finetune": {"modality_dropout": 1.0}}, "finetune.modality_dropout"),
        "a device of no data": ({"methods": {"supervised": {"modalities": ["lidar"]}}}, "methods.supervised.modalities: 'lidar'"),
        "too few devices": ({"methods": {"proposed": {"modalities": ["rgb"]}}}, "methods.proposed.modalities: .'rgb'. are too few"),
    }  # fmt: skip


@pytest.mark.parametrize("fault", faults())
def test_a_question_that_no_system_can_answer_is_refused_before_anything_runs(fault):
    settings, said = faults()[fault]
    with pytest.raises(InputError, match=said):
        load_config(ROOT / "tests/config.yaml", settings=settings)


def test_a_condition_reaches_each_method_over_its_own_channel():
    own = {"methods": {"simclr": {"channel": {"equalizer": "mmse"}}}}
    rayleigh = {"evaluations": {"e": {"conditions": {"fades": {"channel": {"fading": "rayleigh"}}}}}}
    config = load_config(ROOT / "tests/config.yaml", settings=own | rayleigh)
    channels = {m: evaluation_job(config, "e", m).conditions["fades"].channel for m in ("simclr", "proposed")}
    assert {m: (c.fading.name, c.equalizer.name) for m, c in channels.items()} == {
        "simclr": ("rayleigh", "mmse"),
        "proposed": ("rayleigh", "zero_forcing"),
    }


@pytest.mark.slow
def test_the_pipeline_asks_its_systems_without_training_and_gets_the_last_rows(finished_copy):
    asked_file = finished_copy / "asked.yaml"
    asked_file.write_text(
        "extends: tests/config.yaml\nevaluations:\n  again: {}\n  no_depth:\n    snr_db: [0, 10]\n"
        "    conditions: {without: {silent: {depth: zeros}}}\n"
    )
    targets = [f"results/test/tables/{name}.csv" for name in ("again", "no_depth")]
    planned = run_snakemake(finished_copy, "-n", *targets, "--configfile=asked.yaml").stdout
    assert "Evaluate again: proposed" in planned, planned
    assert "Fine-tune" not in planned and "Pre-train" not in planned, planned
    done = run_snakemake(finished_copy, *targets, "--configfile=asked.yaml")
    assert done.returncode == 0, done.stdout
    key = ["method", "snr_db", "label_fraction", "seed", "split"]
    rounds = pd.read_csv(finished_copy / "results/test/tables/rounds.csv")
    last = rounds[rounds.groupby(key)["round"].transform("max") == rounds["round"]].set_index(key)
    again = pd.read_csv(finished_copy / targets[0]).set_index(key)
    assert len(again) == len(last) > 0
    pd.testing.assert_frame_equal(again[MEASURED].sort_index(), last[MEASURED].sort_index(), check_exact=True)
    other = pd.read_csv(finished_copy / targets[1])
    assert sorted(set(other["tested_snr_db"])) == [0, 10] and set(other["condition"]) == {"without"}


ALONE = """extends: tests/config.yaml
methods:
  rgb_alone: {like: supervised, modalities: [rgb]}
  depth_alone: {like: simclr, modalities: [depth]}
  proposed_rgb: {like: proposed, pretrained_by: proposed, modalities: [rgb]}
  dropout: {like: supervised, finetune: {modality_dropout: 0.3}}
grid: {methods: [proposed, supervised, rgb_alone, depth_alone, proposed_rgb, dropout], label_fractions: [1.0]}
figures: {figure5_label_fraction: null}
evaluations:
  silent:
    figure: conditions
    conditions: {heard: {}, no_depth: {silent: {depth: zeros}}, no_rgb: {silent: {rgb: noise}}}
"""


@pytest.mark.slow
def test_methods_of_some_of_the_devices_go_the_whole_way(finished_copy):
    """Into every table, the figures and the report; one that starts from a joint stage I pre-trains nothing."""
    (finished_copy / "alone.yaml").write_text(ALONE)
    planned = run_snakemake(finished_copy, "-n", "all", "--configfile=alone.yaml").stdout
    assert "Pre-train depth_alone" in planned and "Pre-train proposed" not in planned, planned
    done = run_snakemake(finished_copy, "all", "--configfile=alone.yaml")
    assert done.returncode == 0, done.stdout
    results = finished_copy / "results/test"
    rounds = pd.read_csv(results / "tables/rounds.csv").groupby("method")["uplink_channel_uses"].max()
    assert (2 * rounds[["rgb_alone", "depth_alone", "proposed_rgb"]] == rounds["supervised"]).all()
    assert rounds["dropout"] == rounds["supervised"]
    overhead = pd.read_csv(results / "tables/pretraining_overhead.csv").set_index("method")
    assert overhead["uplink_channel_uses"]["depth_alone"] == 0 < overhead["uplink_channel_uses"]["proposed"]
    found = pd.read_csv(results / "tables/silent_summary.csv").query("split == 'test'")
    found = found.set_index(["method", "condition"])
    assert found["accuracy_change_mean"]["rgb_alone", "no_depth"] == 0  # it has none to miss
    assert found["channel_uses"]["rgb_alone", "no_rgb"] == 0 < found["channel_uses"]["rgb_alone", "no_depth"]
    scenes = pd.read_csv(results / "data/splits.csv")
    majority = pd.read_csv(results / "tables/silent_summary.csv").query("method == 'majority_class'")
    assert majority["split"].tolist() == ["test", "validation"]
    for split, share in zip(majority["split"], majority["accuracy_mean"], strict=True):
        assert share == pytest.approx(
            scenes[scenes["split"] == split]["class"].value_counts(normalize=True).max(), abs=1e-6
        )
    assert (results / "figures/silent.png").is_file() and "silent_summary" in (results / "report.html").read_text()
    sizing = run_snakemake(finished_copy, "-n", "sizing", "--configfile=alone.yaml")
    assert sizing.returncode == 0, sizing.stdout


@pytest.mark.slow
def test_without_keeping_systems_the_answers_stay(checkout):
    (checkout / "off.yaml").write_text("extends: tests/config.yaml\nkeep_systems: false\n")
    cell = "results/test/finetune/supervised/snr10/labels1/seed0"
    done = run_snakemake(checkout, f"{cell}/rounds.csv", "--configfile=off.yaml")
    assert done.returncode == 0, done.stdout
    names = {path.name for path in (checkout / cell).iterdir()}
    assert "answers.safetensors" in names and "system.safetensors" not in names
