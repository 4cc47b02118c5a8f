"""The pipeline on a real SLURM cluster, through all that a cluster does to jobs, and what it says to bad requests.

`make test-slurm` runs these. Where no cluster can be brought up they skip; with SEMCOM_REQUIRE_SLURM=1 they fail instead.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcom.runs.record import read_record
from slurm import day as days
from slurm.cluster import CLOSED_ACCOUNT, CONF, GPUS, Cluster, ask, may_mount, running, wait_until, what_is_missing
from slurm.day import (
    CANCELLED,
    CONFIG,
    ORPHAN,
    OUT_OF_MEMORY,
    STARVED,
    TIME_LIMIT,
    TIMED,
    Day,
    edit_profile,
    snakemake,
)

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

TRAINING = ("pretrain", "finetune")
ROOMS = "results/test/data/rooms_labeled.mat"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    if reason := what_is_missing():
        if os.environ.get("SEMCOM_REQUIRE_SLURM") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def day(cluster, tmp_path_factory, pytestconfig) -> Day:
    day = days.spend(cluster, tmp_path_factory.mktemp("day"))
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{day.job_table()}\n\nfrom the first start to the end: {day.seconds:.0f} s\n")
    return day


def rule_of(comment: str) -> str:
    return comment.removeprefix("rule_").partition("_wildcards_")[0]


def states(turns: list[dict[str, str]]) -> list[str]:
    """How turns ended; a job that went back into the queue is listed as pending."""
    return [turn["JobState"] for turn in turns]


def test_a_cluster_that_was_killed_is_told_from_one_that_is_up(tmp_path):
    """Its note of a process stays behind, and the number may be another program's by now."""
    assert running(tmp_path, "slurmctld") is None
    note = tmp_path / "slurmctld.process"
    note.write_text(str(os.getpid()))
    assert running(tmp_path, "slurmctld") is None
    with subprocess.Popen(["sh", "-c", "read line", "slurmctld"], stdin=subprocess.PIPE) as process:
        note.write_text(str(process.pid))
        wait_until(lambda: running(tmp_path, "slurmctld") == process.pid, "a process's name", 10)  # exec takes a moment
        process.communicate()
    assert running(tmp_path, "slurmctld") is None


# A day on the cluster


def test_the_pipeline_finishes(day):
    assert day.exit_codes[-1] == 0, day.log


def test_all_tables_are_those_of_a_run_without_a_cluster(day):
    def tables(folder: Path) -> dict[str, bytes]:
        results = folder / "results/test"
        names = [path.relative_to(results) for path in results.rglob("*.csv") if "logs" not in path.parts]
        return {str(name): (results / name).read_bytes() for name in names}

    expected, found = tables(day.reference), tables(day.folder)
    assert expected.keys() == found.keys() and "tables/rounds.csv" in found and len(found) > 20
    assert [name for name in expected if expected[name] != found[name]] == []


def test_every_training_job_has_a_gpu_and_no_other_job_has(day):
    comments = {job: said for job, said in day.cluster.comments().items() if said.startswith("rule_")}
    environments = day.cluster.environments()
    devices = {str(gpu) for gpu in range(GPUS)}
    training = {job for job, said in comments.items() if rule_of(said) in TRAINING}
    others = {job for job, said in comments.items() if rule_of(said) not in TRAINING}
    assert {rule_of(comments[job]) for job in others} == {"render_rooms", "ingest"}  # all else does not queue
    assert len(training) >= 11 and training & environments.keys()
    assert all(len(environments[job]) >= 1 and environments[job] <= devices for job in training & environments.keys())
    assert all(environments[job] == {""} for job in others)


def test_every_run_says_which_job_node_and_gpu_it_had(day):
    comments = day.cluster.comments()
    paths = list((day.folder / "results/test").rglob("provenance.json"))
    assert len(paths) == 11
    for path in paths:
        record = json.loads(path.read_text())
        run = str(path.parent.relative_to(day.folder / "results/test"))
        assert comments[record["slurm_job"]] == days.comment_of(run)
        assert record["slurm_node"].split(".")[0] == day.cluster.host
        assert record["cuda_visible_devices"] in {str(gpu) for gpu in range(GPUS)}


def test_logs_and_the_queue_tell_runs_apart(day):
    comments = day.cluster.comments()
    (job,) = {turn["JobId"] for turn in day.turns_of(TIMED)}
    assert comments[job] == "rule_pretrain_wildcards_barlow_twins_0"
    assert (day.folder / f"results/slurm_logs/rule_pretrain/barlow_twins_0/{job}.log").is_file()
    for turn in day.turns_of(STARVED):
        assert comments[turn["JobId"]] == "rule_finetune_wildcards_supervised_10_0.5_0"
        assert (day.folder / f"results/slurm_logs/rule_finetune/supervised_10_0.5_0/{turn['JobId']}.log").is_file()


