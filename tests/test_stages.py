"""Stages I and II on small made scenes: what they must learn, log, count and leave alone."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from conftest import ROOT
from semcom.analysis.records import collect_round_steps, write_csv
from semcom.common.errors import InputError
from semcom.config.jobs import FinetuneJob, PretrainJob, finetune_job, pretrain_job
from semcom.config.loading import load_config
from semcom.config.sections import BlockSettings
from semcom.data.scenes import Modality, Scenes
from semcom.figures.training_curves import gradient_figure
from semcom.link.ledger import exchange
from semcom.link.pretraining_overhead import pretraining_overhead
from semcom.losses._correlation import correlation
from semcom.models.encoders import load_encoders, make_encoders, save_encoders
from semcom.models.precision import decide
from semcom.models.system import System
from semcom.rng import stream
from semcom.runs.devices import choose
from semcom.training import evaluation as evaluation_module
from semcom.training import finetune as stage_two_module
from semcom.training import optimization
from semcom.training.evaluation import Evaluation
from semcom.training.finetune import finetune, labelled_scenes
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up

MORE = yaml.safe_load((ROOT / "config/examples/more-methods.yaml").read_text())["methods"]
CONFIG = load_config(ROOT / "tests/config.yaml", settings={"methods": MORE})
SIDE = CONFIG.data.image_size
COMPUTE = decide(CONFIG.compute, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


def made_scenes(modalities: tuple[str, ...] = ("rgb", "depth"), train: int = 64, test: int = 30) -> Scenes:
    """Scenes of three classes in the proportions 3:2:1, told apart by brightness or distance, with noise on each pixel."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 0, 0, 1, 1, 2]).repeat((train + test) // 6 + 1)[: train + test]
    images, specs = {}, {}
    for name in modalities:
        channels, top = (3, 255) if name == "rgb" else (1, 6000)
        level = (labels + 1) / 4 * top
        noise = 0.1 * top * torch.randn(len(labels), channels, SIDE, SIDE, generator=generator)
        values = (level[:, None, None, None] + noise).clamp(0, top)
        images[name] = values.to(torch.uint8 if name == "rgb" else torch.int16)
        unit, scale, photometry = ("intensity", 1 / 255, "colour") if name == "rgb" else ("m", 0.001, "depth")
        flat = values.transpose(0, 1).flatten(1) * scale
        moments = (tuple(moment.tolist()) for moment in (flat.mean(dim=1), flat.std(dim=1)))
        specs[name] = Modality(unit, scale, *moments, photometry)
    order = torch.arange(train + test)
    return Scenes(images, specs, labels, ("dark", "middle", "bright"), {"train": order[:train], "test": order[train:]})


def shared(job, **changes):
    return job.model_copy(update={"modalities": ["rgb", "depth"]} | changes)


def stage_one(method: str = "proposed", modalities=("rgb", "depth"), **schedule) -> PretrainJob:
    job = pretrain_job(CONFIG, method)
    return shared(
        job, modalities=list(modalities), schedule=job.schedule.model_copy(update={"warmup_epochs": 0.0} | schedule)
    )


def stage_two(method: str = "supervised", snr_db: float = 20, label_fraction: float = 1.0, **schedule) -> FinetuneJob:
    job = finetune_job(CONFIG, method, snr_db, label_fraction)
    return shared(job, schedule=job.schedule.model_copy(update={"warmup_epochs": 0.0} | schedule))


def test_stage_two_learns_what_can_be_told_apart_and_nothing_through_noise():
    scenes = made_scenes()
    clear = finetune(stage_two(snr_db=20, epochs=12), scenes, 0, None).rounds
    drowned = finetune(stage_two(snr_db=-20, epochs=12), scenes, 0, None).rounds
    assert clear["accuracy"].iloc[-1] > 0.9
    assert drowned["accuracy"].iloc[-1] < 0.6  # the largest class is a half


