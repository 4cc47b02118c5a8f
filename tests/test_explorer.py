"""The explorer: every number on it is one of the tables, it asks nothing of a network, and keys alone work it."""

import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml

from browser import Page
from conftest import ROOT, run_snakemake
from semcom.analysis.costs import with_costs
from semcom.analysis.evaluations import COLUMNS as EVALUATION_COLUMNS
from semcom.analysis.records import ROUNDS_COLUMNS, collect_rounds
from semcom.analysis.statistics import t_interval
from semcom.figures import explorer, explorer_charts, explorer_tables, style

METHODS = ["proposed", "simclr", "barlow_twins", "supervised"]
LABELS = {"proposed": "Proposed", "simclr": "SimCLR", "barlow_twins": "Barlow Twins", "supervised": "Supervised"}
MEGABYTE = 1e6
LARGEST = 5 * MEGABYTE
STAGE_ONE = {method: method if method != "supervised" else None for method in METHODS}
OVERHEAD = pd.DataFrame(
    {"method": "proposed", "seed": range(5), "uplink_channel_uses": 7000, "downlink_channel_uses": 3000}
).assign(uplink_bits=1000, downlink_bits=500)
TESTED = [-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]


def made_rounds(evaluations=6, seeds=range(5), snrs=(10.0, 20.0), diverged=()):
    """Evaluations of a grid, by default of config.yaml's cells; `diverged` runs, by method and seed, end after the second."""
    draw = np.random.default_rng(0)
    parts = []
    for method, snr, labels, seed in itertools.product(METHODS, snrs, (1.0, 0.5), seeds):
        rounds = 10 * np.arange(evaluations)
        rise = 0.1 + 0.4 * rounds / rounds.max() + 0.1 * METHODS.index(method) / 4
        run = pd.DataFrame(
            {"round": rounds, "epoch": rounds / 10, "accuracy": rise + draw.normal(0, 0.01, evaluations)}
        )
        run = run.assign(experiment="made", method=method, snr_db=snr, label_fraction=labels, seed=seed, split="test")
        run = run.assign(mean_class_accuracy=run["accuracy"], loss=1.0, status="ok")
        run = run.assign(uplink_channel_uses=64 * rounds, downlink_channel_uses=32 * rounds)
        run = run.assign(uplink_bits=2048 * rounds, downlink_bits=1024 * rounds)
        if (method, seed) in diverged:
            run = run.head(3).copy()
            run.loc[2, ["accuracy", "mean_class_accuracy", "loss"]] = np.nan
            run.loc[2, "status"] = "diverged"
        parts.append(run)
    rounds = pd.concat(parts, ignore_index=True)[ROUNDS_COLUMNS]
    return with_costs(rounds, OVERHEAD, STAGE_ONE, symbols_per_s=100.0)


def made_evaluation(conditions=("awgn", "rayleigh"), seeds=range(5), tested=TESTED):
    rows = [
        ["made", method, snr, 1.0, seed, condition, at, "test", share, share, 1.0, 128, "ok"]
        for method, snr, seed, condition, at in itertools.product(METHODS, (10.0, 20.0), seeds, conditions, tested)
        for share in [0.3 + at / 200 + seed / 100 + METHODS.index(method) / 50 - 0.1 * (condition == "rayleigh")]
    ]
    return pd.DataFrame(rows, columns=EVALUATION_COLUMNS)


def made_page(rounds, evaluations=None, tables=(), **given):
    frame, looks, script = ((ROOT / f"workflow/report/explorer.{kind}").read_text() for kind in ("html", "css", "js"))
    settings = {"experiment": "made", "methods": METHODS, "labels": LABELS} | given
    return explorer.page(
        explorer.Parts(frame=frame, looks=looks, script=script), rounds=rounds, majority_accuracy=0.25,
        evaluations=evaluations or {}, tables=tables, **settings,
    )  # fmt: skip


def kept_tables(experiment):
    folder = ROOT / f"results/reference/{experiment}/tables"
    called = explorer_tables.named_methods(LABELS)
    names = ("summary", "rounds_to_target", "claim_tests", "pretraining_overhead")
    read = {name: pd.read_csv(folder / f"{name}.csv") for name in (*names, "claims")}
    sections = [explorer_tables.claims(read["claims"])]
    return sections + [getattr(explorer_tables, name)(read[name], called) for name in names]


