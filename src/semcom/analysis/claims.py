"""The paper's claims in words (Sec. IV; d: Sec. III-A; f: its reference [9]), with tests fixed before the runs.

Every comparison is paired by seed: both methods of a pair saw the same scenes, labels and channel noise. A test reads
one statistic per seed and asks whether it lies above (or below) a threshold:

    holds          its whole 95 % interval lies on the claimed side
    contradicted   its whole interval lies on the other side
    not shown      the interval holds the threshold, or there are fewer than two seeds

A claim says that all its tests come out as claimed. So it holds if all hold, is contradicted if one is contradicted,
holds in part if some hold and the others are not shown, and is not shown otherwise (`verdict_on`). Intervals are not
corrected for the number of tests.

Claim f has stage I free, as the paper does, for devices whose scenes were recorded together. f_apart is the same claim,
with the same threshold, for devices that are apart, where stage I has a price (`costs`); it was added after the runs.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from semcom.analysis.costs import with_costs
from semcom.analysis.statistics import BOOTSTRAP_SAMPLES, bootstrap_median_interval, cost_ratio, t_interval
from semcom.analysis.tables import first_held, gradient_growth, run_accuracy
from semcom.config.experiment import BASELINE, PROPOSED
from semcom.config.sections import TableSettings

STATEMENTS = {
    "a": "accuracy rises faster per round than with supervised learning",
    "b": "accuracy is higher than with supervised learning at every stage of training",
    "c": "with half of the labels, accuracy is far higher than with supervised learning",
    "d": "accuracy is higher than with SimCLR and with Barlow Twins",
    "e": "Barlow Twins suffers from exploding gradients, the proposed loss does not",
    "f": "about half of the communication of supervised learning reaches the same accuracy",
    "f_apart": "about half of the communication of supervised learning reaches the same accuracy, where devices are apart "
    "and stage I counts",
}
HOLDS, CONTRADICTED, NOT_SHOWN = ENDINGS = ("holds", "contradicted", "not shown")  # of a test
HOLDS_IN_PART, NOT_TESTED = "holds in part", "not tested"  # of a claim, beside these
FEWER_LABELS = 0.5  # the fraction that claims c and e speak of
FAR = 0.05  # "far higher", claim c: five points of accuracy at the least
RISE = 0.1  # claim a looks at the first tenth of the rounds
PARTS = ("first third", "second third", "last third")  # claim b's "every stage"
SHARE = 0.95  # claims f: the accuracy to reach, as a share of the supervised plateau
ABOUT_HALF = math.sqrt(0.5)  # claims f: nearer to half than to all, as ratios go
EXPLODED = 10.0  # claim e: the largest later gradient norm over the median of the first quarter

_CELL = ["label_fraction", "snr_db"]


def claim_tests(
    rounds: pd.DataFrame,
    steps: pd.DataFrame | None,
    settings: TableSettings,
    *,
    round_steps: pd.DataFrame | None = None,
    overhead: pd.DataFrame | None = None,
    stage_one: Mapping[str, str | None] | None = None,
) -> pd.DataFrame:
    """Every test of every claim that the runs can speak to.

    Args:
        rounds: of `records.collect_rounds`; only the test scenes count.
        steps: of `records.collect_steps`, or None where no method has a stage I.
        round_steps: of `records.collect_round_steps`, or None to leave the gradients of stage II out.
        overhead, stage_one: as in `costs.with_costs`; without an overhead, stage I has no price to be counted.

    Returns:
        claim, statistic, compared_to, label_fraction, snr_db (missing for stage I), seeds, estimate, ci95_low,
        ci95_high, threshold, side ("above" or "below"), verdict. No rows where the grid lacks the methods.
    """
    rounds = rounds[rounds["split"] == "test"].sort_values("round")
    rows = [
        *_rise(rounds),
        *_every_stage(rounds),
        *_fewer_labels(rounds, settings),
        *_other_losses(rounds, settings),
        *_gradients(steps, round_steps),
        *_communication(rounds, settings),
        *(_communication_apart(rounds, settings, overhead, stage_one or {}) if overhead is not None else []),
    ]
    columns = ["claim", "statistic", "compared_to", *_CELL, "seeds", "estimate", "ci95_low", "ci95_high"]
    table = pd.DataFrame(rows, columns=[*columns, "threshold", "side"])
    return table.assign(verdict=[_verdict(row) for row in table.itertuples()])


def claim_verdicts(tests: pd.DataFrame) -> pd.DataFrame:
    """One row a claim: its statement, how its tests ended, and the verdict on it."""
    rows = []
    for claim in STATEMENTS:
        group = tests[tests["claim"] == claim]
        counts = {f"tests_{name.replace(' ', '_')}": int((group["verdict"] == name).sum()) for name in ENDINGS}
        row = {"claim": claim, "statement": STATEMENTS[claim], "tests": len(group), **counts}
        rows.append(row | {"verdict": verdict_on(group["verdict"])})
    return pd.DataFrame(rows)


def verdict_on(tests: Iterable[str]) -> str:
    """The verdict on a claim, or on a part of one, of how its tests ended (`ENDINGS`)."""
    ended = set(tests)
    if not ended:
        return NOT_TESTED
    if CONTRADICTED in ended:
        return CONTRADICTED
    return HOLDS if ended == {HOLDS} else HOLDS_IN_PART if HOLDS in ended else NOT_SHOWN


def _rise(rounds: pd.DataFrame) -> Iterator[dict]:
    """Claim a: mean accuracy over the evaluations of the first tenth of the rounds, minus the supervised one's."""
    early = rounds[(rounds["round"] > 0) & (rounds["round"] <= RISE * _length(rounds))]
    yield from _differences("a", "accuracy, first tenth of the rounds", _mean_accuracy(early), BASELINE)


