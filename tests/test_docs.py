"""What the pages say: their length, links, paths and commands, and each number that they quote from a table."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import quotes
import yaml

from benchmarks import kinds
from conftest import ROOT
from semcom.config.loading import load_config

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "config/README.md",
    ROOT / "config/studies/README.md",
    ROOT / "results/README.md",
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
OWN = {"mine.yaml", "FILE", "<file>"}  # configurations that a reader writes
FOLDERS = (
    "config",
    "docs",
    "src",
    "workflow",
    "results/reference",
    "benchmarks",
    "envs",
    "tests",
    "slurm-gpu",
    "slurm-cpu",
    "local-gpu",
)
COVERED = (  # every number of theirs from a table is quoted
    "README.md",
    "docs/findings.md",
    "docs/settings-search.md",
    "docs/questions/costs.md",
)
# Numbers of these pages that no table holds: settings, versions, sizes of files, and counts from the data set.
NO_TABLES = {
    "README.md": {"3.11", "3.12", "3.13", "2.97", "16", "32"},  # bfloat16, float32
    "docs/findings.md": {"0.01"},
    "docs/questions/costs.md": set(),
    "docs/settings-search.md": {"0.25", "0.05", "0.02", "0.1", "0.03", "0.4", "512", "1"},
}


def code_of(text: str) -> list[str]:
    """Code spans, and the lines of fenced blocks, continued lines joined."""
    fenced = re.findall(r"^\s*```\w*\n(.*?)^\s*```", text, re.M | re.S)
    lines = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^\s*```\w*\n.*?^\s*```", "", text, flags=re.M | re.S))
    return [re.sub(r"\s+", " ", code).strip() for code in (*lines, *spans)]


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(name: str, tool: str) -> list[list[str]]:
    return [code.split(" #")[0].split() for code in code_of((ROOT / name).read_text()) if code.startswith(f"{tool} ")]


def test_the_readme_fits_two_screens():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 180 and max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name):
    page, missing = ROOT / name, []
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.M)
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or anchor and anchor not in slugs(target):
            missing.append(link)
    assert not missing
    assert links or name == "results/README.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_path_named_exists(name):
    words = [word.strip("`,;:.()") for code in code_of((ROOT / name).read_text()) for word in re.split(r"[\s=]", code)]
    paths = {word for word in words if word.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    assert not [path for path in paths if not re.search(r"[<>{}*]", path) and not (ROOT / path).exists()]


@pytest.mark.parametrize("name", NAMES)
def test_every_snakemake_command_names_files_and_rules_that_are_there(name):
    files = [*ROOT.glob("Snakefile"), *(ROOT / "workflow").glob("Snakefile"), *(ROOT / "workflow").rglob("*.smk")]
    rules = {rule for path in files for rule in re.findall(r"^rule (\w+):", path.read_text(), re.M)}
    wrong = []
    for command in commands(name, "snakemake"):
        for word in command:
            if word.startswith("--configfile="):
                file = word.removeprefix("--configfile=")
                wrong += [word] if file not in OWN and not (ROOT / file).is_file() else []
        words = [
            word for before, word in zip(command, command[1:]) if before not in ("--cores", "--profile", "--resources")
        ]
        targets = [word for word in words if re.fullmatch(r"[a-z]\w*", word)]
        wrong += [target for target in targets if target not in rules]
        profiles = [word for before, word in zip(command, command[1:]) if before == "--profile"]
        wrong += [profile for profile in profiles if not (ROOT / profile).exists()]
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_named_is_there(name):
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert not [command for command in commands(name, "make") if command[1] not in targets]


def modules() -> list[str]:
    named = [command for name in NAMES for command in commands(name, "python") if command[1] == "-m"]
    return sorted({command[2] for command in named})


def test_modules_and_scripts_that_the_pages_run_are_there():
    assert modules() and all(importlib.util.find_spec(module) for module in modules())
    scripts = [command[1] for name in NAMES for command in commands(name, "python") if command[1] != "-m"]
    assert scripts and all((ROOT / script).is_file() for script in scripts)


@pytest.mark.parametrize("module", [module for module in modules() if module.startswith("semcom.commands.")])
def test_every_command_tells_its_use(module):
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and module in done.stdout


def test_the_map_from_equations_leads_to_code_that_is_there():
    section = re.search(r"## From the paper to the code\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.S)[1]
    functions = 0
    for row in re.findall(r"^\| (?!---).*$", section, re.M)[1:]:
        module = None
        for name in re.findall(r"`([^`]+)`", row):
            path = ROOT / "src/semcom" / name
            if name.endswith(("/", ".py")):
                assert path.exists(), name
                continue
            if "/" in name:
                dotted, *attributes = name.split(".")
                module = importlib.import_module(f"semcom.{dotted.replace('/', '.')}")
            else:
                attributes = name.split(".")
            found = module
            for attribute in attributes:
                found = getattr(found, attribute)
            assert callable(found), name
            functions += 1
    assert functions > 20


def test_configurations_that_the_pages_show_are_in_order(tmp_path):
    shown = 0
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S):
            told = yaml.safe_load(block)
            if not isinstance(told.get("extends"), str):
                continue
            base = ROOT / told["extends"]
            told["extends"] = os.path.relpath(base, tmp_path)
            file = tmp_path / f"{shown}.yaml"
            file.write_text(yaml.safe_dump(told))
            assert load_config(file).experiment == told.get("experiment", load_config(base).experiment)
            shown += 1
    assert shown >= 3


@pytest.mark.parametrize("name", quotes.QUOTES)
def test_numbers_are_those_of_their_tables(name):
    assert quotes.differing((ROOT / name).read_text(), list(quotes.QUOTES[name]())) == []


@pytest.mark.parametrize("name", quotes.QUOTES)
def test_no_digit_can_change_unseen(name):
    text, found = (ROOT / name).read_text(), list(quotes.QUOTES[name]())
    unseen, numbers = [], 0
    for quote in found:
        for start, end in quotes.places(text, quote):
            digit = re.search(r"\d", text[start:end])
            if digit is None:
                continue
            at = start + digit.start()
            changed = text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]
            numbers += 1
            if quotes.places(changed, quote) is not None:
                unseen.append(quotes.plain(quote))
    assert not unseen and numbers >= 10


@pytest.mark.parametrize("name", quotes.QUOTES)
def test_numbers_are_written_anew_from_their_tables(name):
    """As after new results: whatever the marked numbers are, `--write` brings back the tables'."""
    text, found = (ROOT / name).read_text(), list(quotes.QUOTES[name]())
    spans = sorted({span for quote in found for span in quotes.places(text, quote)})
    other = text
    for start, end in reversed(spans):
        other = (
            other[:start] + re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), text[start:end]) + other[end:]
        )
    assert other != text and quotes.written(other, found) == text