def test_a_cancelled_job_is_submitted_again_and_goes_on(day):
    turns = day.turns_of(CANCELLED)
    (cancelled,) = day.cancelled
    assert [turn["JobState"] for turn in turns if turn["JobId"] == cancelled] == ["CANCELLED"]
    assert turns[-1]["JobId"] != cancelled and turns[-1]["JobState"] == "COMPLETED"
    assert "SIGTERM at epoch" in day.slurm_logs(CANCELLED) and "going on from" in day.slurm_logs(CANCELLED)


def test_a_job_that_exceeds_its_memory_is_submitted_again_with_more(day):
    killed, *_, last = day.turns_of(STARVED)
    assert "mem=300M" in killed["Tres"] and killed["JobState"] in OUT_OF_MEMORY
    assert "mem=8000M" in last["Tres"] and last["JobState"] == "COMPLETED"
    assert "exceeded memory limit" in (day.cluster.folder / "slurmd.out").read_text() + day.slurm_logs(STARVED)


def test_a_run_longer_than_its_time_limit_takes_several_turns(day):
    turns = day.turns_of(TIMED)
    assert "TIMEOUT" not in states(turns) and states(turns)[-1] == "COMPLETED"
    assert {turn["TimeLimit"] for turn in turns} == {TIME_LIMIT}
    assert "SIGUSR1 at epoch" in day.slurm_logs(TIMED) and "is requeued" in day.slurm_logs(TIMED)


def test_a_preempted_job_comes_back(day):
    (job,) = day.preempted
    turns = [turn for turn in day.cluster.attempts() if turn["JobId"] == job]
    assert states(turns)[-1] == "COMPLETED" and "PENDING" in states(turns)
    assert "SIGTERM at epoch" in day.slurm_logs(TIMED)


def test_the_job_of_a_lost_node_comes_back(day):
    (job,) = day.lost
    turns = [turn for turn in day.cluster.attempts() if turn["JobId"] == job]
    assert "NODE_FAIL" in states(turns) and states(turns)[-1] == "COMPLETED"
    assert "going on from" in day.slurm_logs(TIMED)


def test_a_second_snakemake_in_the_folder_is_turned_away(day):
    assert day.exit_codes[0] == 1 and "Directory cannot be locked" in day.second


def test_the_job_of_a_killed_snakemake_is_named_and_its_work_is_kept(day):
    (orphan,) = day.orphans
    assert f"scancel {orphan}" in day.restarted and day.exit_codes[1] == 0
    turns = day.turns_of(ORPHAN)
    assert states(turns) == ["COMPLETED", "COMPLETED"] and orphan in {turn["JobId"] for turn in turns}
    said = day.slurm_logs(ORPHAN)
    assert f"of SLURM job {orphan}" in said  # what the second job says while it waits,
    assert "another process has finished this run meanwhile; its results stay" in said  # and then


# What the pipeline has not submitted


@pytest.fixture
def checkout(tmp_path) -> Path:
    return days.prepare(tmp_path / "checkout")


@pytest.mark.parametrize("submitted_by", ["pipeline", "user"])
def test_only_a_job_that_the_pipeline_has_submitted_goes_back_into_the_queue(submitted_by, cluster, checkout):
    """A run gets SIGTERM while its SLURM job runs. In the user's own allocation, the same job holds all that they run."""
    target = f"results/test/{ORPHAN}/steps.csv"
    record = checkout / f"results/test/checkpoints/{ORPHAN}.json"
    edit_profile(checkout, {"status-checks: 15": "status-checks: 1"})
    main = None
    if submitted_by == "pipeline":
        main = days.start(checkout, "--profile", "slurm-gpu", target=target)
    else:
        command = f"snakemake --cores 1 {target} {' '.join(CONFIG)}"
        options = ["--parsable", "--partition=cpu", "--requeue", f"--chdir={checkout}", "--output=own.log"]
        own = subprocess.run(
            ["sbatch", *options, "--wrap", command], env=days.ENVIRONMENT, check=True, capture_output=True, text=True
        ).stdout.strip()
    try:
        wait_until(record.with_suffix(".pt").exists, "a checkpoint", 180)
        run = read_record(record)
        assert (run.slurm_job is not None) == (submitted_by == "pipeline")
        os.kill(run.pid, signal.SIGTERM)
        job = run.slurm_job or own
        if submitted_by == "pipeline":
            wait_until(lambda: "Restarts=1" in ask("scontrol", "show", "job", job), "the job's second turn", 120)
            assert main.wait(timeout=240) == 0, log_of(checkout)
        else:
            wait_until(
                lambda: "JobState=FAILED" in ask("scontrol", "show", "job", job), "the end of the allocation", 120
            )
            assert "Restarts=0" in ask("scontrol", "show", "job", job)
            said = (checkout / "own.log").read_text()
            assert "a checkpoint is saved; the same command goes on from there" in said and "requeue" not in said
    finally:
        if main:
            days.interrupt(main)


