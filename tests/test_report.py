"""The HTML report as a reader meets it: opened from disk in a real browser, and clicked through to figure 4."""

import os
import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml

from browser import Page
from conftest import run_snakemake

pytestmark = pytest.mark.slow

ITEMS = {
    "Figures": [
        "Figure 4: accuracy with 100 % of the labels",
        "Figure 5: accuracy with 50 % of the labels",
        "Figure 4 against channel uses, with 100 % of the labels",
        "Figure 5 against airtime, with 50 % of the labels",
        "Pre-training: loss and gradient norm",
    ],
    "Tables": [
        "Accuracy at the end of training",
        "Communication to reach a target",
        "How pre-training ended",
        "Pre-training if the devices were apart",
    ],
    "Data": ["Contact sheet", "Scenes per class"],
}


class Reader(Page):
    """A reader of the report, who clicks on what is displayed."""

    def __init__(self, driver, report: Path):
        super().__init__(driver, report)
        self.until(lambda: self.visible("//nav//*[normalize-space(text())='Figures']"))

    def click(self, xpath: str) -> None:
        self.until(lambda: self.visible(xpath))[0].click()

    def open_category(self, name: str) -> list[str]:
        """Click on a category of the menu; gives the items that it lists."""
        if results := self.visible("//nav//a[normalize-space()='Results']"):
            results[0].click()
        self.click(f"//nav//ul//*[normalize-space(text())='{name}']")
        rows = self.until(lambda: self.visible("//nav//tbody/tr/td[1]"))
        return [row.text for row in rows]

    def show(self, item: str) -> None:
        self.click(f"//nav//tr[td[1][normalize-space()='{item}']]//a[1]")

    def describe(self, item: str) -> str:
        """Click on an item's `i`; gives the text of the panel that opens."""
        self.click(f"//nav//tr[td[1][normalize-space()='{item}']]//a[2]")
        self.until(lambda: self.visible("//nav//*[normalize-space(text())='Description']"))
        return self.driver.find_element("xpath", "//nav[contains(@class, 'h-screen')]").text

    def image(self):
        """The image that fills the page, once it is drawn."""

        def drawn():
            images = self.visible("//div[@id='app']//div[not(ancestor::nav)]/img[not(ancestor::nav)]")
            return images and int(images[0].get_property("naturalWidth")) > 0 and images[0]

        return self.until(drawn)


@pytest.fixture
def reader(driver, finished: Path) -> Reader:
    reader = Reader(driver, finished / "results/test/report.html")
    yield reader
    assert not reader.errors()
    assert not reader.requested(), "the report must work offline"


def test_a_reader_clicks_to_figure_4_and_its_caption(reader):
    reader.open_category("Figures")
    reader.show("Figure 4: accuracy with 100 % of the labels")
    image = reader.image()
    assert image.size["width"] > 300 and image.size["height"] > 200
    header, _, content = image.get_attribute("src").partition(",")
    drawing = b64decode(content).decode() if header.endswith("base64") else unquote(content)
    assert "image/svg" in header and "Communication round" in drawing
    text = reader.describe("Figure 4: accuracy with 100 % of the labels")
    assert "figure 4 of arxiv 2503.13940" in text.lower() and "all labels" in text
    assert reader.image().is_displayed()


def test_every_promised_item_is_listed_and_described(reader):
    described = reader.driver.execute_script("return Object.values(results).map(r => [r.labels.item, r.caption])")
    for category, items in ITEMS.items():
        listed = reader.open_category(category)
        assert set(items) <= set(listed)
        assert not [item for item, caption in described if item in listed and len(caption) < 60]
    # One label each: see workflow/rules/report.smk.
    assert reader.driver.execute_script("return Object.values(results).every(r => Object.keys(r.labels).length == 1)")


def test_tables_are_shown_as_tables(reader):
    for category, item in [("Data", "Scenes per class"), *(("Tables", item) for item in ITEMS["Tables"])]:
        reader.open_category(category)
        reader.show(item)
        frame = reader.until(lambda: reader.visible("//iframe"))[0]
        reader.driver.switch_to.frame(frame)
        assert reader.until(lambda: reader.visible("//h1"))[0].text == item
        assert len(reader.visible("//table/tbody/tr")) >= 3, item
        assert not re.search(r"\bnan\b", reader.driver.find_element("xpath", "//table").text, re.IGNORECASE), item
        reader.driver.switch_to.default_content()


