"""What the server knows of h: the error's power, its limits, its price, and channel traces of the user's own."""

import math

import pandas as pd
import pytest
import torch

from conftest import ROOT, run_snakemake
from semcom.common.errors import InputError
from semcom.config.jobs import pretrain_job
from semcom.config.loading import load_config
from semcom.config.sections import BlockSettings, ChannelSettings
from semcom.link.blocks import block
from semcom.link.estimation import outdated
from semcom.link.ledger import exchange
from semcom.link.link import make_link
from semcom.link.pretraining_overhead import pretraining_overhead
from semcom.link.trace import check_length, read_trace
from semcom.models.kept_system import KeptSystem
from semcom.models.system import System
from semcom.planning.lookahead import check_traces
from semcom.rng import stream
from semcom.training.finetune import finetune, round_costs
from semcom.training.reevaluation import reevaluate
from test_kept_systems import asked
from test_stages import CONFIG, made_scenes, stage_two

SCENES = 40_000
FADINGS = {"rayleigh": "rayleigh", "rician": {"name": "rician", "k_factor": 3.0}}
ESTIMATIONS = {
    "pilots": {"name": "pilots", "pilots": 4},
    "outdated": {"name": "outdated", "doppler_hz": 10.0, "delay_s": 0.02},
}


def link(fading="rayleigh", estimation="perfect", equalizer="mmse", modulation="packed"):
    blocks = {"modulation": modulation, "fading": fading, "estimation": estimation, "equalizer": equalizer}
    return make_link(ChannelSettings(**blocks, snr_offset_db={}))


@pytest.mark.parametrize("fading", FADINGS)
@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_the_errors_power_is_what_the_equalizer_is_told_and_the_error_is_orthogonal_to_the_estimate(fading, estimation):
    """The estimate is the linear one of least error: its error is uncorrelated with it."""
    made, ratio = link(FADINGS[fading], ESTIMATIONS[estimation]), 10**-0.5
    g = torch.Generator().manual_seed(0)
    h, mean = made.coefficients(SCENES, g), made.fading.functions.mean(made.fading.options)
    known = made.estimation.functions.estimate(h, mean, ratio, g, made.estimation.options)
    error, told = h - known, made.estimation.functions.error_power(mean, ratio, made.estimation.options)
    assert h.mean().abs() == pytest.approx(mean, abs=5 / math.sqrt(SCENES))
    assert error.abs().square().mean() == pytest.approx(told, rel=5 * 1.5 / math.sqrt(SCENES))
    assert (error * (known - mean).conj()).mean().abs() < 5 * math.sqrt(told / SCENES)


def test_the_error_after_pilots_is_that_of_hassibi_and_hochwald():
    """1 / (1 + rho T) for one antenna, T pilots at SNR rho, under Rayleigh fading."""
    for snr, count in ((0.1, 1), (10.0, 1), (10.0, 4)):
        pilots = block("estimation", BlockSettings(name="pilots", pilots=count))
        assert pilots.functions.error_power(0.0, 1 / snr, pilots.options) == pytest.approx(1 / (1 + snr * count))


def test_many_pilots_or_no_delay_are_perfect_knowledge_and_without_fading_there_is_nothing_to_learn():
    z = torch.randn(64, 8, generator=stream(0, "z"))
    perfect = link()
    h = perfect.coefficients(64, torch.Generator().manual_seed(1))
    many = block("estimation", BlockSettings(name="pilots", pilots=10**9))
    fresh = block("estimation", BlockSettings(name="outdated", doppler_hz=50.0, delay_s=0.0))
    for estimation in (many, fresh):
        known = estimation.functions.estimate(h, 0.0, 0.1, torch.Generator().manual_seed(2), estimation.options)
        assert torch.allclose(known, h, atol=1e-3)
    for estimation in ESTIMATIONS.values():
        still = link("awgn", estimation, "zero_forcing")
        noiseless = still(z, math.inf, torch.Generator().manual_seed(0))
        assert torch.allclose(
            noiseless, link("awgn", equalizer="zero_forcing")(z, math.inf, torch.Generator()), atol=1e-6
        )


def test_clarkes_correlation():
    options = outdated.Options(doppler_hz=100.0, delay_s=2.404825557695773 / (2 * math.pi * 100.0))
    assert outdated.correlation(options) == pytest.approx(0, abs=1e-9)  # the first zero of J0
    assert outdated.correlation(outdated.Options(doppler_hz=0.0, delay_s=1.0)) == 1


