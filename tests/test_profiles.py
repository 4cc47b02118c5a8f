"""What the profiles ask for, and what is said of a request that a cluster cannot fill."""

import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from conftest import ROOT, run_snakemake
from semcom.common.errors import InputError
from semcom.runs.slurm_preflight import Nodes, Request, check, faults, parse_sinfo, profile_file

PROFILES = ("slurm-gpu", "slurm-cpu", "local-gpu")
TRAINING = {"pretrain", "finetune", "calibrate"}
ON_DEVICE = TRAINING | {"evaluate", "baselines_of_seed"}  # their scripts take compute.device
QUEUED = ON_DEVICE | {"render_rooms", "ingest"}
# In the format that we ask of sinfo: two kinds of GPU node, one of them with the socket of each GPU; nodes without.
SINFO = """\
gpu*|mix|32|256000|gpu:a100:4(S:0-1)|1-00:00:00
gpu*|down*|64|512000|gpu:h100:8,shard:80|1-00:00:00
long|idle|16|64000|(null)|infinite
short|drain|8|32000+|gpu:2|30:00
"""
REQUEST = Request(slurm_partition="gpu", runtime=240, mem_mb=8000, cpus_per_task=2, gpu=1)


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / name / "profile.yaml").read_text())


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_found_by_its_name_alone(name):
    """A folder in the root, and no link, which some ways of unpacking lose."""
    folder = ROOT / name
    assert folder.is_dir() and not folder.is_symlink()
    assert [path.name for path in folder.iterdir()] == [
        "profile.yaml"
    ]  # with a config.yaml beside it, which one counts?


@pytest.mark.parametrize(("name", "gpus"), [("slurm-gpu", 1), ("local-gpu", 1), ("slurm-cpu", None)])
def test_jobs_that_train_or_ask_links_have_one_gpu_and_no_other_has(name, gpus):
    settings = profile(name)
    assert {rule: asked.get("gpu") for rule, asked in settings["set-resources"].items()} == dict.fromkeys(
        ON_DEVICE, gpus
    )
    assert len({str(asked) for asked in settings["set-resources"].values()}) == 1
    assert "gpu" not in settings.get("default-resources", {})


@pytest.mark.parametrize("name", PROFILES)
def test_one_failing_run_does_not_stop_the_others(name):
    settings = profile(name)
    assert settings["keep-going"] and settings["rerun-incomplete"] and settings["retries"] >= 1


@pytest.mark.parametrize("name", ["slurm-gpu", "slurm-cpu"])
def test_a_profile_for_slurm_warns_a_job_in_time_and_gives_each_attempt_more_memory(name):
    settings = profile(name)
    request = Request(slurm_extra=settings["default-resources"]["slurm_extra"].strip("'"))
    assert request.warning_s() >= 60 and "--open-mode=append" in request.options()
    every = [settings["default-resources"], *settings["set-resources"].values()]
    assert all("* attempt" in asked["mem_mb"] for asked in every)
    assert settings["slurm-requeue"] and settings["slurm-status-command"] == "squeue" and settings["latency-wait"] >= 30


def test_only_what_takes_long_queues():
    rules = {}
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        blocks = re.split(r"^ *rule\b ?", path.read_text(), flags=re.MULTILINE)[1:]
        rules |= {block.partition(":")[0] or f"page of {path.name}": block for block in blocks}
    assert {name for name, block in rules.items() if "localrule: True" not in block} == QUEUED
    scripts = {name: re.search(r'"\.\./scripts/(\w+\.py)"', rules[name]) for name in QUEUED}
    texts = {name: (ROOT / "workflow/scripts" / found[1]).read_text() for name, found in scripts.items() if found}
    assert {name for name, text in texts.items() if "compute" in text} == ON_DEVICE


@pytest.mark.slow
@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_taken_as_it_is(checkout, name):
    done = run_snakemake(checkout, "--profile", name, "-n", "all", "--configfile", "tests/config.yaml")
    assert done.returncode == 0, done.stdout
    assert "pretrain" in done.stdout