def charts(page):
    return json.loads(re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)[1])


@pytest.fixture(scope="module")
def large():
    """A page of config.yaml's size, 80 runs of 500 evaluations, with two evaluations and all tables."""
    conditions = {"awgn": "AWGN", "rayleigh": "Rayleigh"}
    asked = {"swept": (made_evaluation(), conditions), "faded": (made_evaluation(), conditions)}
    return made_page(made_rounds(500), asked, kept_tables("nyud2-small"))


def test_a_curve_is_the_mean_over_seeds_and_its_interval():
    rounds = made_rounds()
    curves, axes = explorer_charts.rounds_chart(rounds, style.method_styles(METHODS))
    assert [axis.name for axis in axes] == ["round", "channel_uses", "bits", "airtime"] and len(curves) == 16
    for curve in curves:
        cell = rounds[(rounds["method"] == curve["method"]) & (rounds["snr_db"] == float(curve["snr"]))]
        cell = cell[cell["label_fraction"] == float(curve["labels"])].pivot(
            index="round", columns="seed", values="accuracy"
        )
        mean, low, high = (100 * ends for ends in t_interval(cell.to_numpy().T))
        assert curve["round"] == cell.index.tolist() and curve["seeds"] == 5
        assert np.allclose(curve["mean"], mean, atol=0.005) and np.allclose(curve["low"], low, atol=0.005)
        assert np.allclose(curve["high"], high, atol=0.005)
        assert curve["channel_uses"] == [96 * count for count in curve["round"]]  # up and down
        assert curve["bits"] == [3072 * count for count in curve["round"]]
        assert curve["airtime"] == pytest.approx(
            [0.96 * count for count in curve["round"]]
        )  # seconds: 50 rounds take 48


def test_stage_one_is_priced_where_its_price_is_known():
    curves, axes = explorer_charts.rounds_chart(made_rounds(), style.method_styles(METHODS))
    before = {curve["method"]: curve["before"] for curve in curves}
    assert before["proposed"] == {"round": 0, "channel_uses": 10_000, "bits": 1500, "airtime": 100}
    assert before["supervised"] == {"round": 0, "channel_uses": 0, "bits": 0, "airtime": 0}  # has no stage I
    assert before["simclr"] == {"round": 0, "channel_uses": None, "bits": None, "airtime": None}
    assert axes[-1].title.endswith("(s)")


def test_seeds_that_diverged_are_left_out_and_named():
    rounds = made_rounds(diverged={("simclr", 3), *(("barlow_twins", seed) for seed in range(5))})
    curves, _ = explorer_charts.rounds_chart(rounds, style.method_styles(METHODS))
    counts = {curve["method"]: (curve["seeds"], curve["diverged"]) for curve in curves}
    assert counts == {"proposed": (5, 0), "simclr": (4, 1), "barlow_twins": (0, 5), "supervised": (5, 0)}
    assert all(curve["mean"] == curve["round"] == [] for curve in curves if curve["method"] == "barlow_twins")
    page = made_page(rounds)
    assert "SimCLR at 10 dB, 100 % of the labels: 1 of 5" in page
    assert "Barlow Twins at 10 dB, 100 % of the labels: 5 of 5" in page


def test_few_seeds_have_their_range_and_one_has_no_band():
    two, _ = explorer_charts.rounds_chart(made_rounds(seeds=[0, 1]), style.method_styles(METHODS))
    one, _ = explorer_charts.rounds_chart(made_rounds(seeds=[0]), style.method_styles(METHODS))
    assert all(
        low <= mean <= high for curve in two for low, mean, high in zip(*(curve[k] for k in ("low", "mean", "high")))
    )
    assert all(curve["low"] == curve["high"] == [None] * 6 for curve in one)


def test_of_many_evaluations_every_nth_is_kept_and_the_last():
    curves, _ = explorer_charts.rounds_chart(made_rounds(5000, seeds=[0]), style.method_styles(METHODS))
    for curve in curves:
        assert curve["round"][0] == 0 and curve["round"][-1] == 49_990
        assert len(curve["round"]) <= explorer_charts.MOST_POINTS // len(curves) + 2
    assert sum(len(curve["mean"]) for curve in curves) > explorer_charts.MOST_POINTS / 2


