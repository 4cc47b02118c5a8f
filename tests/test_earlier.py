"""Earlier results of jobs: put back where a job leaves none, dropped where it does, found again after a kill."""

import json
import os
from pathlib import Path

import pytest

from semcom.runs.earlier import EarlierResults, take_again

OUTPUTS = ["tables/a.csv", "tables/b.csv"]


class Folder:
    """A working directory with two finished files, and what Snakemake does there, by hand.

    Attributes:
        records: Snakemake's records by output.
    """

    def __init__(self):
        self.records = {path: f"record of {path}" for path in OUTPUTS}
        self.write("earlier")
        for path in OUTPUTS:
            os.utime(path, (1000, 1000))

    def write(self, text: str) -> None:
        Path("tables").mkdir(exist_ok=True)
        for path in OUTPUTS:
            Path(path).unlink(missing_ok=True)
            Path(path).write_text(text)

    def remove(self) -> None:
        for path in OUTPUTS:
            Path(path).unlink(missing_ok=True)

    def fail(self) -> None:
        """As a job that fails: its outputs are removed, and recorded as made."""
        self.remove()
        self.records |= dict.fromkeys(OUTPUTS, "record of the failed job")

    def snakemake(self) -> EarlierResults:
        """What a new Snakemake process has."""
        return EarlierResults(Path("earlier"), self.records.get, self.records.__setitem__)

    def is_as_before(self) -> bool:
        found = [(Path(path).read_text(), Path(path).stat().st_mtime) for path in OUTPUTS]
        return found == [("earlier", 1000)] * 2 and self.records == {path: f"record of {path}" for path in OUTPUTS}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Folder()


@pytest.fixture(params=["links", "copies"])
def links(request, monkeypatch):
    """A file system with hard links, and one without."""
    if request.param == "copies":

        def refused(*_):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refused)


def test_what_a_failed_job_would_have_replaced_is_as_before(folder, links):
    results = folder.snakemake()
    results.set_aside([(OUTPUTS, True)])
    folder.fail()
    assert results.settle() == OUTPUTS
    assert folder.is_as_before() and not Path("earlier").exists()


def test_new_results_stay_and_nothing_is_left_of_the_old(folder, links):
    results = folder.snakemake()
    results.set_aside([(OUTPUTS, True)])
    folder.write("new")
    assert results.settle() == []
    assert [Path(path).read_text() for path in OUTPUTS] == ["new", "new"] and not Path("earlier").exists()


def test_a_job_that_never_began_leaves_all_as_it_was(folder):
    results = folder.snakemake()
    results.set_aside([(OUTPUTS, True)])
    assert results.settle() == [] and folder.is_as_before() and not Path("earlier").exists()


def test_a_job_of_which_one_file_was_missing_gets_back_the_other(folder):
    Path(OUTPUTS[0]).unlink()
    results = folder.snakemake()
    results.set_aside([(OUTPUTS, True)])
    folder.fail()
    assert results.settle() == OUTPUTS[1:]
    assert not Path(OUTPUTS[0]).exists() and Path(OUTPUTS[1]).read_text() == "earlier"


@pytest.mark.parametrize("next_run", ["of another job", "that fails", "that succeeds"])
def test_after_a_kill_the_next_run_goes_on_with_what_was_set_aside(next_run, folder):
    folder.snakemake().set_aside([(OUTPUTS, True)])
    folder.remove()  # the job has begun, and all is killed
    results = folder.snakemake()
    if next_run == "of another job":
        results.set_aside([(["figures/c.png"], True)])
        assert folder.is_as_before()
        return
    results.set_aside([(OUTPUTS, True)])
    folder.write("new") if next_run == "that succeeds" else folder.fail()
    results.settle()
    assert folder.is_as_before() != (next_run == "that succeeds")
    assert not Path("earlier").exists()


def test_what_a_job_wrote_that_outlived_its_snakemake_stays(folder):
    folder.snakemake().set_aside([(OUTPUTS, True)])
    folder.write("new")
    results = folder.snakemake()
    results.set_aside([(OUTPUTS, True)])
    folder.fail()
    results.settle()
    assert [Path(path).read_text() for path in OUTPUTS] == ["new", "new"]


def test_two_that_share_their_results_do_not_disturb_one_another(folder):
    both = folder.snakemake(), folder.snakemake()
    for each in both:
        each.set_aside([(OUTPUTS, True)])
    folder.fail()
    assert [each.settle() for each in both] == [OUTPUTS, []] and folder.is_as_before()


def test_an_entry_that_was_not_completed_takes_nothing_away(folder):
    folder.snakemake().set_aside([(OUTPUTS, True)])
    (entry,) = Path("earlier").iterdir()
    entry.rename(entry.with_name(".unnamed"))  # killed in its making: Snakemake has removed nothing yet
    os.utime("earlier/.unnamed", (0, 0))
    folder.snakemake().settle()
    assert folder.is_as_before() and not Path("earlier").exists()


@pytest.mark.parametrize(
    ("may_serve", "same", "taken"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_job_takes_its_earlier_results_only_if_they_would_be_the_same(may_serve, same, taken, folder):
    folder.snakemake().set_aside([(OUTPUTS, may_serve)])
    folder.remove()
    told = []
    assert take_again(Path("earlier"), list(map(Path, OUTPUTS)), lambda file: told.append(file) or same) == taken
    assert [Path(path).exists() for path in OUTPUTS] == [taken, taken]
    assert [file.read_text() for file in told] == ["earlier"] * may_serve  # the last output decides
    if taken:
        assert [Path(path).read_text() for path in OUTPUTS] == ["earlier", "earlier"]
        assert all(Path(path).stat().st_mtime > 1000 for path in OUTPUTS)


def test_without_earlier_results_a_job_takes_none(folder):
    assert not take_again(Path("earlier"), list(map(Path, OUTPUTS)), lambda file: True)
    folder.snakemake().set_aside([(OUTPUTS, True)])
    (entry,) = Path("earlier").iterdir()
    (entry / "0").unlink()
    assert not take_again(Path("earlier"), list(map(Path, OUTPUTS)), lambda file: True)
    assert json.loads((entry / "entry.json").read_text())["outputs"] == OUTPUTS
