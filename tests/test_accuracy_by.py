"""Figures by configuration: accuracy against an axis, what methods are called, and looks that stay apart."""

import copy
import hashlib
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.colors import to_rgb

from conftest import ROOT, run_snakemake
from semcom.analysis.accuracy_by import ACCURACY, accuracy_by_table
from semcom.analysis.comparison import read_experiments
from semcom.analysis.records import ROUNDS_COLUMNS, RUN, write_csv
from semcom.analysis.statistics import t_interval
from semcom.commands import compare
from semcom.common.errors import InputError
from semcom.config.figure_axes import TAKEN, flattened
from semcom.config.loading import load_config, parse_config
from semcom.config.stage import Stage
from semcom.figures import comparison, style
from semcom.figures.accuracy import accuracy_figure
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.figures.panels import save

FAMILY = {
    "proposed-k8": {"like": "proposed", "encoder": {"features": 8}, "options": {"shared_features": 6}},
    "proposed-k4": {"like": "proposed", "encoder": {"features": 4}, "options": {"shared_features": 3}},
    "simclr-warm": {"like": "simclr", "options": {"temperature": 0.5}},
    "supervised-rician": {"like": "supervised", "channel": {"fading": {"name": "rician", "k_factor": 3.0}}},
}
GRID = {
    "methods": ["proposed", "supervised", "simclr", *FAMILY],
    "snr_db": [-5.0, 10.0],
    "label_fractions": [1.0, 0.5],
    "seeds": [0, 1, 2],
}


def raw_config(figures=None, **changes):
    raw = yaml.safe_load((ROOT / "tests/config.yaml").read_text())
    raw["methods"] |= copy.deepcopy(FAMILY)
    raw["grid"] = copy.deepcopy(GRID)
    raw["figures"]["accuracy_by"] = figures or {}
    for section, values in changes.items():
        raw[section] = {**raw[section], **values}
    return raw


def config(figures=None, **changes):
    return parse_config(raw_config(figures, **changes))


def accuracy(method, snr_db, label_fraction, seed, number):
    base = 0.3 + 0.02 * GRID["methods"].index(method) + 0.003 * snr_db + 0.1 * label_fraction
    return base + 0.01 * seed**2 + 0.0001 * number


def rounds(of, experiment="test"):
    """All evaluations of a grid, by a formula."""
    grid = of.grid
    cells = itertools.product(grid.methods, grid.snr_db, grid.label_fractions, grid.seeds, range(0, 50, 10))
    rows = [
        dict(zip(RUN, (experiment, m, snr, share, seed), strict=True))
        | {"split": "test", "round": number, "epoch": number / 10, "accuracy": accuracy(m, snr, share, seed, number)}
        | dict.fromkeys(ROUNDS_COLUMNS[-7:-1], 1)
        | {"mean_class_accuracy": 0.5, "loss": 1.0, "status": "ok"}
        for m, snr, share, seed, number in cells
    ]
    return pd.DataFrame(rows)[ROUNDS_COLUMNS]


def drawn(figure):
    """Points and the ends of their bars by panel, in the order of the lines: arrays (points, x mean low high)."""
    found = []
    for axes in figure.axes:
        for container in axes.containers:
            data, caps, _ = container
            bounds = [cap.get_ydata() for cap in caps] or [np.full(len(data.get_xdata()), np.nan)] * 2
            found.append(np.array([data.get_xdata(), data.get_ydata(), *bounds], float).T)
    return found


