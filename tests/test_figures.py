"""Figures: what must be seen in them, and the same bytes at every rebuild. Text is looked for in the SVG."""

import hashlib
import re
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from semcom.analysis.claims import EXPLODED
from semcom.common.errors import InputError
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH, SURFACE_NORMALS, ModalitySpec
from semcom.figures import ablation, accuracy, contact_sheet, style, training_curves
from semcom.figures.panels import save

METHODS = ["supervised", "simclr", "barlow_twins", "proposed"]


def rounds(*, seeds=(0, 1, 2, 3, 4), snr_db=(10.0, 20.0), drop=lambda t: t["seed"] < 0):
    grid = pd.MultiIndex.from_product([METHODS, snr_db, seeds, range(0, 60, 10)]).to_frame(index=False)
    table = grid.set_axis(["method", "snr_db", "seed", "round"], axis=1)
    table = table.assign(experiment="e", label_fraction=1.0, split="test", status="ok")
    table["accuracy"] = 0.1 + 0.005 * table["round"] + 0.01 * table["seed"]
    return table[~drop(table)]


def diverge(table, method, snr_db, seed, at):
    """End a run at round `at` without an accuracy."""
    chosen = (table["method"] == method) & (table["snr_db"] == snr_db) & (table["seed"] == seed)
    table = table[~chosen | (table["round"] <= at)].copy()
    status = "diverged" if at else "pretraining_diverged"
    table.loc[chosen & (table["round"] == at), ["accuracy", "status"]] = [np.nan, status]
    return table


def draw(table, **changes):
    arguments = {"methods": METHODS, "snr_db": [10.0, 20.0], "label_fraction": 1.0} | changes
    return accuracy.accuracy_figure(table, **arguments)


def texts(figure, folder):
    """The figure's texts as an SVG reader finds them, lines of a wrapped note joined."""
    save(figure, [folder / "figure.svg"])
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", (folder / "figure.svg").read_text()))


def curves(axes, marker):
    return [line for line in axes.get_lines() if line.get_marker() == marker]


def test_panels_legend_and_units_are_the_papers(tmp_path):
    found = texts(draw(rounds(), majority_accuracy=0.293), tmp_path)
    for text in (
        "(a) Full labels, SNR = 10 dB", "(b) Full labels, SNR = 20 dB", "Communication round", "Test accuracy (%)",
        "Supervised", "SimCLR", "Barlow Twins", "Proposed", "Majority class (29.3 %)", "95 % t-interval over 5 seeds",
    ):  # fmt: skip
        assert text in found
    assert "diverged" not in found and "Missing" not in found


def test_mean_over_seeds_in_percent_and_t_interval():
    axes = draw(rounds()).axes[0]
    (proposed,) = curves(axes, "o")
    np.testing.assert_allclose(proposed.get_ydata()[[0, -1]], [12, 37])  # seeds at 10, 11, 12, 13, 14 %
    band = axes.collections[-1].get_paths()[0].vertices[:, 1]
    # s = sqrt(2.5), t(0.975, 4) = 2.776445, half width 2.776445 * sqrt(2.5 / 5) = 1.963243
    assert band.min() == pytest.approx(12 - 1.963243, abs=1e-5)


def test_few_seeds_show_their_extremes_and_one_seed_no_band(tmp_path):
    assert "mean, minimum and maximum over 2 seeds" in texts(draw(rounds(seeds=(0, 1))), tmp_path)
    single = draw(rounds(seeds=(0,)))
    assert "single seed" in texts(single, tmp_path) and not single.axes[0].collections


def test_a_diverged_run_is_marked_counted_and_left_out_of_the_mean(tmp_path):
    figure = draw(diverge(rounds(), "barlow_twins", 10.0, 4, at=30))
    found = texts(figure, tmp_path)
    assert "Barlow Twins (a: 1 of 5 diverged)" in found and "Crosses" in found
    (cross,) = curves(figure.axes[0], "x")
    assert cross.get_xdata()[-1] == 20 and cross.get_ydata()[-1] == pytest.approx(24)  # last finite accuracy
    (mean,) = curves(figure.axes[0], "^")
    assert mean.get_ydata()[0] == pytest.approx(11.5) and len(mean.get_xdata()) == 6
    assert not curves(figure.axes[1], "x")


