"""The commit that a result names: that of the source itself, or none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from semcom.runs.provenance import CHECKOUT, SOURCE, commit


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def sources(checkout: Path) -> Path:
    """An unpacked download, as far as its provenance is told from it."""
    file = checkout / SOURCE / "runs/provenance.py"
    file.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / SOURCE / "runs/provenance.py", file)
    return checkout


def repository(folder: Path) -> str:
    """Make a folder a repository that holds all files in it, and at least one; returns the commit."""
    folder.mkdir(exist_ok=True)
    (folder / "notes.txt").write_text("mine")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "all")
    return git(folder, "rev-parse", "HEAD")


def test_the_package_knows_its_checkout():
    assert CHECKOUT == ROOT and (CHECKOUT / SOURCE / "__init__.py").is_file()


def test_a_checkout_names_its_commit_and_whether_the_package_has_changed(tmp_path):
    checkout = sources(tmp_path / "checkout")
    head = repository(checkout)
    (checkout / "notes.txt").write_text("changed, and no part of the package")
    assert commit(checkout) == head
    new = checkout / SOURCE / "new.py"
    new.touch()
    assert commit(checkout) == f"{head}-dirty"
    new.unlink()
    (tmp_path / "link").symlink_to(checkout)
    assert commit(tmp_path / "link") == head


def test_a_second_work_tree_names_its_own_commit(tmp_path):
    checkout = sources(tmp_path / "checkout")
    head = repository(checkout)
    git(checkout, "worktree", "add", "--quiet", str(tmp_path / "second"))
    (checkout / "notes.txt").write_text("more")
    git(checkout, "commit", "--quiet", "--all", "--message", "more")
    assert commit(tmp_path / "second") == head != commit(checkout)


def test_a_download_inside_somebodys_repository_is_of_no_commit(tmp_path):
    own = tmp_path / "own"
    repository(own)
    assert commit(sources(own / "semcom")) == "unknown"
    git(own, "add", "--all")
    git(own, "commit", "--quiet", "--message", "with the download")
    assert commit(own / "semcom") == "unknown"


def test_a_download_unpacked_over_a_repository_is_of_no_commit_even_where_git_ignores_it(tmp_path):
    own = tmp_path / "own"
    repository(own)
    sources(own)
    assert commit(own) == "unknown"
    (own / ".git/info/exclude").write_text("src/\n")
    assert commit(own) == "unknown"


def test_an_installed_package_and_a_plain_folder_are_of_no_commit(tmp_path):
    repository(tmp_path / "own")
    assert commit(tmp_path / "own/.venv/lib/python3.12") == "unknown"
    assert commit(sources(tmp_path / "plain")) == "unknown"


def test_the_environment_names_no_other_repository(tmp_path, monkeypatch):
    head = repository(sources(tmp_path / "checkout"))
    repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert commit(tmp_path / "checkout") == head
    assert commit(sources(tmp_path / "plain")) == "unknown"


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    repository(sources(tmp_path / "checkout"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(tmp_path / "checkout") == "unknown"
