"""Other ways to the server: closed forms of their codes, limits without noise and with nothing but noise, and budgets."""

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.integrate import quad
from scipy.special import exp1
from scipy.stats import norm

from conftest import ROOT, run_snakemake
from semcom.analysis.baselines import VERDICT_COLUMNS, collect_baselines, training_table, verdict_table
from semcom.analysis.records import LEDGER, ROUNDS_COLUMNS, write_csv, write_rounds
from semcom.baselines import coded_label, compressed_image, sent_posterior
from semcom.baselines.columns import COLUMNS, TRAINING_COLUMNS
from semcom.baselines.schemes import image, label, posterior
from semcom.baselines.study import Study, costs_at
from semcom.baselines.task import Air, Task, receive_words
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config.experiment import SCHEME_OFFERS
from semcom.config.jobs import BaselinesJob, baselines_job
from semcom.config.loading import load_config
from semcom.config.sections import BlockSettings, ChannelSettings
from semcom.figures.baselines import baselines_figure, capacity_uses
from semcom.link.ledger import Traffic
from semcom.link.link import make_link
from semcom.models.kept_system import KeptSystem
from semcom.training.finetune import finetune
from semcom.training.process import set_up
from test_stages import CONFIG, made_scenes, stage_two

CHANNEL = ChannelSettings(
    modulation=BlockSettings(name="packed"),
    fading=BlockSettings(name="awgn"),
    equalizer=BlockSettings(name="zero_forcing"),
    snr_offset_db={},
)
DEVICES = ("rgb", "depth")


def air(snr_db: float, uses: int = 8, draws: int = 2, fading: str = "awgn") -> Air:
    channel = CHANNEL.model_copy(update={"fading": BlockSettings(name=fading)})
    return Air(make_link(channel), dict.fromkeys(DEVICES, snr_db), uses, draws, seed=0)


def task(scenes: int = 400, classes: int = 4, sharpness: float = 2.0) -> Task:
    """Labels drawn from an uneven prior, and posteriors of two devices whose evidence is Gaussian, so that they are exact."""
    generator = torch.Generator().manual_seed(0)
    prior = torch.arange(1, classes + 1).double() / (classes * (classes + 1) / 2)
    labels, posteriors = {}, {}
    for split in ("test", "validation"):
        labels[split] = torch.multinomial(prior, scenes, replacement=True, generator=generator)
        posteriors[split] = {}
        for m in DEVICES:
            # x ~ N(e_label, 1 / sharpness): log p(class | x) = sharpness x_class + log prior, up to a constant
            noise = torch.randn(scenes, classes, dtype=torch.float64, generator=generator)
            x = torch.eye(classes, dtype=torch.float64)[labels[split]] + noise / sharpness**0.5
            posteriors[split][m] = (sharpness * x + prior.log()).log_softmax(dim=1)
    return Task(None, labels, posteriors, None, {}, prior, 100, 32, DEVICES)


# The coded label


@pytest.mark.parametrize(("words", "uses"), [(2, 1), (4, 2), (10, 5), (10, 64)])
def test_where_it_fits_the_code_is_the_regular_simplex_at_unit_power(words, uses):
    code = coded_label.spherical_code(words, uses).to(torch.complex128)
    inner = (code @ code.mH).real
    expected = torch.full((words, words), -uses / (words - 1), dtype=torch.float64).fill_diagonal_(uses)
    torch.testing.assert_close(inner, expected, atol=1e-4 * uses, rtol=0)


@pytest.mark.parametrize(
    ("words", "uses", "distance"),
    [(10, 1, 2 * math.sin(math.pi / 10)), (3, 1, math.sqrt(3)), (8, 2, None), (10, 2, None)],
)
def test_where_the_simplex_does_not_fit_points_are_spread_and_of_equal_energy(words, uses, distance):
    code = coded_label.spherical_code(words, uses).to(torch.complex128)
    torch.testing.assert_close(
        code.abs().square().mean(dim=1), torch.ones(words, dtype=torch.float64), atol=1e-5, rtol=0
    )
    least = min(
        (code[i] - code[j]).abs().square().sum().sqrt().item() for i, j in itertools.combinations(range(words), 2)
    )
    # Eight points in four dimensions: the cross-polytope, at sqrt 2, is the best; ten in four are above 1.
    floor = {None: math.sqrt(2) if words == 8 else 1.0}.get(distance, distance)
    assert least / math.sqrt(uses) > 0.985 * floor
    assert coded_label.spherical_code.__wrapped__(words, uses).equal(coded_label.spherical_code(words, uses))


def error_share(words: int, uses: int, snr_db: float, fading: str, number: int = 40_000) -> float:
    code, over = coded_label.spherical_code(words, uses), air(snr_db, uses, fading=fading)
    sent = torch.arange(number) % words
    h, generator = over.fading(number, "test", "rgb", 0)
    received = receive_words(code[sent], h, over.noise_power("rgb"), generator)
    likelihood = coded_label.log_likelihoods(received, h, code, over.noise_power("rgb"))
    return (likelihood.argmax(dim=1) != sent).double().mean().item()