def test_a_run_repeats_itself_and_another_seed_is_another_run():
    scenes = made_scenes()
    first, again, other = (finetune(stage_two(epochs=2), scenes, seed, None).rounds for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (first["loss"] != other["loss"]).all()
    first, again, other = (pretrain(stage_one(epochs=1), scenes, seed).steps for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (first["loss"] != other["loss"]).all()


def test_evaluating_more_often_does_not_change_the_training():
    scenes = made_scenes()
    often, rarely = (
        finetune(stage_two(epochs=3, evaluate_every_rounds=every), scenes, 0, None).rounds for every in (1, 6)
    )
    assert rarely["round"].tolist() == [0, 6] and len(often) == 7
    pd.testing.assert_frame_equal(often.iloc[[0, -1]].reset_index(drop=True), rarely)


def test_methods_of_one_seed_share_their_first_weights_batches_and_noise():
    scenes = made_scenes()
    job = stage_two(epochs=1)
    one = finetune(job, scenes, 0, None).rounds.drop(columns="method")
    two = finetune(job.model_copy(update={"method": "other"}), scenes, 0, None).rounds.drop(columns="method")
    pd.testing.assert_frame_equal(one, two)


def test_stage_one_starts_where_supervised_starts():
    scenes = made_scenes()
    channels = {m: scenes.modalities[m].channels for m in ("rgb", "depth")}
    system = System(stage_two(), scenes, 3)
    encoders = make_encoders(CONFIG.encoder, channels, 3)
    for name, value in encoders.state_dict().items():
        assert torch.equal(system.encoders.state_dict()[name], value)


@pytest.mark.parametrize("modalities", [("rgb", "depth"), ("rgb", "depth", "thermal")])
def test_stage_one_aligns_the_shared_features_of_any_number_of_modalities(modalities):
    scenes = made_scenes(modalities)
    job = stage_one(modalities=modalities, epochs=15)
    k = job.options["shared_features"]

    def mean_shared_correlation(encoders) -> float:
        batch = scenes.batch(scenes.indices["train"])
        z = {}
        with torch.no_grad():
            for name in modalities:
                spec = scenes.modalities[name]
                mean, std = (torch.tensor(v)[:, None, None] for v in (spec.mean, spec.std))
                z[name] = encoders[name].eval()((batch[name].float() * spec.scale - mean) / std)
        return correlation(z["rgb"], z["depth"], centre=False).diagonal()[:k].mean().item()

    channels = {m: scenes.modalities[m].channels for m in modalities}
    before = mean_shared_correlation(make_encoders(job.encoder, channels, 0))
    result = pretrain(job, scenes, 0)
    assert result.status == optimization.OK
    assert mean_shared_correlation(result.encoders) > max(0.5, before)


def test_every_step_logs_terms_that_sum_to_the_loss_and_its_learning_rate():
    scenes = made_scenes()
    for method, terms in {
        "proposed": "intra_alignment intra_decorrelation shared_alignment shared_decorrelation "
        "unique_preservation unique_decorrelation",
        "simclr": "nt_xent",
        "barlow_twins": "alignment redundancy",
        "vicreg": "invariance variance covariance",
        "byol": "prediction",
        "simsiam": "negative_cosine",
    }.items():
        steps = pretrain(stage_one(method, epochs=2), scenes, 0).steps
        assert len(steps) == 4 and steps["step"].tolist() == [1, 2, 3, 4]
        assert steps[terms.split()].sum(axis=1).to_numpy() == pytest.approx(steps["loss"].to_numpy(), rel=1e-5)
        peak = pretrain_job(CONFIG, method).schedule.learning_rate
        cosine = [peak * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)]
        assert steps["learning_rate"].tolist() == pytest.approx(cosine)
        total = (steps[["gradient_norm_rgb", "gradient_norm_depth"]] ** 2).sum(axis=1) ** 0.5
        if not pretrain_job(CONFIG, method).projector:
            assert total.to_numpy() == pytest.approx(steps["gradient_norm"].to_numpy(), rel=1e-4)


def test_stage_one_stops_at_the_step_that_diverges_and_does_not_take_it():
    scenes = made_scenes()
    steps = pretrain(stage_one(epochs=4), scenes, 0).steps
    norms = steps["gradient_norm"]
    last = int(norms.iloc[1:].argmax()) + 1  # the largest but for the first step, which random weights make large
    bound = float(norms.iloc[last]) * 0.999
    first = int((norms > bound).to_numpy().argmax())
    result = pretrain(stage_one(epochs=4, diverged_gradient_norm=bound), scenes, 0)
    assert result.status == optimization.DIVERGED
    assert result.steps["status"].tolist() == [optimization.OK] * first + [optimization.DIVERGED]
    others = ["status", "weight_norm_rgb", "weight_norm_depth"]  # norms are read where an epoch or a run ends
    pd.testing.assert_frame_equal(result.steps.drop(columns=others), steps.drop(columns=others).iloc[: first + 1])


def test_the_log_of_stage_one_has_its_columns_in_order_also_where_the_first_step_diverges():
    """Up to `gradient_norm`, the terms add up to the loss; weight norms are read where an epoch or the run ends."""
    for bound, rows in ((1e9, 4), (1e-9, 1)):
        steps = pretrain(stage_one(epochs=2, diverged_gradient_norm=bound), made_scenes(), 0).steps
        columns = list(steps)
        terms = columns[columns.index("loss") + 1 : columns.index("gradient_norm")]
        assert len(steps) == rows and len(terms) == 6
        assert steps[terms].sum(axis=1).to_numpy() == pytest.approx(steps["loss"].to_numpy(), rel=1e-5)
        assert columns[-8:-2] == [
            f"{what}_norm_{m}" for what in ("gradient", "weight", "feature") for m in ("rgb", "depth")
        ]
        assert steps["weight_norm_rgb"].notna().tolist() == ([False, True] * 2 if rows == 4 else [True])


def test_a_loss_that_is_not_finite_ends_stage_one():
    result = pretrain(stage_one("simclr", epochs=4, learning_rate=1e30), made_scenes(), 0)
    assert result.status == optimization.DIVERGED and 1 < len(result.steps) < 8
    assert not math.isfinite(result.steps["loss"].iloc[-1]) or not math.isfinite(result.steps["gradient_norm"].iloc[-1])


def test_stage_two_does_not_train_on_diverged_encoders(tmp_path: Path):
    scenes = made_scenes()
    result = pretrain(stage_one(epochs=1), scenes, 0)
    save_encoders(result.encoders, tmp_path / "encoders.pt", optimization.DIVERGED)
    ended = finetune(stage_two("proposed"), scenes, 0, tmp_path / "encoders.pt")
    assert ended.status == optimization.PRETRAINING_DIVERGED
    assert ended.rounds["round"].tolist() == [0] and ended.rounds["accuracy"].isna().all()
    assert ended.rounds["uplink_channel_uses"].tolist() == [0]
    write_csv(ended.steps, tmp_path / "steps.csv")  # tables and figures of the whole grid read these too
    steps = collect_round_steps([tmp_path / "steps.csv"], methods=["proposed"])
    assert steps["round"].tolist() == [0] and steps["status"].tolist() == [optimization.PRETRAINING_DIVERGED]
    figure = gradient_figure(steps, methods=["proposed"], snr_db=[20], label_fractions=[1.0], seeds=[0])
    assert "(1 of 1 diverged)" in figure.legends[0].texts[0].get_text() and "Missing" not in figure.get_supxlabel()


def test_stage_two_ends_as_diverged_with_what_it_had_sent():
    scenes = made_scenes()
    ended = finetune(stage_two(epochs=3, diverged_gradient_norm=1e-9), scenes, 0, None)
    assert ended.status == optimization.DIVERGED
    assert ended.rounds["status"].tolist() == ["ok", "diverged"]
    assert ended.rounds["round"].tolist() == [0, 1] and ended.rounds["uplink_channel_uses"].iloc[-1] > 0


def test_the_encoders_of_stage_one_are_those_that_stage_two_starts_from(tmp_path: Path):
    scenes = made_scenes()
    result = pretrain(stage_one(epochs=1), scenes, 0)
    save_encoders(result.encoders, tmp_path / "encoders.pt", result.status)
    job = stage_two("proposed")
    system = System(job, scenes, 0)
    load_encoders(system.encoders, tmp_path / "encoders.pt")
    start = finetune(job, scenes, 0, tmp_path / "encoders.pt").rounds.iloc[0]
    assert Evaluation(scenes, "test", job, 0, COMPUTE)(system).loss == pytest.approx(start["loss"])


def test_frozen_encoders_stay_as_they_are_and_ask_for_no_gradient(monkeypatch):
    """Two epochs of two rounds each in which the decoder alone learns, then one of both."""
    scenes, systems, seen = made_scenes(), [], []

    def made(*arguments) -> System:
        systems.append(System(*arguments))
        return systems[-1]

    def watched(optimizer, *factors):
        encoders, decoder = (
            {name: value.clone() for name, value in part.state_dict().items()}
            for part in (systems[0].encoders, systems[0].decoder)
        )
        seen.append((encoders, decoder, factors))
        original(optimizer, *factors)

    original = optimization.set_learning_rates
    monkeypatch.setattr(stage_two_module, "System", made)
    monkeypatch.setattr(optimization, "set_learning_rates", watched)
    job = stage_two(epochs=3, frozen_epochs=2, warmup_epochs=0.5)
    result = finetune(job, scenes, 0, None)

    first, thaw = seen[0][0], seen[4][0]
    assert all(torch.equal(value, thaw[name]) for name, value in first.items())  # batch statistics, too
    assert not all(torch.equal(value, seen[5][0][name]) for name, value in first.items())
    assert all(not torch.equal(value, seen[1][1][name]) for name, value in seen[0][1].items())
    assert [factors[0] for *_, factors in seen] == [0, 0, 0, 0, 1, 1]  # the encoders' own schedule, of their two rounds
    each = exchange(job.schedule.batch_size, job.encoder.features, job.encoder.features, job.bits_per_value)
    last = result.ledger.iloc[-1]
    assert last["uplink_channel_uses"] == 6 * each.uplink_channel_uses
    assert last["downlink_channel_uses"] == 2 * each.downlink_channel_uses
    assert last["downlink_bits"] == 2 * each.downlink_bits


def test_encoders_may_stay_frozen_to_the_end():
    result = finetune(stage_two(epochs=3, frozen_epochs=3, warmup_epochs=1.0), made_scenes(), 0, None)
    assert result.status == optimization.OK and len(result.steps) == 6
    assert (result.rounds["downlink_bits"] == 0).all() and result.rounds["uplink_bits"].iloc[-1] > 0
    assert result.steps["loss"].iloc[-1] < result.steps["loss"].iloc[0]


def test_accuracy_over_classes_weighs_each_class_alike():
    scenes = made_scenes()
    job = stage_two()
    system = System(job, scenes, 0)
    with torch.no_grad():  # a decoder that always says class 0
        for parameter in system.decoder.parameters():
            parameter.zero_()
        system.decoder[-1].bias[0] = 1.0
    score = Evaluation(scenes, "test", job, 0, COMPUTE)(system)
    labels = scenes.labels[scenes.indices["test"]]
    assert score.accuracy == int((labels == 0).sum()) / len(labels)  # to the last digit of float64
    assert score.mean_class_accuracy == 1 / 3
    log_sum = math.log(math.e + 2)
    assert score.loss == pytest.approx(log_sum - score.accuracy, rel=1e-5)


def test_evaluation_encodes_each_scene_once_whatever_the_draws():
    scenes = made_scenes()
    job = stage_two(channel_draws=7)
    system = System(job, scenes, 0)
    seen = []
    system.encoders["rgb"].register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    Evaluation(scenes, "test", job, 0, COMPUTE)(system)
    assert sum(seen) == len(scenes.indices["test"])


def test_an_evaluation_gives_the_same_whether_it_keeps_its_views_or_not(monkeypatch):
    scenes, job = made_scenes(), stage_two()
    system = System(job, scenes, 0)
    kept = Evaluation(scenes, "test", job, 0, COMPUTE)
    monkeypatch.setattr(evaluation_module, "VIEWS_KEPT_MB", 0)
    made_anew = Evaluation(scenes, "test", job, 0, COMPUTE)
    assert kept._kept and made_anew._kept is None
    assert kept(system) == kept(system) == made_anew(system)


def test_more_draws_estimate_the_same_loss():
    scenes = made_scenes()
    one = stage_two(snr_db=0)
    system = System(one, scenes, 0)
    scores = [Evaluation(scenes, "test", one, seed, COMPUTE)(system).loss for seed in range(20)]
    many = Evaluation(scenes, "test", stage_two(snr_db=0, channel_draws=40), 0, COMPUTE)(system).loss
    error = pd.Series(scores).std() / math.sqrt(20)
    assert many == pytest.approx(pd.Series(scores).mean(), abs=5 * error)


def test_label_subsets_are_nested_and_only_of_training_scenes():
    scenes = made_scenes()
    half, whole = (set(labelled_scenes(scenes, fraction, 0).tolist()) for fraction in (0.5, 1.0))
    assert half < whole == set(scenes.indices["train"].tolist())
    assert abs(len(half) - len(whole) / 2) <= 1.5  # each of three classes rounds


def test_the_ledger_adds_up_over_devices_and_rounds():
    scenes = made_scenes()
    job = stage_two(epochs=2)
    result = finetune(job, scenes, 0, None)
    k, batch = job.encoder.features, job.schedule.batch_size
    each = exchange(batch, k, k, job.bits_per_value)  # `literal`: a channel use a feature
    last = result.ledger[result.ledger["round"] == 4]
    assert last["device"].tolist() == ["rgb", "depth"]
    assert (last["uplink_channel_uses"] == 4 * each.uplink_channel_uses).all()
    assert result.rounds["uplink_bits"].iloc[-1] == 2 * 4 * batch * k * 32


def test_a_worse_link_to_one_device_hurts_only_through_that_device():
    scenes = made_scenes()
    job = stage_two()
    offset = job.model_copy(update={"channel": job.channel.model_copy(update={"snr_offset_db": {"depth": -30.0}})})
    alike, apart = System(job, scenes, 0), System(offset, scenes, 0)
    z = {m: torch.randn(8, job.encoder.features, generator=stream(0, m)) for m in job.modalities}

    def recorded(system: System) -> dict[str, torch.Tensor]:
        """What arrives from each device, as the decoder gets it."""
        received = []
        system.decoder.register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
        system.decide(z, job.snr_db, {m: stream(0, "noise", m) for m in job.modalities})
        return dict(zip(job.modalities, received[0].chunk(2, dim=1), strict=True))

    one, other = recorded(alike), recorded(apart)
    assert torch.equal(one["rgb"], other["rgb"])
    clean = alike.uplinks.link(z["depth"], math.inf, stream(0, "noise", "depth"))
    noise, louder = one["depth"] - clean, other["depth"] - clean
    assert torch.allclose(louder, math.sqrt(1000) * noise, rtol=1e-3, atol=1e-5)


def test_pretraining_costs_traffic_only_where_modalities_meet():
    jobs = {method: pretrain_job(CONFIG, method) for method in ("proposed", "simclr", "barlow_twins")}
    batches = enumerate((32, 32, 13), start=1)  # the last one partial
    steps = pd.DataFrame([{"seed": 0, "step": step, "scenes": scenes} for step, scenes in batches])
    steps = pd.concat([steps.assign(method=method) for method in jobs])
    modulations = dict.fromkeys(jobs, CONFIG.channel.modulation)
    table = pretraining_overhead(jobs, steps, modulations, 32).set_index("method")
    k = CONFIG.encoder.features
    assert table.loc["proposed", "steps"] == 3
    assert table.loc["proposed", "uplink_channel_uses"] == 77 * 2 * k  # scenes, devices, features
    assert table.loc["proposed", "downlink_bits"] == 77 * 2 * k * 32
    assert (table.loc[["simclr", "barlow_twins"], "uplink_channel_uses"] == 0).all()
    packed = pretraining_overhead(jobs, steps, modulations | {"proposed": BlockSettings(name="packed")}, 32)
    assert packed.set_index("method").loc["proposed", "uplink_channel_uses"] == 77 * k  # half


def test_a_gpu_that_is_not_there_is_named():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InputError, match="compute.device: 'cuda' cannot be used"):
        choose(CONFIG.compute.model_copy(update={"device": "cuda"}))


def test_scenes_are_left_as_they_were():
    scenes = made_scenes()
    before = {name: images.clone() for name, images in scenes.images.items()}
    finetune(stage_two(epochs=1), scenes, 0, None)
    pretrain(stage_one(epochs=1), scenes, 0)
    assert all(torch.equal(before[name], scenes.images[name]) for name in before)


def test_a_batch_that_the_scenes_do_not_fill_is_named():
    with pytest.raises(InputError, match="batch_size: 32 exceeds the 20 scenes"):
        finetune(stage_two(), made_scenes(train=20), 0, None)