def test_fewer_pilots_and_older_knowledge_leave_a_larger_error_of_the_features():
    z = torch.randn(SCENES // 4, 8, generator=stream(0, "z"))
    sent = z * (z.square().sum(dim=1, keepdim=True) / 4).rsqrt()

    def error(estimation):
        return (link(estimation=estimation)(z, 10.0, torch.Generator().manual_seed(0)) - sent).square().mean()

    perfect = error("perfect")
    by_pilots = [error({"name": "pilots", "pilots": count}) for count in (8, 2, 1)]
    by_age = [error({"name": "outdated", "doppler_hz": 10.0, "delay_s": age}) for age in (0.001, 0.01, 0.02)]
    assert perfect < by_pilots[0] < by_pilots[1] < by_pilots[2]
    assert perfect < by_age[0] < by_age[1] < by_age[2]


def test_rician_fading_frames_rayleigh_and_awgn_whatever_the_server_knows():
    z = torch.randn(512, 8, generator=stream(0, "z"))
    for estimation in ("perfect", ESTIMATIONS["pilots"]):
        for k, other in ((0.0, "rayleigh"), (1e12, "awgn")):
            rician = link({"name": "rician", "k_factor": k}, estimation)(z, 10.0, torch.Generator().manual_seed(3))
            if k:  # awgn draws nothing for h, so that its noise is another: compare moments
                awgn = link(other)(z, 10.0, torch.Generator().manual_seed(3))
                assert float(rician.square().mean()) == pytest.approx(float(awgn.square().mean()), rel=0.1)
            else:
                assert torch.allclose(
                    rician, link(other, estimation)(z, 10.0, torch.Generator().manual_seed(3)), atol=1e-5
                )


def test_the_ledger_counts_pilots_on_the_way_up_alone():
    scenes, job = made_scenes(), stage_two()
    pilots = job.channel.model_copy(update={"estimation": BlockSettings(name="pilots", pilots=3)})
    plain, charged = (
        round_costs(j, System(j, scenes, 0), 32, uplink_alone=False)["rgb"]
        for j in (job, job.model_copy(update={"channel": pilots}))
    )
    assert charged.uplink_channel_uses == plain.uplink_channel_uses + 32 * 3
    assert charged.downlink_channel_uses == plain.downlink_channel_uses and charged.uplink_bits == plain.uplink_bits
    assert exchange(2, 16, 8, 32, pilots=1).uplink_channel_uses == 18


def test_auto_takes_mmse_where_the_channel_fades_and_zero_forcing_where_not():
    entry = {"like": "supervised", "channel": {"fading": "rayleigh"}}
    config = load_config(
        ROOT / "tests/config.yaml", settings={"methods": {"scattered": entry}, "channel": {"equalizer": "auto"}}
    )
    assert config.channel_settings("supervised").equalizer.name == "zero_forcing"
    assert config.channel_settings("scattered").equalizer.name == "mmse"


def write_trace(path, rounds, devices=("rgb", "depth"), snr=lambda device, round: 10.0):
    lines = [f"{r},{d},{snr(d, r)}" for r in range(rounds) for d in devices]
    path.write_text("round,device,snr_db\n" + "\n".join(lines) + "\n")
    return str(path)


def test_a_trace_of_one_snr_is_that_snr(tmp_path):
    scenes, job = made_scenes(), stage_two(snr_db=20, epochs=2)
    trace = write_trace(tmp_path / "trace.csv", 30, snr=lambda device, round: 20.0)
    along = job.model_copy(update={"channel": job.channel.model_copy(update={"snr_trace": trace})})
    one, other = finetune(job, scenes, 0, None), finetune(along, scenes, 0, None)
    assert other.rounds["loss"].to_numpy() == pytest.approx(one.rounds["loss"].to_numpy(), rel=1e-4)
    kept = KeptSystem(one.system, job, 0, "ok", one.arithmetic)
    table = reevaluate(asked(job, along=({"snr_trace": trace}, {})), kept, scenes).set_index("condition")
    assert table["accuracy"]["along"] == table["accuracy"]["as_trained"]
    assert math.isnan(table["tested_snr_db"]["along"])


def test_a_trace_decides_round_by_round_and_device_by_device(tmp_path):
    scenes, job = made_scenes(), stage_two(snr_db=20, epochs=1)
    quiet = write_trace(tmp_path / "quiet.csv", 30, snr=lambda device, round: -60.0 if device == "depth" else 20.0)
    one = finetune(job, scenes, 0, None)
    kept = KeptSystem(one.system, job, 0, "ok", one.arithmetic)
    offset = {"snr_offset_db": {"depth": -80.0}}
    table = reevaluate(asked(job, trace=({"snr_trace": quiet}, {}), offset=(offset, {})), kept, scenes)
    table = table.set_index("condition")["loss"]
    assert table["trace"] == pytest.approx(table["offset"], rel=1e-4) and table["trace"] != table["as_trained"]


BAD = {
    "no such file": (None, "cannot be read .No such file or directory.; put it there, or correct the path"),
    "no column": ("round,device,snr\n0,rgb,1\n", "column snr_db is missing"),
    "a NaN": ("round,device,snr_db\n0,rgb,nan\n0,depth,3\n", "line 2: snr_db is 'nan', not a number of dB"),
    "a power": ("round,device,snr_db\n0,rgb,1\n0,depth,1e6\n", "line 3: snr_db is '1e6', not a number of dB from -300"),
    "a word": ("round,device,snr_db\n0,rgb,3\n0,depth,good\n", "line 3: snr_db is 'good', not a number of dB"),
    "an unknown device": (
        "round,device,snr_db\n0,rgb,3\n0,lidar,3\n",
        "line 3: device 'lidar' is not one of rgb, depth",
    ),
    "a missing device": ("round,device,snr_db\n0,rgb,3\n", "has no row of device 'depth'"),
    "a round left out": ("round,device,snr_db\n0,rgb,3\n2,rgb,3\n0,depth,1\n", "not just one row of round 1"),
    "half a round": ("round,device,snr_db\n0.5,rgb,3\n", "line 2: round is '0.5', not a whole number"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_trace_that_is_none_is_refused_by_file_and_line(kind, tmp_path):
    content, said = BAD[kind]
    path = tmp_path / "trace.csv"
    if content:
        path.write_text(content)
    with pytest.raises(InputError, match=said) as refused:
        read_trace(path, ["rgb", "depth"], known=["rgb", "depth"])
    assert str(path) in str(refused.value)


def test_a_trace_too_short_is_refused_before_training_and_before_evaluation(tmp_path):
    scenes, job = made_scenes(), stage_two(epochs=12)
    trace = write_trace(tmp_path / "short.csv", 3)
    along = job.model_copy(update={"channel": job.channel.model_copy(update={"snr_trace": trace})})
    with pytest.raises(
        InputError, match="short.csv: has 3 rounds of device 'rgb', and stage II of supervised takes 24"
    ):
        finetune(along, scenes, 0, None)
    check_length(read_trace(trace, ["rgb"]), 3, trace, "nothing")


@pytest.mark.slow
def test_the_pipeline_refuses_a_bad_trace_before_any_job(checkout):
    (checkout / "bad.csv").write_text(BAD["an unknown device"][0])
    (checkout / "bad.yaml").write_text("extends: tests/config.yaml\nchannel: {snr_trace: bad.csv}\n")
    refused = run_snakemake(checkout, "all", "--configfile=bad.yaml")
    assert refused.returncode != 0 and "device 'lidar' is not one of" in refused.stdout
    assert not (checkout / "results/test").exists()
    (checkout / "bad.yaml").write_text("extends: tests/config.yaml\nchannel: {snr_trace: none.csv}\n")
    assert "channel.snr_trace: no file 'none.csv'" in run_snakemake(checkout, "all", "--configfile=bad.yaml").stdout


def traced(path, **settings):
    return load_config(ROOT / "tests/config.yaml", settings=settings or {"channel": {"snr_trace": str(path)}})


def test_a_trace_too_short_for_known_scenes_is_refused_before_any_job(tmp_path):
    """tests/config.yaml: 3 epochs of 6 rounds, and more test scenes than that."""
    short = write_trace(tmp_path / "short.csv", 17)
    config = traced(short)
    with pytest.raises(InputError, match="short.csv: has 17 rounds of device 'rgb', and the test split"):
        check_traces(config)
    tested = config.data.rooms.test_scenes
    long = {"epochs": 2 * tested}
    write_trace(tmp_path / "short.csv", tested)
    check_traces(config)
    with pytest.raises(InputError, match=f"has {tested} rounds of device 'rgb', and stage II of proposed takes"):
        check_traces(traced(short, channel={"snr_trace": short}, finetune=long))
    only_asked = {"e": {"conditions": {"along": {"channel": {"snr_trace": short}}}}}
    check_traces(traced(short, evaluations=only_asked, finetune=long))
    write_trace(tmp_path / "short.csv", tested - 1)
    with pytest.raises(InputError, match=f"the test split, a round a scene, takes {tested}"):
        check_traces(traced(short, evaluations=only_asked))


def test_a_trace_needs_the_devices_alone_that_go_along_it(tmp_path):
    path = write_trace(tmp_path / "rgb.csv", 200, devices=("rgb",))
    alone = {"rgb_alone": {"like": "supervised", "modalities": ["rgb"], "channel": {"snr_trace": path}}}
    grid = {"methods": ["supervised", "rgb_alone"]}
    check_traces(traced(path, methods=alone, grid=grid))
    alone["rgb_alone"]["modalities"] = ["depth"]
    with pytest.raises(InputError, match="rgb.csv: has no row of device 'depth'"):
        check_traces(traced(path, methods=alone, grid=grid))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"grid": {"snr_db": [10, 20]}}, "channel.snr_trace: takes the place of grid.snr_db, .* the same at each of"),
        ({"finetune": {"snr_range_db": [0, 10]}}, "channel.snr_trace: gives .* so does finetune.snr_range_db"),
        (
            {"evaluations": {"e": {"figure": "curves", "snr_db": [0, 10]}}},
            "goes along a trace in condition 'as_trained'",
        ),
    ],
)
def test_what_a_trace_cannot_stand_beside_is_refused(settings, said, tmp_path):
    with pytest.raises(InputError, match=said):
        traced(None, channel={"snr_trace": str(tmp_path / "t.csv")}, **settings)