@pytest.mark.parametrize(("words", "uses", "snr_db"), [(2, 1, 3.0), (10, 5, -3.0), (10, 40, -10.0)])
def test_the_simplex_errs_as_often_as_the_integral_has_it(words, uses, snr_db):
    """P(right) = E[Phi(u + sqrt(2 E/N0 C/(C-1)))^(C-1)], u standard normal: Proakis and Salehi, eq. (4.4-10)."""
    gain = math.sqrt(2 * uses * 10 ** (snr_db / 10) * words / (words - 1))
    right = quad(lambda u: norm.pdf(u) * norm.cdf(u + gain) ** (words - 1), -12, 12)[0]
    spread = 4 * math.sqrt(right * (1 - right) / 40_000)
    assert error_share(words, uses, snr_db, "awgn") == pytest.approx(1 - right, abs=spread)


def test_under_rayleigh_fading_two_labels_err_as_binary_signalling_does():
    """(1 - sqrt(g / (1 + g))) / 2 with g = n SNR: Tse and Viswanath, eq. (3.19)."""
    g = 4 * 10 ** (5.0 / 10)
    expected = (1 - math.sqrt(g / (1 + g))) / 2
    assert error_share(2, 4, 5.0, "rayleigh") == pytest.approx(expected, rel=0.12)


def test_without_noise_the_server_fuses_the_labels_by_bayes():
    given, options = task(), label.Options()
    prepared = coded_label.prepare(given, options)
    told = coded_label.answer(prepared, given, air(math.inf), options)
    for split, of_split in prepared.said.items():
        assert told[split].heard == 1
        for scene in range(100):
            share = given.prior.clone()
            for m in DEVICES:
                share *= prepared.confusions[m][:, of_split[m][scene]]
            assert (told[split].predicted[:, scene] == share.argmax()).all()


def test_fusion_is_the_sum_over_all_labels_that_may_have_been_sent():
    generator = torch.Generator().manual_seed(1)
    likelihood = [torch.randn(5, 3, dtype=torch.float64, generator=generator) for _ in DEVICES]
    confused = [torch.rand(3, 3, dtype=torch.float64, generator=generator) for _ in DEVICES]
    confused = [rows / rows.sum(dim=1, keepdim=True) for rows in confused]
    prior = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    evidence = [coded_label.class_evidence(*pair) for pair in zip(likelihood, confused, strict=True)]
    expected = torch.zeros(5, 3, dtype=torch.float64)
    for shown, first, second in itertools.product(range(3), repeat=3):
        of_labels = likelihood[0][:, first].exp() * likelihood[1][:, second].exp()
        expected[:, shown] += prior[shown] * confused[0][shown, first] * confused[1][shown, second] * of_labels
    torch.testing.assert_close(coded_label.fused(evidence, prior).exp(), expected)


def test_confusions_are_counts_of_validation_scenes_smoothed_to_no_zero():
    said, shown = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    confused = coded_label.confusion(said, shown, 3, pseudo_count=1e-9)
    torch.testing.assert_close(confused[:2], torch.tensor([[2 / 3, 1 / 3, 0], [0, 1, 0]], dtype=torch.float64))
    smooth = coded_label.confusion(said, shown, 3, pseudo_count=1.0)
    assert (smooth > 0).all() and smooth.sum(dim=1).tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("pseudo_count", [0.5, 10.0])
def test_a_left_out_scene_is_told_by_the_confusions_of_the_others(pseudo_count):
    generator = torch.Generator().manual_seed(2)
    said, shown = (torch.randint(4, (30,), generator=generator) for _ in range(2))
    told = 0.0
    for scene in range(30):
        others = torch.arange(30) != scene
        confused = coded_label.confusion(said[others], shown[others], 4, pseudo_count)
        told += confused[shown[scene], said[scene]].log().item() / 30
    assert coded_label.told_of_left_out(said, shown, 4, pseudo_count) == pytest.approx(told)


@pytest.mark.parametrize(("work", "scheme"), [(coded_label, label), (sent_posterior, posterior)])
def test_test_scenes_decide_nothing(work, scheme):
    given, options = task(), scheme.Options()
    turned = dataclasses.replace(given, labels=given.labels | {"test": given.labels["test"].flip(0)})
    answers = [work.answer(work.prepare(t, options), t, air(0.0, 4), options)["test"] for t in (given, turned)]
    assert answers[0].predicted.equal(answers[1].predicted)


@pytest.mark.parametrize(("work", "scheme"), [(coded_label, label), (sent_posterior, posterior)])
def test_where_the_server_hears_but_noise_the_prior_decides(work, scheme):
    given, options = task(), scheme.Options()
    told = work.answer(work.prepare(given, options), given, air(-90.0, 4), options)
    assert (told["test"].predicted == given.prior.argmax()).double().mean() > 0.98


# The posterior


