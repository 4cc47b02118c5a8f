"""A page as a reader meets it: opened from disk in a real browser."""

import json
import os
from pathlib import Path

import pytest

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


class Page:
    """A reader with a browser and nothing but one file: sees what is displayed, and what the browser has logged."""

    def __init__(self, driver, file: Path):
        self.driver = driver
        self.address = file.as_uri()
        self.driver.get(self.address)

    def until(self, condition):
        """What `condition` gives once it gives something, while React redraws the page."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def visible(self, xpath: str) -> list:
        return [element for element in self.driver.find_elements("xpath", xpath) if element.is_displayed()]

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def requested(self) -> set[str]:
        """Every address that the page asked for, besides itself, what it carries within, and the browser's own tabs."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        assert any(url.startswith(self.address) for url in urls), "the browser's log must show at least the page"
        urls |= set(self.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"))
        return {url for url in urls if not url.startswith((self.address, "data:", "blob:", "chrome:"))}
