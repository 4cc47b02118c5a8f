"""What runs cost: airtime by hand, figures against the ledger, and stage I free and priced."""

import re

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from semcom.analysis.claims import claim_tests, claim_verdicts
from semcom.analysis.costs import with_costs
from semcom.analysis.tables import rounds_to_target
from semcom.config import artefacts
from semcom.config.figure_axes import TAKEN
from semcom.config.loading import load_config
from semcom.config.sections import TableSettings
from semcom.figures.accuracy import COSTS, accuracy_figure
from semcom.figures.panels import save
from semcom.link.airtime import airtime, symbol_rate
from semcom.link.ledger import Ledger, exchange
from test_tables import run

METHODS = ["proposed", "simclr", "supervised"]
STAGE_ONE = {"proposed": "proposed", "simclr": "simclr", "supervised": None}
SETTINGS = TableSettings(last_evaluations=2, smooth_evaluations=1, hold_evaluations=2, targets=[1.0])


def overhead(uses=1000, seeds=(0, 1)):
    """Stage I of `proposed`, uplink twice the downlink, at 32 bits a channel use; that of `simclr` exchanges nothing."""
    rows = [
        {"experiment": "e", "method": method, "seed": seed, "steps": 8}
        | {"uplink_channel_uses": 2 * price, "downlink_channel_uses": price}
        | {"uplink_bits": 64 * price, "downlink_bits": 32 * price}
        for method, price in (("proposed", uses), ("simclr", 0))
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def runs(**changes):
    """Two seeds of each method: 4 channel uses a round, `proposed` and `simclr` twice as fast as `supervised`."""
    curves = {"proposed": [0.1, 0.4, 0.4, 0.4, 0.4], "simclr": [0.1, 0.4, 0.4, 0.4, 0.4]}
    curves["supervised"] = [0.1, 0.2, 0.4, 0.4, 0.4]
    return pd.concat(run(method, seed, curves[method], **changes) for method in METHODS for seed in (0, 1))


def draw(table, cost, **changes):
    arguments = {"methods": METHODS, "snr_db": [10.0], "label_fraction": 1.0, "seeds": [0, 1], "cost": cost}
    return accuracy_figure(table, **(arguments | changes))


def line(figure, label):
    """The curve that the legend calls so."""
    (handle,) = [handle for handle in figure.legends[0].legend_handles if handle.get_label() == label]
    look = (handle.get_color(), handle.get_markerfacecolor())
    (found,) = [each for each in figure.axes[0].get_lines() if (each.get_color(), each.get_markerfacecolor()) == look]
    return found


def texts(figure, folder):
    save(figure, [folder / "figure.svg"])
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", (folder / "figure.svg").read_text()))


def test_airtime_of_a_known_ledger():
    """A round of 64 scenes and two devices of 512 packed features, in 1 MHz: 65,536 symbols at 800,000 a second."""
    ledger = Ledger(["rgb", "depth"])
    ledger.charge(dict.fromkeys(ledger.devices, exchange(64, 512, 256, 32)))
    total = ledger.total()
    uses = total.uplink_channel_uses + total.downlink_channel_uses
    assert airtime(uses, symbol_rate(1e6, 0.25)) == pytest.approx(0.08192, rel=1e-12)


@pytest.mark.parametrize(("roll_off", "rate"), [(0.0, 20e6), (0.25, 16e6), (1.0, 10e6)])
def test_a_roll_off_of_1_takes_twice_the_bandwidth_of_none(roll_off, rate):
    assert symbol_rate(20e6, roll_off) == rate


def test_costs_are_those_of_both_directions_and_stage_one_is_paid_by_each_run_that_starts_from_it():
    borrowed = runs().query("method == 'proposed'").assign(method="borrower")
    costs = with_costs(
        pd.concat([runs(), borrowed]), overhead(), {**STAGE_ONE, "borrower": "proposed"}, symbols_per_s=8.0
    )
    assert (costs["channel_uses"] == 4 * costs["round"]).all() and (costs["bits"] == 256 * costs["round"]).all()
    assert (costs["airtime"] == costs["round"] / 2).all()
    prices = costs.groupby("method")[[f"stage_one_{cost}" for cost in COSTS]].agg(["min", "max"])
    assert prices.loc["proposed"].tolist() == prices.loc["borrower"].tolist() == [3000, 3000, 96000, 96000, 375, 375]
    assert (prices.loc[["simclr", "supervised"]] == 0).all(axis=None)


def test_a_stage_one_that_is_not_known_has_no_price():
    costs = with_costs(runs(), overhead(seeds=[0]), STAGE_ONE)
    price = costs.groupby(["method", "seed"])["stage_one_channel_uses"].first()
    assert np.isnan(price["proposed", 1]) and price["proposed", 0] == 3000 and price["supervised", 1] == 0
    table = rounds_to_target(costs, SETTINGS, methods=METHODS).set_index("method")
    assert np.isnan(table.loc["proposed", "median_channel_uses_apart"])
    assert table.loc["proposed", "channel_uses_apart_text"] == ""
    assert table.loc["proposed", "channel_uses_text"] == "40"
    figure = draw(with_costs(runs(), None, STAGE_ONE), "bits")
    assert len(figure.legends[0].get_texts()) == len(METHODS)  # none is drawn as priced


@pytest.mark.parametrize("cost", COSTS)
def test_a_figure_shows_the_ledger_and_the_priced_curve_begins_at_the_price_of_stage_one(cost, tmp_path):
    costs = with_costs(runs(), overhead(uses=1_000_000), STAGE_ONE, symbols_per_s=1e5)
    figure = draw(costs, cost)
    one = costs[(costs["method"] == "proposed") & (costs["seed"] == 0)]
    axes = figure.axes[0]
    assert axes.get_xscale() == "log" and axes.get_xlabel() == COSTS[cost]
    free, priced = line(figure, "Proposed"), line(figure, "Proposed, stage I priced")
    np.testing.assert_allclose(free.get_xdata(), one[cost][1:])  # what costs nothing has no place on this axis
    np.testing.assert_allclose(priced.get_xdata(), one[cost] + one[f"stage_one_{cost}"])
    assert priced.get_xdata()[0] == one[f"stage_one_{cost}"].iloc[0] > 0
    np.testing.assert_allclose(priced.get_ydata(), 100 * one["accuracy"])
    low, high = axes.get_xlim()
    assert low < free.get_xdata()[0] and high > priced.get_xdata()[-1]
    said = {"channel_uses": "3.0 million channel uses", "bits": "96.0 million bits", "airtime": "30 s"}[cost]
    found = texts(figure, tmp_path)
    assert f"for devices that are apart: {said} (Proposed)" in found and "SimCLR, stage I priced" not in found


@pytest.mark.parametrize("price", [20, 1_000, 1_000_000])
def test_numbers_along_the_axis_keep_apart(price):
    axes = draw(with_costs(runs(), overhead(uses=price), STAGE_ONE), "bits").axes[0]
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    ticks = [t.label1 for t in axes.xaxis.get_major_ticks() if low <= t.get_loc() <= high and t.label1.get_text()]
    boxes = sorted((label.get_window_extent() for label in ticks), key=lambda box: box.x0)
    assert len(boxes) >= 2 and all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))


