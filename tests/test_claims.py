"""Tests of the paper's claims, on runs whose answer is known."""

import math

import numpy as np
import pandas as pd
import pytest

from semcom.analysis.claims import (
    ABOUT_HALF,
    FAR,
    SHARE,
    STATEMENTS,
    claim_tests,
    claim_verdicts,
    verdict_on,
)
from semcom.analysis.records import LEDGER, ROUNDS_COLUMNS, STEPS_COLUMNS
from semcom.analysis.statistics import t_interval
from semcom.analysis.tables import rounds_to_target
from semcom.config.sections import TableSettings

SETTINGS = TableSettings(last_evaluations=2, smooth_evaluations=1, hold_evaluations=1, targets=[1.0])
SEEDS = range(5)
ROUNDS = range(0, 101, 5)


def runs(accuracy, methods=("proposed", "supervised"), fractions=(1.0, 0.5), snrs=(10.0, 20.0), split="test"):
    """Rounds tables of a grid; `accuracy(method, round, seed)` in each cell alike."""
    rows = [
        dict.fromkeys(ROUNDS_COLUMNS, 0)
        | {"experiment": "e", "method": method, "snr_db": snr, "label_fraction": fraction, "seed": seed}
        | {"split": split, "round": r, "accuracy": accuracy(method, r, seed), "status": "ok"}
        for method in methods
        for fraction in fractions
        for snr in snrs
        for seed in SEEDS
        for r in ROUNDS
    ]
    return pd.DataFrame(rows)


def steps(norms, methods=("proposed", "barlow_twins"), status="ok"):
    """Stage I of five seeds; `norms(method, step, seed)` of 100 steps."""
    rows = [
        dict.fromkeys(STEPS_COLUMNS, 0)
        | {"experiment": "e", "method": method, "seed": seed, "step": step + 1, "status": status}
        | {"gradient_norm": norms(method, step, seed)}
        for method in methods
        for seed in SEEDS
        for step in range(100)
    ]
    return pd.DataFrame(rows)


def verdicts(tests: pd.DataFrame) -> dict[str, str]:
    return claim_verdicts(tests).set_index("claim")["verdict"].to_dict()


def jitter(seed: int) -> float:
    return 0.01 * (seed - 2)


def test_a_method_ahead_by_ten_points_from_the_first_round_holds_every_claim_on_accuracy():
    def accuracy(method, r, seed):
        return 0.3 + 0.002 * r + (0.1 + jitter(seed) if method == "proposed" else 0.0)

    tests = claim_tests(runs(accuracy), None, SETTINGS)
    assert {claim: verdicts(tests)[claim] for claim in "abc"} == {"a": "holds", "b": "holds", "c": "holds"}
    assert tests[tests["claim"].isin(list("abc"))]["estimate"].to_numpy() == pytest.approx(0.1)
    assert verdicts(claim_tests(runs(lambda m, r, s: 0.9 - accuracy(m, r, s)), None, SETTINGS))["b"] == "contradicted"


def test_the_interval_is_that_of_the_seeds_paired():
    noise = np.random.default_rng(0).normal(size=(2, len(SEEDS))) * 0.02

    def accuracy(method, r, seed):
        return 0.4 + noise[int(method == "proposed"), seed]

    tests = claim_tests(runs(accuracy, fractions=[0.5], snrs=[10.0]), None, SETTINGS)
    mean, low, high = t_interval(noise[1] - noise[0])
    for test in tests[tests["claim"].isin(list("abc"))].itertuples():
        assert (test.estimate, test.ci95_low, test.ci95_high) == pytest.approx((mean, low, high))
        assert test.seeds == 5


@pytest.mark.parametrize(("lead", "verdict"), [(0.08, "holds"), (0.05, "not shown"), (0.02, "contradicted")])
def test_far_higher_means_five_points(lead, verdict):
    def accuracy(method, r, seed):
        return 0.3 + (lead + jitter(seed) / 10 if method == "proposed" else 0.0)

    assert FAR == 0.05
    assert verdicts(claim_tests(runs(accuracy), None, SETTINGS))["c"] == verdict