@pytest.mark.parametrize("asked", [{"x": "label_fraction"}, {"x": "snr_db"}, {"x": "encoder.features"}])
def test_the_points_drawn_are_the_table_s_numbers(asked, tmp_path):
    of = config({"mine": asked})
    table = accuracy_by_table(rounds(of), of.accuracy_by("mine"), of.grid, of.tables)
    write_csv(table, tmp_path / "mine.csv")
    table = pd.read_csv(tmp_path / "mine.csv", dtype={"missing_seeds": str, "diverged_seeds": str}).fillna("")
    table[ACCURACY] = table[ACCURACY].astype(float)
    figure = accuracy_by_figure(table, labels=of.labels())
    panels = [name for name in ("label_fraction", "snr_db") if name != asked["x"]]
    lines = [part for _, part in table.groupby([*panels, "line"], sort=False)]
    assert len(figure.axes) == table.groupby(panels).ngroups and len(lines) == len(drawn(figure))
    for part, found in zip(lines, drawn(figure), strict=True):
        np.testing.assert_allclose(found[:, 1:], 100 * part[ACCURACY], rtol=1e-12)
        np.testing.assert_allclose(found[:, 0], part["x"] * (100 if asked["x"] == "label_fraction" else 1))


def test_the_table_has_the_mean_of_the_last_evaluations_and_the_seeds_interval():
    of = config({"mine": {"x": "snr_db", "methods": ["simclr"]}})
    table = accuracy_by_table(rounds(of), of.accuracy_by("mine"), of.grid, of.tables)
    assert table[["label_fraction", "snr_db", "x"]].to_numpy().tolist() == [
        [1.0, -5.0, -5.0], [1.0, 10.0, 10.0], [0.5, -5.0, -5.0], [0.5, 10.0, 10.0],
    ]  # fmt: skip
    runs = [np.mean([accuracy("simclr", -5.0, 1.0, seed, number) for number in (30, 40)]) for seed in (0, 1, 2)]
    assert table.loc[0, ACCURACY].tolist() == pytest.approx(t_interval(np.array(runs)))


def test_methods_of_one_family_are_a_line_over_their_setting():
    shown = config({"k": {"x": "encoder.features"}}).accuracy_by("k")
    points = [(point.line, point.method, point.x) for point in shown.points]
    assert points[:3] == [("proposed", "proposed-k4", 4), ("proposed", "proposed-k8", 8), ("proposed", "proposed", 16)]
    assert "simclr-warm" in config({"t": {"x": "options.temperature"}}).accuracy_by("t").methods
    tau = config({"t": {"x": "options.temperature"}}).accuracy_by("t")
    assert [(p.line, p.x) for p in tau.points] == [("simclr", 0.2), ("simclr", 0.5)]


def test_any_setting_is_an_axis_and_lines_can_be_put_together_by_name():
    of = config({"fading": {"x": "channel.fading", "lines": {"Supervised": ["supervised", "supervised-rician"]}}})
    shown = of.accuracy_by("fading")
    assert [(p.line, p.x) for p in shown.points] == [("Supervised", "awgn"), ("Supervised", "rician")]
    figure = accuracy_by_figure(accuracy_by_table(rounds(of), shown, of.grid, of.tables))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["awgn", "rician"]
    assert dict(flattened(of.settings_of("supervised-rician") | {}))["channel.fading.k_factor"] == 3.0


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("k", {"x": "encoder.feature"}, ["k.x", "'encoder.feature'", "did you mean 'encoder.features'"]),
        ("k", {"x": "rounds"}, ["k.x", "'rounds'", "label_fraction or snr_db"]),
        ("k", {"x": "finetune.epochs"}, ["k.x", "finetune.epochs has the single value 3", "drop the figure"]),
        ("k", {"x": "snr_db", "methods": ["simcrl"]}, ["k.methods", "'simcrl'", "did you mean 'simclr'"]),
        ("k", {"x": "options.temperature", "methods": ["supervised"]}, ["'supervised' has no options.temperature"]),
        ("k", {"x": "encoder.features", "lines": {"A": ["proposed", "simclr"]}}, ["'A'", "both have", "16", "lines:"]),
        ("k", {"x": "snr_db", "lines": {"A": ["proposed"]}}, ["k.lines", "every method is a line"]),
        ("k", {"x": "snr_db", "methods": ["simclr"], "lines": {"A": ["simclr"]}}, ["methods and lines"]),
        ("k", {"x": "snr_db", "scale": "log"}, ["k.scale", "snr_db is not above 0"]),
        ("k", {"y": "snr_db"}, ["accuracy_by.k.x: missing key"]),
        ("figure4", {"x": "snr_db"}, ["accuracy_by.figure4", "another figure or table", "take a new one"]),
        ("summary", {"x": "snr_db"}, ["accuracy_by.summary", "another figure or table"]),
        ("class_counts", {"x": "snr_db"}, ["accuracy_by.class_counts", "another figure or table"]),  # a page's
        ("a/b", {"x": "snr_db"}, ["accuracy_by", "a/b"]),
    ],
)  # fmt: skip
def test_a_figure_that_cannot_be_drawn_is_refused_in_one_line(name, asked, words):
    with pytest.raises(InputError) as error:
        config({name: asked})
    assert all(word in str(error.value) for word in [*words, "figures.accuracy_by"]) and "\n" not in str(error.value)