def test_the_contact_sheet_can_be_seen_from_its_top(reader):
    reader.open_category("Data")
    reader.show("Contact sheet")
    image = reader.image()
    place = reader.driver.execute_script("return arguments[0].getBoundingClientRect()", image)
    width, height = reader.driver.execute_script("return [innerWidth, innerHeight]")
    assert place["height"] > height, "this sheet no longer tells whether tall images are cut off"
    assert place["top"] >= 0 and place["right"] <= width  # what lies below the window can be scrolled to


def test_the_first_page_shows_figure_4_the_verdicts_and_the_way_on_but_no_graph(reader, finished):
    page = reader.until(lambda: reader.visible("//main | //div[h1 or .//h1][not(ancestor::nav)]"))[0].text
    said = ["Experiment test", "Methods: proposed, simclr, barlow twins, supervised", "SNR: 10 dB", "Labels: 100, 50 %"]
    assert not [words for words in said if words not in page]
    figure = reader.until(lambda: reader.visible("//img[starts-with(@alt, 'Figure 4')]"))[0]
    assert int(figure.get_property("naturalWidth")) > 0 and figure.size["width"] > 600
    drawing = b64decode(figure.get_attribute("src").partition(",")[2])
    assert drawing == (finished / "results/test/figures/figure4.svg").read_bytes()
    claims = pd.read_csv(finished / "results/test/tables/claims.csv")
    rows = [row.text.split() for row in reader.visible("//table[contains(@class, 'verdicts')]/tbody/tr")]
    assert len(rows) == len(claims) > 5
    for row, claim in zip(rows, claims.itertuples(), strict=True):
        tests = f"{claim.tests_holds} of {claim.tests} hold" if claim.tests else "none"
        assert f"{claim.statement} {claim.verdict} {tests}" in " ".join(row)
    assert not reader.driver.find_elements("xpath", "//div[@id='rulegraph']")
    reader.click("//p/a[normalize-space()='Figures'] | //li//a[normalize-space()='Figures']")
    assert reader.until(lambda: reader.visible("//nav//tbody/tr"))
    beside = reader.visible("//li//a[normalize-space()='file of its own']")[0].get_property("href")
    assert beside == (finished / "results/test/explorer.html").as_uri()


def test_the_graph_of_the_rules_stays_in_the_menu(reader):
    reader.click("//nav//a[normalize-space()='Workflow']")
    assert reader.until(lambda: reader.visible("//div[@id='rulegraph']//*[name()='canvas' or name()='svg']"))


def test_the_explorer_works_within_the_report(reader):
    assert reader.open_category("Explorer") == ["Curves, SNR at test, and tables to sort"]
    reader.show("Curves, SNR at test, and tables to sort")
    frame = reader.until(lambda: reader.visible("//iframe"))[0]
    reader.driver.switch_to.frame(frame)
    lines = "//div[@id='chart-curves']//*[contains(@class, 'mark-line')]//*[name()='path'][@d]"
    assert len(reader.until(lambda: reader.visible(lines))) == 4
    reader.driver.switch_to.default_content()


def test_a_partial_configuration_and_a_snakemake_off_the_path_give_a_report(finished_copy):
    config = yaml.safe_load((finished_copy / "tests/config.yaml").read_text())
    # The whole of the tests' configuration is the default here, and the user's file gives one setting of it.
    (finished_copy / "config/config.yaml").write_text(yaml.safe_dump(config))
    (finished_copy / "own.yaml").write_text("grid:\n  label_fractions: [1.0, 0.5]\n")
    report = finished_copy / "results/test/report.html"
    report.unlink()
    # As started by its full path, from an environment that is not activated.
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "report", "--configfile", "own.yaml"]
    environment = os.environ | {"PATH": os.pathsep.join(["/usr/bin", "/bin"])}
    done = subprocess.run(command, cwd=finished_copy, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Fine-tune" not in done.stderr and "Figure 4: accuracy" in report.read_text()


def test_a_report_that_fails_says_why_in_its_log(finished_copy):
    caption = finished_copy / "workflow/report/contact_sheet.rst"
    caption.write_text("{{ snakemake.params.unknown.setting }}\n")
    done = run_snakemake(finished_copy, "report", "--configfile", "tests/config.yaml")
    assert done.returncode != 0 and "results/test/logs/report.log" in done.stdout
    assert "contact_sheet.rst" in (finished_copy / "results/test/logs/report.log").read_text()
    assert not list((finished_copy / "results/test").glob("*.tmp.html"))