def _every_stage(rounds: pd.DataFrame) -> Iterator[dict]:
    """Claim b: the same for each third of the rounds."""
    share = rounds["round"] / _length(rounds)
    for number, part in enumerate(PARTS):
        within = rounds[(share > number / len(PARTS)) & (share <= (number + 1) / len(PARTS))]
        yield from _differences("b", f"accuracy, {part} of the rounds", _mean_accuracy(within), BASELINE)


def _fewer_labels(rounds: pd.DataFrame, settings: TableSettings) -> Iterator[dict]:
    """Claim c: accuracy at the end of training with half of the labels, minus the supervised one's."""
    half = rounds[rounds["label_fraction"] == FEWER_LABELS]
    yield from _differences("c", "accuracy at the end", _final_accuracy(half, settings), BASELINE, threshold=FAR)


def _other_losses(rounds: pd.DataFrame, settings: TableSettings) -> Iterator[dict]:
    """Claim d: accuracy at the end of training, minus that of the other losses."""
    for other in ("simclr", "barlow_twins"):
        yield from _differences("d", "accuracy at the end", _final_accuracy(rounds, settings), other)


def _gradients(steps: pd.DataFrame | None, round_steps: pd.DataFrame | None) -> Iterator[dict]:
    """Claim e: growth of the gradient norm, the largest of the later steps over the median of the first quarter.

    In stage I, and in stage II with half of the labels. A diverged run's growth is infinite.
    """
    groups = [("stage I", {}, steps, "step")] if steps is not None else []
    if round_steps is not None:
        half = round_steps[round_steps["label_fraction"] == FEWER_LABELS]
        groups += [
            ("stage II", dict(zip(_CELL, cell, strict=True)), runs, "round") for cell, runs in half.groupby(_CELL)
        ]
    for stage, cell, runs, order in groups:
        for method, side in ((PROPOSED, "below"), ("barlow_twins", "above")):
            growth = [_growth(run) for _, run in runs[runs["method"] == method].sort_values(order).groupby("seed")]
            if growth:
                low, high = bootstrap_median_interval(np.array(growth), samples=BOOTSTRAP_SAMPLES, seed=0)
                yield {
                    "claim": "e",
                    "statistic": f"growth of {method}'s gradient norm in {stage} (median of seeds)",
                    **cell,
                    "seeds": len(growth),
                    "estimate": float(np.median(growth)),
                    "ci95_low": low,
                    "ci95_high": high,
                    "threshold": EXPLODED,
                    "side": side,
                }


def _growth(run: pd.DataFrame) -> float:
    if run["status"].iloc[-1] != "ok":
        return math.inf
    return gradient_growth(run["gradient_norm"].to_numpy())


def _communication(rounds: pd.DataFrame, settings: TableSettings) -> Iterator[dict]:
    """Claim f: rounds until 95 % of the supervised plateau is held, over those of supervised learning (median of seeds)."""
    statistic = "rounds to 95 % of the supervised plateau, as a ratio (median of seeds)"
    yield from _ratios("f", statistic, rounds.assign(cost=rounds["round"], spent=_length(rounds)), settings)


def _communication_apart(
    rounds: pd.DataFrame, settings: TableSettings, overhead: pd.DataFrame, stage_one: Mapping[str, str | None]
) -> Iterator[dict]:
    """Claim f_apart: the same in channel uses, with those of stage I if devices are apart."""
    rounds = with_costs(rounds, overhead, stage_one)
    cost = rounds["channel_uses"] + rounds["stage_one_channel_uses"]
    supervised = cost.where(rounds["method"] == BASELINE)
    spent = supervised.groupby([rounds[name] for name in _CELL]).transform("max")
    statistic = "channel uses of both stages to 95 % of the supervised plateau, as a ratio (median of seeds)"
    yield from _ratios("f_apart", statistic, rounds.assign(cost=cost, spent=spent), settings)