def test_a_run_without_noise_and_one_without_seeds_left_are_shown():
    rounds = made_rounds(snrs=(np.inf,), diverged={(method, seed) for method in METHODS for seed in range(5)})
    page = made_page(rounds)
    assert not any(curve["mean"] for curve in charts(page)["curves"]["data"]["values"])
    page = made_page(made_rounds(snrs=(np.inf,)))
    assert "∞ dB" in page and charts(page)["curves"]["data"]["values"][0]["snr"] == "inf"


def test_an_evaluation_at_one_snr_has_a_table_and_no_slider():
    page = made_page(made_rounds(), {"once": (made_evaluation(tested=[5.0]), {"awgn": "AWGN"})})
    assert 'id="evaluation-once"' in page and "tested-once" not in page and "rayleigh" in page


@pytest.mark.parametrize("experiment", ["nyud2-small", "rooms"])
def test_a_page_of_kept_results_is_small(experiment):
    rounds = collect_rounds([ROOT / f"results/reference/{experiment}/tables/rounds.csv"], methods=METHODS)
    rounds = with_costs(rounds, None, STAGE_ONE, symbols_per_s=8e5)
    page = made_page(rounds, tables=kept_tables(experiment))
    assert len(page.encode()) < LARGEST / 2


def test_a_page_of_the_papers_size_is_small_and_names_no_address_to_load_from(large):
    assert len(large.encode()) < LARGEST

    class Loads(HTMLParser):
        found: list = []

        def handle_starttag(self, tag, attributes):
            self.found += [(tag, value) for name, value in attributes if name in ("src", "srcset", "data", "action")]
            self.found += [(tag, value) for name, value in attributes if name == "href" and not value.startswith("#")]

    loads = Loads()
    loads.feed(large)
    assert not loads.found and "@import" not in large.split("</style>")[0]
    assert "default-src 'none'" in large


def test_tables_show_shares_in_per_cent_and_sort_by_the_share():
    called = explorer_tables.named_methods(LABELS)
    table = pd.read_csv(ROOT / "results/reference/nyud2-small/tables/summary.csv")
    html = explorer_tables.summary(table, called)
    row = table.iloc[0]
    shown = f"{100 * row.accuracy_mean:.1f} ({100 * row.accuracy_ci95_low:.1f} to {100 * row.accuracy_ci95_high:.1f})"
    assert f'data-key="{row.accuracy_mean}">{shown}</td>' in html
    assert "Proposed" in html and "nan" not in html.lower() and html.count("<tr>") == len(table) + 1
    targets = explorer_tables.rounds_to_target(
        pd.read_csv(ROOT / "results/reference/nyud2-small/tables/rounds_to_target.csv"), called
    )
    assert re.search(r'data-key="inf">&gt; [\d\N{NARROW NO-BREAK SPACE}]+<', targets) and "5 of 5" in targets


def test_words_of_the_user_are_no_markup():
    called = explorer_tables.named_methods({"proposed": "<b>&</b>", "simclr": r"$\tau$"})
    assert called("simclr") == "simclr" and called("barlow_twins") == "Barlow Twins"
    table = pd.DataFrame([{"method": "proposed", "seed": 0, "steps": 3, "uplink_channel_uses": 5, "uplink_bits": 7}])
    html = explorer_tables.pretraining_overhead(table, called)
    assert "<b>" not in html and "&lt;b&gt;&amp;&lt;/b&gt;" in html
    assert re.findall(r">([^<>]+)</td>", html)[1:] == ["0", "3", "5", "7"]  # seed, steps, channel uses, bits
    page = made_page(made_rounds(), labels=LABELS | {"proposed": "</script><script>alert(1)</script>"})
    assert "<script>alert" not in page
    assert "</script><script>alert(1)" in charts(page)["curves"]["data"]["values"][0]["called"]