def test_a_method_whose_every_run_diverged_stays_in_legend_and_panels(tmp_path):
    table = rounds()
    for snr in (10.0, 20.0):
        for seed in range(5):
            table = diverge(table, "simclr", snr, seed, at=0)
    figure = draw(table)
    assert "SimCLR (5 of 5 diverged)" in texts(figure, tmp_path)
    assert len(curves(figure.axes[0], "x")) == 5 and not curves(figure.axes[0], "s")


def test_missing_cells_and_seeds_are_named(tmp_path):
    def missing(table):
        cell = (table["method"] == "simclr") & (table["snr_db"] == 20)
        return cell | ((table["method"] == "proposed") & (table["seed"] == 3) & (table["snr_db"] == 10))

    found = texts(draw(rounds(drop=missing), snr_db=[10.0, 20.0, 30.0]), tmp_path)
    assert "Missing 26 of 60 runs: Proposed, 10 dB, seed 3; SimCLR, 20 dB; all methods, 30 dB." in found
    assert "SimCLR, 10 dB, seeds 5 6" in texts(draw(rounds(), seeds=range(7)), tmp_path)


def test_no_runs_at_all_still_gives_a_figure(tmp_path):
    found = texts(draw(rounds(), label_fraction=0.5), tmp_path)
    assert "Half of the labels" in found and "all methods, 10 dB; all methods, 20 dB" in found


def test_row_order_does_not_matter_and_experiments_do_not_mix(tmp_path):
    table = diverge(rounds(), "proposed", 20.0, 2, at=30)
    for name, rows in (("a", table), ("b", table.sample(frac=1, random_state=0))):
        save(draw(rows), [tmp_path / f"{name}.svg"])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    with pytest.raises(InputError, match="e, f"):
        draw(pd.concat([table, table.assign(experiment="f")]))


def test_methods_differ_in_colour_line_style_and_marker():
    styles = style.method_styles([*METHODS, "new_a", "new_b", "new_c", "new_d"])
    for looks in (
        [to_hex(s.color) for s in styles.values()], [str(s.linestyle) for s in styles.values()],
        [s.marker for s in styles.values()],
    ):  # fmt: skip
        assert len(set(looks)) == len(styles)
    assert styles["new_a"].label == "new a"