def _ratios(claim: str, statistic: str, rounds: pd.DataFrame, settings: TableSettings) -> Iterator[dict]:
    """A test in each cell of the cost until 95 % of the supervised plateau is held, over that of supervised learning.

    A ratio is as `statistics.cost_ratio` has it; a seed that has none says nothing.

    Args:
        rounds: with the cumulative `cost` of an evaluation, and of its cell what supervised learning has `spent` in all.
    """
    ends = run_accuracy(rounds, settings)
    for key, cell in rounds.groupby(_CELL):
        of_cell = (ends[_CELL] == list(key)).all(axis=1) & (ends["method"] == BASELINE)
        target = SHARE * ends.loc[of_cell, "accuracy"].mean()
        needed = {
            (method, seed): _cost_to(run, target, settings) for (method, seed), run in cell.groupby(["method", "seed"])
        }
        pairs = [
            (needed[PROPOSED, seed], needed[BASELINE, seed])
            for method, seed in needed
            if method == PROPOSED and (BASELINE, seed) in needed
        ]
        spent = float(cell["spent"].max())
        ratios = np.array([cost_ratio(ours, theirs, spent) for ours, theirs in pairs])
        ratios = ratios[~np.isnan(ratios)]
        if len(ratios):
            low, high = bootstrap_median_interval(ratios, samples=BOOTSTRAP_SAMPLES, seed=0)
            yield {
                "claim": claim,
                "statistic": statistic,
                "compared_to": BASELINE,
                **dict(zip(_CELL, key, strict=True)),
                "seeds": len(ratios),
                "estimate": float(np.median(ratios)),
                "ci95_low": low,
                "ci95_high": high,
                "threshold": ABOUT_HALF,
                "side": "below",
            }


def _cost_to(run: pd.DataFrame, target: float, settings: TableSettings) -> float:
    first = first_held(
        run["accuracy"].to_numpy(), target, smooth=settings.smooth_evaluations, hold=settings.hold_evaluations
    )
    return math.inf if first is None else float(run["cost"].iloc[first])


def _differences(
    claim: str, statistic: str, accuracy: Mapping[tuple, pd.Series], other: str, *, threshold: float = 0.0
) -> Iterator[dict]:
    """A test in each cell of the proposed method's accuracy minus another's, over the seeds that both survived."""
    for cell, ours in accuracy.items():
        if cell[0] != PROPOSED or (other, *cell[1:]) not in accuracy:
            continue
        difference = (ours - accuracy[other, *cell[1:]]).dropna()
        mean, low, high = t_interval(difference.to_numpy())
        yield {
            "claim": claim,
            "statistic": statistic,
            "compared_to": other,
            **dict(zip(_CELL, cell[1:], strict=True)),
            "seeds": len(difference),
            "estimate": float(mean),
            "ci95_low": float(low),
            "ci95_high": float(high),
            "threshold": threshold,
            "side": "above",
        }


def _mean_accuracy(rounds: pd.DataFrame) -> dict[tuple, pd.Series]:
    """Mean accuracy over the given evaluations by (method, label fraction, SNR), a series by seed."""
    return _by_cell(rounds.groupby(["method", *_CELL, "seed"])["accuracy"].mean())


def _final_accuracy(rounds: pd.DataFrame, settings: TableSettings) -> dict[tuple, pd.Series]:
    """Accuracy at the end of training, as in the summary."""
    if rounds.empty:
        return {}
    return _by_cell(run_accuracy(rounds, settings).set_index(["method", *_CELL, "seed"])["accuracy"])


def _by_cell(values: pd.Series) -> dict[tuple, pd.Series]:
    return {cell: series.droplevel([0, 1, 2]) for cell, series in values.groupby(level=[0, 1, 2])}


def _length(rounds: pd.DataFrame) -> pd.Series:
    """For each row, the rounds of the longest run of its cell."""
    return rounds.groupby(_CELL)["round"].transform("max")


def _verdict(test) -> str:
    if not (np.isfinite(test.threshold) and test.ci95_low == test.ci95_low and test.ci95_high == test.ci95_high):
        return NOT_SHOWN
    sides: Sequence[bool] = (test.ci95_low > test.threshold, test.ci95_high < test.threshold)
    claimed, opposite = sides if test.side == "above" else sides[::-1]
    return HOLDS if claimed else CONTRADICTED if opposite else NOT_SHOWN
