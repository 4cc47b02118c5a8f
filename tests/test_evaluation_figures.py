"""Figures of evaluations: every number drawn is one of the table, and what is framed beats what it is compared to."""

import itertools

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from semcom.analysis.accuracy_limit import entropy, largest_accuracy
from semcom.analysis.evaluations import COLUMNS, collect_evaluations, scenes_by_split, summary
from semcom.analysis.records import read_table, write_csv, write_rounds
from semcom.common.errors import InputError
from semcom.config.loading import load_config
from semcom.config.merging import merged
from semcom.figures.evaluations import conditions_figure, curves_figure, map_figure, uses_figure
from semcom.figures.panels import MINUS, save
from semcom.link.capacity import bits_per_use


def made(
    methods=("proposed", "supervised"),
    trained=(10.0,),
    tested=(0.0, 10.0),
    conditions=("plain",),
    seeds=(0, 1),
    accuracy=None,
):
    """A table of an evaluation; `accuracy` of (method, trained, tested, condition, seed)."""
    accuracy = accuracy or (lambda method, trained, tested, condition, seed: 0.5 + tested / 100 + seed / 50)
    rows = []
    for method, snr, at, condition, seed in itertools.product(methods, trained, tested, conditions, seeds):
        value = accuracy(method, snr, at, condition, seed)
        rows.append(["e", method, snr, 1.0, seed, condition, at, "test", value, value, 1.0, 32, "ok"])
    return pd.DataFrame(rows, columns=COLUMNS)  # fmt: skip


def test_a_written_table_of_parts_is_collected_in_the_grids_order(tmp_path):
    table = made(conditions=("b", "a"))
    for method, part in table.groupby("method"):
        write_csv(part, tmp_path / f"{method}.csv")
    again = collect_evaluations(sorted(tmp_path.glob("*.csv"), reverse=True), methods=["supervised", "proposed"])
    assert list(dict.fromkeys(again["method"])) == ["supervised", "proposed"]
    assert list(dict.fromkeys(again["condition"])) == ["b", "a"] and len(again) == len(table)
    (tmp_path / "proposed.csv").write_text("method\nx\n")
    with pytest.raises(InputError, match="proposed.csv: column experiment is missing"):
        collect_evaluations([tmp_path / "proposed.csv"], methods=[])


def test_curves_show_means_over_seeds_a_panel_a_condition():
    table = made(conditions=("plain", "fades"))
    figure = curves_figure(
        table, methods=["proposed"], conditions={"plain": "Plain", "fades": "Fades"}, majority_accuracy=0.3
    )
    assert [axes.get_title() for axes in figure.axes] == ["(a) Plain", "(b) Fades"]
    line = figure.axes[1].lines[0]
    assert line.get_xdata().tolist() == [0, 10] and line.get_ydata().tolist() == pytest.approx([51, 61])