def test_text_is_at_least_7_points_at_final_size_and_nothing_is_cut_off():
    long = diverge(diverge(rounds(), "barlow_twins", 10.0, 1, at=0), "simclr", 20.0, 2, at=20)
    for figure, width in ((draw(long, majority_accuracy=0.2), 7.16), (draw(long, snr_db=[10.0]), 3.5)):
        assert figure.get_figwidth() == width
        figure.draw_without_rendering()
        (legend,) = figure.legends
        outer = figure.bbox
        for box in (legend.get_window_extent(), *(axes.get_tightbbox() for axes in figure.axes)):
            assert box.x0 >= outer.x0 - 2 and box.x1 <= outer.x1 + 2
            assert box.y0 >= outer.y0 - 2 and box.y1 <= outer.y1 + 2
        assert not legend.get_window_extent().overlaps(figure.axes[0].get_tightbbox())
        labels = [text for axes in figure.axes for text in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        assert min(text.get_fontsize() for text in [*labels, *legend.get_texts(), *figure.texts]) >= 7


def steps():
    step = np.arange(1, 701)
    frames = []
    for method, scale in (("simclr", 4.0), ("barlow_twins", 100.0)):
        for seed in range(2):
            loss = scale / step**0.1 + seed
            frame = pd.DataFrame({"experiment": "e", "method": method, "seed": seed, "step": step, "epoch": step // 12})
            frames.append(frame.assign(loss=loss, gradient_norm=loss / 2, status="ok"))
    frames[-1] = frames[-1].iloc[:100].copy()
    frames[-1].loc[99, ["loss", "gradient_norm", "status"]] = [np.nan, np.inf, "diverged"]
    frames[-1].loc[98, ["loss", "gradient_norm"]] = [1e6, 1e9]
    return pd.concat(frames)


def test_pretraining_figure_shows_the_explosion(tmp_path):
    figure = training_curves.pretraining_figure(steps(), methods=METHODS)
    found = texts(figure, tmp_path)
    titles = ("(a) SimCLR", "(b) Barlow Twins (1 of 2 diverged)")
    for text in (*titles, "Loss", "Gradient norm", "Stage I step", "of 3 steps"):
        assert text in found
    gradient = figure.axes[3]
    assert gradient.get_yscale() == "log" and gradient.get_ylim()[1] > 1e9  # a maximum, which no mean has flattened
    assert len(curves(gradient, "x")) == 1
    assert figure.axes[0].get_yscale() == "linear" and figure.axes[1].get_yscale() == "log"
    with pytest.raises(InputError, match="supervised"):
        training_curves.pretraining_figure(steps(), methods=["supervised"])


@pytest.mark.parametrize("count", [1, 4, 6, 9])
def test_pretraining_figure_keeps_many_methods_apart(count):
    """No two panels overlap, titles and labels included; every method has its two, and every column names its steps."""
    names = [f"proposed-variant-{number}" for number in range(count)]
    table = pd.concat(steps()[lambda t: t["method"] == "simclr"].assign(method=name) for name in names)
    figure = training_curves.pretraining_figure(table, methods=names)
    assert len(figure.axes) == 2 * count
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    for position, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:position])
    assert sum(axes.get_xlabel() == "Stage I step" for axes in figure.axes) == min(count, training_curves.COLUMNS)
    assert len({axes.get_ylim() for axes in figure.axes if axes.get_yscale() == "log"}) == 1  # gradient norms compare


def round_steps():
    """Stage II of two methods at one SNR and two label fractions; one seed of Barlow Twins diverges with half of them."""
    frames = []
    for method in ("proposed", "barlow_twins"):
        for fraction, rounds in ((1.0, 900), (0.5, 450)):
            for seed in range(2):
                frame = pd.DataFrame({"round": np.arange(1, rounds + 1), "gradient_norm": 2.0 + seed, "status": "ok"})
                frame = frame.assign(experiment="e", method=method, snr_db=10.0, label_fraction=fraction, seed=seed)
                frames.append(frame)
    frames[-1] = frames[-1].iloc[:100].copy()
    frames[-1].loc[99, ["gradient_norm", "status"]] = [np.inf, "diverged"]
    frames[0].loc[500, "gradient_norm"] = 1e5  # one spike among 900 rounds
    return pd.concat(frames)


def test_the_band_of_a_gradient_norm_is_the_range_of_the_seeds(tmp_path):
    """On an axis without a 0, where a t-interval of few and far values would go below it."""
    table = round_steps()
    table = pd.concat(
        [table[(table["seed"] == 0) & (table["method"] == "proposed")].assign(seed=seed) for seed in range(5)]
    )
    table["gradient_norm"] = 10.0 ** -table["seed"]
    figure = training_curves.gradient_figure(table, methods=["proposed"], snr_db=[10.0], label_fractions=[1.0, 0.5])
    for axes in figure.axes:
        band = axes.collections[-1].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (1e-4, 1)
    assert "mean, minimum and maximum over 5 seeds" in texts(figure, tmp_path)


def test_gradient_figure_keeps_spikes_and_names_what_diverged_or_lacks(tmp_path):
    arguments = {"methods": ["proposed", "barlow_twins"], "snr_db": [10], "label_fractions": [1.0, 0.5]}
    figure = training_curves.gradient_figure(round_steps(), **arguments, seeds=[0, 1, 2])
    found = texts(figure, tmp_path)
    for text in ("(a) Full labels, SNR = 10 dB", "(b) Half of the labels", "Communication round", "Gradient norm"):
        assert text in found
    assert "(b: 1 of 2 diverged)" in found and "Missing 4 of 12 runs" in found
    assert figure.axes[0].get_yscale() == "log" and figure.axes[0].get_ylim()[1] > 1e4
    with pytest.raises(InputError, match="one experiment"):
        training_curves.gradient_figure(pd.concat([round_steps(), round_steps().assign(experiment="f")]), **arguments)


SPECS = {
    "rgb": COLOUR_IMAGE,
    "depth": METRIC_DEPTH,
    "normals": SURFACE_NORMALS,
    "thermal": ModalitySpec(1, "float32", "K", "plain", (250.0, 330.0), 0.02),
}


def scenes(path, modalities=("rgb", "depth")):
    """Two classes; `kitchen` has six scenes of two rooms, `office` one of them."""
    rng = np.random.default_rng(0)
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "semcom-scenes", "version": 2, "modalities": list(modalities)})
        for name in modalities:
            spec, shape = SPECS[name], (7, SPECS[name].channels, 8, 8)
            if spec.dtype == "uint8":
                file[name] = rng.integers(0, 256, shape, dtype=np.uint8)
            else:
                file[name] = rng.uniform(*((1, 6) if name == "depth" else spec.range), shape).astype(np.float32)
            file[name].attrs.update(
                {"unit": spec.unit, "photometry": spec.photometry, "range": spec.range, "step": spec.scale}
            )
        file["label"] = np.array([0, 0, 0, 0, 0, 0, 1])
        file.create_dataset("class_names", data=["home_kitchen", "office"], dtype=text)
        file.create_dataset("room", data=["k1", "k1", "k1", "k1", "k1", "k2", "o1"], dtype=text)
        for name in ("scene_type", "split"):
            file.create_dataset(name, data=["train"] * 7, dtype=text)
    return path