def test_where_no_stage_one_has_a_price_the_axis_begins_at_0(tmp_path):
    figure = draw(with_costs(runs(), overhead(uses=0), STAGE_ONE), "channel_uses")
    assert figure.axes[0].get_xscale() == "linear" and line(figure, "Supervised").get_xdata()[0] == 0
    assert "exchanges nothing between devices" in texts(figure, tmp_path)


def test_seeds_that_spent_differently_are_met_round_by_round_at_their_mean():
    table = runs()
    table.loc[table["seed"] == 1, ["uplink_channel_uses", "downlink_channel_uses"]] *= 3
    figure = draw(with_costs(table, overhead(uses=0), STAGE_ONE), "channel_uses")
    assert line(figure, "Supervised").get_xdata().tolist() == [0, 80, 160, 240, 320]


def test_diverged_and_missing_runs_are_shown_once(tmp_path):
    """Also one that diverged before it had spent anything, on an axis that has no 0."""
    table = runs()
    table = table[~((table["method"] == "proposed") & (table["seed"] == 1))]
    lost = run("simclr", 1, [np.nan], status="pretraining_diverged")
    table = pd.concat([table[~((table["method"] == "simclr") & (table["seed"] == 1))], lost])
    figure = draw(with_costs(table, overhead(), STAGE_ONE), "channel_uses")
    found = texts(figure, tmp_path)
    assert "Missing 1 of 6 runs: Proposed, 10 dB, seed 1." in found and "SimCLR (1 of 2 diverged)" in found
    (cross,) = [each for each in figure.axes[0].get_lines() if each.get_marker() == "x"]
    assert cross.get_xdata()[0] == figure.axes[0].get_xlim()[0]