def test_the_map_frames_where_training_at_one_snr_beats_the_range_with_every_seed():
    def accuracy(method, trained, tested, condition, seed):
        if method == "wide":
            return 0.5
        if trained == tested:
            return 0.6  # with every seed
        return 0.6 if seed else 0.4  # with one seed of two

    table = made(("proposed", "wide"), (0.0, 10.0), (0.0, 10.0), accuracy=accuracy)
    figure = map_figure(table, methods=["proposed"], over_range={"proposed": "wide"}, spans={"wide": [-5, 15]})
    axes = figure.axes[0]
    framed = sorted((round(patch.get_x() + 0.46), round(patch.get_y() + 0.44)) for patch in axes.patches)
    assert framed == [(0, 0), (1, 1)]
    assert [text.get_text() for text in axes.texts] == ["60", "50", "50", "60", "50", "50"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0 dB", "10 dB", f"{MINUS}5 to 15 dB"]
    assert "in one case of 4." in figure._supxlabel.get_text().replace("\n", " ")


def test_conditions_stand_in_rows_in_their_order(tmp_path):
    table = made(
        conditions=("plain", "silent"), tested=(10.0,), accuracy=lambda m, t, a, c, s: 0.8 if c == "plain" else 0.3
    )
    figure = conditions_figure(
        table, methods=["proposed", "supervised"], conditions={"plain": "As trained", "silent": "Silent"}
    )
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["As trained", "Silent"]
    assert {round(float(c.lines[0].get_xdata()[0])) for c in axes.containers} == {80, 30}
    save(figure, [tmp_path / "figure.svg"])
    assert (tmp_path / "figure.svg").stat().st_size > 1000


def test_what_goes_along_a_trace_is_in_every_panel_of_conditions():
    table = made(conditions=("plain", "traced"))
    along = table["condition"] == "traced"
    table = table[~along | (table["tested_snr_db"] == 0)].assign(
        tested_snr_db=lambda rows: rows["tested_snr_db"].mask(rows["condition"] == "traced")
    )
    named = {"plain": "As trained", "traced": "Along a trace"}
    figure = conditions_figure(table, methods=["proposed"], conditions=named)
    assert len(figure.axes) == 2 and all(len(axes.containers) == 2 for axes in figure.axes)
    traced = table[table["condition"] == "traced"]
    figure = conditions_figure(traced, methods=["proposed"], conditions={"traced": "Along a trace"})
    assert len(figure.axes) == 1 and len(figure.axes[0].containers) == 1


def test_the_summary_compares_each_condition_to_the_first_link_by_link():
    def accuracy(method, trained, tested, condition, seed):
        return 0.8 - 0.1 * seed - (0.3 + 0.02 * seed) * (condition == "silent")

    counts = pd.DataFrame({"class": ["a", "b", "c"], "train": [9, 9, 9], "test": [6, 3, 1], "total": [15, 12, 10]})
    table = made(conditions=("plain", "silent"), tested=(10.0,), accuracy=accuracy)
    found = summary(table, counts, methods=["proposed", "supervised"])
    row = found[(found["condition"] == "silent") & (found["method"] == "proposed")].iloc[0]
    assert row["accuracy_mean"] == pytest.approx(0.44) and row["seeds"] == 2 and row["channel_uses"] == 32
    assert row["accuracy_change_mean"] == pytest.approx(-0.31)
    half = 12.7062 * 0.02 / 2  # of two seeds: t, standard deviation over the root of two
    assert row["accuracy_change_ci95_low"] == pytest.approx(-0.31 - half, abs=1e-5)
    assert (found[found["condition"] == "plain"]["accuracy_change_mean"] == 0).all()
    assert found["condition"].dropna().tolist() == ["plain", "plain", "silent", "silent"]
    last = found.iloc[-1]
    assert last["method"] == "majority_class" and last["accuracy_mean"] == pytest.approx(0.6)
    assert last["mean_class_accuracy_mean"] == pytest.approx(1 / 3)


def test_the_summary_leaves_diverged_runs_out_and_counts_them():
    counts = pd.DataFrame({"test": [1, 1]})
    table = made(conditions=("plain", "silent"), tested=(10.0,), methods=("proposed",))
    gone = table["seed"] == 1
    table.loc[gone, ["accuracy", "mean_class_accuracy", "loss", "channel_uses"]] = float("nan")
    table.loc[gone, "status"] = "diverged"
    found = summary(table, counts, methods=["proposed"]).iloc[:-1]
    assert found["diverged"].tolist() == [1, 1] and found["diverged_seeds"].tolist() == ["1", "1"]
    assert found["accuracy_mean"].tolist() == pytest.approx([0.6, 0.6]) and found["accuracy_ci95_low"].isna().all()


def test_the_summary_tells_of_every_split_that_runs_are_scored_on(tmp_path):
    """Scenes as runs see them: validation rooms are training scenes of the official split."""
    path = tmp_path / "splits.csv"
    seen = ["None,train"] * 5 + ["None,validation"] * 3 + ["bed,validation"] + ["bed,test"] * 4 + ["None,test"]
    path.write_text("scene,class,scene_type,room,split\n" + "".join(
        f"{scene},{name},{name},r{scene},{split}\n" for scene, (name, split) in enumerate(s.split(",") for s in seen)
    ))  # fmt: skip
    table = pd.concat([made(), made().assign(split="validation")])
    found = summary(table, scenes_by_split(path), methods=["proposed", "supervised"])
    always = found[found["method"] == "majority_class"].set_index("split")["accuracy_mean"]
    assert always.to_dict() == {"test": 4 / 5, "validation": 3 / 4}
    path.write_text(path.read_text().replace(",test\n", ",withheld\n"))
    kept_from = summary(
        table[table["split"] == "validation"], scenes_by_split(path), methods=["proposed", "supervised"]
    )
    assert kept_from.iloc[-1]["accuracy_mean"] == 3 / 4


def test_a_name_that_reads_like_a_missing_value_stays_a_name(tmp_path):
    names = ["None", "NA", "null", "nan"]
    table = made(conditions=names, methods=names)
    table.loc[table["seed"] == 1, ["accuracy", "mean_class_accuracy", "loss"]] = np.nan
    table.loc[table["seed"] == 1, "status"] = "diverged"
    table.loc[table["condition"] == "NA", "tested_snr_db"] = np.nan  # along a trace
    write_rounds(table, tmp_path / "part.csv")
    again = collect_evaluations([tmp_path / "part.csv"], methods=names)
    assert list(dict.fromkeys(again["condition"])) == list(dict.fromkeys(again["method"])) == names
    assert again["accuracy"].isna().tolist() == (again["seed"] == 1).tolist() and len(again) == len(table)
    assert again["tested_snr_db"].isna().tolist() == (again["condition"] == "NA").tolist()
    found = summary(again, pd.DataFrame({"test": [3, 1]}), methods=names)
    assert set(found["condition"].dropna()) == {*names}
    write_csv(found, tmp_path / "summary.csv")
    written = read_table(tmp_path / "summary.csv")
    for column in found:
        assert written[column].isna().tolist() == (found[column].isna() | (found[column] == "")).tolist(), column
    assert set(written["method"]) == {*names, "majority_class"}


USES = {"proposed-k2": 2, "proposed-k8": 8, "supervised-k2": 2, "supervised-k8": 8}
LINES = {method: method.split("-")[0] for method in USES}
SHARES = [0.5, 0.3, 0.2]


def by_uses(**changes):
    """A table of methods that differ in their channel uses."""
    table = made(tuple(USES), **changes)
    return table.assign(channel_uses=table["method"].map(USES).astype(float))


def test_a_panel_an_snr_has_accuracy_by_channel_uses_a_line_a_family():
    table = by_uses(tested=(-10.0, 0.0), accuracy=lambda m, t, at, c, seed: USES[m] / 20 + seed / 50)
    figure = uses_figure(table, lines=LINES, shares=SHARES)
    assert [axes.get_title() for axes in figure.axes] == [f"(a) {MINUS}10 dB", "(b) 0 dB"]
    for axes in figure.axes:
        marked = [line for line in axes.lines if line.get_marker() != "None"]
        assert [line.get_xdata().tolist() for line in marked] == [[2, 8], [2, 8]]
        assert marked[0].get_ydata().tolist() == pytest.approx([11, 41])
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["Proposed", "Supervised"]


def test_the_limit_is_that_of_the_panels_snr_and_meets_the_labels_entropy():
    figure = uses_figure(by_uses(tested=(-5.0, 20.0)), lines=LINES, shares=SHARES)
    for axes, snr_db in zip(figure.axes, (-5, 20), strict=True):
        ((n, limit),) = [line.get_data() for line in axes.lines if len(line.get_xdata()) > 100]
        wanted = [100 * largest_accuracy(uses * bits_per_use(snr_db), SHARES) for uses in n]
        assert limit == pytest.approx(wanted) and n[0] == 1 and n[-1] == pytest.approx(8)
    needed = entropy(SHARES) / bits_per_use(-5)
    assert any(line.get_xdata() == pytest.approx([needed, needed]) for line in figure.axes[0].lines)
    # At 20 dB the label fits into less than one use, left of the axis.
    assert not any(np.ptp(line.get_xdata()) == 0 for line in figure.axes[1].lines)


def test_a_diverged_link_is_no_point_and_is_counted(tmp_path):
    table = by_uses(tested=(0.0,))
    lost = (table["method"] == "proposed-k8") & (table["seed"] == 1)
    table.loc[lost, ["accuracy", "channel_uses"]] = np.nan
    table.loc[lost, "status"] = "diverged"
    figure = uses_figure(table, lines=LINES, shares=SHARES)
    (proposed, _) = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert proposed.get_xdata().tolist() == [2]  # where both seeds are
    assert "Proposed (1 of 4 diverged)" in [text.get_text() for text in figure.legends[0].get_texts()]
    save(figure, [tmp_path / "figure.svg"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "figure: uses has a single number of channel uses; give methods of other encoder.features"),
        ({"grid": {"snr_db": [0, 10]}}, "uses shows links of one training, and grid.snr_db has 2"),
        ({"channel": {"snr_offset_db": {"rgb": 3.0}}}, "channel.snr_offset_db gives others"),
        (
            {"methods": {"two": {"like": "supervised"}}, "grid": {"methods": ["supervised", "two"]}},
            "'supervised' and 'two', both like 'supervised', take 32 channel uses; leave one of them out",
        ),
        ({"evaluations": {"e": {"conditions": {"a": {}, "b": {}}}}}, "uses shows one condition"),
        (
            {
                "methods": {"rgb_alone": {"like": "supervised", "modalities": ["rgb"]}},
                "grid": {"methods": ["supervised", "rgb_alone"]},
                "evaluations": {"e": {"conditions": {"mute": {"silent": {"rgb": "zeros"}}}}},
            },
            "every device of method 'rgb_alone' is silent in conditions.mute; leave the method out, or take conditions",
        ),
    ],
)
def test_channel_uses_that_no_figure_can_show_are_refused(changes, said):
    given = merged({"grid": {"snr_db": [10]}, "evaluations": {"e": {"figure": "uses", "snr_db": [0, 10]}}}, changes)
    with pytest.raises(InputError, match=said):
        load_config(ROOT / "tests/config.yaml", settings=given)


