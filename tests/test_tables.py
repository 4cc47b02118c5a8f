"""Tables: closed forms worked out by hand, invariances, and malformed files that must be named."""

import numpy as np
import pandas as pd
import pytest

from semcom.analysis import records, statistics, tables
from semcom.common.errors import InputError
from semcom.config.sections import TableSettings

METHODS = ["supervised", "simclr", "proposed"]
SETTINGS = TableSettings(last_evaluations=2, smooth_evaluations=1, hold_evaluations=2, targets=[0.5, 1.0])


def run(method, seed, accuracy, *, snr_db=10, label_fraction=1.0, status="ok", split="test"):
    """A run evaluated every 10 rounds, at 3 channel uses up and 1 down, 64 bits each, per round."""
    rounds = np.arange(len(accuracy)) * 10
    accuracy = np.asarray(accuracy, float)
    return pd.DataFrame(
        {
            **{"experiment": "e", "method": method, "snr_db": float(snr_db), "label_fraction": label_fraction},
            **{"seed": seed, "split": split, "round": rounds, "epoch": rounds / 10},
            **{"accuracy": accuracy, "mean_class_accuracy": accuracy / 2, "loss": 1 - accuracy},
            **{"uplink_channel_uses": 3 * rounds, "downlink_channel_uses": rounds},
            **{"uplink_bits": 192 * rounds, "downlink_bits": 64 * rounds},
            "status": ["ok"] * (len(rounds) - 1) + [status],
        }
    )


def small_grid():
    return [
        run("supervised", 0, [0.1, 0.2, 0.3, 0.4, 0.4]),
        run("supervised", 1, [0.1, 0.2, 0.3, 0.4, 0.4]),
        run("proposed", 0, [0.2, 0.4, 0.5, 0.6, 0.6]),
        run("proposed", 1, [0.1, 0.1, 0.4, 0.5, 0.7]),
        run("simclr", 0, [0.1, 0.5, 0.1, 0.1, 0.1]),
        run("simclr", 1, [0.1, 0.5, np.nan], status="diverged"),
    ]


def write(runs, folder):
    paths = []
    for number, rows in enumerate(runs):
        paths.append(folder / f"run{number}" / "rounds.csv")
        paths[-1].parent.mkdir(parents=True)
        rows.to_csv(paths[-1], index=False)
    return paths


def row(table, **key):
    chosen = table[(table[list(key)] == list(key.values())).all(axis=1)]
    assert len(chosen) == 1
    return chosen.iloc[0]


def test_t_interval_of_known_numbers():
    # 1, 2, 3: s = 1, t(0.975, 2) = 4.302653, half width 4.302653 / sqrt(3) = 2.484138
    np.testing.assert_allclose(statistics.t_interval([1, 2, 3]), [2, -0.484138, 4.484138], atol=1e-6)


@pytest.mark.parametrize(("values", "mean"), [([], np.nan), ([0.3], 0.3)])
def test_interval_of_fewer_than_two_seeds_is_nan(values, mean):
    np.testing.assert_array_equal(statistics.t_interval(values), [mean, np.nan, np.nan])


@pytest.mark.parametrize(
    ("accuracy", "smooth", "hold", "first"),
    [
        ([0.1, 0.2, 0.5, 0.6, 0.7], 1, 3, 2),
        ([0.1, 0.9, 0.1, 0.1, 0.5, 0.5], 1, 2, 4),  # a lucky peak
        ([0.1, 0.9, 0.9, 0.1, 0.1, 0.1], 1, 3, None),  # held too briefly
        ([0.1, 0.2, 0.3, 0.4], 1, 2, None),  # never reached
        ([0.1, 0.2, 0.3, 0.5], 1, 2, None),  # the run ends before it has been held
        ([0.6, 0.5, 0.7], 1, 2, 0),  # at round 0
        ([0.2, 0.6, 0.6, 0.6], 2, 2, 2),  # running means 0.2, 0.4, 0.6, 0.6
        ([0.6, np.nan, 0.6, 0.6], 2, 1, 0),
        ([0.1, np.nan, 0.6, 0.6], 2, 1, 3),  # NaN is below, and stays so while it is in the mean
    ],
)
def test_first_held(accuracy, smooth, hold, first):
    assert tables.first_held(accuracy, 0.5, smooth=smooth, hold=hold) == first


def test_target_is_reached_by_a_plateau_that_equals_it_up_to_rounding():
    accuracy = np.full(3, 0.1 + 0.2)
    assert tables.first_held(accuracy, 0.3000000000000001, smooth=1, hold=3) == 0


