"""Training runs side by side on one device, each a process: what they get done together, and whether their digits stay.

`python -m benchmarks.side_by_side` is one such run. It trains a few steps deterministically and prints their digest and
`ready`; at a line of its input it goes on with stage I as it always runs, and prints scenes a second.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.made import MadeSubject
from benchmarks.steps import NEVER, WARM_UP, against_bare
from semcom.common.errors import InputError
from semcom.config.stage import Stage
from semcom.planning.calibration import EnoughSteps
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up


@dataclass(frozen=True)
class Together:
    """What some runs side by side did.

    Attributes:
        scenes_per_second: of each.
        digests: of each run's deterministic steps, all of the same seed.
    """

    scenes_per_second: list[float]
    digests: list[str]


def run_together(subject: MadeSubject, number: int, seconds: float) -> Together:
    """So many runs of stage I at once, timed while all of them train.

    Raises:
        InputError: one of them ended before it was to.
    """
    command = [sys.executable, "-m", "benchmarks.side_by_side", "--device", subject.device_name]
    command += ["--share", str(subject.share), "--seconds", str(seconds), "--configfile", str(subject.configfile)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, **pipes) for _ in range(number)]
    try:
        digests = [_told(process)["digest"] for process in running]
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        rates = [_told(process)["scenes_per_second"] for process in running]
    finally:
        for process in running:
            process.kill()
            with process:  # which waits, and closes its pipes
                pass
    return Together(rates, digests)


def _told(process: subprocess.Popen) -> dict:
    line = process.stdout.readline()
    if not line:
        raise InputError(f"a run of stage I beside others ended with status {process.wait()}; its message stands above")
    return json.loads(line)


def main(arguments: Sequence[str] | None = None) -> None:
    """One run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side")
    parser.add_argument("--device", required=True)
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--configfile", required=True)
    options = parser.parse_args(arguments)
    subject = MadeSubject(options.configfile, options.device, options.share, "")
    print(json.dumps({"digest": digest(subject)}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"scenes_per_second": scenes_per_second(subject, options.seconds)}), flush=True)


def digest(subject: MadeSubject) -> str:
    """Of the log and the weights of an epoch of stage I, trained deterministically; or why it cannot be."""
    job = subject.pretrain_job
    compute = subject.compute.model_copy(update={"deterministic": True})
    schedule = job.schedule.model_copy(update={"epochs": 1, "warmup_epochs": 0.0})
    set_up(compute)
    try:
        result = pretrain(job.model_copy(update={"compute": compute, "schedule": schedule}), subject.scenes, 0)
    except RuntimeError as error:  # an operation without a deterministic form
        return f"cannot be told: {str(error).splitlines()[0]}"
    finally:
        set_up(job.compute)
    digits = hashlib.sha256(result.steps.to_csv(index=False).encode())
    for value in result.encoders.state_dict().values():
        digits.update(value.cpu().numpy().tobytes())
    return digits.hexdigest()


def scenes_per_second(subject: MadeSubject, seconds: float) -> float:
    """Of stage I as it always runs, once its first steps are over."""
    times: list[float] = []

    def step_done() -> None:
        times.append(time.perf_counter())
        if len(times) > WARM_UP and times[-1] - times[WARM_UP - 1] >= seconds:
            raise EnoughSteps

    against_bare(subject, Stage.PRETRAIN, step_done, NEVER)
    steps = len(times) - WARM_UP
    return steps * subject.pretrain_job.schedule.batch_size / (times[-1] - times[WARM_UP - 1])


def compared(subject: MadeSubject, numbers: Sequence[int], seconds: float) -> Iterator[tuple[int, Together, str]]:
    """So many runs at once, for each of some numbers, and what is to be said of their digits.

    Yields:
        The number, what these runs did, and `same digits as a run alone`, how many have
        others, or why none can be told.
    """
    alone = run_together(subject, 1, 0.0).digests[0]
    for number in numbers:
        found = run_together(subject, number, seconds)
        others = sum(digits != alone for digits in found.digests)
        digits = (
            f"{others} of {number} runs have other digits than a run alone" if others else "same digits as a run alone"
        )
        yield number, found, alone if alone.startswith("cannot") else digits


if __name__ == "__main__":
    main()