# Files and nodes that are late


def test_a_node_that_is_down_is_waited_for(cluster, checkout):
    edit_profile(checkout, {"status-checks: 15": "status-checks: 1"})
    cluster.lose_node()
    main = days.start(checkout, "--profile", "slurm-gpu", target=ROOMS)
    try:
        wait_until(lambda: "submitted with" in log_of(checkout), "the submission", 180)
    finally:
        days.interrupt(main)
        cluster.find_node()


def test_outputs_that_the_file_system_shows_late_are_waited_for(cluster, checkout):
    if not may_mount():
        pytest.skip("this machine allows no mounts, not even to root")
    shown = checkout / "results/test/data"
    shown.mkdir(parents=True)
    written = cluster.hide(shown)
    edit_profile(checkout, {"status-checks: 15": "status-checks: 1"}, name="slurm-cpu")
    main = days.start(checkout, "--profile", "slurm-cpu", target=ROOMS)
    try:
        wait_until(lambda: "Waiting at most 30 seconds for missing files" in log_of(checkout), "the job's end", 240)
        assert not list(shown.iterdir()) and (written / Path(ROOMS).name).is_file()
        for path in written.iterdir():
            shutil.copy2(path, shown)
        assert main.wait(timeout=120) == 0, log_of(checkout)
    finally:
        days.interrupt(main)


def log_of(checkout: Path) -> str:
    return (checkout / "snakemake.log").read_text()


# Bad requests


def refused(checkout: Path, changes: dict[str, str]) -> str:
    """What is said where the profile has these changes; nothing may have been submitted."""
    edit_profile(checkout, changes)
    before = ask("squeue", "-h", "--states=all", "-o", "%A")
    done = snakemake(checkout, "--profile", "slurm-gpu", "all", *CONFIG)
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert ask("squeue", "-h", "--states=all", "-o", "%A") == before
    assert not list((checkout / "results").rglob("scenes.h5"))
    return done.stdout


def test_an_unknown_partition_is_named(cluster, checkout):
    said = refused(checkout, {"slurm_partition: gpu ": "slurm_partition: gpus "})
    assert "slurm-gpu/profile.yaml: slurm_partition: the cluster has no partition 'gpus'; did you mean 'gpu'?" in said
    assert "asked for by finetune, pretrain" in said


def test_more_gpus_than_a_node_has_are_named(cluster, checkout):
    said = refused(checkout, {"gpu: 1": f"gpu: {GPUS + 1}"})
    assert f"slurm-gpu/profile.yaml: gpu: {GPUS + 1} is more than a node of partition 'gpu' has, {GPUS} GPUs" in said


def test_more_memory_or_time_than_there_is_is_named(cluster, checkout):
    said = refused(checkout, {"8000 * attempt": "800000 * attempt", "runtime: 240": "runtime: 24000"})
    assert "mem_mb: 800000 is more than a node of partition 'gpu' has" in said
    assert "runtime: 24000 minutes are beyond the limit of partition 'gpu', 1440" in said


def test_a_time_too_short_for_the_warning_is_named(cluster, checkout):
    said = refused(checkout, {"runtime: 240": "runtime: 2"})
    assert "runtime: 2 minutes leave no time before the warning that slurm_extra asks for" in said


def test_a_refused_account_is_named(cluster, checkout):
    said = refused(checkout, {"# slurm_account: my_account": f"slurm_account: {CLOSED_ACCOUNT}"})
    assert f"slurm-gpu/profile.yaml: slurm_account: SLURM refuses '{CLOSED_ACCOUNT}' in partition 'gpu'" in said
    assert "sacctmgr" in said


def test_what_only_slurm_knows_is_said_in_its_words(cluster, checkout):
    said = refused(checkout, {"nodes: 1": "constraint: h100"})
    assert "--constraint=h100" in said and "Invalid feature specification" in said


def test_a_controller_that_does_not_answer_is_named(cluster, checkout):
    deaf = checkout / "slurm.conf"
    deaf.write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1\nMessageTimeout=2", CONF.read_text()))
    done = snakemake(checkout, "--profile", "slurm-gpu", "all", *CONFIG, SLURM_CONF=str(deaf))
    assert done.returncode == 1 and "executor: slurm, but SLURM does not answer" in done.stdout
