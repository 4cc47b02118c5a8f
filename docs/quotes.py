"""Every number that README.md, docs/ and config/studies quote from a table, and the cell that it comes from.

    python docs/quotes.py            names what differs, and ends with status 1 if anything does
    python docs/quotes.py --write    puts the tables' numbers into the texts, after results were made anew

The tables lie in results/reference/. A quote is a piece of text as it must stand in its file, up to line breaks. In it,
`cell`, `points` and `shown` mark what comes from a table. Words that follow from numbers ("holds in part") are not
rewritten: where they no longer hold, the quote is not found, and a person has to look.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from semcom.analysis.accuracy_limit import entropy, largest_accuracy
from semcom.analysis.claims import HOLDS, HOLDS_IN_PART, verdict_on
from semcom.config.experiment import MAJORITY
from semcom.link.capacity import bits_per_use, uses_for

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "results/reference"

METHODS = {"proposed": "Proposed", "simclr": "SimCLR", "barlow_twins": "Barlow Twins", "supervised": "Supervised"}
COLUMNS = ((1, 10), (1, 20), (0.5, 10), (0.5, 20))  # label fraction and SNR, as the texts' tables have them
BEGAN, ENDED = "\x02", "\x03"  # around what comes from a table


@cache
def table(name: str) -> pd.DataFrame:
    return pd.read_csv(TABLES / name)


def value(name: str, column: str, **row: object) -> float:
    """The only cell of a table's column in the rows that have these values; a text in `statistic` may be its beginning."""
    rows = table(name)
    for key, wanted in row.items():
        rows = rows[rows[key].str.startswith(wanted) if key == "statistic" else rows[key] == wanted]
    if len(rows) != 1:
        raise LookupError(f"{name}: {len(rows)} rows with {row}")
    return rows[column].iloc[0]


def shown(number: object, form: str = ".1f") -> str:
    return f"{BEGAN}{number:{form}}{ENDED}"


def points(share: float) -> str:
    """A share of 1, in percent."""
    return shown(100 * share)


def cell(name: str, column: str, form: str = ".1f", **row: object) -> str:
    return shown(value(name, column, **row), form)


def percent(name: str, column: str, **row: object) -> str:
    return points(value(name, column, **row))


def millions(count: float) -> str:
    return shown(count / 1e6)


def uplink_of_stage_one(experiment: str) -> str:
    """Uplink channel uses of a run of the proposed method's stage I, were the devices apart."""
    rows = table(f"{experiment}/tables/pretraining_overhead.csv")
    (uses,) = rows[rows["method"] == "proposed"]["uplink_channel_uses"].unique()
    return millions(uses)


def uplink_of_stage_two(experiment: str, labels: float) -> str:
    """Uplink channel uses of the longest run of the proposed method's stage II."""
    rows = table(f"{experiment}/tables/rounds.csv")
    return millions(
        rows[(rows["method"] == "proposed") & (rows["label_fraction"] == labels)]["uplink_channel_uses"].max()
    )


def with_interval(
    name: str,
    column: str,
    low: str,
    high: str,
    scale: float = 100,
    forms: tuple[str, str] = (".1f", ".1f"),
    **row: object,
) -> str:
    """An estimate and its interval."""
    estimate, *ends = (scale * value(name, each, **row) for each in (column, low, high))
    return f"{shown(estimate, forms[0])} ({shown(ends[0], forms[1])} to {shown(ends[1], forms[1])})"


