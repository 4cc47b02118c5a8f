"""Whether a SLURM cluster can run what a profile asks of it, found out before anything is submitted.

SLURM would say so itself, but job by job, and a hundred times. Sizes are compared with those of the nodes, as `sinfo` has
them: SLURM gives one and the same answer to a request beyond every node and to one that only waits for a node to come
back. All else (accounts, quality of service, constraints) is put to SLURM by `sbatch --test-only`, which submits nothing.
"""

import argparse
import getpass
import math
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from semcom.common.errors import InputError
from semcom.common.plugins import did_you_mean

# SLURM looks every half minute which jobs are to be warned, and warns those that would be late at its next look.
WARNING_MARGIN_S = 60
_ASKED_OF_SINFO = "%P|%t|%c|%m|%G|%l"
_UP = ("idle", "mix", "alloc", "comp", "resv", "plnd")
# Answers that a change in the cluster's state can take back.
_FOR_THE_TIME_BEING = ("node configuration is not available", "not available (", "not available now", "nodes are busy")


@dataclass(frozen=True)
class Request:
    """What a job asks of SLURM, under the names that a profile gives it; None where it does not say.

    Attributes:
        slurm_partition, slurm_account: one, or several with commas between.
        runtime: minutes.
        mem_mb, cpus_per_task, gpu: of one node.
        slurm_extra: further options of sbatch, in one string.
    """

    slurm_partition: str | None = None
    slurm_account: str | None = None
    runtime: int | None = None
    mem_mb: int | None = None
    cpus_per_task: int = 1
    gpu: int = 0
    gpu_model: str | None = None
    nodes: int | None = None
    constraint: str | None = None
    qos: str | None = None
    slurm_extra: str | None = None

    def options(self) -> list[str]:
        """The same, as options of sbatch."""
        gpus = f"{self.gpu_model}:{self.gpu}" if self.gpu_model else self.gpu or None
        said = {
            "partition": self.slurm_partition,
            "account": self.slurm_account,
            "time": self.runtime,
            "mem": self.mem_mb,
            "cpus-per-task": self.cpus_per_task,
            "gpus": gpus,
            "nodes": self.nodes,
            "constraint": self.constraint,
            "qos": self.qos,
        }
        named = [f"--{name}={value}" for name, value in said.items() if value is not None]
        return named + shlex.split(self.slurm_extra or "")

    def warning_s(self) -> int | None:
        """How long before its time is up a job wants to be warned, by `--signal=USR1@SECONDS` in `slurm_extra`."""
        asked = re.search(r"--signal=\S*@(\d+)", self.slurm_extra or "")
        return int(asked[1]) if asked else None


@dataclass(frozen=True)
class Nodes:
    """Nodes of a partition that are alike.

    Attributes:
        is_default: whether theirs is the partition of those who name none.
        time_limit: minutes; infinite where there is none.
    """

    partition: str
    is_default: bool
    is_up: bool
    cpus: int
    memory_mb: int
    gpus: int
    time_limit: float


def check(requests: Mapping[Request, Sequence[str]], profile: str) -> None:
    """See whether SLURM would take these requests.

    Args:
        requests: each with the rules that make it.
        profile: the file to correct, for messages.

    Raises:
        InputError: SLURM is not there, or would refuse a request; one line a fault.
    """
    nodes = _nodes(profile)
    found = [
        f"{profile}: {fault} (asked for by {', '.join(sorted(rules))})"
        for request, rules in requests.items()
        for fault in faults(request, nodes) or _refusals(request, nodes)
    ]
    if found:
        raise InputError("\n".join(dict.fromkeys(found)))


def faults(request: Request, nodes: Sequence[Nodes]) -> list[str]:
    """What of a request no node can ever give, each with its remedy."""
    partitions = sorted({each.partition for each in nodes})
    named = request.slurm_partition.split(",") if request.slurm_partition else []
    unknown = [name for name in named if name not in partitions]
    if unknown:
        hint = did_you_mean(unknown[0], partitions)
        return [f"slurm_partition: the cluster has no partition '{unknown[0]}'{hint}; `sinfo` lists them"]
    asked = [each for each in nodes if (each.partition in named if named else each.is_default)]
    return list(_too_much(request, asked))