@pytest.mark.slow
def test_a_machine_without_slurm_is_told_so_before_anything_runs(checkout, tmp_path, monkeypatch):
    programs = tmp_path / "bin"  # all of this machine's but SLURM's
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for path in Path(folder).glob("*"):
            if not path.name.startswith(
                ("sbatch", "sinfo", "squeue", "scontrol", "scancel", "srun", "sacct", "sshare")
            ):
                (programs / path.name).exists() or (programs / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    done = run_snakemake(checkout, "--profile", "slurm-gpu", "all", "--configfile", "tests/config.yaml")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert (
        "slurm-gpu/profile.yaml: executor: slurm, but there is no sinfo on the PATH; run this on a login" in done.stdout
    )
    assert not (checkout / "results").exists() or not list((checkout / "results").rglob("*.h5"))


# A workstation's GPUs


def profile_with(checkout: Path, key: str, value: object) -> None:
    path = checkout / "local-gpu/profile.yaml"
    text, changes = re.subn(rf"^(    {key}: )1\b", rf"\g<1>{value}", path.read_text(), flags=re.MULTILINE)
    assert changes == 1  # each number stands in one place
    path.write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("gpus", 0, "local-gpu/profile.yaml: gpus: 0 is not a whole number of 1 or more; set it to how many GPUs"),
        ("gpus", "two", "local-gpu/profile.yaml: gpus: 'two' is not a whole number of 1 or more; set it to how many"),
        ("runs_per_gpu", 0, "local-gpu/profile.yaml: runs_per_gpu: 0 is not a whole number of 1 or more; set it to"),
        ("runs_per_gpu", "1.5", "local-gpu/profile.yaml: runs_per_gpu: '1.5' is not a whole number of 1 or more; set"),
        (
            "runs_per_gpu",
            500,
            "local-gpu/profile.yaml: runs_per_gpu: 500 makes 500 runs of 1 threads (compute.threads)",
        ),
        ("runs_per_gpu", -1, "Resource 'runs_per_gpu' was given value '-1', which is not a positive integer"),
    ],
)
def test_a_number_of_gpus_or_runs_that_makes_no_sense_is_one_line(checkout, key, value, said):
    profile_with(checkout, key, value)
    done = run_snakemake(checkout, "--profile", "local-gpu", "-n", "all", "--configfile", "tests/config.yaml")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.removeprefix("error: ").startswith(said)]) == 1


@pytest.mark.slow
def test_more_gpus_than_there_are_are_said_before_the_first_job(checkout):
    seen = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    profile_with(checkout, "gpus", seen + 1)
    text = (checkout / "tests/config.yaml").read_text()
    (checkout / "tests/config.yaml").write_text(text.replace("device: cpu", "device: auto"))
    done = run_snakemake(checkout, "--profile", "local-gpu", "all", "--configfile", "tests/config.yaml")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert f"local-gpu/profile.yaml: gpus: {seen + 1}" in done.stdout, done.stdout
    assert not list((checkout / "results").rglob("*.h5"))


@pytest.mark.slow
def test_as_many_runs_are_at_once_as_there_are_places_on_gpus_and_jobs_learn_it(checkout):
    """Snakemake's own scheduler, on stand-ins of the training rules that note how many of them run."""
    profile_with(checkout, "runs_per_gpu", 2)
    (checkout / "stand_in.smk").write_text(STAND_IN)
    done = run_snakemake(checkout, "--profile", "local-gpu", "--snakefile", "stand_in.smk", "every", cores=6)
    assert done.returncode == 0, done.stdout
    assert {int((checkout / f"places{n}").read_text()) for n in range(6)} == {2}
    spans = sorted(tuple(map(float, (checkout / f"run{n}").read_text().split())) for n in range(6))
    most = max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)
    assert most == 2


STAND_IN = """
configfile: "tests/config.yaml"
include: "workflow/rules/common.smk"
include: "workflow/rules/local_gpu.smk"

rule every:
    default_target: True
    input: expand("run{n}", n=range(6))

rule pretrain:
    output: "run{n}"
    shell: "echo $SEMCOM_RUNS_PER_GPU > places{wildcards.n}; a=$(date +%s.%N); sleep 1; echo $a $(date +%s.%N) > {output}"
"""