def test_a_single_snr_and_the_name_of_the_trials_are_refused():
    with pytest.raises(InputError, match=r"snr_db has the single value 10; give more by grid\.snr_db"):
        config({"snr": {"x": "snr_db"}}, grid={"snr_db": [10.0]})
    with pytest.raises(InputError, match=r"figures\.accuracy_by\.tried: .*tables\.trials"):
        config({"tried": {"x": "snr_db"}}, tables={"trials": "tried"})


def test_a_figure_of_a_file_below_can_be_left_out():
    assert config({"snr": None}).figures.accuracy_by == {}


def test_no_rule_makes_a_file_whose_name_a_figure_may_take():
    made = set()
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        made |= set(re.findall(r"\{(?:FIGURES|TABLES)\}/([a-z_]+)\.", path.read_text()))
    assert {"rounds", "claims", "gradients", "contact_sheet"} <= made  # else this no longer reads the rules
    assert made <= set(TAKEN)


def test_diverged_and_missing_runs_are_told(tmp_path):
    of = config({"k": {"x": "encoder.features"}})
    table = rounds(of)
    lost = (table["method"] == "proposed-k4") & (table["snr_db"] == 10)
    table.loc[lost & (table["round"] == 40), ["status", "accuracy"]] = ["diverged", np.nan]
    table = table[~((table["method"] == "simclr") & (table["seed"] == 2) & (table["label_fraction"] == 0.5))]
    found = accuracy_by_table(table, of.accuracy_by("k"), of.grid, of.tables)
    save(accuracy_by_figure(found, labels=of.labels()), [tmp_path / "figure.svg"])
    text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "figure.svg").read_text()))
    assert "Proposed (b: 3 of 9, d: 3 of 9 diverged)" in text and "Crosses: where every run diverged." in text
    assert "Missing 2 of 84 runs: SimCLR, encoder.features 16, \N{MINUS SIGN}5 dB, half of the labels, seed 2;" in text


def test_an_snr_below_0_has_a_minus_sign_and_a_single_seed_no_band(tmp_path):
    of = config({"k": {"x": "encoder.features"}, "snr": {"x": "snr_db"}}, grid={"seeds": [0]})
    table = rounds(of)
    figures = [
        accuracy_by_figure(accuracy_by_table(table, of.accuracy_by(n), of.grid, of.tables)) for n in ("k", "snr")
    ]
    figures.append(accuracy_figure(table, methods=of.grid.methods, snr_db=of.grid.snr_db, label_fraction=1.0))
    for number, figure in enumerate(figures):
        save(figure, [tmp_path / f"{number}.svg"])
        text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / f"{number}.svg").read_text()))
        assert "\N{MINUS SIGN}5" in text and "-5" not in text
        assert "band" not in text and "interval" not in text and "single seed" in text


# Labels


def test_a_label_is_no_part_of_a_job_and_is_not_inherited():
    plain, named = config(), raw_config()
    named["methods"]["proposed"]["label"] = r"Ours, $\lambda = 0.005$"
    named["methods"]["simclr"]["label"] = "SimCLR (τ = 0.2)"
    named = parse_config(named)
    for method in plain.grid.methods:
        assert Stage.FINETUNE.job(plain, method, 10.0, 1.0) == Stage.FINETUNE.job(named, method, 10.0, 1.0)
    for method in plain.pretrained_methods():
        assert Stage.PRETRAIN.job(plain, method) == Stage.PRETRAIN.job(named, method)
    assert named.labels()["proposed"] == r"Ours, $\lambda = 0.005$" and named.labels()["simclr-warm"] == "simclr-warm"
    assert plain.labels()["proposed"] == "Proposed" and plain.labels()["simclr-warm"] == "simclr-warm"
    again = parse_config(named.model_dump())  # as results/<experiment>/config.yaml keeps it
    assert again.labels() == named.labels()


