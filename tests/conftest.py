"""A copy of the checkout to run the workflow in, and one finished run of the tests' own configuration."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser import FLAGS, absent

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "Snakefile",
    "workflow",
    "config",
    "tests/config.yaml",
    "envs",
    "src",
    "benchmarks",
    "profiles",
    "slurm-gpu",
    "slurm-cpu",
    "local-gpu",
)

Snakemake = Callable[..., subprocess.CompletedProcess]

os.environ.pop("SNAKEMAKE_PROFILE", None)  # the developer's own would reach every Snakemake that a test starts

# A shell starts what it runs in the background with SIGINT ignored, and nohup with SIGHUP; processes that tests start
# would inherit that, and heed no Ctrl-C.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def copy_checkout(target: Path) -> Path:
    """What a run needs, without results: so that tests neither see nor touch those of the developer."""
    for part in PARTS:
        source = ROOT / part
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, target / part)
    return target


def own_environment(folder: Path) -> None:
    """An environment in a checkout as make leaves it there, but that it takes the packages of the tests' own."""
    environment = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "all.pth").write_text(f"{folder / 'src'}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    command = environment / "bin/snakemake"
    command.write_text(f"#!{environment}/bin/python\nfrom snakemake.cli import main\n\nmain()\n", encoding="utf-8")
    command.chmod(0o755)
    (environment / "ready").touch()


def run_snakemake(folder: Path, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
    """`snakemake` in a folder, as a user types it; output and errors together in `stdout`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["snakemake", "--cores", str(cores), *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A browser that logs its requests; skips where there is none."""
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
def checkout(tmp_path: Path) -> Path:
    """A fresh copy of the checkout, without results."""
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which `all` of tests/config.yaml has run. Tests must leave it as it is."""
    folder = copy_checkout(tmp_path_factory.mktemp("finished") / "checkout")
    done = run_snakemake(folder, "all", "--configfile", "tests/config.yaml")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """A finished checkout of one's own, to change: files keep their times, so nothing in it is out of date."""
    return shutil.copytree(finished, tmp_path / "checkout", symlinks=True)