def test_a_link_trained_along_a_trace_is_asked_without_the_file(tmp_path):
    scenes, job = made_scenes(), stage_two(snr_db=20, epochs=1)
    trace = write_trace(tmp_path / "gone.csv", 30)
    along = job.model_copy(update={"channel": job.channel.model_copy(update={"snr_trace": trace})})
    result = finetune(along, scenes, 0, None)
    (tmp_path / "gone.csv").unlink()
    table = reevaluate(asked(job, plain=({}, {})), KeptSystem(result.system, along, 0, "ok", result.arithmetic), scenes)
    assert table["accuracy"].between(0, 1).all()


def test_noise_beyond_what_numbers_hold_is_named_with_its_condition():
    scenes, job = made_scenes(), stage_two(snr_db=20, epochs=1)
    result = finetune(job, scenes, 0, None)
    down = {"snr_offset_db": {"depth": -300.0}}
    asked_for = asked(job, abyss=(down, {})).model_copy(update={"snr_db": [-300.0, 20.0]})
    kept = KeptSystem(result.system, job, 0, "ok", result.arithmetic)
    try:
        table = reevaluate(asked_for, kept, scenes)
    except InputError as error:
        assert "condition '" in str(error) and "-300 dB" in str(error)
    else:
        assert table["loss"].map(math.isfinite).all()


def test_stage_one_over_the_air_is_charged_its_pilots():
    jobs = {"proposed": pretrain_job(CONFIG, "proposed")}
    steps = pd.DataFrame([{"method": "proposed", "seed": 0, "step": 1, "scenes": 32}])
    modulations = {"proposed": CONFIG.channel.modulation}
    plain, charged = (
        pretraining_overhead(jobs, steps, modulations, 32, pilots).iloc[0] for pilots in ({}, {"proposed": 3})
    )
    assert charged["uplink_channel_uses"] == plain["uplink_channel_uses"] + 2 * 32 * 3  # two devices
    assert charged["downlink_channel_uses"] == plain["downlink_channel_uses"]
    assert charged["uplink_bits"] == plain["uplink_bits"]
    piloted = load_config(
        ROOT / "tests/config.yaml", settings={"channel": {"estimation": {"name": "pilots", "pilots": 3}}}
    )
    assert piloted.pilots("proposed") == 3 and CONFIG.pilots("proposed") == 0