def test_two_methods_of_one_name_are_refused():
    raw = raw_config()
    raw["methods"]["simclr-warm"]["label"] = "SimCLR"
    with pytest.raises(InputError, match=r"methods\.simclr-warm\.label: 'SimCLR' is also what 'simclr' is called"):
        parse_config(raw)


@pytest.mark.parametrize(
    ("text", "words"),
    [(r"$\lamda = 1$", "not math"), ("$x", None), ("方法", "U+65B9"), (r"Größe $\tau_{0}$, λ ≤ 1", None)],
)
def test_a_label_that_no_figure_can_show_is_refused(text, words):
    if words is None:
        style.check_texts({"methods.a.label": text}, "mine.yaml")
        return
    with pytest.raises(InputError) as error:
        style.check_texts({"methods.a.label": text}, "mine.yaml")
    assert words in str(error.value) and str(error.value).startswith("mine.yaml: methods.a.label: ")
    assert "\n" not in str(error.value)


# Looks

VISION = {  # linear RGB as seen: Machado, Oliveira, Fernandes (2009), severity 1; and a grey print
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}


def cielab(color, vision):
    """CIE L*a*b* (D65) of a colour as it is seen."""
    srgb = np.array(to_rgb(color))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    ratio = xyz @ seen / [0.95047, 1, 1.08883]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


PAPER = ["proposed", "simclr", "barlow_twins", "supervised"]


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("methods", [[f"m{n}" for n in range(12)], [*PAPER, *(f"m{n}" for n in range(8))]])
def test_any_two_of_twelve_methods_stay_apart_for_every_eye(methods, vision):
    """In two of colour, marker and dash; colours count as apart by 20 in CIELAB, in grey by 10 of lightness."""
    looks = style.method_styles(methods)
    enough = 10 if vision == "grey" else 20
    for a, b in itertools.combinations(looks.values(), 2):
        colour = bool(np.linalg.norm(cielab(a.color, vision) - cielab(b.color, vision)) >= enough)
        assert colour + (a.marker != b.marker) + (str(a.linestyle) != str(b.linestyle)) >= 2, (a, b)


def test_the_paper_s_methods_look_as_ever():
    looks = style.method_styles(["x", *PAPER])
    assert [looks[m].color for m in PAPER] == ["#D55E00", "#0072B2", "#009E73", "#333333"]
    assert [looks[m].marker for m in PAPER] == ["o", "s", "^", "D"]


def twelve():
    methods = [*PAPER, *(f"proposed-variant-{n}" for n in range(8))]
    cells = itertools.product(methods, (-5.0, 0.0, 10.0), range(5), range(0, 60, 10))
    rows = [
        {"experiment": "e", "method": m, "snr_db": snr, "seed": seed, "round": number, "label_fraction": 1.0}
        | {"split": "test", "status": "ok", "accuracy": 0.1 + 0.01 * methods.index(m) + 0.005 * number + 0.01 * seed}
        for m, snr, seed, number in cells
    ]
    return methods, pd.DataFrame(rows)