def test_a_lead_that_is_lost_contradicts_that_it_holds_at_every_stage():
    def accuracy(method, r, seed):
        return 0.5 + (0.3 - 0.006 * r + jitter(seed) if method == "proposed" else 0.0)

    tests = claim_tests(runs(accuracy), None, SETTINGS)
    assert verdicts(tests)["a"] == "holds" and verdicts(tests)["b"] == "contradicted"
    thirds = tests[tests["claim"] == "b"].groupby("statistic", sort=False)["verdict"].agg(set)
    assert thirds.tolist() == [{"holds"}, {"not shown"}, {"contradicted"}]


@pytest.mark.parametrize(
    ("speed", "verdict"), [(4.0, "holds"), (1.0, "contradicted"), (0.0, "contradicted"), (math.sqrt(2), "not shown")]
)
def test_rounds_to_the_supervised_plateau_as_a_ratio(speed, verdict):
    def accuracy(method, r, seed):
        return min(0.5, 0.2 + 0.004 * r * (speed * (1 + jitter(seed) * 20) if method == "proposed" else 1.0))

    tests = claim_tests(runs(accuracy), None, SETTINGS)
    tests = tests[tests["claim"] == "f"]
    assert verdicts(tests)["f"] == verdict
    if speed == 0:
        assert np.isinf(tests["estimate"]).all()  # never there: infinitely many rounds
    elif speed == 4:
        assert (tests["ci95_high"] < ABOUT_HALF).all()


def test_a_supervised_run_that_never_holds_its_plateau_counts_with_the_rounds_it_had():
    def accuracy(method, r, seed):
        return 0.2 if method == "supervised" and r < 100 else 0.5 if r >= 50 else 0.2

    settings = SETTINGS.model_copy(
        update={"last_evaluations": 1, "hold_evaluations": 2}
    )  # it gets there once, at the end
    tests = claim_tests(runs(accuracy), None, settings)
    assert tests[tests["claim"] == "f"]["estimate"].tolist() == [0.5] * 4


def test_the_other_losses_are_compared_where_they_ran():
    def accuracy(method, r, seed):
        return {"proposed": 0.5, "simclr": 0.4, "barlow_twins": 0.6, "supervised": 0.3}[method] + jitter(seed)

    grid = runs(accuracy, methods=("proposed", "simclr", "barlow_twins", "supervised"))
    tests = claim_tests(grid, None, SETTINGS)
    ended = tests[tests["claim"] == "d"].groupby("compared_to")["estimate"].agg(["min", "max"])
    assert ended.loc["simclr"].tolist() == pytest.approx([0.1, 0.1])
    assert ended.loc["barlow_twins"].tolist() == pytest.approx([-0.1, -0.1])
    alone = claim_tests(grid[grid["method"].isin(["proposed", "supervised"])], None, SETTINGS)
    assert verdicts(alone)["d"] == "not tested"


def test_gradients_explode_where_they_grow_tenfold_or_the_run_diverged():
    def norms(method, step, seed):
        return (step / 10 if method == "barlow_twins" and step > 60 else 0) * 50 + 1 + seed / 10

    flat = runs(lambda *_: 0.5)
    assert verdicts(claim_tests(flat, steps(norms), SETTINGS))["e"] == "holds"
    assert verdicts(claim_tests(flat, steps(lambda *_: 1.0), SETTINGS))["e"] == "contradicted"  # neither explodes
    diverged = claim_tests(flat, steps(lambda *_: 1.0, status="diverged"), SETTINGS)
    by_method = diverged[diverged["claim"] == "e"].set_index("side")["verdict"]
    assert by_method.to_dict() == {"below": "contradicted", "above": "holds"}