@pytest.mark.parametrize("name", COVERED)
def test_every_number_from_a_table_is_quoted(name):
    """Cells of tables but for the first column, and decimals in sentences."""
    text = (ROOT / name).read_text()
    for quote in quotes.QUOTES[name]():
        for match in quotes.pattern(quote).finditer((ROOT / name).read_text()):
            start, end = match.span()
            text = text[:start] + re.sub(r"\d", "_", text[start:end]) + text[end:]
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)|^\[[^\]]+\]: .*$|https?://\S+|`[^`]*`|arXiv:\S+", "", text, flags=re.M)
    left = re.findall(r"\d+\.\d+", re.sub(r"^\s*\|.*$", "", text, flags=re.M))
    for block in re.findall(r"(?:^\s*\|.*\n)+", text, re.M):
        for row in block.strip().splitlines()[2:]:  # below the heads and the line under them
            left += re.findall(r"\d[\d,.]*", "|".join(row.strip().strip("|").split("|")[1:]))
    assert {number.rstrip(".,") for number in left} <= NO_TABLES[name]


@pytest.mark.parametrize(("name", "table"), [("kinds", kinds.side_by_side), ("parts", kinds.parts)])
def test_the_tables_of_benchmarks_are_those_of_what_is_kept(name, table):
    page = (ROOT / "docs/benchmarks.md").read_text()
    shown = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", page, re.S)[1]
    assert shown == table(ROOT / "results/reference/benchmarks"), (
        "run: python -m benchmarks.kinds results/reference/benchmarks"
    )