def parse_sinfo(text: str) -> list[Nodes]:
    """What `sinfo` prints in the format that we ask for, a line a kind of node."""
    nodes = []
    for line in text.splitlines():
        partition, state, cpus, memory, resources, limit = line.strip().split("|")
        nodes.append(
            Nodes(
                partition=partition.removesuffix("*"),
                is_default=partition.endswith("*"),
                is_up=state.startswith(_UP) and not state.endswith("*"),  # a star: it does not answer
                cpus=int(cpus.rstrip("+")),
                memory_mb=int(memory.rstrip("+")),
                gpus=sum(map(int, re.findall(r"\bgpu:(?:[^:,()]+:)?(\d+)", resources))),
                time_limit=_minutes(limit),
            )
        )
    return nodes


def profile_file(arguments: Sequence[str], named_by_environment: str | None) -> str:
    """The file of the profile that Snakemake was started with, for messages.

    Args:
        arguments: of the command line.
        named_by_environment: the value of SNAKEMAKE_PROFILE.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", default=named_by_environment)
    name = parser.parse_known_args(arguments)[0].profile
    if not name:
        return "command line"
    return f"{name}/profile.yaml" if Path(name).is_dir() else name


def jobs_of(folder: Path) -> list[str]:
    """Numbers of this user's SLURM jobs that an earlier Snakemake has submitted from this folder and that still live."""
    status, answer = _ask("squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%Z|%k")
    if status:
        return []
    rows = [line.split("|", 2) for line in answer.splitlines()]
    return [number for number, workdir, comment in rows if Path(workdir) == folder and comment.startswith("rule_")]


def _nodes(profile: str) -> list[Nodes]:
    try:
        status, answer = _ask("sinfo", "--noheader", "--all", "--exact", f"--format={_ASKED_OF_SINFO}")
        _ask("sbatch", "--version")
    except FileNotFoundError as error:
        raise InputError(
            f"{profile}: executor: slurm, but there is no {error.filename} on the PATH; run this on a login node of "
            "the cluster, or without a cluster: snakemake --cores all all, or --profile local-gpu"
        ) from None
    if status:
        raise InputError(f"{profile}: executor: slurm, but SLURM does not answer ({answer}); try again once it does")
    return parse_sinfo(answer)


def _too_much(request: Request, nodes: Sequence[Nodes]) -> Iterator[str]:
    where = f"partition '{request.slurm_partition}'" if request.slurm_partition else "the default partition"
    for key, unit, most in (
        ("gpu", "GPUs", max((each.gpus for each in nodes), default=0)),
        ("mem_mb", "MB of memory", max((each.memory_mb for each in nodes), default=0)),
        ("cpus_per_task", "CPUs", max((each.cpus for each in nodes), default=0)),
    ):
        asked = getattr(request, key) or 0
        if asked > most:
            yield f"{key}: {asked} is more than a node of {where} has, {most} {unit}; lower it, or name another partition"
    longest = max((each.time_limit for each in nodes), default=0)
    if (request.runtime or 0) > longest:
        yield f"runtime: {request.runtime} minutes are beyond the limit of {where}, {longest:g}; lower it"
    warning = request.warning_s()
    if warning and request.runtime and request.runtime * 60 <= warning + WARNING_MARGIN_S:
        yield (
            f"runtime: {request.runtime} minutes leave no time before the warning that slurm_extra asks for "
            f"({warning} s before the end, and up to {WARNING_MARGIN_S} s early); raise it"
        )


def _refusals(request: Request, nodes: Sequence[Nodes]) -> Iterator[str]:
    """Why SLURM itself would not take a request whose size is right."""
    status, answer = _ask("sbatch", "--test-only", *request.options(), "--wrap", "true")
    if not status or (any(text in answer for text in _FOR_THE_TIME_BEING) and not all(each.is_up for each in nodes)):
        return
    reason = answer.splitlines()[-1].removeprefix("allocation failure: ") if answer else f"sbatch ends with {status}"
    if "account" in reason.lower():
        yield (
            f"slurm_account: SLURM refuses {_named(request.slurm_account)} in partition "
            f"{_named(request.slurm_partition)} ({reason}); name one that may use it, as "
            "`sacctmgr show associations user=$USER format=account,partition` lists them"
        )
    else:
        yield f"SLURM refuses {' '.join(request.options())} ({reason}); correct the resource that it speaks of"


def _named(value: str | None) -> str:
    return f"'{value}'" if value else "none named"


def _ask(*command: str) -> tuple[int, str]:
    """Exit status of a SLURM client, and what it prints, errors included."""
    try:
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return 1, f"{command[0]}: no answer within a minute"
    return done.returncode, done.stdout.strip()


def _minutes(limit: str) -> float:
    """A time limit as SLURM prints it, D-HH:MM:SS, HH:MM:SS, MM:SS or `infinite`."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+)*", limit):
        return math.inf
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    return int(days or 0) * 24 * 60 + seconds / 60