def test_the_table_of_targets_has_both_prices_and_both_ratios():
    free = rounds_to_target(runs(), SETTINGS, methods=METHODS)
    table = rounds_to_target(with_costs(runs(), overhead(uses=20), STAGE_ONE), SETTINGS, methods=METHODS)
    pd.testing.assert_frame_equal(table[free.columns], free)  # stage II alone is as it was
    table = table.set_index("method")
    assert table["channel_uses_text"].tolist() == ["40", "40", "80"]
    assert table["channel_uses_ratio_to_supervised"].tolist() == [0.5, 0.5, 1]
    assert table["stage_one_channel_uses"].tolist() == [60, 0, 0]
    assert table["channel_uses_apart_text"].tolist() == ["100", "40", "80"]
    assert table["channel_uses_apart_ratio_to_supervised"].tolist() == [1.25, 0.5, 1]
    assert table.loc["proposed", ["ci95_low_channel_uses_apart", "ci95_high_channel_uses_apart"]].tolist() == [100, 100]


def test_what_is_never_reached_is_bounded_by_both_stages():
    table = pd.concat([runs().query("method != 'proposed'"), run("proposed", 0, [0.1] * 5)])
    table = rounds_to_target(with_costs(table, overhead(uses=20), STAGE_ONE), SETTINGS, methods=METHODS)
    proposed = table.set_index("method").loc["proposed"]
    assert (proposed["channel_uses_text"], proposed["channel_uses_apart_text"]) == ("> 160", "> 220")
    assert proposed["channel_uses_apart_ratio_to_supervised"] == np.inf


@pytest.mark.parametrize(
    ("uses", "ratio", "verdict"), [(0, 0.5, "holds"), (20, 1.25, "contradicted"), (1, 0.5375, "holds")]
)
def test_the_claim_on_communication_is_tested_at_both_prices(uses, ratio, verdict):
    tests = claim_tests(runs(), None, SETTINGS, overhead=overhead(uses), stage_one=STAGE_ONE).set_index("claim")
    assert (tests.loc["f", "estimate"], tests.loc["f", "verdict"]) == (0.5, "holds")
    assert (tests.loc["f_apart", "estimate"], tests.loc["f_apart", "verdict"]) == (pytest.approx(ratio), verdict)
    assert tests.loc["f", "threshold"] == tests.loc["f_apart", "threshold"]
    unpriced = claim_tests(runs(), None, SETTINGS)
    assert claim_verdicts(unpriced).set_index("claim").loc["f_apart", "verdict"] == "not tested"


def test_a_supervised_run_that_never_gets_there_counts_with_what_it_spent_itself():
    """Though other methods spend more a round."""
    table = pd.concat(
        [run("supervised", s, [0.1, 0.1, 0.1, 0.1, 0.9]) for s in (0, 1)]
        + [run("proposed", s, [0.1, 0.8, 0.8, 0.8, 0.8]) for s in (0, 1)]
    )
    more = table["method"] == "proposed"
    table.loc[more, ["uplink_channel_uses", "downlink_channel_uses"]] *= 10
    tests = claim_tests(table, None, SETTINGS, overhead=overhead(20), stage_one=STAGE_ONE).set_index("claim")
    assert tests.loc["f_apart", "estimate"] == (400 + 60) / 160


def test_each_cost_has_a_figure_and_no_other_figure_may_take_its_name():
    config = load_config(ROOT / "tests/config.yaml")
    names = [f"{figure}_{cost}" for figure in ("figure4", "figure5") for cost in COSTS]
    assert set(names) <= set(artefacts.figures(config)) and set(names) <= set(TAKEN)
    off = {"figures": {"figure5_label_fraction": None, "costs": ["bits"]}}
    some = artefacts.figures(load_config(ROOT / "tests/config.yaml", off))
    assert "figure4_bits" in some and not {"figure4_airtime", "figure5_bits"} & set(some)
    none = artefacts.figures(load_config(ROOT / "tests/config.yaml", {"figures": {"costs": []}}))
    assert not set(names) & set(none)