def ablation_rows(*, growth: float = 2.0) -> pd.DataFrame:
    """A series of two lines, and one of another beginning."""
    rows = [
        {"trial": trial, "changes": changes, "runs": 6, "diverged": diverged}
        | {"score": score, "score_ci95_low": score - 0.02, "score_ci95_high": score + 0.03}
        | {"accuracy_labels1": score + 0.01, "accuracy_labels0.5": score - 0.01}
        | {"first_gradient_norm": 1000.0, "last_gradient_norm": 30.0, "gradient_growth": growth}
        for trial, changes, score, diverged in (
            ("letter", "", 0.29, 0),
            ("centred", "options.centre true", 0.31, 1),
            ("other", "", 0.30, 0),
        )
    ]
    return pd.DataFrame(rows)


def test_ablation_figure_keeps_the_order_and_shows_accuracy_in_percent_norms_and_growth(tmp_path):
    figure = ablation.ablation_figure(ablation_rows(growth=17.5), {"other": "Another"})
    accuracy, norms, growth = figure.axes
    names = [tick.get_text() for tick in accuracy.get_yticklabels()]
    assert names == ["letter", "centred (1 of 6 diverged)", "Another"]
    low, high = accuracy.get_ylim()
    assert low > high  # the first change on top
    drawn = {line.get_label(): line for line in accuracy.get_lines()}
    full, half = drawn["full labels"], drawn["half of the labels"]
    assert list(full.get_xdata()) == pytest.approx([30, 32, 31]) and list(half.get_xdata()) == pytest.approx(
        [28, 30, 29]
    )
    assert to_hex(full.get_markerfacecolor()) != to_hex(half.get_markerfacecolor())
    assert [line.get_xdata().tolist() for line in accuracy.get_lines() if line.get_marker() == "o"] == [
        pytest.approx([29, 31, 30])
    ]
    assert norms.get_xscale() == "log" and [set(line.get_xdata()) for line in norms.get_lines()] == [{1000}, {30}]
    assert growth.get_xscale() == "log" and list(growth.get_lines()[0].get_xdata()) == [17.5] * 3
    assert growth.get_lines()[1].get_xdata() == [EXPLODED, EXPLODED]
    assert "a diverged run as 0" in texts(figure, tmp_path)