def test_summary_counts_the_last_evaluations_and_pairs_seeds():
    table = tables.summary(pd.concat(small_grid()), SETTINGS, methods=METHODS)
    assert table["method"].tolist() == METHODS
    proposed = row(table, method="proposed")
    assert proposed["accuracy_mean"] == pytest.approx(0.6)  # 0.6 and 0.6
    assert proposed["mean_class_accuracy_mean"] == pytest.approx(0.3)
    assert proposed["final_accuracy_mean"] == pytest.approx(0.65)
    # 0.6 and 0.7: s = 0.0707107, t(0.975, 1) = 12.706205, half width 0.635310
    assert proposed["final_accuracy_ci95_low"] == pytest.approx(0.65 - 0.635310, abs=1e-5)
    assert proposed["accuracy_difference_mean"] == pytest.approx(0.2)
    assert proposed["paired_seeds"] == 2


def test_differences_are_paired_by_seed():
    runs = [run("supervised", s, [0, 0.1 * s, 0.1 * s]) for s in (1, 2, 3)]
    runs += [run("proposed", s, [0, 0.1 * s + 0.2, 0.1 * s + 0.2]) for s in (1, 2, 3)]
    proposed = row(tables.summary(pd.concat(runs), SETTINGS, methods=METHODS), method="proposed")
    # The seeds differ by 0.1 each, their differences not at all.
    np.testing.assert_allclose(
        proposed[["accuracy_difference_mean", "accuracy_difference_ci95_low", "accuracy_difference_ci95_high"]]
        .astype(float), 0.2, atol=1e-9,
    )  # fmt: skip


def test_diverged_seeds_are_named_and_left_out_of_means():
    runs = [*small_grid(), run("simclr", 7, [np.nan], status="pretraining_diverged")]
    simclr = row(tables.summary(pd.concat(runs), SETTINGS, methods=METHODS), method="simclr")
    assert (simclr["seeds"], simclr["diverged"], simclr["diverged_seeds"]) == (3, 2, "1 7")
    assert simclr["accuracy_mean"] == pytest.approx(0.1)
    assert np.isnan(simclr["accuracy_ci95_low"])


def test_rounds_to_target_by_hand():
    table = tables.rounds_to_target(pd.concat(small_grid()), SETTINGS, methods=METHODS)
    half = table[table["target_share"] == 0.5].set_index("method")  # 0.2: the plateau is 0.4
    assert half["target_accuracy"].tolist() == pytest.approx([0.2] * 3)
    assert half["median_rounds"].tolist() == [10, np.inf, 10]  # proposed: 0 and 20
    assert half["rounds_text"].tolist() == ["10", "> 40", "10"]  # simclr: a peak, and divergence at round 20
    assert half["reached"].tolist() == [2, 0, 2]
    assert half.loc["proposed", ["ci95_low_rounds", "ci95_high_rounds"]].tolist() == [0, 20]
    assert half["channel_uses_text"].tolist() == ["40", "> 160", "40"]
    assert half["median_bits"].tolist() == [2560, np.inf, 2560]
    assert half.loc[["supervised", "proposed"], "rounds_ratio_to_supervised"].tolist() == [1, 1]
    assert half.loc["simclr", "rounds_ratio_to_supervised"] == np.inf

    full = table[table["target_share"] == 1.0].set_index("method")
    assert full["median_rounds"].tolist() == [30, np.inf, 15]  # proposed: 10 and 20
    assert full.loc["proposed", "rounds_ratio_to_supervised"] == 0.5
    assert full.loc["proposed", "channel_uses_ratio_to_supervised"] == 0.5


def test_half_the_seeds_censored_shows_a_lower_bound_on_the_median():
    runs = [*small_grid()[:2], run("proposed", 0, [0.4] * 5), run("proposed", 1, [0.1] * 5)]
    table = tables.rounds_to_target(pd.concat(runs), SETTINGS, methods=METHODS)
    proposed = row(table, method="proposed", target_share=1.0)
    assert (proposed["reached"], proposed["rounds_text"]) == (1, "> 20")  # between 0 and more than 40
    assert proposed["ci95_high_rounds"] == np.inf


def test_target_reached_at_round_0_by_all_leaves_the_ratio_blank():
    runs = [run(method, 0, [0.4, 0.4, 0.4]) for method in ("supervised", "proposed")]
    table = tables.rounds_to_target(pd.concat(runs), SETTINGS, methods=METHODS)
    assert (table["median_rounds"] == 0).all() and table["rounds_ratio_to_supervised"].isna().all()
    assert table["ci95_low_rounds"].isna().all()  # one seed


