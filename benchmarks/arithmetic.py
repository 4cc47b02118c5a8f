"""Which arithmetic is fastest on this device, and whether it costs accuracy."""

import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import torch

from benchmarks.subject import Subject, bare_step
from benchmarks.timing import by_turns, row
from semcom.common.errors import InputError
from semcom.config import jobs
from semcom.config.sections import ComputeSettings
from semcom.models.encoders import save_encoders
from semcom.models.precision import has_bfloat16
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import keep_freed_memory, set_up

PLAIN = {"precision": "float32", "channels_last": False, "compile": "none", "tf32": False}


def variants(compute: ComputeSettings, device: torch.device, *, compiled: bool) -> dict[str, ComputeSettings]:
    """Precision by memory format by compiler; TF32 where a device has it, CUDA graphs where it has those."""
    found = {"float32": compute.model_copy(update=PLAIN)}
    for precision, channels_last, mode in product(("float32", "bfloat16"), (False, True), ("none", "default")):
        if mode != "none" and not (compiled and channels_last):
            continue  # compiling takes a minute, and with channels first the rest is slower
        chosen = PLAIN | {"precision": precision, "channels_last": channels_last, "compile": mode}
        parts = [precision, "channels-last" * channels_last, "compiled" * (mode != "none")]
        found[", ".join(filter(None, parts))] = compute.model_copy(update=chosen)
    if device.type == "cuda":
        best = PLAIN | {"channels_last": True}
        found["float32, channels-last, TF32"] = compute.model_copy(update=best | {"tf32": True})
        graphs = best | {"precision": "bfloat16", "compile": "reduce-overhead"}
        found["bfloat16, channels-last, CUDA graphs"] = compute.model_copy(update=graphs)
    deterministic = {"precision": "bfloat16", "channels_last": True, "deterministic": True}
    found["bfloat16, channels-last, deterministic"] = compute.model_copy(update=PLAIN | deterministic)
    return found


def choices(subject: Subject, name: str, repeats: int | None = None, *, compiled: bool = False) -> list[dict]:
    """The bare step of stage I in each arithmetic, against plain float32.

    Args:
        repeats: turns; None takes 12, or 4 where bfloat16 is emulated and a step of it takes seconds.
    """
    repeats = repeats or (12 if has_bfloat16(subject.device) else 4)
    batch = 2 * subject.pretrain_job.schedule.batch_size
    settings = variants(subject.compute, subject.device, compiled=compiled)

    def prepared(compute: ComputeSettings):
        step = bare_step(subject, batch, compute)

        def run() -> None:
            set_up(compute)  # TF32 and determinism are of the process
            step()

        return run

    times = by_turns({case: prepared(compute) for case, compute in settings.items()}, repeats)
    set_up(subject.compute)
    return [
        row(
            name, case, [1e3 * t for t in found], "ms", against="plain float32",
            reference=[1e3 * t for t in times["float32"]], **subject.where(name),
        )
        for case, found in times.items()
    ]  # fmt: skip


def compiling(subject: Subject, name: str) -> list[dict]:
    """As `choices`, with `torch.compile`; in a process of its own, which it has been seen to crash on a CPU."""
    return choices(subject, name, compiled=True)


def allocator(subject: Subject, name: str, repeats: int = 12) -> list[dict]:
    """The bare step of stage I with freed memory kept by the process, against given back to the kernel each time."""
    step = bare_step(subject, 2 * subject.pretrain_job.schedule.batch_size)

    def run(keep: bool) -> None:
        keep_freed_memory(keep)
        step()

    times = by_turns({"kept": lambda: run(True), "given back": lambda: run(False)}, repeats)
    keep_freed_memory()
    return [
        row(
            name, "freed memory kept", [1e3 * t for t in times["kept"]], "ms", against="given back, glibc's default",
            reference=[1e3 * t for t in times["given back"]], **subject.where(name),
        )
    ]  # fmt: skip


def accuracy(subject: Subject, name: str, seeds: int = 5) -> list[dict]:
    """Final accuracy in plain float32 and in the configured arithmetic, seed by seed, of SimCLR and of training from
    scratch; the spread is that of the seeds."""
    rows = []
    for method in ("simclr", "supervised"):
        finals = {}
        for case, changes in {"float32": PLAIN, "as configured": {}}.items():
            compute = subject.config.compute.model_copy(update=changes)
            finals[case] = [_final_accuracy(subject, method, compute, seed) for seed in range(seeds)]
        values = {case: [100 * accuracy for accuracy in found] for case, found in finals.items()}
        differences = [b - a for a, b in zip(values["float32"], values["as configured"], strict=True)]
        for case, found in (*values.items(), ("difference, as configured less float32", differences)):
            rows.append(row(name, f"accuracy of {method}, {case}", found, "%", **subject.where(name)))
    return rows


def _final_accuracy(subject: Subject, method: str, compute: ComputeSettings, seed: int) -> float:
    """Mean accuracy of the last evaluations of a whole run, stage I included where the method has one."""
    config = subject.config
    set_up(compute)
    with tempfile.TemporaryDirectory() as folder:
        encoders = None
        if config.stage_one(method):
            job = jobs.pretrain_job(config, method).model_copy(update={"compute": compute})
            result = pretrain(job, subject.scenes, seed)
            encoders = Path(folder) / "encoders.pt"
            save_encoders(result.encoders, encoders, result.status)
        job = jobs.finetune_job(config, method, config.grid.snr_db[0], 1.0).model_copy(update={"compute": compute})
        rounds = finetune(job, subject.scenes, seed, encoders).rounds
    return rounds[rounds["split"] == rounds["split"].iloc[0]]["accuracy"].tail(config.tables.last_evaluations).mean()


BARE_LOOP = """
import sys, time
from semcom.training.process import set_up
from benchmarks.subject import Subject, bare_step
subject, threads, seconds = Subject(sys.argv[3]), int(sys.argv[1]), float(sys.argv[2])
batch = subject.pretrain_job.schedule.batch_size
compute = subject.compute.model_copy(update={"threads": threads})
step = bare_step(subject, 2 * batch, compute)
set_up(compute)
for _ in range(3):
    step()
began, steps = time.perf_counter(), 0
while time.perf_counter() - began < seconds:
    step()
    steps += 1
print(steps * batch / (time.perf_counter() - began))
"""


def threads(subject: Subject, name: str, cores: int = 2, repeats: int = 3, seconds: float = 15) -> list[dict]:
    """Scenes a second of all cores together in stage I's bare step: a job of one thread on each core, against one job
    with all of them."""

    def together(jobs_: int, threads_: int) -> float:
        command = [sys.executable, "-c", BARE_LOOP, str(threads_), str(seconds), subject.configfile]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(jobs_)]
        told = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            raise InputError("a process of its ended early; see what it says above")
        return sum(float(each.split()[-1]) for each in told)

    subject.scenes  # noqa: B018  made and read once, before several processes look for them
    turns = [(together(cores, 1), together(1, cores)) for _ in range(repeats)]
    many, one = zip(*turns, strict=True)
    return [
        row(
            name, f"{cores} jobs of 1 thread", many, "scenes/s", against=f"1 job of {cores} threads", reference=one,
            **subject.where(name) | {"threads": cores},
        )
    ]  # fmt: skip
