"""The rules of the Snakemake workflow catalogue, the locked environments, the container's recipe, and use as a module."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, run_snakemake
from semcom.config.experiment import Config

LOCKS = ["lock.txt", "lock-cpu.txt"]
SHA256 = r"[0-9a-f]{64}"
CUDA = re.compile(r"triton|(nvidia|cuda)-[a-z0-9-]+")
TORCH = {"torch", "torchvision"}
MODULE = """configfile: "config/test.yaml"


module semcom:
    snakefile:
        {snakefile}
    config:
        {config}


use rule * from semcom
"""


def locked(name: str) -> dict[str, list[dict]]:
    """Entries of a lock by package: version, marker and hashes."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "envs" / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[dict]] = {}
    for line in filter(str.strip, text.splitlines()):
        parts = re.fullmatch(rf"([a-z0-9-]+)==(\S+)( ; [^#]*?)?((?: +--hash=sha256:{SHA256})*) *", line)
        assert parts, line
        package, version, marker, hashes = parts.groups()
        found.setdefault(package, []).append(
            {"version": version, "marker": marker or "", "hashes": re.findall(SHA256, hashes)}
        )
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "envs/requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


# The catalogue: https://snakemake.github.io/snakemake-workflow-catalog, "Adding workflows".


def test_the_files_that_the_catalogue_looks_for_are_there():
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml", "LICENSE"):
        assert (ROOT / name).stat().st_size
    assert list((ROOT / "workflow/rules").glob("*.smk"))
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme


def test_the_catalogue_is_told_nothing_that_it_does_not_read():
    settings = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert set(settings) == {"usage"} and set(settings["usage"]) <= {
        "mandatory-flags",
        "software-stack-deployment",
        "report",
    }
    deployment = settings["usage"]["software-stack-deployment"]
    assert set(deployment) <= {"conda", "apptainer", "apptainer+conda"}
    assert set(map(type, deployment.values())) == {bool} and any(deployment.values())
    assert settings["usage"]["report"] is True


def test_the_page_on_the_configuration_says_what_a_user_must_know():
    page = (ROOT / "config/README.md").read_text()
    for said in ("extends:", "--configfile=", "config.schema.yaml", "docs/choices.md", "github(", "pip install git+"):
        assert said in page
    for name in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (ROOT / "config" / name).exists(), name
    assert {"extends", "experiment", "grid"} <= Config.model_fields.keys()  # which its example sets