def line(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def lines(head: str, *below: str) -> str:
    """A whole table, where its lines alone could be those of another; `head` is its first line."""
    return "\n".join((head, "|---" * (head.count("|") - 1) + "|", *below))


# The claims' tests


def test_of(
    claim: str, statistic: str, experiment: str = "nyud2-small", scale: float = 100, forms=(".1f", ".1f"), **row: object
) -> str:
    name = f"{experiment}/tables/claim_tests.csv"
    ends = ("estimate", "ci95_low", "ci95_high")
    return with_interval(name, *ends, scale=scale, forms=forms, claim=claim, statistic=statistic, **row)


def tests_of(claim: str, statistic: str, **row: object) -> list[str]:
    return [test_of(claim, statistic, label_fraction=f, snr_db=s, **row) for f, s in COLUMNS]


def verdict(experiment: str = "nyud2-small", **row: object) -> str:
    """On a claim, as claims.csv has it; on some of its tests, by the same rule."""
    rows = table(f"{experiment}/tables/claim_tests.csv")
    for key, wanted in row.items():
        rows = rows[rows[key] == wanted]
    found = verdict_on(rows["verdict"])
    if row.keys() == {"claim"}:
        found = value(f"{experiment}/tables/claims.csv", "verdict", **row)
    holds = int((rows["verdict"] == HOLDS).sum())
    return f"{found}: {holds} of {len(rows)} tests" if found == HOLDS_IN_PART else found


def accuracies(method: str, experiment: str) -> list[str]:
    name = f"{experiment}/tables/summary.csv"
    return [percent(name, "accuracy_mean", split="test", method=method, label_fraction=f, snr_db=s) for f, s in COLUMNS]


def accuracies_at_the_end(experiment: str, *more: str) -> str:
    """The table of all methods, with the words before it, since two experiments have one."""
    head = "| Test accuracy, % | all labels, 10 dB | all labels, 20 dB | half, 10 dB | half, 20 dB |"
    rows = [line(label, *accuracies(method, experiment)) for method, label in METHODS.items()]
    return f"(../results/reference/{experiment}/tables/summary.csv): {lines(head, *rows, *more)}"


# The texts


def readme() -> Iterator[str]:
    summary = "nyud2-small/tables/summary.csv"

    def end(method: str, labels: float) -> str:
        return percent(summary, "accuracy_mean", split="test", method=method, label_fraction=labels, snr_db=10)

    def lead(over: str, labels: float) -> str:
        return test_of("d", "accuracy at the end", compared_to=over, label_fraction=labels, snr_db=10)

    def growth(method: str) -> str:
        statistic = f"growth of {method}'s gradient norm in stage II ("
        name = "nyud2-small/tables/claim_tests.csv"
        return cell(name, "estimate", claim="e", statistic=statistic, label_fraction=0.5, snr_db=10)

    yield f"from {end('supervised', 1)} % to {end('proposed', 1)} % (all labels)"
    yield f"from {end('supervised', 0.5)} % to {end('proposed', 0.5)} % (half)"
    yield f"+{test_of('a', 'accuracy, first tenth', label_fraction=1, snr_db=10)} points in the first tenth of the rounds"
    yield f"Lead over Barlow Twins: {lead('barlow_twins', 1)} points, all labels; {lead('barlow_twins', 0.5)}, half"
    over_simclr = verdict(claim="d", compared_to="simclr", label_fraction=1, snr_db=10)
    yield f"Lead over SimCLR, {over_simclr}: {lead('simclr', 1)} points"
    yield f"That Barlow Twins' gradients alone explode is {verdict(claim='e')} where stage I is clipped"
    yield f"growth {growth('barlow_twins')} (Barlow Twins) and {growth('proposed')} (proposed), half"
    yield f"That half of the rounds suffice is {verdict(claim='f')}"
    yield f"{test_of('f', 'rounds', scale=1, forms=('.3f', '.2f'), label_fraction=1, snr_db=10)} of supervised learning's"
    yield (
        f"Where devices are apart it takes {uplink_of_stage_one('nyud2-small')} million uplink channel uses, against "
        f"{uplink_of_stage_two('nyud2-small', 1)} million of all of stage II: {verdict(claim='f_apart')}"
    )
    yield from speed()
    trials = ("proposed-unclipped", "proposed", "proposed-head-wide")
    letter, clipped, chosen = (points(score("ablation", trial)) for trial in trials)
    yield f'scores {letter} %, with its gradient clipped {clipped} %, and "proposed" {chosen} %'


def speed() -> Iterator[str]:
    kind = "amd-epyc-family-26-model-2-avx-512-bf16"
    for heading, benchmark, case, column, form in (
        ("`make demo` after installation, minutes", "demo", "make demo, after installation", "value", ".1f"),
        ("a step of stage I, of its bare arithmetic (wanted: 1.08)", "steps", "stage I step, proposed", "ratio", ".2f"),
        (
            "a step of stage II, of its bare arithmetic (wanted: 1.05)",
            "steps",
            "stage II step, channel and ledger included",
            "ratio",
            ".2f",
        ),
    ):
        files = [f"benchmarks/{folder}/{benchmark}.csv" for folder in (kind, f"{kind}-limited-to-avx2")]
        yield line(heading, *(cell(file, column, form, case=case) for file in files))


def findings() -> Iterator[str]:
    yield from claims_measured()
    yield from gradients()
    yield from likely()
    yield from full_size()
    yield from demo()


def claims_measured() -> Iterator[str]:
    yield f"rises faster than with supervised learning | {verdict(claim='a')} |"
    yield f"at every stage and SNR | {verdict(claim='b')} |"
    rows = table("nyud2-small/tables/claim_tests.csv")
    far, exploded, about_half = rows.groupby("claim")["threshold"].max()[["c", "e", "f"]]
    yield (
        f"far higher than with supervised learning | {verdict(claim='c')}: higher, but not by the "
        f"{shown(100 * far, '.0f')} points that count as far |"
    )
    yield f"(d) Accuracy is higher than with SimCLR | {verdict(claim='d', compared_to='simclr')}: every interval holds 0 |"
    by_labels = [verdict(claim="d", compared_to="barlow_twins", label_fraction=f) for f in (1, 0.5)]
    yield f"than with Barlow Twins | {by_labels[0]} with all labels, {by_labels[1]} with half |"
    growths = rows[rows["claim"] == "e"]
    words = "neither explodes" if (growths["ci95_high"] < growths["threshold"]).all() else "one may explode"
    yield f"those of the proposed loss do not | {verdict(claim='e')}: {words} |"
    yield f"reaches the same accuracy, stage I free | {verdict(claim='f')} |"
    yield f"The same with stage I priced, for devices that are apart | {verdict(claim='f_apart')} |"
    yield (
        f"takes {uplink_of_stage_one('nyud2-small')} million uplink channel uses, against "
        f"{uplink_of_stage_two('nyud2-small', 1)} million of all of stage II with all labels, and "
        f"{uplink_of_stage_two('nyud2-small', 0.5)} million with half"
    )
    yield f'gives (d) one verdict, "{value("nyud2-small/tables/claims.csv", "verdict", claim="d")}"'

    yield line("(a) supervised, first tenth of the rounds", *tests_of("a", "accuracy, first tenth"))
    for part in ("first third", "second third", "last third"):
        yield line(f"(b) supervised, {part}", *tests_of("b", f"accuracy, {part}"))
    half = [test_of("c", "accuracy at the end", label_fraction=0.5, snr_db=s) for s in (10, 20)]
    yield line("(c) supervised, at the end", "not tested", "not tested", *half)
    for method in ("simclr", "barlow_twins"):
        yield line(f"(d) {METHODS[method]}, at the end", *tests_of("d", "accuracy at the end", compared_to=method))
    ratios = tests_of("f", "rounds to 95 %", scale=1, forms=(".3f", ".2f"))
    yield line("(f) rounds to the target, ratio to supervised", *ratios)
    priced = tests_of("f_apart", "channel uses", scale=1)
    yield line("(f) channel uses to the target with stage I priced, ratio to supervised", *priced)

    yield f'"Far" was set to {shown(100 * far, ".0f")} points beforehand'
    yield f"was set to below {shown(about_half, '.3f')} beforehand"
    lowest = rows[rows["claim"] == "f_apart"]["ci95_low"].min()
    yield f"All four intervals {'lie' if lowest > about_half else 'do not lie'} above {shown(about_half, '.3f')} as a whole"
    yield f"counts a ratio of {shown(exploded, '.0f')} as an explosion"

    def growth(where: str, **row: object) -> list[str]:
        statistics = [f"growth of {method}'s gradient norm in {where} (" for method in ("barlow_twins", "proposed")]
        return [test_of("e", each, scale=1, **row) for each in statistics]

    yield line("Stage I", *growth("stage I"))
    for snr in (10, 20):
        yield line(
            f"Stage II, half of the labels, {snr} dB", *growth("stage II", label_fraction=0.5, snr_db=float(snr))
        )

    scratch = line("Supervised, not clipped", *accuracies("supervised", "nyud2-small-unclipped"))
    yield accuracies_at_the_end("nyud2-small", scratch)

    summary = table("nyud2-small/tables/summary.csv")
    unclipped = table("nyud2-small-unclipped/tables/summary.csv")

    def gains(methods: tuple[str, ...], below: pd.DataFrame, labels: tuple[float, ...] = (1, 0.5)) -> list[float]:
        key = ["label_fraction", "snr_db"]
        base = below[below["method"] == "supervised"].set_index(key)["accuracy_mean"]
        rows = summary[summary["method"].isin(methods) & summary["label_fraction"].isin(labels)].set_index(key)
        return list(100 * (rows["accuracy_mean"] - base.reindex(rows.index)))

    def span(numbers: list[float]) -> str:
        return f"{shown(min(numbers), '.0f')} to {shown(max(numbers), '.0f')}"

    best = ("proposed", "simclr")
    yield f"end {span(gains(best, summary))} points above training from scratch,"
    yield f"and {span(gains(best, unclipped))} points above training from scratch without clipping"
    barlow = [{f"{gain:.0f}" for gain in gains(("barlow_twins",), summary, (f,))} for f in (1, 0.5)]
    (all_labels,), (half_labels,) = barlow  # the same at both SNRs, else this fails
    yield f"Barlow Twins ends {shown(int(all_labels), 'd')} point above training from scratch with all labels,"
    yield f"and {shown(int(half_labels), 'd')} points above it with half"
    tests = table("nyud2-small/tables/claim_tests.csv")
    over_simclr = 100 * tests[(tests["claim"] == "d") & (tests["compared_to"] == "simclr")]["ci95_high"]
    yield f"a lead of the proposed loss of {points(over_simclr.min() / 100)} to {points(over_simclr.max() / 100)} points"


def gradients() -> Iterator[str]:
    name = "gradients/tables/ablation.csv"

    def both(column: str, suffix: str = "", form: str = ".1f", other: str | None = None) -> list[str]:
        trials = (f"barlow{suffix}", f"literal{suffix if other is None else other}")
        return [cell(name, column, form, trial=trial) for trial in trials]

    centred = both("gradient_growth", "-uncentred", other="-centred")
    yield lines(
        "| Without clipping | Barlow Twins | Printed loss |",
        line("Gradient norm of stage I, first step", *both("first_gradient_norm", form=",.0f")),
        line("Gradient norm of stage I, last steps", *both("last_gradient_norm")),
        line("Norm of an encoder's weights at the end", *both("weight_norm", form=".0f")),
        line("The same with clipping", *both("weight_norm", "-clipped", ".0f")),
        line("Growth of the gradient norm in stage I", *both("gradient_growth")),
        line("The same with the last batch of 12 kept", *both("gradient_growth", "-partial")),
        line("The same with weight decay 0.01", *both("gradient_growth", "-decay")),
        line("The same with a step ten times as large", *both("gradient_growth", "-fast")),
        line("The same with the loss centred (Barlow Twins: not centred)", *centred),
        line("Largest gradient norm of a round in stage II", *both("largest_round_gradient_norm")),
        line("The same with the last batch of 12 kept", *both("largest_round_gradient_norm", "-partial")),
    )
    plain, partial = both("gradient_growth"), both("gradient_growth", "-partial")
    yield (
        f"raises the growth of the gradient norm from {plain[0]} to {partial[0]} (Barlow Twins) and from {plain[1]} to "
        f"{partial[1]} (printed loss)"
    )
    yield f"With weight decay 0.01, the growth of the printed loss is {both('gradient_growth', '-decay')[1]}."


def score(name: str, trial: str) -> float:
    return value(f"trials/tables/{name}.csv", "score", trial=trial)


BEST = {
    "proposed": "proposed-head-wide",
    "simclr": "simclr-colder",
    "barlow_twins": "barlow_twins-strict-frozen",
    "supervised": "supervised-clipped",
}


def likely() -> Iterator[str]:
    gain = {method: score("finalists", BEST[method]) - score("trials", method) for method in METHODS}
    yield (
        f"tuning moved SimCLR by {points(gain['simclr'])} points, Barlow Twins by {points(gain['barlow_twins'])}, and the "
        f"proposed method by {points(gain['proposed'])} (from one seed to the mean of two)"
    )
    first, last = score("ablation", "proposed"), score("ablation", "proposed-head-wide")
    yield f"moves the proposed method by {points(last - first)} points, from {points(first)} to {points(last)}."
    yield f"SimCLR scores {points(score('trials', 'simclr'))} before tuning"


def full_size() -> Iterator[str]:
    sizes = ("nyud2-32", "nyud2-32-long", "nyud2-48", "nyud2-small")
    for label, fraction in (("all labels", 1), ("half", 0.5)):
        ends = [f"accuracy_difference_{end}" for end in ("mean", "ci95_low", "ci95_high")]
        row = {"method": "proposed", "label_fraction": fraction, "snr_db": 10}
        leads = [with_interval("sizes/sizes.csv", *ends, experiment=size, **row) for size in sizes]
        yield line(f"supervised, {label}", *leads)
        for method in ("simclr", "barlow_twins"):
            row = {"compared_to": method, "label_fraction": fraction, "snr_db": 10}
            leads = [test_of("d", "accuracy at the end", experiment=size, **row) for size in sizes]
            yield line(f"{METHODS[method]}, {label}", *leads)
    long = [
        value(
            "sizes/sizes.csv",
            "accuracy_difference_mean",
            experiment="nyud2-32-long",
            method="proposed",
            label_fraction=f,
        )
        for f in (0.5, 1)
    ]
    early = [
        test_of("a", "accuracy, first tenth", experiment="nyud2-48", label_fraction=f, snr_db=10) for f in (1, 0.5)
    ]
    yield f"is not shown at 48 x 48: {early[0]} points with all labels, {early[1]} points with half"
    row = {"label_fraction": 1, "snr_db": 10}
    ratios = {cell(f"{size}/tables/claim_tests.csv", "estimate", form=".3f", claim="f", **row) for size in sizes[:2]}
    yield f"in each seed, with 80 and with 320 epochs: {' and '.join(ratios)}"
    yield f"After 320 epochs the lead is {shown(100 * long[0], '.0f')} to {shown(100 * long[1], '.0f')} points"


def demo() -> Iterator[str]:
    yield accuracies_at_the_end("rooms")
    summary, tests = table("rooms/tables/summary.csv"), table("rooms/tables/claim_tests.csv")
    pretrained = summary[(summary["method"] != "supervised") & (summary["split"] == "test")]

    def span(labels: float) -> str:
        gains = 100 * pretrained[pretrained["label_fraction"] == labels]["accuracy_difference_mean"]
        return f"by {shown(gains.min(), '.0f')} to {shown(gains.max(), '.0f')} points"

    yield f"{span(1)} with all labels, and {span(0.5)} with half"
    holding = (pretrained["accuracy_difference_ci95_low"] < 0) & (pretrained["accuracy_difference_ci95_high"] > 0)
    yield f"{shown(int(holding.sum()), 'd')} of these {shown(len(pretrained), 'd')} intervals hold 0"

    def highest(labels: float) -> str:
        rows = summary[(summary["label_fraction"] == labels) & (summary["split"] == "test")]
        best = rows.loc[rows.groupby("snr_db")["accuracy_mean"].idxmax(), "method"]
        return " and ".join(METHODS[method] for method in dict.fromkeys(best))

    yield f"with all labels that of {shown(highest(1), '')}, and with half of the labels that of {shown(highest(0.5), '')}."
    others = tests[tests["claim"] == "d"]
    above = int((others["ci95_low"] > 0).sum())
    yield (
        f"{shown(len(others), 'd')} differences between the proposed method and SimCLR or Barlow Twins, {shown(above, 'd')} "
        "has an interval above 0"
    )
    counts = [shown(int((tests["verdict"] == each).sum()), "d") for each in ("holds", "contradicted", "not shown")]
    yield (
        f"Of the {shown(len(tests), 'd')} tests of the paper's claims, {counts[0]} hold, {counts[1]} are contradicted, and "
        f"{counts[2]} show nothing"
    )
    contradicted = tests[tests["verdict"] == "contradicted"]["statistic"]
    if contradicted.str.contains("barlow_twins's gradient norm|channel uses of both stages").all():
        yield "The contradicted tests say that Barlow Twins' gradients explode, or have stage I priced."
    else:
        yield "The contradicted tests are those of other claims too"
    growth = tests[tests["claim"] == "e"]["estimate"].max()
    yield f"the largest growth of a gradient norm is {shown(growth)}"
    ratios = tests[tests["claim"] == "f"]["estimate"]
    yield f"takes {shown(ratios.min(), '.2f')} to {shown(ratios.max(), '.2f')} of the rounds of supervised learning"
    priced = tests[tests["claim"] == "f_apart"]["estimate"]
    yield (
        f"it takes {shown(priced.min())} to {shown(priced.max())} times the channel uses of supervised learning: stage I "
        f"alone takes {uplink_of_stage_one('rooms')} million uplink channel uses, and all of stage II "
        f"{uplink_of_stage_two('rooms', 1)} million with all labels"
    )
    reached = table("rooms/tables/rounds_to_target.csv")
    reached = reached[(reached["method"] == "supervised") & (reached["target_share"] == 0.95)]
    held, runs = int(reached["reached"].sum()), int(reached["seeds"].sum())
    yield f"only {shown(held, 'd')} of {shown(runs, 'd')} runs of supervised learning holds that accuracy itself"
    steps = table("rooms/tables/pretraining.csv")
    correlating = steps[steps["method"] != "simclr"]
    peaks, latest = correlating["max_gradient_norm"], int(correlating["max_gradient_norm_step"].max())
    yield f"peak at {shown(peaks.min(), ',.0f')} to {shown(peaks.max(), ',.0f')}, within the first {shown(latest, 'd')} steps"
    simclr = steps[steps["method"] == "simclr"]["max_gradient_norm"].max()
    yield f"SimCLR's norms stay below {shown(-(-simclr // 1), '.0f')}"


CHANGES = {  # what the table of choices says, and the ending of the trials' names
    "A crop and flip of its own for each modality": "apart",
    "Stage I crops from 8 % of the area, not 30 % (a)": "zoomed",
    "No weight decay (b)": "undecayed",
    "K = 64, not 128": "half",
    "Depth as its inverse": "inverse",
    "Depth as its logarithm": "log",
    "Features normalised over the batch, before loss and channel": "normalized",
    "Warm-up of stage II over 6 epochs, not 2": "gradual",
    "A linear decoder, not one hidden layer of 128": "direct",
    "Two hidden layers of 128 in the decoder": "deep",
    "Warm-up of stage I over 16 epochs, not 2 (c)": "primed",
    "What the loss sees is transmitted (d)": "headed",
    "Loss times 0.1 (e)": "scaled",
}
ABLATION = {  # in the order in which the changes were made
    "To the letter, no clipping": "proposed-unclipped",
    "Gradient clipped to 1": "proposed",
    "Centred": "proposed-centred",
    "DeCUR's cross weight": "proposed-quarter",
    "Head of two layers of 256": "proposed-head",
    "Head of two layers of 512": "proposed-head-wide",
    "The last without the cross-modal part": "proposed-head-wide-alone",
}


def settings_search() -> Iterator[str]:
    best = {method: score("trials", BEST[method]) for method in METHODS}
    for method, label in METHODS.items():
        scores = score("trials", method), best[method], score("finalists", BEST[method])
        yield line(label, *map(points, scores))[:-2]
    three = [best[method] for method in METHODS if method != "supervised"]
    yield f"pre-trained methods differ by {points(max(three) - min(three))} points"
    behind = score("trials", "barlow_twins-head-frozen")
    third = score("trials", "barlow_twins-stricter")
    yield f"which was {shown(100 * abs(third - behind), '.2f')} points behind its second"
    began, scratch = score("trials", "proposed"), score("trials", "supervised")
    yield f"scores below no pre-training ({points(began)} against {points(scratch)})"
    trials = table("trials/tables/trials.csv")
    on_z = trials[(trials["family"] == "proposed") & ~trials["changes"].fillna("").str.contains("projector")][
        "score"
    ].max()
    beaten = "No trial" if on_z < best["supervised"] else "A trial"
    yield (
        f"{beaten} with the loss on z itself beats the best of supervised learning: the best of them scores {points(on_z)}"
    )
    finalists = table("trials/tables/finalists.csv").set_index("trial")["score"]
    apart = sorted(2 * 100 * abs(mean - score("trials", trial)) for trial, mean in finalists.items())
    yield f"Two seeds of a finalist differ by {shown(apart[0])} to {shown(apart[-3])} points."
    yield f"Two finalists differ by more: {shown(apart[-2])} and {shown(apart[-1])} points"
    wide = 3 * score("ablation", BEST["proposed"]) - 2 * score("finalists", BEST["proposed"])
    yield f"run for the ablation below, scores {points(wide)}"

    frozen = {
        "Printed loss": ("proposed-read", "proposed"),
        "Proposed, head of 512": ("proposed-head-wide-read", BEST["proposed"]),
        "Barlow Twins, best trial": ("barlow_twins-strict-read", BEST["barlow_twins"]),
        "SimCLR, best trial": ("simclr-colder-read", BEST["simclr"]),
    }
    for label, (read, tuned) in frozen.items():
        yield line(label, points(score("frozen", read)), points(score("trials", tuned)))

    name = "trials/tables/ablation.csv"
    for label, trial in ABLATION.items():
        first = trial == "proposed-unclipped"
        gain = "" if first else with_interval(name, "gain", "gain_ci95_low", "gain_ci95_high", trial=trial)
        last = cell(name, "last_gradient_norm", ".1f" if first else ".0f", trial=trial)
        norms = (
            cell(name, "first_gradient_norm", ",.0f", trial=trial),
            last,
            cell(name, "weight_norm", ".0f", trial=trial),
        )
        yield line(label, points(score("ablation", trial)), gain, *norms)
    yield f"random start: {points(score('ablation', 'proposed-unclipped'))}, against {points(scratch)} for supervised"

    def changed(method: str, ending: str) -> float:
        return score("choices", f"{method}-{'constant' if (method, ending) == ('supervised', 'primed') else ending}")

    kept = {method: score("choices", BEST[method]) for method in METHODS}
    yield line("None: the best of the twelve trials", *map(points, kept.values()))
    for label, ending in CHANGES.items():
        yield line(label, *(points(changed(method, ending)) for method in METHODS))
    gains = {
        (method, ending): changed(method, ending) - kept[method] for method in METHODS for ending in CHANGES.values()
    }
    better = [gain for gain in gains.values() if gain > 0]
    yield (
        f"{shown(len(gains) - len(better), 'd')} of the {shown(len(gains), 'd')} score lower. The other "
        f"{shown(len(better), 'd')} score higher, by {points(min(better))} to {points(max(better))} points"
    )
    yield f"differ by {points(abs(gains['barlow_twins', 'scaled']))} points with Barlow Twins"
    name = "trials/tables/choices.csv"
    by_labels = [
        value(name, column, trial="proposed-scaled") - value(name, column, trial=BEST["proposed"])
        for column in ("accuracy_labels1", "accuracy_labels0.5")
    ]
    yield (
        f"differ by {points(abs(gains['proposed', 'scaled']))} points: {points(by_labels[0])} up with all labels, "
        f"{points(-by_labels[1])} down with half"
    )
    least = [max(METHODS, key=lambda m: gains[m, each] if m != "supervised" else -1) for each in CHANGES.values()]
    yield f"SimCLR loses least by {shown(least.count('simclr'), 'd')} of the thirteen changes"


def studies() -> Iterator[str]:
    def end(size: str, method: str) -> str:
        row = {"experiment": size, "method": method, "snr_db": 10}
        return ", ".join(percent("sizes/sizes.csv", "accuracy_mean", label_fraction=f, **row) for f in (1, 0.5))

    for size in ("nyud2-32", "nyud2-32-long", "nyud2-48", "nyud2-small"):
        yield line(size, *(end(size, method) for method in METHODS))
    growth = [
        cell("gradients/tables/ablation.csv", "gradient_growth", trial=trial)
        for trial in ("barlow", "literal", "barlow-partial", "literal-partial")
    ]
    yield f"grows by {growth[0]} with Barlow Twins and by {growth[1]} with the printed loss, and by {growth[2]} and {growth[3]}"
    clipped = with_interval("trials/tables/ablation.csv", "gain", "gain_ci95_low", "gain_ci95_high", trial="proposed")
    scores = [points(score("ablation", trial)) for trial in ("proposed-unclipped", "proposed")]
    yield f"the score from {scores[0]} to {scores[1]}, by {clipped.replace(' (', ' points (')}"


def costs() -> Iterator[str]:
    name = "nyud2-small/tables/rounds_to_target.csv"
    for label, fraction in (("all labels", 1), ("half", 0.5)):
        for method, called in METHODS.items():
            row = {"target_share": 0.95, "snr_db": 10, "label_fraction": fraction, "method": method}
            cells = [
                each
                for unit in ("channel_uses", "channel_uses_apart")
                for each in (
                    millions(value(name, f"median_{unit}", **row)),
                    cell(name, f"{unit}_ratio_to_supervised", ".3f", **row),
                )
            ]
            yield line(f"{called}, {label}", *cells)
    yield (
        f"Stage I of a run takes {uplink_of_stage_one('nyud2-small')} million uplink channel uses and as many of the downlink. All of stage "
        f"II takes {uplink_of_stage_two('nyud2-small', 1)} million of the uplink with all labels, and "
        f"{uplink_of_stage_two('nyud2-small', 0.5)} million with half"
    )
    both = [verdict(experiment, claim=claim) for experiment in ("nyud2-small", "rooms") for claim in ("f", "f_apart")]
    yield f"| NYU Depth V2, 64 x 64, five seeds | {both[0]} | {both[1]} |"
    yield f"| the demo's rooms, two seeds | {both[2]} | {both[3]} |"


EARLIER = "benchmarks/not-recorded"  # measured before the processor was written down


def benchmarks() -> Iterator[str]:
    def ratio(name: str, case: str, **row: object) -> str:
        return cell(f"{EARLIER}/{name}.csv", "ratio", ".2f", case=case, **row)

    yield f"| the encoders' forward and backward on ready-made tensors | {ratio('steps', 'stage I step, proposed')} times |"
    stage_ii = ratio("steps", "stage II step, channel and ledger included")
    yield f"| the same, supervised learning | {stage_ii} times |"
    for against, label in (
        ("torch's defaults", "in torch's defaults"),
        ("our arithmetic", "in our encoders' arithmetic"),
    ):
        times = ratio("peer", "stage I, proposed", against=f"lightly with DataLoader, {against}")
        yield f"{label} | {times} times |"
    for case, label in (
        ("bfloat16, channels-last", "Encoders' arithmetic: bfloat16, channels-last"),
        ("bfloat16, channels-last, deterministic", "The same, deterministic"),
        ("float32, channels-last", "Encoders' arithmetic: float32, channels-last"),
    ):
        yield f"| {label} | plain float32 | {ratio('arithmetic', case)} times |"
    yield f"| encoding each scene once | {ratio('evaluation', 'evaluation on 654 scenes, 5 channel draws')} times |"
    for tool in ("OpenCV", "Pillow"):
        times = ratio("ingest", "ingest of the raw file", against=f"h5py and {tool} in one process")
        yield f"| h5py and {tool}'s resize | {times} times |"
    for case, label in (
        ("stage I epoch from memory", "Stage I epoch of 100,000 scenes from memory, a scene"),
        ("stage I epoch from a memory map", "The same from a memory map"),
        ("ingest", "Ingest of 100,000 scenes, once read and resized, a scene"),
    ):
        yield f"| {label} | of 1,449 | {ratio('scale', case, size='100000 scenes')} times |"
    memory = cell(f"{EARLIER}/ingest.csv", "value", ".0f", case="ingest, peak memory")
    yield f"| Ingest, peak memory | | {memory} MB |"
    start = cell(f"{EARLIER}/start.csv", "value", ".2f", case="a job's start beyond it, to the first step")
    yield f"its start took {start} s beyond torch"
    minutes = cell(f"{EARLIER}/demo.csv", "value", case="make demo, after installation")
    yield f"| `make demo` after installation, two cores | | {minutes} minutes |"
    yield f"| one job of two threads | {ratio('threads', '2 jobs of 1 thread')} times the scenes a second |"

    def part(stage: str, *names: str) -> str:
        name = f"{EARLIER}/parts.csv"
        return points(sum(value(name, "ratio", case=f"stage {stage}: {each}") for each in names))

    norms = ("gradient norms", "clipping")
    for label, first, second in (
        ("Encoders forward, all networks backward", *[("encoders, forward", "all networks, backward")] * 2),
        ("Random views", *[("views",)] * 2),
        ("Optimizer", *[("optimizer",)] * 2),
        ("Norms of gradients and weights, clipping", (*norms, "weight norms"), norms),
        ("All else: batch, head or decoder forward, channel, ledger, log", *[("all else", "batch")] * 2),
    ):
        yield line(label, part("I", *first), part("II", *second))
    yield line("Loss, forward", part("I", "loss, forward"), "")

    def difference(method: str) -> str:
        name, case = f"{EARLIER}/accuracy.csv", f"accuracy of {method}, difference, as configured less float32"
        return with_interval(name, "value", "low", "high", scale=1, case=case)

    yield f"in points, is {difference('simclr')} with SimCLR and {difference('supervised')} with supervised learning"


# What trained links answer under other conditions: docs/questions

CHANNELS = {
    "awgn": "AWGN",
    "rician": "Rician, K = 3",
    "rayleigh": "Rayleigh",
    "rayleigh_zero_forcing": "Rayleigh, zero forcing",
}
KNOWLEDGE = {
    "perfect": "h known",
    "pilots_8": "8 pilots",
    "pilots_1": "1 pilot",
    "recent": "correlation 0.90",
    "old": "correlation 0.50",
    "unknown": "correlation 0",
}
GONE = {
    "silent": "silent, known",
    "noise": "silent, not known",
    "fade": "30 dB down",
    "fade_mmse": "30 dB down, MMSE",
}
DROPOUT = METHODS | {"proposed_dropout": "Proposed, dropout", "supervised_dropout": "Supervised, dropout"}
ON_THEIR_OWN = {
    "rgb_alone": "RGB alone",
    "proposed_rgb": "RGB alone, pre-trained with depth",
    "depth_alone": "Depth alone",
    "proposed_depth": "Depth alone, pre-trained with RGB",
}


def by_condition(
    evaluations: list[str], what: str, methods: dict[str, str], conditions: dict[str, str], **row: object
) -> str:
    """Test accuracy by method and condition, as a whole table; each method is in one of the evaluations."""
    below = []
    for method, label in methods.items():
        name = next(name for name in evaluations if (table(name)["method"] == method).any())
        chosen = {"split": "test", "method": method, **row}
        below.append(line(label, *(percent(name, "accuracy_mean", condition=key, **chosen) for key in conditions)))
    return lines(f"| {what} | {' | '.join(conditions.values())} |", *below)


def always_the_most_frequent(evaluation: str) -> str:
    return percent(evaluation, "accuracy_mean", method=MAJORITY, split="test")


def lost(evaluation: str, condition: str, *, to: str | None = None, **row: object) -> str:
    """Points that a condition costs each of the paper's methods, the least and the most; against the first, or `to`."""
    costs = []
    for method in METHODS:
        chosen = {"split": "test", "method": method, **row}
        if to is None:
            costs.append(-value(evaluation, "accuracy_change_mean", condition=condition, **chosen))
        else:
            means = [value(evaluation, "accuracy_mean", condition=each, **chosen) for each in (to, condition)]
            costs.append(means[0] - means[1])
    return f"{points(min(costs))} to {points(max(costs))}"


def fading() -> Iterator[str]:
    asked, known = (f"questions/fading/tables/{name}_summary.csv" for name in ("fading", "knowledge"))
    for snr in (0, 10, 20):
        yield by_condition([asked], f"Test accuracy at {snr} dB, %", METHODS, CHANNELS, tested_snr_db=snr)
    for snr in (0, 10):
        yield by_condition([known], f"Rayleigh at {snr} dB, %", METHODS, KNOWLEDGE, tested_snr_db=snr)
    yield f"At 10 dB, Rayleigh fading costs {lost(asked, 'rayleigh', tested_snr_db=10)} points"
    yield f"Rician fading {lost(asked, 'rician', tested_snr_db=10)}"
    yield f"At 0 dB, Rayleigh fading costs {lost(asked, 'rayleigh', tested_snr_db=0)} points"
    for snr in (10, 0, -10):
        less = lost(asked, "rayleigh", to="rayleigh_zero_forcing", tested_snr_db=snr)
        yield f"by {less} points at {snr} dB"
    yield f"Eight pilots cost {lost(known, 'pilots_8', tested_snr_db=10)} points at 10 dB"
    yield f"one pilot costs {lost(known, 'pilots_1', tested_snr_db=10)} points at 10 dB and"
    yield f"and {lost(known, 'pilots_1', tested_snr_db=0)} at 0 dB"
    yield f"correlation of 0.90 costs {lost(known, 'recent', tested_snr_db=10)} points at 10 dB"
    yield f"correlation of 0.50 {lost(known, 'old', tested_snr_db=10)} points at 10 dB"
    yield f"and {lost(known, 'old', tested_snr_db=20)} at 20 dB"
    yield f"the most frequent class gives {always_the_most_frequent(asked)} %"


def silent_device() -> Iterator[str]:
    evaluations = [
        f"questions/silent-device/tables/{name}_summary.csv" for name in ("silent_device", "silent_device_others")
    ]
    for device, label in (("depth", "Depth"), ("rgb", "RGB")):
        conditions = {"all_heard": "all heard"} | {f"{device}_{key}": called for key, called in GONE.items()}
        yield by_condition(evaluations, f"{label} gone: test accuracy, %", DROPOUT, conditions)
    yield by_condition(evaluations, "On its own", ON_THEIR_OWN, {"all_heard": "test accuracy, %"})
    asked, others = evaluations

    def got(method: str, condition: str = "all_heard", evaluation: str = asked) -> str:
        return percent(evaluation, "accuracy_mean", method=method, condition=condition, split="test")

    yield f"proposed link falls from {got('proposed')} % to {got('proposed', 'depth_silent')} %"
    yield f"the supervised one to {got('supervised', 'depth_silent')} %. RGB alone reaches {got('rgb_alone')} %"
    yield f"links keep {got('proposed', 'rgb_silent')} % and {got('supervised', 'rgb_silent')} %, and depth alone reaches"
    for method, condition in (
        ("proposed", "depth_silent"),
        ("supervised", "depth_silent"),
        ("supervised", "rgb_silent"),
    ):
        gained = got(f"{method}_dropout", condition)
        yield f"from {got(method, condition)} % to {gained} % ({method}, {condition.split('_')[0].replace('rgb', 'RGB')} silent)"
    yield f"{got('proposed_rgb', evaluation=others)} % with RGB and {got('proposed_depth', evaluation=others)} % with depth"
    yield f"{got('proposed', 'rgb_fade')} % where RGB is 30 dB down, against {got('proposed', 'rgb_silent')} % where it is silent"
    yield f"and {got('proposed', 'rgb_fade_mmse')} % with MMSE"
    yield f"the most frequent class gives {always_the_most_frequent(asked)} %"


def channel_uses() -> Iterator[str]:
    counts, rows = table("rooms-uses/data/class_counts.csv")["test"], table("rooms-uses/tables/channel_uses.csv")
    shares = list(counts / counts.sum())
    rows = rows[rows["split"] == "test"].assign(line=rows["method"].str.partition("-k")[0])
    mean = rows.groupby(["line", "channel_uses", "tested_snr_db"])["accuracy"].mean().unstack()
    snrs, lengths = list(mean.columns), sorted({int(uses) for _, uses in mean.index})
    yield f"their entropy is {shown(entropy(shares), '.2f')} bits, and the most frequent class has {points(max(shares))} %"
    limits = {(n, snr): largest_accuracy(n * bits_per_use(snr), shares) for n in lengths for snr in snrs}
    for n in lengths:
        yield line(f"limit, {n}", *(points(limits[n, snr]) for snr in snrs))
    yield line("uses that carry the whole label", *(shown(uses_for(entropy(shares), snr)) for snr in snrs))
    for method, label in METHODS.items():
        for n in lengths:
            yield line(f"{label}, {n}", *(points(mean.loc[(method, n), snr]) for snr in snrs))
    yield f"At K = 128 and 10 dB the capacity is {shown(128 * bits_per_use(10), '.0f')} bits"
    yield f"at -15 dB it is still {shown(128 * bits_per_use(-15))}"
    settled = mean.xs(128, level="channel_uses")[[5, 10, 15, 20]]
    moves = (settled.max(axis=1) - settled.min(axis=1)).max()
    yield f"from 5 to 20 dB no method moves by more than {points(moves)} points"
    low, high = (mean.loc[("proposed", n), 20] for n in (2, 128))
    yield f"from {points(low)} % at 2 uses to {points(high)} % at 128"
    yield f"though the capacity of two uses is {shown(2 * bits_per_use(20))} bits"
    below = int((mean[-15] < max(shares)).sum())
    yield f"At -15 dB {shown(below, 'd')} of {shown(len(mean), 'd')} links are below the share of the most frequent class"
    gaps = [limits[n, snr] - mean.loc[(method, n), snr] for method, n in mean.index for snr in snrs]
    yield f"the nearest is {points(min(gaps))} points below it"
    over = [mean.loc[("proposed", n), 20] - mean.loc[("supervised", n), 20] for n in (2, 128)]
    yield f"by {points(over[0])} points at 2 uses and by {points(over[1])} at 128"


def label_question() -> Iterator[str]:
    answers, verdicts = "rooms-label/tables/label.csv", "rooms-label/tables/label_verdict.csv"
    rows = table(answers)
    rows = rows[rows["split"] == "test"]

    def accuracy(sender: str, snr_db: int, budget: int) -> str:
        own = rows[(rows["sender"] == sender) & (rows["tested_snr_db"] == snr_db)]
        own = own[(own["channel_uses"] <= budget) & (own["channel_uses"] > budget / 2)]
        return points(own["accuracy"].mean()) if len(own) else ""

    def gap(rival: str, snr_db: int, budget: int) -> str:
        row = {"tested_snr_db": snr_db, "channel_uses": budget, "rival": rival}
        ends = ("difference", "difference_ci95_low", "difference_ci95_high")
        return with_interval(verdicts, *ends, forms=("+.1f", "+.1f"), **row)

    ways = {"label": "coded label", "posterior": "posterior", "image": "image"}
    for snr_db in (-10, 0, 10):
        for sender, name in ways.items():
            found = [accuracy(sender, snr_db, budget) for budget in (2, 8, 32, 128, 512, 2048)]
            yield line(f"{snr_db} dB, {name}", *found)
        for method in ("proposed", "supervised"):
            found = [accuracy(f"{method}_k{budget}", snr_db, budget) for budget in (2, 8, 32)]
            yield line(f"{snr_db} dB, features, {method}", *found, "", "", "")
    for snr_db in (-10, 0, 10):
        for rival, name in ways.items():
            yield line(f"{snr_db} dB, {name}", *(gap(rival, snr_db, budget) for budget in (32, 512, 2048)))


def snr_map() -> Iterator[str]:
    rows = table("questions/snr-map/tables/snr_map.csv")
    rows = rows[rows["split"] == "test"]
    trained = sorted(rows["snr_db"].unique())
    mean = rows.groupby(["method", "snr_db", "tested_snr_db"])["accuracy"].mean()
    for method, label in METHODS.items():
        yield line(f"{label}, trained at this SNR", *(points(mean[method, snr, snr]) for snr in trained))
        yield line(f"{label}, trained at 20 dB", *(points(mean[method, 20, snr]) for snr in trained))
        yield line(f"{label}, trained over the range", *(points(mean[f"{method}_range", trained[0], snr]) for snr in trained))


QUOTES: dict[str, Callable[[], Iterator[str]]] = {
    "README.md": readme,
    "docs/findings.md": findings,
    "docs/settings-search.md": settings_search,
    "docs/questions/costs.md": costs,
    "docs/benchmarks.md": benchmarks,
    "docs/questions/fading.md": fading,
    "docs/questions/silent-device.md": silent_device,
    "docs/questions/channel-uses.md": channel_uses,
    "docs/questions/label.md": label_question,
    "docs/questions/snr-map.md": snr_map,
    "config/studies/README.md": studies,
}


def pattern(quote: str) -> re.Pattern:
    """What finds a quote in a text, whatever its marked places hold; each of them is a group."""
    parts = []
    for part in re.split(f"({BEGAN}[^{ENDED}]*{ENDED})", quote):
        if part.startswith(BEGAN):
            number = re.match(r"[-+\d]", part[1:])
            parts.append(r"([-+]?\d[\d,]*(?:\.\d+)?|[-+]?inf)" if number else r"([A-Z][\w ]*?)")
        else:
            parts.append(r"\s+".join(map(re.escape, re.split(r"\s+", part))))
    return re.compile("".join(parts))


def values(quote: str) -> tuple[str, ...]:
    return tuple(re.findall(f"{BEGAN}([^{ENDED}]*){ENDED}", quote))


def plain(quote: str) -> str:
    return quote.replace(BEGAN, "").replace(ENDED, "")


def places(text: str, quote: str) -> list[tuple[int, int]] | None:
    """Where the marked places of a quote lie in a text; None where it lacks the quote, or has the words in two places."""
    match, *others = list(pattern(quote).finditer(text)) or [None]
    if match is None or others or match.groups() != values(quote):
        return None
    return [match.span(group) for group in range(1, len(match.groups()) + 1)]


def differing(text: str, quotes: list[str]) -> list[str]:
    """The quotes that a text lacks, as they should stand."""
    return [plain(quote) for quote in quotes if places(text, quote) is None]


def written(text: str, quotes: list[str]) -> str:
    """The text with the tables' numbers, as far as its words are still those of the quotes."""
    for quote in quotes:
        matches = list(pattern(quote).finditer(text))
        if places(text, quote) is not None or len(matches) != 1:
            continue
        for group, new in reversed(list(enumerate(values(quote), start=1))):
            start, end = matches[0].span(group)
            text = text[:start] + new + text[end:]
    return text


def main(write: bool) -> int:
    lacking = 0
    for name, quotes in QUOTES.items():
        path, found = ROOT / name, list(quotes())
        if write:
            path.write_text(written(path.read_text(), found))
        for quote in differing(path.read_text(), found):
            print(f"{name}: should say: {quote}")
            lacking += 1
    return int(bool(lacking))


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