def test_long_tables_are_cut_and_say_so(monkeypatch):
    monkeypatch.setattr(explorer_tables, "MOST_ROWS", 2)
    table = pd.DataFrame({"claim": list("abc"), "statement": "s", "verdict": "holds", "tests": 1, "tests_holds": 1,
                          "tests_contradicted": 0, "tests_not_shown": 0})  # fmt: skip
    html = explorer_tables.claims(table)
    assert "The first 2 of 3 rows." in html and html.count("<tr>") == 3


# In a browser


class Explorer(Page):
    """A reader of the explorer, who waits until its charts stand."""

    def __init__(self, driver, file):
        super().__init__(driver, file)
        self.until(lambda: len(self.all(".chart svg.marks")) == len(self.all("form[data-chart]")) > 0)
        self.until(
            lambda: self.driver.execute_script(
                "return [...document.querySelectorAll('form[data-chart]')].every(form => form.dataset.shown)"
            )
        )

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def lines(self, chart="curves"):
        """Outlines of the curves that a chart shows."""
        paths = self.all(f"#chart-{chart} .mark-line path")
        return [path.get_attribute("d") for path in paths if path.get_attribute("d")]

    def press(self, element, *keys):
        """Keys on an element that has the focus, and what the page makes of them."""
        self.driver.execute_script("arguments[0].focus()", element)
        element.send_keys(*keys)
        return self

    def shown(self, chart="curves"):
        return json.loads(self.all(f"form[data-chart={chart}]")[0].get_attribute("data-shown"))


@pytest.fixture
def opened(driver, tmp_path, large):
    file = tmp_path / "explorer.html"
    file.write_text(large, encoding="utf-8")
    driver.set_window_size(1400, 900)
    page = Explorer(driver, file)
    yield page
    driver.set_window_size(1400, 900)
    said = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not said, "neither an error nor a warning of Vega's"
    assert not page.requested(), "the explorer must work offline"


@pytest.mark.slow
def test_keys_alone_choose_the_axis_the_snr_and_the_methods(opened):
    from selenium.webdriver.common.keys import Keys

    titles = lambda: opened.driver.find_element("id", "chart-curves").text  # noqa: E731
    assert "Communication rounds" in titles() and len(opened.lines()) == 4
    before = opened.lines()
    axis = opened.all("form[data-chart=curves] [name=axis]")
    for radio, title in zip(axis, ("Channel uses so far", "Bits so far", "Airtime so far"), strict=False):
        opened.press(radio, Keys.ARROW_RIGHT).until(lambda title=title: title in titles())
    assert opened.shown()["axis"] == "airtime"
    priced = opened.all("form[data-chart=curves] [name=stage_one]")
    opened.press(priced[0], Keys.ARROW_RIGHT).until(lambda: len(opened.lines()) == 2)  # of the others no price is known
    opened.press(priced[1], Keys.ARROW_LEFT).until(lambda: len(opened.lines()) == 4)
    opened.press(opened.all("form[data-chart=curves] [name=snr]")[0], Keys.ARROW_RIGHT)
    opened.until(lambda: opened.shown()["snr"] == "20" and opened.lines() != before)
    opened.press(opened.all("form[data-chart=curves] [value=simclr]")[0], Keys.SPACE)
    opened.until(lambda: len(opened.lines()) == 3)
    assert opened.shown()["shown"] == ["proposed", "barlow_twins", "supervised"]


@pytest.mark.slow
def test_the_slider_shows_the_values_at_its_snr(opened):
    from selenium.webdriver.common.keys import Keys

    section = opened.driver.find_element("id", "tested-swept")
    slider = section.find_element("name", "at")
    value = lambda: section.find_element("tag name", "output").text  # noqa: E731
    assert value() == "−10 dB"
    opened.press(slider, *[Keys.ARROW_RIGHT] * 2).until(lambda: value() == "0 dB")
    assert slider.get_attribute("aria-valuetext") == "0 dB"
    rows = section.find_elements("css selector", ".values tbody tr")
    cells = {row.find_elements("tag name", "td")[0].text: row.text for row in rows}
    table = made_evaluation()
    table = table[(table["condition"] == "awgn") & (table["snr_db"] == 10) & (table["tested_snr_db"] == 0)]
    for method, name in LABELS.items():
        mean, low, high = (
            100 * float(end) for end in t_interval(table.loc[table["method"] == method, "accuracy"].to_numpy())
        )
        assert cells[name] == f"{name} {mean:.1f} {low:.1f} to {high:.1f} 5"
    opened.press(slider, Keys.END).until(lambda: value() == "30 dB")
    opened.press(section.find_elements("name", "condition")[0], Keys.ARROW_RIGHT)
    opened.until(lambda: opened.shown("tested-swept")["condition"] == "rayleigh")