def test_ablation_figure_puts_a_change_nearer_to_its_trial_than_to_the_next():
    figure = ablation.ablation_figure(ablation_rows())
    accuracy = figure.axes[0]
    figure.draw_without_rendering()
    box = {text.get_text(): text.get_window_extent() for text in [*accuracy.texts, *accuracy.get_yticklabels()]}
    name, change, after = box["centred (1 of 6 diverged)"], box["options.centre true"], box["other"]
    assert change.y0 - after.y1 > 3 * abs(name.y0 - change.y1)
    assert all(text.x0 >= 0 for text in box.values())  # within the figure


def test_ablation_figure_of_one_label_fraction_without_stage_one_shows_what_there_is():
    rows = ablation_rows()
    rows = rows.drop(columns=["accuracy_labels0.5", *rows.filter(like="gradient")])
    (accuracy,) = ablation.ablation_figure(rows).axes
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["mean"]


def test_contact_sheet_names_classes_and_takes_different_rooms(tmp_path):
    path = scenes(tmp_path / "scenes.h5")
    figure = contact_sheet.contact_sheet(path, per_class=2)
    found = texts(figure, tmp_path)
    for text in ("home kitchen", "office", "RGB", "Depth", "Depth (m)"):
        assert text in found
    images = figure.axes[0].get_images()
    assert len(images) == 2 * (2 + 1)
    for seed in range(5):
        chosen = contact_sheet._choose(contact_sheet.scene_table(path).iloc[:6], 2, seed)
        assert 5 in chosen and len(set(chosen)) == 2  # the only scene of room k2
    with pytest.raises(InputError, match="test"):
        contact_sheet.contact_sheet(path, split="test")


def test_contact_sheet_shows_whatever_modalities_there_are(tmp_path):
    path = scenes(tmp_path / "four.h5", tuple(SPECS))
    figure = contact_sheet.contact_sheet(path, per_class=1)
    found = texts(figure, tmp_path)
    for text in ("RGB", "Depth", "Normals", "Thermal", "Depth (m)"):
        assert text in found
    rgb, depth, normals, thermal = figure.axes[0].get_images()[:4]
    chosen = contact_sheet._choose(contact_sheet.scene_table(path).iloc[:6], 1, 0)[0]
    with h5py.File(path) as file:
        for image, name in ((rgb, "rgb"), (normals, "normals")):
            assert (image.get_array() == np.moveaxis(file[name][chosen], 0, -1)).all()
        for image, name in ((depth, "depth"), (thermal, "thermal")):
            np.testing.assert_array_equal(image.get_array(), file[name][chosen, 0])
    assert thermal.get_cmap().name == "gray" and thermal.get_clim() == (250, 330)
    alone = contact_sheet.contact_sheet(scenes(tmp_path / "rgb.h5", ("rgb",)))
    assert len(alone.axes) == 1 and len(alone.axes[0].get_images()) == 7  # no colour bar, all seven scenes


def test_all_formats_are_the_same_bytes_from_two_processes(tmp_path):
    scenes(tmp_path / "scenes.h5")
    diverge(rounds(), "simclr", 10.0, 1, at=20).to_pickle(tmp_path / "rounds.pkl")
    script = """
import sys, pandas
from semcom.figures import accuracy, contact_sheet, panels
folder, out = sys.argv[1:]
figure = accuracy.accuracy_figure(pandas.read_pickle(f"{folder}/rounds.pkl"), methods=["simclr", "proposed"],
                                 snr_db=[10.0, 20.0], label_fraction=1.0)
for name, drawn in (("a", figure), ("b", contact_sheet.contact_sheet(f"{folder}/scenes.h5", per_class=1))):
    panels.save(drawn, [f"{out}/{name}.{suffix}" for suffix in ("pdf", "svg", "png")])
assert "torch" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    digests = []
    for number in range(2):  # each takes longer than a second, so that a date would show
        out = tmp_path / str(number)
        subprocess.run([sys.executable, "-c", script, tmp_path, out], check=True)
        digests.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()})
    assert len(digests[0]) == 6 and digests[0] == digests[1]
    assert b"/FontFile2" in (out / "a.pdf").read_bytes()  # an embedded TrueType font, not Type 3


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="figure.gif"):
        save(draw(rounds()), [tmp_path / "figure.gif"])
    assert not list(tmp_path.iterdir())
