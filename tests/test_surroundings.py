"""Where people put a checkout, and what their environment says: all is made there, or refused before it is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, copy_checkout, own_environment, run_snakemake

NOTEBOOK = "module://matplotlib_inline.backend_inline"  # what a notebook sets for all that it starts
TEST = "--configfile=tests/config.yaml"
# A package that pip installs without the network: no dependency, and a build backend of its own.
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "semcom"
version = "0"
"""
BACKEND = """\
from pathlib import Path
from zipfile import ZipFile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "semcom-0-py3-none-any.whl"
    metadata = "Metadata-Version: 2.1\\nName: semcom\\nVersion: 0\\nProvides-Extra: browser\\nProvides-Extra: format\\n"
    files = {
        "semcom.pth": str(Path("src").resolve()) + "\\n",
        "semcom-0.dist-info/METADATA": metadata,
        "semcom-0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "semcom-0.dist-info/entry_points.txt": "[console_scripts]\\nsnakemake = semcom:main\\n",
    }
    with ZipFile(Path(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("semcom-0.dist-info/RECORD", "".join(f"{path},,\\n" for path in files))
    return name
"""


def installable(folder: Path) -> Path:
    """The project's own Makefile with a package that installs offline, in a moment; its `keep` imports that package."""
    (folder / "src/semcom/commands").mkdir(parents=True)
    (folder / "src/semcom/__init__.py").write_text("")
    (folder / "src/semcom/commands/__init__.py").write_text("")
    (folder / "src/semcom/commands/keep.py").write_text("print('kept by', __file__)\n")
    (folder / "envs").mkdir()
    (folder / "envs/requirements.txt").write_text("")
    for part in ("Makefile", "envs/placed.py"):
        shutil.copy2(ROOT / part, folder / part)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`make` in a folder; output and errors together in `stdout`."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=inherited | {"PWD": str(folder), "PYTHON": sys.executable, "PIP_NO_INDEX": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def said(done: subprocess.CompletedProcess) -> str:
    """What make said of itself when it refused: a single line besides its own."""
    assert done.returncode == 2, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if not line.startswith("make: ")]
    return line


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A checkout whose environment `make` has installed, among variables that would lead pip and Python elsewhere."""
    folder = installable(tmp_path_factory.mktemp("installed") / "Dropbox (MIT) é")
    elsewhere = str(folder.parent / "elsewhere")
    done = make(
        folder,
        "keep",
        **{"PIP_USER": "1", "PIP_TARGET": elsewhere, "PIP_PREFIX": elsewhere, "PIP_REQUIRE_VIRTUALENV": "1"},
        **{"PIP_DRY_RUN": "1", "PYTHONHOME": elsewhere, "PYTHONPATH": elsewhere, "PYTHONNOUSERSITE": ""},
        TMPDIR=elsewhere,
    )
    assert done.returncode == 0 and f"kept by {folder}" in done.stdout, done.stdout
    assert (folder / ".venv/ready").exists() and not Path(elsewhere).exists()
    return folder


@pytest.mark.slow
def test_an_environment_is_installed_whatever_the_users_own_says_of_pip_and_python(installed):
    done = make(installed, "keep")
    assert done.returncode == 0 and "pip" not in done.stdout  # installed once


@pytest.mark.slow
@pytest.mark.parametrize("old_one", ["gone", "still there"])
def test_an_environment_that_came_along_from_another_folder_is_refused(installed, tmp_path, old_one):
    if old_one == "gone":
        first = shutil.copytree(installed, tmp_path / "first", symlinks=True)
        assert make(first, "clean").returncode == 0 and make(first, "keep").returncode == 0
        moved = first.rename(tmp_path / "moved")
    else:
        first, moved = installed, shutil.copytree(installed, tmp_path / "moved", symlinks=True)
    for _ in range(2):
        line = said(make(moved, "keep"))
        assert f"{moved}/.venv was installed as {first}/.venv" in line and "make clean" in line
        (moved / ".venv/ready").unlink(missing_ok=True)  # neither is anything installed on top of it
    assert make(moved, "clean").returncode == 0
    done = make(moved, "keep")
    assert done.returncode == 0 and f"kept by {moved}" in done.stdout, done.stdout


@pytest.mark.slow
def test_an_installation_that_went_elsewhere_is_no_finished_one(tmp_path):
    """As where pip's own configuration file names a target."""
    folder = installable(tmp_path / "checkout")
    (tmp_path / "pip.conf").write_text(f"[install]\ntarget = {tmp_path / 'elsewhere'}\n")
    line = make(folder, "keep", PIP_CONFIG_FILE=str(tmp_path / "pip.conf")).stdout
    assert "lacks semcom or snakemake: see whether `pip config list` names another target" in line
    assert not (folder / ".venv/ready").exists()