def test_twelve_methods_and_three_panels_overlap_nowhere():
    methods, table = twelve()
    figure = accuracy_figure(table, methods=methods, snr_db=[-5.0, 0.0, 10.0], label_fraction=1.0)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 12 and len(figure.axes) == 3 and figure.get_figwidth() == style.DOUBLE_COLUMN
    boxes = [legend.get_window_extent(), *(axes.get_tightbbox() for axes in figure.axes)]
    boxes.append(figure._supxlabel.get_window_extent())
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    entries = [text.get_window_extent() for text in legend.get_texts()]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(entries, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_the_same_bytes_from_two_processes_with_true_type_text(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw_config({"k": {"x": "encoder.features"}})))
    rounds(config()).to_pickle(tmp_path / "rounds.pkl")
    script = """
import sys, pandas
from semcom.analysis.accuracy_by import accuracy_by_table
from semcom.config.loading import load_config
from semcom.figures.accuracy_by import accuracy_by_figure
from semcom.figures.panels import save
folder, out = sys.argv[1:]
config = load_config(f"{folder}/config.yaml")
table = accuracy_by_table(pandas.read_pickle(f"{folder}/rounds.pkl"), config.accuracy_by("k"), config.grid, config.tables)
figure = accuracy_by_figure(table, labels={"proposed": r"Ours, $\\lambda = 0.005$ (τ)"}, axis_label="$K$")
save(figure, [f"{out}/k.{suffix}" for suffix in ("pdf", "svg", "png")])
"""
    digests = []
    for number in range(2):
        out = tmp_path / str(number)
        subprocess.run([sys.executable, "-c", script, tmp_path, out], check=True)
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()})
    assert len(digests[0]) == 3 and digests[0] == digests[1]
    pdf = (out / "k.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


# Several experiments


@pytest.fixture
def finished_experiments(tmp_path):
    """Two finished experiments that differ in the network's width."""
    for name, width in (("narrow", 8), ("wide", 16)):
        raw = raw_config(grid={"methods": ["proposed", "supervised"]}, encoder={"width": width}) | {"experiment": name}
        of = parse_config(raw)
        folder = tmp_path / name
        (folder / "tables").mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(of.model_dump()))
        table = rounds(of, experiment=name)
        table["accuracy"] += width / 100
        write_csv(table, folder / "tables/rounds.csv")
    return tmp_path


def compared(folder, *arguments):
    return compare.main([str(folder / "narrow"), str(folder / "wide"), "--output", str(folder / "out"), *arguments])


def test_experiments_stand_in_one_figure(finished_experiments):
    assert compared(finished_experiments, "--labels", "8 wide", "16 wide") == 0
    out = finished_experiments / "out"
    assert {path.name for path in out.iterdir()} == {f"accuracy.{suffix}" for suffix in ("csv", "pdf", "svg", "png")}
    text = (out / "accuracy.svg").read_text()
    for word in ("8 wide: Proposed", "16 wide: Supervised", "(d) Half of the labels, SNR = 10 dB"):
        assert word in text
    table = pd.read_csv(out / "accuracy.csv").set_index(["experiment", "method", "label_fraction", "snr_db", "round"])
    mean = np.mean([accuracy("proposed", 10.0, 1.0, seed, 20) + 0.16 for seed in (0, 1, 2)])
    assert table.loc[("16 wide", "proposed", 1.0, 10.0, 20), "accuracy_mean"] == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("methods", [["proposed", "supervised"], ["proposed"]])
def test_a_method_has_one_look_in_all_experiments_unless_the_experiments_alone_differ(finished_experiments, methods):
    experiments = read_experiments([finished_experiments / name for name in ("narrow", "wide")], None)
    found = comparison.looks([(e, method) for e in experiments for method in methods])
    own = style.method_styles(methods)
    for method in methods:
        narrow, wide = found["narrow", method], found["wide", method]
        assert (narrow.color, narrow.marker) == (own[method].color, own[method].marker)
        same_method = (narrow.color, narrow.marker) == (wide.color, wide.marker)
        assert same_method == (len(methods) > 1) and narrow.linestyle != wide.linestyle
        assert (narrow.filled, wide.filled) == (True, len(methods) == 1)
    assert len({(look.color, look.marker, str(look.linestyle)) for look in found.values()}) == len(found)