def test_the_fitted_weights_give_back_what_overconfidence_added():
    given = task(scenes=4000)
    sharp = {
        split: {m: (3 * log_p - 2 * given.prior.log()).log_softmax(dim=1) for m, log_p in of_split.items()}
        for split, of_split in given.posteriors.items()
    }
    prepared = sent_posterior.prepare(dataclasses.replace(given, posteriors=sharp), posterior.Options())
    ratios = torch.stack([prepared["validation"][m] for m in DEVICES])[:, None].double()
    fitted = sent_posterior.fitted_weights(ratios, given.labels["validation"], given.prior.log())
    assert fitted.tolist() == pytest.approx([1 / 3, 1 / 3], rel=0.1)


def test_exact_posteriors_fuse_to_the_product_of_experts():
    given = task()
    prepared = sent_posterior.prepare(given, posterior.Options())["test"]
    ratios = torch.stack([prepared[m] for m in DEVICES])[:, None].double()
    summed = sum(given.posteriors["test"][m] for m in DEVICES) - (len(DEVICES) - 1) * given.prior.log()
    fused = sent_posterior.fused(ratios, torch.ones(2, dtype=torch.float64), given.prior.log())[0]
    torch.testing.assert_close(fused.softmax(dim=1), summed.softmax(dim=1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("classes", [4, 5])
def test_a_repeated_posterior_averages_its_noise(classes):
    values = torch.randn(3000, classes, generator=torch.Generator().manual_seed(0))
    link, once = make_link(CHANNEL), -(-classes // 2)
    clear = sent_posterior.repeated(link, values, once, math.inf, torch.Generator())
    errors = []
    for times in (1, 4):
        noisy = sent_posterior.repeated(link, values, times * once, 0.0, torch.Generator().manual_seed(1))
        errors.append((noisy - clear).square().mean().item())
    assert errors[0] == pytest.approx(0.5, rel=0.06) and errors[1] == pytest.approx(0.125, rel=0.06)


def test_a_posterior_takes_whole_transmissions():
    taken = [posterior.channel_uses(given, 10, posterior.Options()) for given in (1, 4, 5, 9, 10, 64)]
    assert taken == [None, None, 5, 5, 10, 60]
    assert posterior.channel_uses(3, 5, posterior.Options()) == 3


# The image


def pictures(number: int = 4, side: int = 24) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (number, 3, 4, 4)).astype(np.float32)
    smooth = np.kron(coarse, np.ones((side // 4, side // 4), np.float32)) + rng.normal(0, 4, (number, 3, side, side))
    rgb = torch.from_numpy(smooth.clip(0, 255)).to(torch.uint8)
    return {"rgb": rgb, "depth": (500 + 20 * rgb[:, :1].to(torch.int16))}


@pytest.mark.parametrize(("name", "low", "high"), [("rgb", 0, 255), ("depth", 500, 5600)])
def test_what_is_sent_fits_into_the_budget_and_more_bits_never_show_less(name, low, high):
    ladder = compressed_image.make_ladder(pictures()[name], low, high, image.Options())
    before = torch.full((4,), torch.inf)
    for bits in (20, 60, 200, 600, 2000, 6000, 20000):
        budget = torch.full((4,), float(bits))
        chosen, fits = compressed_image.best_within(ladder, budget)
        sizes, errors = (values.gather(1, chosen[:, None])[:, 0] for values in (ladder.bits, ladder.error))
        assert (sizes[fits] <= bits).all()
        now = errors.where(fits, torch.inf)
        assert (now <= before).all()
        before = now
    assert fits.all() and (before < 500).all()  # of a variance of some 5000, squared steps of 255
    assert ladder.decoded.dtype == pictures()[name].dtype


def test_no_candidate_below_the_smallest_fits():
    ladder = compressed_image.make_ladder(pictures()["rgb"], 0, 255, image.Options())
    smallest = ladder.bits.min(dim=1).values
    assert not compressed_image.best_within(ladder, smallest - 1)[1].any()
    assert compressed_image.best_within(ladder, smallest)[1].all()


def test_of_a_jpeg_file_only_its_entropy_coded_data_counts(tmp_path):
    picture = Image.fromarray(pictures()["rgb"][0].numpy().transpose(1, 2, 0))
    sizes = []
    for name, comment in (("plain.jpg", b""), ("wordy.jpg", b"x" * 300)):
        picture.save(tmp_path / name, quality=40, comment=comment)
        sizes.append(compressed_image.entropy_coded_bits((tmp_path / name).read_bytes()))
        assert (
            0 < sizes[-1] < 8 * ((tmp_path / name).stat().st_size - 500)
        )  # headers and tables take more than 500 bytes
    assert sizes[0] == sizes[1]
    bits, _ = compressed_image.jpeg(pictures()["rgb"][0].numpy().astype(np.float32), 24, 40)
    assert bits == sizes[0]


def test_a_grid_of_values_keeps_what_it_can_and_costs_what_it_says():
    flat = np.full((1, 16, 16), 255 * 2 / 3, np.float32)
    np.testing.assert_allclose(compressed_image.quantised(flat, 4, 2), flat, atol=1e-3)  # the third of four levels
    sizes = {size for size, _ in compressed_image.candidates(flat, image.Options(grid_sides=[2], grid_bits=[4]))}
    assert 2 * 2 * 4 + 8 in sizes


@pytest.mark.parametrize(("snr_db", "uses", "bits"), [(0.0, 16, 16.0), (10 * math.log10(3), 8, 16.0), (-300.0, 8, 0.0)])
def test_the_budget_is_the_capacity(snr_db, uses, bits):
    over = air(snr_db, uses)
    h, _ = over.fading(3, "test", "rgb", 0)
    assert over.capacity_bits("rgb", h).tolist() == pytest.approx([bits] * 3)
    assert over.capacity_bits("rgb", 0 * h).tolist() == [0] * 3


def test_under_rayleigh_fading_the_mean_budget_is_the_ergodic_capacity():
    """E[log2(1 + |h|^2)] = e E1(1) / ln 2: Tse and Viswanath, Section 5.4.5."""
    over = air(0.0, 1, fading="rayleigh")
    h, _ = over.fading(200_000, "test", "rgb", 0)
    assert over.capacity_bits("rgb", h).mean().item() == pytest.approx(math.e * exp1(1) / math.log(2), rel=0.01)


# The study


@pytest.fixture(scope="module")
def studied():
    """A study over scenes of three classes with trained systems."""
    set_up(CONFIG.compute)
    scenes = made_scenes()
    order = torch.arange(len(scenes))
    scenes = dataclasses.replace(scenes, indices={"train": order[:48], "validation": order[48:64], "test": order[64:]})
    systems = {}
    for method, devices, snr in (
        ("rgb_alone", ["rgb"], math.inf), ("depth_alone", ["depth"], math.inf), ("images", ["rgb", "depth"], math.inf),
        ("features", ["rgb", "depth"], 10.0),
    ):  # fmt: skip
        job = stage_two(epochs=16, batch_size=16).model_copy(
            update={"method": method, "modalities": devices, "snr_db": snr, "channel": CHANNEL}
        )
        systems[method] = [KeptSystem(finetune(job, scenes, 0, None).system, job, 0, "ok", None)]
    job = BaselinesJob(
        experiment="e", study="s", modalities=list(DEVICES), schemes=[BlockSettings(name=n) for n in ("label", "posterior", "image")],
        local={"rgb": "rgb_alone", "depth": "depth_alone"}, server="images", methods=["features"], snr_db=[-60.0, 10.0],
        channel_uses=[1, 4, 4096], channel_draws=2, label_fraction=1.0, channel=CHANNEL, bits_per_value=32,
        compute=CONFIG.compute,
    )  # fmt: skip
    return job, systems, scenes, Study(job, systems, scenes, 0).answers()


def test_a_study_answers_what_noise_and_channel_uses_allow(studied):
    job, _, scenes, (table, _) = studied
    assert list(table) == COLUMNS and (table["status"] == "ok").all()
    test = table[table["split"] == "test"].set_index(["sender", "tested_snr_db", "channel_uses"])["accuracy"]
    majority = 15 / 30
    for sender in ("label", "posterior", "image"):
        assert test[sender, 10.0, 8192] > 0.85  # all is heard
        assert test[sender, -60.0, 8] == pytest.approx(majority, abs=0.1)  # nothing is
    assert test["image", -60.0, 8192] == majority and test["image", 10.0, 2] == majority  # an outage
    heard = table.set_index(["sender", "tested_snr_db", "channel_uses", "split"])["heard"]
    assert heard["image", 10.0, 2, "test"] == 0 and heard["image", 10.0, 8192, "test"] == 1
    assert set(table[table["sender"] == "features"]["channel_uses"]) == {16}  # two devices, K = 16, packed


def test_a_study_repeats_itself(studied):
    job, systems, scenes, (table, costs) = studied
    again, again_costs = Study(job, systems, scenes, 0).answers()
    pd.testing.assert_frame_equal(again, table)
    pd.testing.assert_frame_equal(again_costs, costs)


def test_training_of_schemes_sends_labels_down_once_and_no_gradient(studied):
    _, _, _, (_, costs) = studied
    label_row = costs[(costs["sender"] == "label") & (costs["tested_snr_db"] == 10)].iloc[0]
    assert label_row["downlink_bits"] == 2 * 48 * 2  # two devices, 48 scenes, two bits for three classes
    assert label_row["uplink_bits"] == 2 * 16 * 2  # 16 validation scenes
    posterior_row = costs[(costs["sender"] == "posterior") & (costs["tested_snr_db"] == 10)].iloc[0]
    assert posterior_row["uplink_bits"] == 2 * 16 * 3 * 32
    image_row = costs[(costs["sender"] == "image") & (costs["tested_snr_db"] == 10)].iloc[0]
    assert image_row["downlink_bits"] == 0 and image_row["uplink_bits"] > 48 * 1000


def test_over_fading_links_every_way_still_answers(studied):
    job, systems, scenes, _ = studied
    rayleigh = {"fading": BlockSettings(name="rayleigh"), "equalizer": BlockSettings(name="mmse")}
    fading = job.model_copy(
        update={"channel": CHANNEL.model_copy(update=rayleigh), "channel_uses": [16], "snr_db": [10.0]}
    )
    table, _ = Study(fading, systems, scenes, 0).answers()
    test = table[table["split"] == "test"].set_index("sender")
    assert (test["accuracy"] > 0.5).all() and 0 < test["heard"]["image"] < 1 and test["heard"]["label"] > 0.95


def test_bits_take_the_channel_uses_of_capacity():
    at = costs_at(Traffic(uplink_bits=10, downlink_bits=7), 10 * math.log10(3))
    assert (at["uplink_channel_uses"], at["downlink_channel_uses"]) == (5, 4)


def test_the_channel_uses_of_training_are_whole_numbers_at_every_snr(tmp_path):
    """As the ledger has them, from a link that hardly carries anything to one without noise, through their file."""
    rows = [
        {"experiment": "e", "sender": "label", "tested_snr_db": snr_db, "seed": 0}
        | costs_at(Traffic(uplink_bits=64), snr_db)
        for snr_db in (-300.0, -160.0, 0.0, 300.0, math.inf)
    ]
    write_csv(pd.DataFrame(rows, columns=TRAINING_COLUMNS), tmp_path / "0.csv")
    table = training_table([tmp_path / "0.csv"], pd.DataFrame(columns=ROUNDS_COLUMNS), None, stage_one={})
    found = table["uplink_channel_uses"].tolist()
    assert found == pytest.approx([64 * math.log(2) * 1e30, 64 * math.log(2) * 1e16, 64, 1, 0]) and found[2:] == [
        64,
        1,
        0,
    ]


def test_a_diverged_classifier_leaves_blanks_for_the_schemes_that_need_it(studied):
    job, systems, scenes, _ = studied
    lost = [dataclasses.replace(systems["rgb_alone"][0], system=None, status="diverged")]
    table, costs = Study(job, systems | {"rgb_alone": lost}, scenes, 0).answers()
    status = table.groupby("sender")["status"].unique().map(list).to_dict()
    assert status == {"label": ["diverged"], "posterior": ["diverged"], "image": ["ok"], "features": ["ok"]}
    assert set(costs["sender"]) == {"image"}


def test_a_scheme_that_none_of_the_channel_uses_carries_is_told_before_anything_is_answered(studied):
    job, systems, scenes, _ = studied
    few = job.model_copy(update={"channel_uses": [1]})
    with pytest.raises(
        InputError, match="baselines.s.channel_uses: 1 are too few for .*'posterior' sends for 3 classes"
    ):
        Study(few, systems, scenes, 0).answers()


def test_a_trace_of_a_training_decides_nothing_in_a_study(studied):
    job, systems, scenes, (table, _) = studied
    along = {}
    for method, of_method in systems.items():
        channel = of_method[0].job.channel.model_copy(update={"snr_trace": "no-such-trace.csv"})
        own = of_method[0].job.model_copy(update={"channel": channel})
        along[method] = [dataclasses.replace(of_method[0], job=own)]
    asked = job.model_copy(update={"schemes": job.schemes[:1]})
    answered, _ = Study(asked, along, scenes, 0).answers()
    wanted = table[table["sender"].isin(["label", "features"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(answered, wanted)


def test_where_classifiers_diverge_in_one_seed_or_in_all_the_tables_are_still_made(studied, tmp_path):
    job, systems, scenes, (table, costs) = studied
    lost = {m: [dataclasses.replace(kept, system=None, status="diverged") for kept in of] for m, of in systems.items()}
    diverged, nothing = Study(job, lost, scenes, 1).answers()
    assert list(diverged) == list(table) and list(nothing) == list(costs) and nothing.empty
    for seed, (answered, of_training) in enumerate(((table, costs), (diverged, nothing))):
        write_rounds(answered, tmp_path / f"answers{seed}.csv")
        write_csv(of_training, tmp_path / f"training{seed}.csv")
    for seeds, alive in (((0, 1), ["label", "posterior", "image"]), ((1,), [])):
        given = [tmp_path / f"training{seed}.csv" for seed in seeds]
        of_training = training_table(given, pd.DataFrame(columns=ROUNDS_COLUMNS), None, stage_one={})
        assert list(dict.fromkeys(of_training["sender"])) == alive and set(of_training["seeds"]) <= {1}
        collected = collect_baselines([tmp_path / f"answers{seed}.csv" for seed in seeds], senders=alive)
        verdict = verdict_table(collected, methods=["features"], labels={})
        assert list(verdict) == VERDICT_COLUMNS and len(verdict) == (len(alive) and 74)
        write_csv(verdict, tmp_path / "verdict.csv")
        assert list(pd.read_csv(tmp_path / "verdict.csv")) == VERDICT_COLUMNS
        lines = {sender: [sender] for sender in ("label", "posterior", "image", "features")}
        figure = baselines_figure(collected, lines=lines, labels={}, classes=3, devices=2, majority_accuracy=0.5)
        assert "(1 of " in figure.legends[0].get_texts()[0].get_text()
        figure.savefig(tmp_path / "figure.png")


# Tables and figure


def answers(of: dict[tuple[str, int], tuple[float, float]], seeds=range(5)) -> pd.DataFrame:
    """A table of (sender, uses) to accuracies on validation and test, with a spread of a point over the seeds."""
    rows = [
        ["e", sender, 0.0, seed, split, uses, value + 0.002 * (seed - 2), value, 1.0, "ok"]
        for (sender, uses), values in of.items()
        for split, value in zip(("validation", "test"), values, strict=True)
        for seed in seeds
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_the_verdict_compares_features_chosen_on_validation_with_each_other_way_at_all_its_uses():
    """What a server fits on validation scenes makes a rival too good there to be chosen by it."""
    table = answers(
        {
            ("label", 2): (0.9, 0.5), ("label", 8): (0.8, 0.6), ("image", 8): (0.55, 0.9),
            ("k2", 2): (0.4, 0.4), ("k8", 8): (0.7, 0.7), ("wide", 8): (0.65, 0.95),  # chosen: k8
        }
    )  # fmt: skip
    verdict = verdict_table(table, methods=["k2", "k8", "wide"], labels={"label": "Coded label"}).set_index(
        ["channel_uses", "rival"]
    )
    assert verdict["verdict"].to_dict() == {
        (2, "label"): "features lose",
        (4, "label"): "features lose",
        (8, "label"): "features win",
        (8, "image"): "features lose",
    }
    assert set(verdict.loc[8, "features"]) == {"k8"}
    assert verdict.loc[(8, "label"), "difference"] == pytest.approx(0.1)
    assert "Coded label (8 uses) 60.0 %" in verdict.loc[(8, "label"), "in_words"]


def test_a_verdict_needs_seeds_and_someone_to_compare_to():
    assert set(verdict_table(answers({("label", 2): (0.5, 0.5)}), methods=["k"], labels={})["verdict"]) == {
        "no features fit"
    }
    few = answers({("label", 2): (0.5, 0.5), ("k", 2): (0.9, 0.9)}, seeds=range(2))
    assert verdict_table(few, methods=["k"], labels={})["verdict"].tolist() == ["too few seeds"]
    noisy = answers({("label", 2): (0.5, 0.5), ("k", 2): (0.5, 0.5)})
    noisy.loc[noisy["sender"] == "k", "accuracy"] += [0.1, -0.1, 0.05, -0.05, 0.01] * 2
    assert verdict_table(noisy, methods=["k"], labels={})["verdict"].tolist() == ["no difference shown"]


def test_training_stands_apart_by_stage_and_sender(tmp_path):
    write_csv(pd.DataFrame([["e", "label", 0.0, 0, 5, 6, 7, 8]], columns=TRAINING_COLUMNS), tmp_path / "0.csv")
    write_csv(pd.DataFrame([["e", "label", 0.0, 1, 5, 6, 7, 8]], columns=TRAINING_COLUMNS), tmp_path / "1.csv")
    rounds = pd.DataFrame(
        [["e", "k", 10.0, 1.0, seed, "test", at, 1.0, 0.5, 0.5, 1.0, 10 * at, 20 * at, 30 * at, 40 * at, "ok"]
         for seed in (0, 1) for at in (0, 3)],
        columns=ROUNDS_COLUMNS,
    )  # fmt: skip
    overhead = pd.DataFrame(
        [["e", "base", 0, 9, 100, 100, 200, 200]], columns=["experiment", "method", "seed", "steps", *LEDGER]
    )
    table = training_table(sorted(tmp_path.glob("*.csv")), rounds, overhead, stage_one={"k": "base"})
    found = {
        (row.sender, row.part): (row.seeds, *(getattr(row, name) for name in LEDGER)) for row in table.itertuples()
    }
    assert found == {
        ("label", "training"): (2, 5, 6, 7, 8),
        ("k", "stage_1"): (1, 100, 100, 200, 200),
        ("k", "training"): (2, 30, 60, 90, 120),
    }


def test_written_studies_are_collected_in_their_order_and_broken_ones_named(tmp_path):
    table = answers({("image", 2): (0.5, 0.5), ("label", 2): (0.5, 0.5)})
    for seed, part in table.groupby("seed"):
        write_csv(part, tmp_path / f"{seed}.csv")
    back = collect_baselines(sorted(tmp_path.glob("*.csv")), senders=["label", "image"])
    assert list(dict.fromkeys(back["sender"])) == ["label", "image"] and len(back) == len(table)
    (tmp_path / "0.csv").write_text("sender\nx\n")
    with pytest.raises(InputError, match="0.csv: column experiment is missing"):
        collect_baselines([tmp_path / "0.csv"], senders=[])
    with pytest.raises(InputError, match=r"9.csv: cannot be read \(No such file or directory\); put it there"):
        collect_baselines([tmp_path / "9.csv"], senders=[])


def test_the_figure_draws_the_means_and_where_capacity_carries_the_labels():
    table = answers({("label", 2): (0.1, 0.5), ("label", 4): (0.1, 0.6), ("k2", 2): (0.1, 0.4), ("k8", 8): (0.1, 0.7)})
    figure = baselines_figure(
        table, lines={"label": ["label"], "family": ["k2", "k8"]}, labels={"label": "Coded label"}, classes=8, devices=2,
        majority_accuracy=0.3,
    )  # fmt: skip
    axes = figure.axes[0]
    drawn = {tuple(line.get_xdata()): list(line.get_ydata()) for line in axes.lines}
    assert drawn[2, 4] == pytest.approx([50, 60]) and drawn[2, 8] == pytest.approx([40, 70])
    assert capacity_uses(0.0, 8, 2) == pytest.approx(6) and (pytest.approx(6), pytest.approx(6)) in list(drawn)


# The configuration


def settings(**changes) -> dict:
    study = {
        "schemes": ["label", "posterior", "image"], "local": {"rgb": "r", "depth": "d"}, "server": "supervised",
        "methods": ["proposed"], "snr_db": [0], "channel_uses": [1, 8],
    }  # fmt: skip
    rest = {
        key: changes.pop(key) for key in ("grid", "data", "channel", "evaluations", "keep_systems") if key in changes
    }
    grid = {"methods": ["proposed", "supervised", "r", "d"], "snr_db": [math.inf]} | rest.pop("grid", {})
    methods = {"r": {"like": "supervised", "modalities": ["rgb"]}, "d": {"like": "supervised", "modalities": ["depth"]}}
    return {"methods": methods, "grid": grid, "baselines": {"b": study | changes}} | rest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schemes": ["lable"]}, "baselines.b.schemes: no module 'lable' in semcom.baselines.schemes; did you mean 'label'"),
        ({"schemes": [{"name": "label", "pseudo": 1}]}, "schemes.label.pseudo: unknown key"),
        ({"schemes": [{"name": "image", "qualities": [200]}]}, "schemes.image.qualities"),
        ({"schemes": []}, "baselines.b.schemes: .*at least 1"),
        ({"schemes": ["label", "label"]}, "baselines.b.schemes: lists a value twice"),
        ({"methods": ["propsed"]}, "'propsed' is not one of grid.methods; did you mean 'proposed'"),
        ({"local": {"rgb": "r"}}, "local: scheme 'posterior' needs a classifier of depth alone"),
        ({"local": {"rgb": "d", "depth": "d"}}, "needs a classifier of rgb alone"),
        ({"local": {"lidar": "d"}}, "local: 'lidar' is not one of modalities"),
        ({"server": None}, "server: scheme 'image' needs a classifier of all modalities"),
        ({"server": "r"}, "server: scheme 'image' needs a classifier of all modalities"),
        ({"channel_uses": [0]}, "baselines.b.channel_uses.0"),
        ({"channel_uses": [2**17]}, "131072 is more than 65536"),
        ({"snr_db": []}, "baselines.b.snr_db"),
        ({"grid": {"snr_db": [10]}}, "add .inf to grid.snr_db"),
        ({"data": {"validation_fraction": 0.0}}, "counts confusions on validation rooms"),
        ({"data": {"withhold_test": True}}, "is scored on test scenes"),
        ({"keep_systems": False}, "baselines.b: needs the trained links"),
        ({"channel": {"estimation": {"name": "pilots", "pilots": 2}}}, "channel.estimation is 'pilots'"),
        ({"evaluations": {"b": {}}}, "baselines.b: 'b' is the name of another figure or table"),
        ({"methods": ["r"], "local": {"depth": "d"}}, "local: scheme 'posterior' needs a classifier of rgb alone"),
        ({"snr_db": [-301]}, "baselines.b.snr_db.0: .*greater than or equal to -300"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_be_made_is_refused_in_one_line_before_anything_runs(changes, said):
    with pytest.raises(InputError, match=said) as error:
        load_config(ROOT / "tests/config.yaml", settings=settings(**changes))
    assert "\n" not in str(error.value)


def test_a_method_over_another_channel_than_the_schemes_is_refused():
    given = settings()
    given["methods"]["proposed"] = {"channel": {"fading": "rayleigh"}}
    with pytest.raises(InputError, match="'proposed' has another channel.fading than the schemes"):
        load_config(ROOT / "tests/config.yaml", settings=given)


@pytest.mark.parametrize(
    ("method", "changes", "said"),
    [
        ("r", {"finetune": {"snr_range_db": [0, 20]}}, r"local.rgb: .*'r' draws its SNR from methods.r.finetune.snr_range_db; set"),
        ("images", {"finetune": {"snr_range_db": [0, 20]}}, "server: .*set methods.images.finetune.snr_range_db to null"),
        ("d", {"channel": {"snr_trace": "t.csv"}}, "local.depth: .*'d' goes along methods.d.channel.snr_trace"),
        ("r", {"channel": {"estimation": {"name": "pilots", "pilots": 2}}}, "'r' has methods.r.channel.estimation 'pilots'"),
        ("d", {"channel": {"fading": "rayleigh"}}, "'d' has methods.d.channel.fading 'rayleigh'; set .* to awgn"),
        ("proposed", {"channel": {"snr_trace": "t.csv"}}, "methods: 'proposed' is trained along a trace"),
    ],
)  # fmt: skip
def test_classifiers_are_trained_without_noise_and_features_without_a_trace(method, changes, said):
    given = settings(server="images", grid={"methods": ["proposed", "images", "r", "d"]})
    given["methods"]["images"] = {"like": "supervised"}
    given["methods"][method] = given["methods"].get(method, {}) | changes
    with pytest.raises(InputError, match=said) as error:
        load_config(ROOT / "tests/config.yaml", settings=given)
    assert "\n" not in str(error.value)


def test_where_all_links_fade_the_classifiers_must_not():
    given = settings(channel={"fading": "rayleigh"})
    with pytest.raises(InputError, match="'r' has channel.fading 'rayleigh'; set methods.r.channel.fading to awgn"):
        load_config(ROOT / "tests/config.yaml", settings=given)


@pytest.mark.parametrize(
    "study", [{"methods": ["label"]}, {"local": {"rgb": "label", "depth": "d"}}, {"methods": ["like"]}]
)
def test_a_method_called_like_a_scheme_of_its_study_is_refused(study):
    given = settings(grid={"methods": ["proposed", "supervised", "r", "d", "label", "like"]}, **study)
    own = {"loss": None, "options": {}, "projector": [], "pretrain": {}, "finetune": {}, "modalities": ["rgb"]}
    given["methods"] |= {"label": own, "like": {"like": "label"}}
    with pytest.raises(InputError, match="baselines.b: 'label' is a scheme and a method.*rename methods.label"):
        load_config(ROOT / "tests/config.yaml", settings=given)
    given["baselines"]["b"]["schemes"] = ["image"]
    assert "b" in load_config(ROOT / "tests/config.yaml", settings=given).baselines


def test_a_method_labelled_like_a_scheme_of_its_study_is_refused():
    given = settings()
    given["methods"]["proposed"] = {"label": "Coded label"}
    with pytest.raises(
        InputError, match="methods.proposed.label: 'Coded label' is also what scheme 'label' of baselines.b"
    ):
        load_config(ROOT / "tests/config.yaml", settings=given)


def test_the_order_of_the_servers_devices_does_not_matter():
    given = settings(server="turned", grid={"methods": ["proposed", "supervised", "r", "d", "turned"]})
    given["methods"]["turned"] = {"like": "supervised", "modalities": ["depth", "rgb"]}
    assert load_config(ROOT / "tests/config.yaml", settings=given).baselines["b"].server == "turned"


def test_a_study_crosses_into_its_job_whole():
    config = load_config(ROOT / "tests/config.yaml", settings=settings())
    job = BaselinesJob(**baselines_job(config, "b").model_dump())
    assert [scheme.name for scheme in job.schemes] == ["label", "posterior", "image"]
    assert job.schemes[0].options == {"pseudo_counts": [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]} and job.local == {
        "rgb": "r",
        "depth": "d",
    }


@pytest.mark.parametrize("name", plugins.names("semcom.baselines.schemes"))
def test_every_scheme_offers_what_a_study_asks(name):
    scheme = plugins.load("semcom.baselines.schemes", name, SCHEME_OFFERS)
    assert scheme.NEEDS in ("local", "server")
    assert all(hasattr(scheme.work(), offered) for offered in ("prepare", "answer", "training"))


@pytest.mark.parametrize("name", ["label", "label-nyud2"])
def test_the_questions_configurations_are_in_order(name):
    config = load_config(ROOT / f"config/questions/{name}.yaml")
    assert math.inf in config.grid.snr_db and len(config.grid.seeds) == 5 and "label" in config.baselines


@pytest.mark.slow
def test_the_pipeline_puts_ways_to_the_server_side_by_side(checkout):
    (checkout / "asked.yaml").write_text(
        "extends: tests/config.yaml\n"
        "grid: {methods: [supervised, r, d], snr_db: [.inf], label_fractions: [1.0]}\n"
        "figures: {figure5_label_fraction: null}\n"
        "methods:\n  r: {like: supervised, modalities: [rgb]}\n  d: {like: supervised, modalities: [depth]}\n"
        "baselines:\n  ways:\n    schemes: [label, posterior, {name: image, sides: [8], qualities: [5, 50]}]\n"
        "    local: {rgb: r, depth: d}\n    server: supervised\n    methods: [supervised]\n"
        "    snr_db: [0, 10]\n    channel_uses: [1, 16]\n"
    )
    targets = [
        f"results/test/{name}" for name in ("figures/ways.png", "tables/ways_verdict.csv", "tables/ways_training.csv")
    ]
    done = run_snakemake(checkout, *targets, "--configfile=asked.yaml")
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(checkout / "results/test/tables/ways.csv")
    assert set(table["sender"]) == {"label", "posterior", "image", "supervised"} and (table["status"] == "ok").all()
    assert set(pd.read_csv(checkout / targets[1])["verdict"]) <= {"too few seeds", "no features fit"}
    (checkout / "asked.yaml").write_text((checkout / "asked.yaml").read_text().replace("[label, post", "[lable, post"))
    refused = run_snakemake(checkout, *targets, "--configfile=asked.yaml")
    assert refused.returncode != 0 and "did you mean 'label'" in refused.stdout and "Traceback" not in refused.stdout