@pytest.mark.slow
def test_an_environment_whose_python_is_gone_is_refused(installed, tmp_path):
    folder = shutil.copytree(installed, tmp_path / "checkout", symlinks=True)
    (folder / ".venv/bin/python").unlink()
    (folder / ".venv/bin/python").symlink_to("/usr/bin/no-such-python")
    assert "python does not start" in said(make(folder, "keep"))


@pytest.mark.parametrize("name", ["a:b", "a{b}c"])
def test_a_folder_in_which_nothing_could_run_is_refused_before_anything_is_installed(tmp_path, name):
    folder = installable(tmp_path / name)
    line = said(make(folder, "keep"))
    assert str(folder) in line and "rename the folder" in line
    assert not (folder / ".venv").exists()


def test_a_python_that_is_not_there_or_too_old_is_refused_before_anything_is_installed(tmp_path):
    folder = installable(tmp_path / "checkout")
    line = said(make(folder, "keep", "PYTHON=no-such-python"))
    assert line.startswith("Python 3.11 to 3.13 is needed, no-such-python is") and "make PYTHON=python3.12" in line
    assert not (folder / ".venv").exists()


def test_braces_in_the_path_of_the_checkout_are_named(tmp_path):
    done = run_snakemake(copy_checkout(tmp_path / "a{b}c"), "-n", "all", TEST)
    assert done.returncode and f"{tmp_path}/a{{b}}c: Snakemake takes braces" in done.stdout


def test_a_figure_needs_no_backend_of_a_notebook(tmp_path):
    code = "from semcom.figures import contact_sheet, panels; from matplotlib.figure import Figure; "
    code += f"panels.save(Figure(), [{str(tmp_path / 'figure.png')!r}])"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=os.environ | {"MPLBACKEND": NOTEBOOK})
    assert (tmp_path / "figure.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Dropbox (MIT)", "it's é", "a$HOME;b&c"])
def test_a_checkout_in_any_folder_runs_with_its_own_environment_whatever_locale_and_mask(tmp_path, name):
    """And whatever backend; the temporary folder may be missing."""
    folder = copy_checkout(tmp_path / name)
    own_environment(folder)
    targets = ["results/test/figures/contact_sheet.png", "results/test/data/class_counts.html"]
    done = subprocess.run(
        [folder / ".venv/bin/python", "-m", "snakemake", "--cores", "2", *targets, TEST],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LANG")}
        # Python itself reads an environment's paths in the locale: in an ASCII one, those of an ASCII folder alone.
        | {"LC_ALL": "C" if name.isascii() else "C.UTF-8", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        | {"TMPDIR": str(tmp_path / "no folder")}
        | {"MPLBACKEND": NOTEBOOK},
        umask=0o077,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout.decode()
    assert all((folder / target).is_file() for target in targets)


@pytest.mark.slow
def test_a_temporary_folder_without_room_is_passed_over(checkout, tmp_path, monkeypatch):
    full = tmp_path / "full"
    full.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], capture_output=True, check=False)
    if mount.returncode:
        pytest.skip("needs the right to mount a small file system, as root has it")
    try:
        with pytest.raises(OSError, match="No space left"):
            (full / "filler").write_bytes(bytes(2**17))
        monkeypatch.setenv("TMPDIR", str(full))
        done = run_snakemake(checkout, "results/test/config.yaml", "results/test/data/class_counts.html", TEST)
    finally:
        subprocess.run(["umount", "--lazy", full], check=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_no_profile_of_the_users_reaches_the_snakemake_that_writes_the_report(finished_copy, tmp_path, monkeypatch):
    for path in (tmp_path / "own/profile.yaml", finished_copy / "profiles/default/profile.yaml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("config: [experiment=elsewhere]\n")
    (finished_copy / "results/test/report.html").unlink()
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path / "own"))
    done = run_snakemake(finished_copy, "--profile", "none", "--workflow-profile", "none", "report", TEST)
    assert done.returncode == 0, (finished_copy / "results/test/logs/report.log").read_text()
    assert (finished_copy / "results/test/report.html").is_file()
