"""What `make gpu-check` looks at, part by part: each gives rows of the table as soon as it has them."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from benchmarks import arithmetic, steps
from benchmarks.made import MadeSubject
from benchmarks.side_by_side import compared
from benchmarks.subject import SNR_DB, bare_step
from benchmarks.timing import by_turns, row
from benchmarks.whole_step import WholeStep, losses_after
from semcom.common.errors import InputError
from semcom.config import jobs, paths
from semcom.models.encoders import save_encoders
from semcom.planning.calibration import calibrate
from semcom.planning.estimate import predict
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up

NAME = "gpu-check"
NOT_HERE = "not here"  # of what only CUDA has
ROOT = Path(__file__).resolve().parents[1]
_CUDA_ONLY = ("float32, channels-last, TF32", "bfloat16, channels-last, CUDA graphs")


@dataclass(frozen=True)
class Effort:
    """How long each part measures.

    Attributes:
        repeats, steps: of what is timed.
        seconds: that runs side by side are timed.
        runs: how many side by side, one number after the other.
        epochs: of both stages in the slice.
        calibration_s: seconds of steps for each stage and method.
        compiled: whether `torch.compile` is tried.
        tests: further arguments of pytest.
    """

    repeats: int = 12
    steps: int = 30
    seconds: float = 6
    runs: tuple[int, ...] = (1, 2, 4, 8)
    epochs: int = 3
    calibration_s: float = 2
    compiled: bool = True
    tests: tuple[str, ...] = ()


FULL = Effort()
# For the tests of this command itself, on a CPU.
TOY = Effort(1, 2, 0.2, (1, 2), 1, 0.01, False, ("-k", "views"))


def note(case: str, word: str, **where: object) -> dict[str, object]:
    """A row without a number: a word takes the place of its value."""
    return {"benchmark": NAME, "case": case, "unit": word, **where}


def device_tests(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """The tests that run on a GPU where there is one."""
    where = subject.where(NAME)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", f"--junitxml={report}", "tests"]
        subprocess.run([sys.executable, *command, *effort.tests], cwd=ROOT, check=False)
        if not report.is_file():
            raise InputError("pytest left no report; python -m pytest -m gpu tests shows why")
        counts = {"passed": 0, "skipped": 0, "failed": 0}
        for case in ElementTree.parse(report).iter("testcase"):
            wrong = next((each for each in case if each.tag in ("failure", "error")), None)
            outcome = "failed" if wrong is not None else "skipped" if case.find("skipped") is not None else "passed"
            counts[outcome] += 1
            if wrong is not None:
                reason = " ".join((wrong.get("message") or "").split())[:150]
                yield note(f"device test {case.get('name')}", f"failed: {reason}", **where)
    for outcome, count in counts.items():
        yield row(NAME, f"device tests {outcome}", [count], "tests", **where)


def arithmetic_choices(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """The bare step of stage I in each arithmetic, against plain float32 by turns; those that compile come last."""
    batch = 2 * subject.pretrain_job.schedule.batch_size
    found = arithmetic.variants(subject.compute, subject.device, compiled=effort.compiled)
    reference = found.pop("float32")

    def prepared(compute) -> Callable[[], None]:
        step = bare_step(subject, batch, compute)

        def run() -> None:
            set_up(compute)  # TF32 and determinism are of the process
            step()

        return run

    plain = prepared(reference)
    for case, compute in sorted(found.items(), key=lambda item: item[1].compile != "none"):
        try:
            times = by_turns({"plain": plain, "other": prepared(compute)}, effort.repeats)
        except RuntimeError as error:  # no compiler, or an operation without a deterministic form: the others go on
            yield note(
                f"stage I bare step, {case}", f"failed: {str(error).splitlines()[0][:150]}", **subject.where(NAME)
            )
        else:
            yield row(
                NAME, f"stage I bare step, {case}", _ms(times["other"]), "ms", against="plain float32",
                reference=_ms(times["plain"]), **subject.where(NAME),
            )  # fmt: skip
    for case in _CUDA_ONLY:
        if case not in found:
            yield note(f"stage I bare step, {case}", NOT_HERE, **subject.where(NAME))


def graph_of_a_step(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """A whole step of stage I, replayed as one CUDA graph, against the same step given operation by operation."""
    where = subject.where(NAME)
    compute = subject.compute
    set_up(compute)
    eager = WholeStep(subject, compute)
    if subject.device.type != "cuda":
        times = by_turns({"eager": eager.eager()}, effort.repeats)
        yield row(NAME, "stage I whole step, operation by operation", _ms(times["eager"]), "ms", **where)
        yield note("stage I whole step, one CUDA graph", NOT_HERE, **where)
        return
    graphed = WholeStep(subject, compute)
    replay, run = graphed.graphed(), eager.eager()
    losses_after(eager, run, 3)  # as many as before a capture
    one, other = losses_after(eager, run, 5), losses_after(graphed, replay, 5)
    apart = max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))
    yield row(NAME, "loss of five steps, one CUDA graph, largest relative difference", [apart], "of the loss", **where)
    times = by_turns({"eager": run, "graph": replay}, effort.repeats)
    yield row(
        NAME, "stage I whole step, one CUDA graph", _ms(times["graph"]), "ms", against="operation by operation",
        reference=_ms(times["eager"]), **where,
    )  # fmt: skip


def step_ratios(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """Steps of both stages and evaluation against the bare arithmetic of the networks."""
    yield from steps.stage_steps(subject, NAME, effort.steps)
    yield from steps.evaluation(subject, NAME, effort.repeats)


def runs_side_by_side(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """Training runs at once on the one device: scenes a second of all together, and their digits."""
    alone = None
    for number, found, digits in compared(subject, effort.runs, effort.seconds):
        together = sum(found.scenes_per_second)
        alone = alone or together
        yield row(
            NAME, f"{TOGETHER}{number}", [together], "scenes/s", against="one run", reference=[alone],
            **subject.where(NAME),
        )  # fmt: skip
        yield note(f"digits with {number} at once", digits, **subject.where(NAME))


TOGETHER = "stage I, runs at once on one device: "
HOURS = "the whole grid, one run at a time"


def slice_of_the_paper(subject: MadeSubject, effort: Effort) -> Iterator[dict]:
    """A few epochs of both stages; then a calibration of every stage and method, and the hours of the whole grid."""
    where, began = subject.where(NAME), time.monotonic()
    first, second = subject.pretrain_job, jobs.finetune_job(subject.config, "proposed", SNR_DB, 1.0)
    first, second = (
        job.model_copy(
            update={"schedule": job.schedule.model_copy(update={"epochs": effort.epochs, "warmup_epochs": 0.0})}
        )
        for job in (first, second)
    )
    with tempfile.TemporaryDirectory() as folder:
        encoders = Path(folder) / "encoders.pt"
        trained = pretrain(first, subject.scenes, 0)
        save_encoders(trained.encoders, encoders, trained.status)
        took = (time.monotonic() - began) / effort.epochs
        yield row(NAME, f"stage I, {effort.epochs} epochs, {trained.status}", [took], "s/epoch", **where)
        began = time.monotonic()
        tuned = finetune(second, subject.scenes, 0, encoders)
        took = (time.monotonic() - began) / effort.epochs
        case = f"stage II, {effort.epochs} epochs with their evaluations, {tuned.status}"
        yield row(NAME, case, [took], "s/epoch", **where)
        yield from hours(subject, effort, Path(folder))


def hours(subject: MadeSubject, effort: Effort, folder: Path) -> Iterator[dict]:
    """What every run of the grid takes, from a short run of each stage and method."""
    config, where, paces = subject.config, subject.where(NAME), []
    for stage, method in sorted({(run.stage, run.method) for run in paths.runs(config)}):
        job = stage.job(config, method, config.grid.snr_db[0], max(config.grid.label_fractions))
        pace = calibrate(
            job, subject.scenes, config.grid.seeds[0], began=time.monotonic() - _START_S, checkpoint=folder / "c.pt",
            seconds=effort.calibration_s,
        )  # fmt: skip
        paces.append(asdict(pace))
        yield row(NAME, f"{stage} {method}, a step", [1e3 * pace.step_s], "ms", **where)
    predicted = predict(config, pd.DataFrame(paces), subject.splits)
    yield row(NAME, "the longest run", [predicted["hours_per_job"].max()], "h", **where)
    if (memory := predicted["peak_device_memory_mb"].max()) > 0:
        yield row(NAME, "device memory of a run, at most", [memory], "MB", **where)
    yield row(NAME, HOURS, [predicted["hours"].sum()], "h", **where)


_START_S = 10  # of a job's process until its scenes are there, imports and Snakemake's own start included; assumed


def _ms(seconds) -> list[float]:
    return [1e3 * second for second in seconds]


# Each with the seconds that it may take; together they leave a minute of the ten.
PARTS: dict[str, tuple[Callable[[MadeSubject, Effort], Iterator[dict]], int]] = {
    "tests": (device_tests, 90),
    "arithmetic": (arithmetic_choices, 150),
    "graph": (graph_of_a_step, 40),
    "steps": (step_ratios, 40),
    "side by side": (runs_side_by_side, 130),
    "slice": (slice_of_the_paper, 90),
}