def test_gradients_of_stage_two_count_with_half_of_the_labels_only():
    flat = runs(lambda *_: 0.5)
    traces = steps(lambda method, step, seed: 1.0 if step < 50 else 20.0).rename(columns={"step": "round"})
    traces = pd.concat(traces.assign(label_fraction=f, snr_db=10.0) for f in (1.0, 0.5))
    tests = claim_tests(flat, None, SETTINGS, round_steps=traces)
    tests = tests[tests["claim"] == "e"]
    assert tests["label_fraction"].tolist() == [0.5, 0.5] and tests["estimate"].tolist() == [20.0, 20.0]
    assert tests["verdict"].tolist() == ["contradicted", "holds"]  # both explode: below and above the threshold


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "not shown"], "holds in part"),
        (["not shown", "not shown"], "not shown"),
        (["holds", "not shown", "contradicted"], "contradicted"),
        (["not shown", "contradicted"], "contradicted"),
        ([], "not tested"),
    ],
)
def test_a_claim_is_that_all_its_tests_come_out_as_claimed(ended, verdict):
    assert verdict_on(ended) == verdict_on(reversed(ended)) == verdict


def test_seeds_that_all_lead_by_the_threshold_do_not_pass_it():
    def accuracy(method, r, seed):
        return 0.1 + (FAR if method == "proposed" else 0.0)  # in float64, 0.1 + 0.05 - 0.1 is more than 0.05

    tests = claim_tests(runs(accuracy), None, SETTINGS)
    assert set(tests[tests["claim"] == "c"]["verdict"]) == {"not shown"}


@pytest.mark.parametrize(("ours", "supervised"), [(0, 0), (20, 0), (0, 20), (None, 20), (20, None), (None, None)])
def test_the_ratio_of_rounds_is_that_of_the_table(ours, supervised):
    """One seed, so that a ratio of medians and a median of ratios are the same; None: never reached."""
    first = {"proposed": ours, "supervised": supervised}

    def accuracy(method, r, seed):
        if method == "supervised" and r == 100:
            return 0.5  # the plateau; held only where it began before
        return 0.5 if first[method] is not None and r >= first[method] else 0.2

    settings = SETTINGS.model_copy(update={"last_evaluations": 1, "hold_evaluations": 2, "targets": [SHARE]})
    grid = runs(accuracy, fractions=[1.0], snrs=[10.0])
    grid = grid[grid["seed"] == 0]
    tests = claim_tests(grid, None, settings)
    tests = tests[tests["claim"] == "f"]["estimate"].tolist()
    table = rounds_to_target(grid, settings, methods=["supervised", "proposed"]).set_index("method")
    ratio = table.loc["proposed", "rounds_ratio_to_supervised"]
    assert tests == ([] if np.isnan(ratio) else [ratio])


def test_one_seed_shows_nothing():
    grid = runs(lambda method, r, seed: 0.5 + 0.2 * (method == "proposed"))
    tests = claim_tests(grid[grid["seed"] == 0], None, SETTINGS)
    assert set(tests["verdict"]) == {"not shown"}


def test_validation_rooms_do_not_speak():
    grid = runs(lambda *_: 0.5, split="validation")
    assert claim_tests(grid, None, SETTINGS).empty
    assert set(verdicts(claim_tests(grid, None, SETTINGS)).values()) == {"not tested"}


def test_every_claim_has_a_statement_and_a_test():
    def accuracy(method, r, seed):
        return 0.2 + 0.004 * r + jitter(seed)

    grid = runs(accuracy, methods=("proposed", "simclr", "barlow_twins", "supervised"))
    priced = pd.DataFrame({"method": "proposed", "seed": SEEDS} | dict.fromkeys(LEDGER, 1))
    stage_one = {"proposed": "proposed"}
    tests = claim_tests(grid, steps(lambda *_: 1.0), SETTINGS, overhead=priced, stage_one=stage_one)
    assert set(tests["claim"]) == set(STATEMENTS)