@pytest.mark.parametrize(
    ("ours", "supervised", "ratio"),
    [
        (10, 40, 0.25),
        (0, 40, 0.0),  # before training
        (np.inf, 40, np.inf),  # never
        (np.inf, 0, np.inf),
        (10, 0, np.inf),
        (10, np.inf, 0.1),  # more than the 100 that it spent: an upper bound
        (0, np.inf, 0.0),
        (0, 0, np.nan),
        (np.inf, np.inf, np.nan),
        (np.nan, np.nan, np.nan),
    ],
)
def test_ratio_of_costs(ours, supervised, ratio):
    np.testing.assert_equal(statistics.cost_ratio(ours, supervised, 100), ratio)


def test_supervised_runs_that_never_reach_the_target_count_with_all_their_rounds():
    runs = [run("supervised", s, [0.1, 0.1, 0.1, 0.1, 0.9]) for s in (0, 1)]  # 0.5 on average, and never held
    runs += [run("proposed", s, [0.1, 0.8, 0.8, 0.8, 0.8]) for s in (0, 1)]
    table = tables.rounds_to_target(pd.concat(runs), SETTINGS, methods=METHODS)
    full = table[table["target_share"] == 1.0].set_index("method")
    assert full["rounds_text"].tolist() == ["> 40", "10"]
    assert full["rounds_ratio_to_supervised"].fillna(-1).tolist() == [-1, 0.25]


def test_equal_accuracies_differ_by_nothing_down_to_the_file(tmp_path):
    """No digit is lost on the way from a run's file to a difference, and no noise of float64 is left in it."""
    runs = [run("supervised", 0, [0, 1 / 3, 1 / 4]), run("supervised", 1, [0, 0.1, 0.2])]
    runs += [run("proposed", 0, [0, 7 / 24, 7 / 24]), run("proposed", 1, [0, 0.15, 0.15])]
    paths = [tmp_path / f"{number}/rounds.csv" for number in range(len(runs))]
    for rows, path in zip(runs, paths, strict=True):
        records.write_rounds(rows, path)
    collected = records.collect_rounds(paths, methods=METHODS)
    records.write_csv(tables.summary(collected, SETTINGS, methods=METHODS), tmp_path / "summary.csv")
    shown = row(pd.read_csv(tmp_path / "summary.csv", dtype=str), method="proposed")
    assert shown.filter(like="accuracy_difference").tolist() == ["0", "0", "0"]


def test_the_file_of_rounds_gives_back_every_share(tmp_path):
    shares = np.random.default_rng(0).random(500)
    rows = run("proposed", 0, [*shares, 0.0, 1.0, np.nan], status="diverged")
    records.write_rounds(rows, tmp_path / "rounds.csv")
    again = records.collect_rounds([tmp_path / "rounds.csv"], methods=METHODS)
    for column in records.SHARES:
        np.testing.assert_array_equal(again[column], rows[column])
    text = (tmp_path / "rounds.csv").read_text().splitlines()
    assert ",0,0,1," in text[-3] and ",1,0.5,0," in text[-2] and text[-1].endswith("diverged")


def test_without_supervised_runs_there_is_no_target():
    table = tables.rounds_to_target(pd.concat(small_grid()[2:]), SETTINGS, methods=METHODS)
    assert table[["target_accuracy", "median_rounds", "reached", "rounds_ratio_to_supervised"]].isna().all(axis=None)
    assert (table["rounds_text"] == "").all()


def test_bootstrap_interval_is_deterministic_and_within_the_values():
    values = np.array([10, 20, 30, 40, np.inf])
    first = statistics.bootstrap_median_interval(values, samples=2000, seed=3)
    assert first == statistics.bootstrap_median_interval(values, samples=2000, seed=3)
    assert first == (10, np.inf)  # P(median 10) = P(at least 3 of 5 draws are 10) = 0.058; of inf likewise


def test_tables_do_not_depend_on_the_order_of_paths_or_rows_and_rebuild_from_files(tmp_path):
    runs = [frame.assign(label_fraction=fraction) for fraction in (0.5, 1.0) for frame in small_grid()]
    runs.append(run("simclr", 0, [0.1, 0.3], split="validation"))
    paths = write(runs, tmp_path)
    collected = records.collect_rounds(paths, methods=METHODS)
    pd.testing.assert_frame_equal(collected, records.collect_rounds(paths[::-1], methods=METHODS))
    assert collected["method"].unique().tolist() == METHODS
    assert len(collected) == sum(map(len, runs))

    records.write_csv(collected, tmp_path / "rounds.csv")
    pd.testing.assert_frame_equal(collected, records.collect_rounds([tmp_path / "rounds.csv"], methods=METHODS))
    shuffled = collected.sample(frac=1, random_state=1)
    for build in (tables.summary, tables.rounds_to_target):
        records.write_csv(build(collected, SETTINGS, methods=METHODS), tmp_path / "a.csv")
        records.write_csv(build(shuffled, SETTINGS, methods=METHODS), tmp_path / "b.csv")
        assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert not list(tmp_path.glob("*.tmp"))


