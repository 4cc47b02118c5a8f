"""The HTML report as a reader meets it: opened from disk in a real browser, and clicked through to figure 4."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from conftest import run_snakemake

pytestmark = pytest.mark.slow

ITEMS = {
    "Figures": [
        "Figure 4: accuracy with 100 % of the labels",
        "Figure 5: accuracy with 50 % of the labels",
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
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1400,900"
).split()
PATIENCE = 20  # seconds; a click takes effect in milliseconds, but a loaded machine may pause


def absent(what: str) -> None:
    """Skip, or fail where the surroundings promise a browser."""
    if os.environ.get("SEMCOM_REQUIRE_BROWSER") == "1":
        pytest.fail(f"SEMCOM_REQUIRE_BROWSER is set, and {what} is not installed")
    pytest.skip(f"{what} is not installed")


class Reader:
    """A reader with a browser and nothing but the report: sees what is displayed, and clicks on it."""

    def __init__(self, driver, report: Path):
        self.driver = driver
        self.report = report.as_uri()
        self.driver.get(self.report)
        self.until(lambda: self.visible("//nav//*[normalize-space(text())='Figures']"))

    def until(self, condition):
        """What `condition` gives once it gives something, while React redraws the page."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def visible(self, xpath: str) -> list:
        return [element for element in self.driver.find_elements("xpath", xpath) if element.is_displayed()]

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

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requested(self) -> set[str]:
        """Every address that the page asked for, besides itself, what it carries within, and the browser's own tabs."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        assert any(url.startswith(self.report) for url in urls), "the browser's log must show at least the report"
        urls |= set(self.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"))
        return {url for url in urls if not url.startswith((self.report, "data:", "blob:", "chrome:"))}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        absent("chromium with chromedriver")
    try:
        import selenium  # noqa: F401
    except ImportError:
        absent("selenium (pip install '.[browser]')")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()


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


def test_the_start_page_says_what_was_run_and_leads_on(reader):
    page = reader.until(lambda: reader.visible("//main | //div[h1 or .//h1][not(ancestor::nav)]"))[0].text
    said = ["Experiment test", "Methods: proposed, simclr, barlow twins, supervised", "SNR: 10 dB", "Labels: 100, 50 %"]
    assert not [words for words in said if words not in page]
    reader.click("//p/a[normalize-space()='Figures'] | //li//a[normalize-space()='Figures']")
    assert reader.until(lambda: reader.visible("//nav//tbody/tr"))


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