def test_the_question_of_channel_uses_spans_its_snrs_and_features():
    config = load_config(ROOT / "config/questions/channel-uses.yaml")
    features = {config.encoder_settings(method).features for method in config.grid.methods}
    assert features == {2, 4, 8, 16, 128} and len(config.grid.seeds) >= 2
    assert {config.family(method) for method in config.grid.methods} == {
        *("proposed", "simclr", "barlow_twins", "supervised")
    }
    for method in config.grid.methods:
        low, high = config.finetune_settings(method).snr_range_db
        assert (low, high) == (
            min(config.evaluations["channel_uses"].snr_db),
            max(config.evaluations["channel_uses"].snr_db),
        )


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"figure": "map"}, "a?.*map is over the SNR at test; give two or more under snr_db"),
        ({"figure": "curves", "snr_db": [10]}, "curves is over the SNR at test"),
        ({"figure": "map", "snr_db": [0, 10], "conditions": {"a": {}, "b": {}}}, "figure: map shows one condition"),
        ({"figure": "pie"}, "evaluations.e.figure"),
        ({"figure": "curves", "snr_db": [0, float("inf")]}, "curves has no place for .inf"),
        ({"snr_db": [-1e6]}, "evaluations.e.snr_db.0"),
        ({"snr_db": [5000]}, "evaluations.e.snr_db.0: 5000 is above 300; take at most 300, or .inf"),
        ({"methods": ["proposed", "proposed"]}, "evaluations.e.methods: lists a value twice"),
        (
            {"conditions": {"a": {"channel": {"snr_offset_db": {"rgb": -1e6}}}}},
            "conditions.a.channel.snr_offset_db.rgb",
        ),
        ({"conditions": {"a_b": {}, "x": {"label": "A b"}}}, "conditions.x.label: 'A b' is also what 'a_b' is called"),
        (
            {"conditions": {"a": {"silent": {"lidar": "zeros"}}}},
            "conditions.a.silent: 'lidar' is not one of modalities",
        ),
        ({"conditions": {"a": {"silent": {"rgb": "mute"}}}}, "conditions.a.silent.rgb"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused_before_anything_runs(evaluation, said):
    with pytest.raises(InputError, match=said):
        load_config(ROOT / "tests/config.yaml", settings={"evaluations": {"e": evaluation}})


def test_a_device_that_no_method_asked_has_cannot_be_silent():
    settings = {
        "methods": {"rgb_alone": {"like": "supervised", "modalities": ["rgb"]}},
        "grid": {"methods": ["supervised", "rgb_alone"]},
        "evaluations": {"e": {"conditions": {"a": {"silent": {"depth": "zeros"}}}}},
    }
    load_config(ROOT / "tests/config.yaml", settings=settings)
    settings["evaluations"]["e"]["methods"] = ["rgb_alone"]
    with pytest.raises(InputError, match="conditions.a.silent: none of the methods asked has 'depth'"):
        load_config(ROOT / "tests/config.yaml", settings=settings)


def test_names_of_summaries_are_taken_and_labels_of_conditions_are_texts_of_figures():
    twice = "evaluations.e_summary: 'e_summary' is the name of another figure or table, of evaluations.e;"
    with pytest.raises(InputError, match=twice):
        load_config(ROOT / "tests/config.yaml", settings={"evaluations": {"e": {}, "e_summary": {}}})
    given = {"e": {"conditions": {"a": {"label": "$x$ of a"}, "b": {}}}}
    config = load_config(ROOT / "tests/config.yaml", settings={"evaluations": given})
    assert config.given_texts()["evaluations.e.conditions.a.label"] == "$x$ of a"
    assert config.condition_labels("e") == {"a": "$x$ of a", "b": "B"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"evaluations": {"e": {}, "E": {}}}, "evaluations.E: 'E' is the name of another figure or table, of evaluations.e"),
        ({"evaluations": {"Confusion": {}}}, "evaluations.Confusion: 'Confusion' is the name of another figure or table"),
        (
            {"evaluations": {"a": {}}, "figures": {"accuracy_by": {"A": {"x": "label_fraction"}}}},
            "evaluations.a: 'a' is the name of another figure or table, of figures.accuracy_by.A",
        ),
        ({"baselines": {"Summary": {"schemes": ["label"], "methods": ["proposed"], "snr_db": [10], "channel_uses": [8]}}},
         "baselines.Summary: 'Summary' is the name of another"),
        (
            {"tables": {"trials": "E_summary"}, "evaluations": {"e": {}}},
            "evaluations.e: 'e_summary' is the name of another figure or table, of tables.trials",
        ),
    ],
)  # fmt: skip
def test_no_two_files_have_names_that_differ_by_case_alone(settings, said):
    with pytest.raises(InputError, match=said):
        load_config(ROOT / "tests/config.yaml", settings=settings)


RANGED = {"like": "supervised", "finetune": {"snr_range_db": [0, 20]}}


@pytest.mark.parametrize(
    ("methods", "asked", "said"),
    [
        (
            {"supervised": {"finetune": {"snr_range_db": [0, 20]}}},
            ["supervised"],
            "'supervised' is trained over a range",
        ),
        ({"wide": RANGED}, ["proposed", "wide"], "'wide' is trained over a range"),
        (
            {"wide": RANGED, "wider": RANGED},
            ["supervised", "wide", "wider"],
            "'wide' and 'wider', both like 'supervised'",
        ),
        ({"wide": RANGED}, ["supervised", "wide"], None),
    ],
)
def test_a_map_has_one_row_of_training_over_a_range_in_a_panel_of_training_at_single_snrs(methods, asked, said):
    given = {"methods": methods, "grid": {"methods": asked}, "evaluations": {"e": {"figure": "map", "snr_db": [0, 10]}}}
    if said is None:
        load_config(ROOT / "tests/config.yaml", settings=given)
        return
    with pytest.raises(InputError, match=said):
        load_config(ROOT / "tests/config.yaml", settings=given)