def test_csv_keeps_counts_whole(tmp_path):
    table = pd.DataFrame({"share": [1 / 3, np.nan], "bits": [1090519040.0, np.inf], "n": [1090519041, 2]})
    records.write_csv(table, tmp_path / "new" / "t.csv")
    text = (tmp_path / "new" / "t.csv").read_bytes()
    assert text == b"share,bits,n\n0.333333,1090519040,1090519041\n,inf,2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty"),
        (",".join(records.ROUNDS_COLUMNS).encode() + b"\n", "no rows"),
        (b"a,b\n1,2\n", "column experiment is missing"),
        (b"\xff\xfe\x00", "not a table"),
        (None, "cannot be read"),
    ],
)
def test_unreadable_file_is_named(tmp_path, text, message):
    path = tmp_path / "rounds.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(InputError, match=message) as error:
        records.collect_rounds([path], methods=METHODS)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("accuracy", 41.0, "line 4, column accuracy: .* share from 0 to 1"),
        ("accuracy", np.nan, "line 4, column accuracy: .* not a number"),
        ("accuracy", "high", "line 4, column accuracy: 'high' is not a number"),
        ("round", 1.5, "line 4, column round: '1.5' is not a whole number"),
        ("seed", np.nan, "column seed: '' is not a number"),
        ("status", "fine", "line 4, column status: 'fine' is not one of ok"),
        ("extra", 1, "column extra is not known"),
    ],
)
def test_malformed_row_is_named(tmp_path, column, value, message):
    rows = run("proposed", 0, [0.1, 0.2, 0.3, 0.4]).astype({"round": object, "accuracy": object, "seed": object})
    rows.loc[2, column] = value
    (path,) = write([rows], tmp_path)
    with pytest.raises(InputError, match=message) as error:
        records.collect_rounds([path], methods=METHODS)
    assert str(path) in str(error.value)


def test_truncated_file_and_a_run_given_twice_are_named(tmp_path):
    first, second = write([run("proposed", 0, [0.1, 0.2])] * 2, tmp_path)
    with pytest.raises(InputError, match="twice the row of .*method proposed") as error:
        records.collect_rounds([second, first], methods=METHODS)
    assert f"{first} and {second}" in str(error.value)
    first.write_text(first.read_text()[:-40])
    with pytest.raises(InputError, match=f"{first}: line 3"):
        records.collect_rounds([first], methods=METHODS)


def test_no_files_and_an_unknown_split_are_refused():
    with pytest.raises(InputError, match="rounds.csv"):
        records.collect_rounds([], methods=METHODS)
    with pytest.raises(InputError, match="validation"):
        tables.rounds_to_target(pd.concat(small_grid()), SETTINGS, methods=METHODS, split="validation")


def steps(method, seed, loss, gradient_norm, status="ok", **terms):
    count = len(loss)
    step = np.arange(count)
    key = {"experiment": "e", "method": method, "seed": seed, "step": step + 1, "epoch": step // 2, "scenes": 64}
    values = {"loss": loss, **terms, "gradient_norm": gradient_norm, "learning_rate": 0.1}
    return pd.DataFrame(key | values | {"status": ["ok"] * (count - 1) + [status]})


def test_pretraining_summary(tmp_path):
    runs = [
        steps("simclr", 0, [4.0, 3.0, 2.0, 1.0], [1.0, 5.0, 2.0, 1.0], alignment=[1.0] * 4),
        steps("proposed", 0, [9.0, 8.0, np.nan], [1.0, 90.0, np.inf], status="diverged", cross=[2.0] * 3),
    ]
    paths = write(runs, tmp_path)
    collected = records.collect_steps(paths, methods=["proposed", "simclr"])
    backwards = records.collect_steps(paths[::-1], methods=["proposed", "simclr"])
    pd.testing.assert_frame_equal(collected, backwards[collected.columns])
    table = tables.pretraining_summary(collected, methods=["proposed", "simclr"])
    assert table["method"].tolist() == ["proposed", "simclr"]
    proposed, simclr = table.iloc[0], table.iloc[1]
    assert simclr[["steps", "final_loss", "last_epoch_loss", "status"]].tolist() == [4, 1.0, 1.5, "ok"]
    assert simclr[["max_gradient_norm", "max_gradient_norm_step"]].tolist() == [5.0, 2]
    assert proposed[["steps", "max_gradient_norm", "status"]].tolist() == [3, 90, "diverged"]
    assert np.isnan(proposed["final_loss"])