def test_every_snakemake_file_has_its_format():
    snakefmt = shutil.which("snakefmt", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if snakefmt is None:
        pytest.skip("snakefmt is not installed (pip install '.[format]')")
    files = ["Snakefile", "workflow/Snakefile", *sorted(map(str, (ROOT / "workflow/rules").glob("*.smk")))]
    done = subprocess.run([snakefmt, "--check", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The locks, and what is built of them.


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_versions_of_the_requirements(name):
    lock = locked(name)
    for package, version in pins().items():
        assert [entry["version"] for entry in lock[package]] == [version]


def test_every_file_of_the_lock_has_a_hash():
    assert all(entry["hashes"] for entries in locked("lock.txt").values() for entry in entries)


def test_the_lock_without_cuda_is_the_other_without_cuda():
    whole, small = locked("lock.txt"), locked("lock-cpu.txt")
    assert {package for package in whole if not CUDA.fullmatch(package)} == small.keys()
    for package, entries in small.items():
        if package in TORCH:  # the build without CUDA has other hashes, which that index alone gives
            assert [entry["version"] for entry in entries] == [pins()[package]] and not entries[0]["hashes"]
        else:
            assert entries == whole[package]


def test_the_lock_serves_linux_and_macos():
    lock = locked("lock.txt")
    assert any(CUDA.fullmatch(package) for package in lock)
    for package, entries in lock.items():
        if CUDA.fullmatch(package):
            assert all("sys_platform == 'linux'" in entry["marker"] for entry in entries)
    # A wheel for each: of Python 3.11 to 3.13 by processor, or of one for all.
    assert len(lock["torch"][0]["hashes"]) >= 3 * len(["Linux x86_64", "Linux aarch64", "macOS arm64"])


def test_the_page_on_the_environments_names_files_that_are_there():
    page = (ROOT / "envs/README.md").read_text()
    named = set(re.findall(r"envs/([\w.-]+)", page)) | set(re.findall(r"\]\((?!\.\.)([^)#:]+)\)", page))
    assert {*LOCKS, "Dockerfile", "requirements.txt", "semcom.yaml"} <= named
    assert not [name for name in named if not (ROOT / "envs" / name).is_file()]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_path(name):
    text = (ROOT / "envs" / name).read_text()
    assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links|(^|\s)/\w", text)


def test_the_container_takes_what_is_there():
    recipe = re.sub(r"^#.*\n", "", (ROOT / "envs/Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in recipe.splitlines() if line.strip()]
    assert steps[0][0] == "FROM" and {step for step, _ in steps} <= {
        "FROM",
        "RUN",
        "ENV",
        "WORKDIR",
        "ARG",
        "COPY",
        "CMD",
    }
    copied = [name for step, value in steps if step == "COPY" for name in value.split()[:-1]]
    assert {f"envs/{name}" for name in LOCKS} <= set(copied) and all((ROOT / name).exists() for name in copied)
    major, minor = map(int, re.search(r"python:(\d+)\.(\d+)", steps[0][1]).groups())
    least, below = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    assert major == 3 and int(least) <= minor < int(below)
    for step, value in steps:
        if step == "RUN":
            assert subprocess.run(["sh", "-n", "-c", value]).returncode == 0, value
    command = yaml.safe_load(steps[-1][1])
    assert command[0] == "snakemake" and (ROOT / command[-1].partition("=")[2]).is_file()


# As a module, from a folder of one's own.


def deployed(tmp_path: Path, snakefile: str, config: str = "config") -> Path:
    """What `snakedeploy deploy-workflow` leaves: the configuration, and a workflow of one module."""
    folder = tmp_path / "deployed"
    shutil.copytree(ROOT / "config", folder / "config")
    text = (ROOT / "tests/config.yaml").read_text()
    (folder / "config/test.yaml").write_text(re.sub(r"^extends: .*$", "extends: config.yaml", text, flags=re.MULTILINE))
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(MODULE.format(snakefile=snakefile, config=config))
    return folder


@pytest.mark.slow
def test_the_workflow_can_be_a_module(tmp_path, checkout):
    folder = deployed(tmp_path, repr(str(checkout / "workflow/Snakefile")))
    done = run_snakemake(folder, "--dry-run")
    assert done.returncode == 0 and re.search(r"^finetune +8$", done.stdout, re.MULTILINE), done.stdout
    done = run_snakemake(folder, "--dry-run", "all", "--configfile=config/demo.yaml")
    assert done.returncode == 0 and re.search(r"^finetune +32$", done.stdout, re.MULTILINE), done.stdout
    made = ["results/test/data/splits.csv", "results/test/data/class_counts.html", "results/test/config.yaml"]
    done = run_snakemake(folder, *made)
    assert done.returncode == 0 and all((folder / name).is_file() for name in made), done.stdout
    assert "Nothing to be done" in run_snakemake(folder, *made).stdout


def test_a_module_leaves_room_for_rules_of_the_workflow_around_it(tmp_path, checkout):
    folder = deployed(tmp_path, repr(str(checkout / "workflow/Snakefile")))
    with (folder / "workflow/Snakefile").open("a") as file:
        file.write('\n\nrule own:\n    output:\n        "own.txt",\n    shell:\n        "touch {output}"\n')
    done = run_snakemake(folder, "--dry-run", "own.txt")
    assert done.returncode == 0 and re.search(r"^own +1$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_a_module_with_a_configuration_of_its_own_is_refused(tmp_path, checkout):
    folder = deployed(tmp_path, repr(str(checkout / "workflow/Snakefile")), config="{'experiment': 'mine'}")
    done = run_snakemake(folder, "--dry-run")
    assert done.returncode != 0 and "`config:` must be `config`" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the cache lies elsewhere")
def test_the_workflow_can_be_a_module_from_a_host(tmp_path, checkout, monkeypatch):
    """Snakemake keeps a clone of a host's repository in its cache; where the tag is in it, it asks no network."""
    cache = tmp_path / "cache"
    clone = cache / "snakemake/snakemake/source-cache/snakemake-git-cache/github.com/owner/semcom"
    git = "git -c user.name=x -c user.email=x@example.org"
    for command in (
        "git init --quiet",
        "git add --all --force",
        f"{git} commit --quiet --message all",
        "git tag v1",
        f"git clone --quiet --bare . {shlex.quote(str(clone))}",
    ):
        subprocess.run(shlex.split(command), cwd=checkout, check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("PYTHONPATH", str(checkout / "src"))  # as if it were installed
    folder = deployed(tmp_path, 'github("owner/semcom", path="workflow/Snakefile", tag="v1")')
    done = run_snakemake(folder, "--dry-run")
    assert done.returncode == 0 and re.search(r"^finetune +8$", done.stdout, re.MULTILINE), done.stdout
    made = ["results/test/data/splits.csv", "results/test/data/class_counts.html"]
    done = run_snakemake(folder, *made)
    assert done.returncode == 0 and all((folder / name).is_file() for name in made), done.stdout