@pytest.mark.slow
def test_headings_sort_their_table_both_ways(opened):
    from selenium.webdriver.common.keys import Keys

    section = opened.driver.find_element("id", "accuracy-at-the-end-of-training")
    heading = next(cell for cell in section.find_elements("css selector", "th") if cell.text.startswith("Accuracy"))
    place = section.find_elements("css selector", "th").index(heading)
    column = lambda: [  # noqa: E731
        float(row.find_elements("tag name", "td")[place].get_attribute("data-key"))
        for row in section.find_elements("css selector", "tbody tr")
    ]
    values = column()
    button = heading.find_element("tag name", "button")
    assert values != sorted(values)
    opened.press(button, Keys.ENTER)
    assert column() == sorted(values) and heading.get_attribute("aria-sort") == "ascending"
    opened.press(button, Keys.SPACE)
    assert column() == sorted(values, reverse=True) and heading.get_attribute("aria-sort") == "descending"
    # What was never reached comes after what was, as text the classes come by their letters.
    reach = opened.driver.find_element("id", "communication-to-reach-a-target")
    rounds = next(cell for cell in reach.find_elements("css selector", "th") if cell.text.startswith("Rounds"))
    opened.press(rounds.find_element("tag name", "button"), Keys.ENTER)
    place = reach.find_elements("css selector", "th").index(rounds)
    texts = [row.find_elements("tag name", "td")[place].text for row in reach.find_elements("css selector", "tbody tr")]
    assert texts[-1].startswith(">") and not texts[0].startswith(">")


@pytest.mark.slow
def test_a_narrow_window_has_all_of_it_in_its_width(opened):
    opened.driver.set_window_size(500, 900)
    opened.until(lambda: opened.driver.execute_script("return innerWidth") <= 500)
    width = lambda css: opened.driver.execute_script(  # noqa: E731
        "return Math.max(...[...document.querySelectorAll(arguments[0])].map(e => e.getBoundingClientRect().right))",
        css,
    )
    opened.until(lambda: width(".chart svg.marks") <= 500)
    assert width("fieldset, .slider, .scrolls, p") <= 500
    assert opened.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_the_pipeline_writes_it_with_a_slider_for_what_was_asked(finished_copy, driver):
    """Also of trained links that were kept: nothing is trained for it."""
    config = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    config["evaluations"] = {"swept": {"snr_db": [0, 10], "methods": ["proposed", "supervised"], "channel_draws": 1}}
    (finished_copy / "asked.yaml").write_text(yaml.safe_dump(config))
    done = run_snakemake(finished_copy, "results/test/explorer.html", "--configfile", "asked.yaml")
    assert done.returncode == 0 and "Fine-tune" not in done.stdout, done.stdout
    file = finished_copy / "results/test/explorer.html"
    assert file.stat().st_size < LARGEST
    page = Explorer(driver, file)
    assert [form.get_attribute("data-chart") for form in page.all("form[data-chart]")] == ["curves", "tested-swept"]
    headings = {heading.text for heading in page.all("h2")}
    assert {"Accuracy curves", "SNR at test: swept", "Accuracy at the end of training", "The claims of the paper",
            "Communication to reach a target", "Recall and precision of each class", "Evaluation swept"} <= headings  # fmt: skip
    assert not page.errors() and not page.requested()
    rounds = collect_rounds([finished_copy / "results/test/tables/rounds.csv"], methods=METHODS)
    first = page.driver.execute_script("return charts.curves.data.values[0]")
    last = rounds[(rounds["method"] == first["method"]) & (rounds["label_fraction"] == float(first["labels"]))]
    last = last[(last["split"] == "test") & (last["round"] == first["round"][-1])]
    assert first["mean"][-1] == pytest.approx(100 * last["accuracy"].item(), abs=0.005)