# Sizes of nodes


def test_sinfo_is_read():
    gpu, newer, long, short = parse_sinfo(SINFO)
    assert gpu == Nodes("gpu", is_default=True, is_up=True, cpus=32, memory_mb=256000, gpus=4, time_limit=1440)
    assert newer.gpus == 8 and not newer.is_up
    assert long.gpus == 0 and long.time_limit == math.inf and not long.is_default
    assert short.time_limit == 30 and short.memory_mb == 32000 and not short.is_up


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"gpu": 8}, []),  # the node that has them is down for now
        ({"gpu": 9}, ["gpu: 9 is more than a node of partition 'gpu' has, 8 GPUs"]),
        ({"slurm_partition": "long", "gpu": 1}, ["gpu: 1 is more than a node of partition 'long' has, 0 GPUs"]),
        ({"slurm_partition": "short,gpu", "gpu": 4}, []),
        ({"slurm_partition": None, "gpu": 8}, []),
        ({"slurm_partition": None, "gpu": 9}, ["gpu: 9 is more than a node of the default partition has, 8 GPUs"]),
        ({"slurm_partition": "gqu"}, ["slurm_partition: the cluster has no partition 'gqu'; did you mean 'gpu'?"]),
        ({"slurm_partition": "gpu,x"}, ["slurm_partition: the cluster has no partition 'x'; known: gpu, long, short"]),
        ({"mem_mb": 600000}, ["mem_mb: 600000 is more than a node of partition 'gpu' has, 512000 MB of memory"]),
        ({"cpus_per_task": 65}, ["cpus_per_task: 65 is more than a node of partition 'gpu' has, 64 CPUs"]),
        ({"runtime": 1440}, []),
        ({"runtime": 1441}, ["runtime: 1441 minutes are beyond the limit of partition 'gpu', 1440"]),
        ({"slurm_partition": "long", "gpu": 0, "runtime": 10**6}, []),
        ({"slurm_extra": "--signal=USR1@120", "runtime": 4}, []),
        ({"slurm_extra": "--signal=USR1@120", "runtime": 3}, ["runtime: 3 minutes leave no time before the warning"]),
        ({"gpu": 9, "runtime": 1441}, ["gpu: 9 is more", "runtime: 1441 minutes"]),
    ],
)
def test_what_no_node_can_give_is_named_by_its_key(changes, said):
    found = faults(replace(REQUEST, **changes), parse_sinfo(SINFO))
    assert len(found) == len(said) and all(map(str.startswith, found, said)), found


def test_a_request_is_put_to_slurm_as_the_executor_will_put_it():
    request = replace(
        REQUEST, slurm_account="mine", nodes=1, gpu_model="a100", slurm_extra="--signal=USR1@120 --x='a b'"
    )
    assert request.options() == [
        "--partition=gpu",
        "--account=mine",
        "--time=240",
        "--mem=8000",
        "--cpus-per-task=2",
        "--gpus=a100:1",
        "--nodes=1",
        "--signal=USR1@120",
        "--x=a b",
    ]
    assert Request().options() == ["--cpus-per-task=1"]


def test_a_missing_client_is_an_error_of_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="^slurm-gpu/profile.yaml: executor: slurm, but there is no sinfo on the PATH"):
        check({REQUEST: ["pretrain"]}, "slurm-gpu/profile.yaml")


@pytest.mark.parametrize(
    ("arguments", "environment", "file"),
    [
        (["--profile", "slurm-gpu", "all"], None, "slurm-gpu/profile.yaml"),
        (["all", "--profile=slurm-cpu", "--configfile", "x.yaml"], "slurm-gpu", "slurm-cpu/profile.yaml"),
        (["all"], "slurm-gpu", "slurm-gpu/profile.yaml"),
        (["--profile", "other.yaml"], None, "other.yaml"),
        (["--executor", "slurm", "--jobs", "2"], None, "command line"),
    ],
)
def test_messages_name_the_profile_that_was_given(monkeypatch, arguments, environment, file):
    monkeypatch.chdir(ROOT)
    assert profile_file(arguments, environment) == file