def test_experiments_stand_along_a_key_of_their_configurations(finished_experiments):
    assert compared(finished_experiments, "--figure", "final", "--x", "encoder.width", "--methods", "proposed") == 0
    table = pd.read_csv(finished_experiments / "out/final.csv")
    assert set(table["method"]) == {"proposed"} and table.loc[:1, "x"].tolist() == [8, 16]
    assert table.loc[1, "accuracy_mean"] - table.loc[0, "accuracy_mean"] == pytest.approx(0.08, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--labels", "a"], "--labels: 1 for 2 folders"),
        (["--labels", "a", "a"], "--labels: 'a' would stand for two"),
        (["--methods", "proposd"], "--methods: no experiment has 'proposd'; did you mean 'proposed'"),
        (["--x", "encoder.width"], "--x: is the axis of --figure final"),
        (["--figure", "final", "--x", "encoder.widht"], "did you mean 'encoder.width'"),
        (["--figure", "final", "--x", "encoder.stem"], "two experiments have the value imagenet"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, words, finished_experiments, capsys):
    assert compared(finished_experiments, *arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (finished_experiments / "out").exists()


def test_an_experiment_is_not_compared_with_itself(finished_experiments, capsys):
    raw = yaml.safe_load((finished_experiments / "wide/config.yaml").read_text()) | {"experiment": "narrow"}
    (finished_experiments / "wide/config.yaml").write_text(yaml.safe_dump(raw))
    assert compared(finished_experiments) == 1
    assert "wide: experiment 'narrow', as" in capsys.readouterr().err


# The workflow


@pytest.mark.slow
def test_figures_and_labels_of_one_s_own_train_nothing(finished_copy):
    raw = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    raw["figures"]["accuracy_by"] = {"my-labels": {"x": "label_fraction"}}
    raw["methods"]["proposed"]["label"] = "Ours ($K = 16$)"
    raw["methods"]["simclr"]["label"] = "Simple & contrastive"
    (finished_copy / "config/mine.yaml").write_text(yaml.safe_dump(raw))
    done = run_snakemake(finished_copy, "all", "--configfile=config/mine.yaml")
    assert done.returncode == 0, done.stdout
    assert not re.search(r"^(pretrain|finetune|ingest) +\d", done.stdout, re.MULTILINE)
    results = finished_copy / "results/test"
    for name in (*(f"figures/my-labels.{suffix}" for suffix in ("pdf", "svg", "png")), "tables/my-labels.csv"):
        assert (results / name).is_file()
    assert "Simple &amp; contrastive" in (results / "figures/figure4.svg").read_text()
    page = (results / "tables/summary.html").read_text()
    assert "Simple &amp; contrastive" in page and "<td>proposed</td>" in page  # math stays the method's key
    report = (results / "report.html").read_text()
    assert "my-labels: accuracy at the end of training against label_fraction" in report
    assert "proposed, Simple &amp; contrastive, barlow twins, superv" in report
    table = pd.read_csv(results / "tables/my-labels.csv").set_index(["method", "x"])["accuracy_mean"]
    summary = pd.read_csv(results / "tables/summary.csv").query("split == 'test'")
    for row in summary.itertuples():
        assert table[row.method, row.label_fraction] == row.accuracy_mean
    raw["methods"]["simclr"]["label"] = "方法"
    (finished_copy / "config/mine.yaml").write_text(yaml.safe_dump(raw))
    done = run_snakemake(finished_copy, "all", "--configfile=config/mine.yaml")
    assert done.returncode != 0 and "config/mine.yaml: methods.simclr.label" in done.stdout


def test_the_example_of_the_page_is_one(tmp_path):
    page = (ROOT / "docs/extending.md").read_text()
    (example,) = (block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "accuracy_by" in block)
    base = os.path.relpath(ROOT / "config/nyud2-small.yaml", tmp_path)
    (tmp_path / "mine.yaml").write_text(example.replace("config/nyud2-small.yaml", base))
    of = load_config(tmp_path / "mine.yaml")
    style.check_texts(of.given_texts(), "mine.yaml")
    shown = {name: of.accuracy_by(name) for name in of.figures.accuracy_by}
    assert shown["by_snr"].methods == ["proposed", "supervised"] and shown["by_tau"].lines == ["simclr"]
    assert [(p.line, p.x) for p in shown["by_k"].points][:2] == [("proposed", 64), ("proposed", of.encoder.features)]
