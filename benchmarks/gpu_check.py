"""`make gpu-check`: in under ten minutes, whether and how fast everything runs on this machine's GPU, in one table.

Each part is a process of its own with a time of its own, so that one that fails, hangs or loses the device stops no
other. The table is printed and lies under the device's name in results/benchmarks/, as gpu-check.md and .csv.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import page
from benchmarks.gpu_parts import FULL, HOURS, NAME, PARTS, TOGETHER, TOY, note
from benchmarks.made import MadeSubject
from benchmarks.timing import row
from semcom.common.files import write_text
from semcom.common.reporting import log_to, logger
from semcom.runs.provenance import device_name

COMMAND = "make gpu-check"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts, one after the other, and show what they found.

    Returns:
        1 where there is no such device, or a part did not come to its end.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_check", description=sys.modules[__name__].__doc__)
    parser.add_argument("--device", default="cuda", help="cpu tries the command itself; its numbers mean nothing")
    parser.add_argument("--configfile", default="config/config.yaml", metavar="FILE")
    parser.add_argument("--toy", action="store_true", help="the fewest steps, on few scenes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # a part's own process: where its rows go
    options = parser.parse_args(arguments)
    if why := lacking(options.device):
        print(why, file=sys.stderr)
        return 1
    share = 0.12 if options.toy else 1.0
    subject = MadeSubject(options.configfile, options.device, share, COMMAND)
    effort = TOY if options.toy else FULL
    if options.rows:
        with options.rows.open("a") as file:
            for found in PARTS[options.only[0]][0](subject, effort):
                file.write(json.dumps(found, default=lambda number: number.item()) + "\n")
                file.flush()
        return 0
    folder = page.folder_of(device_name(subject.device))
    folder.mkdir(parents=True, exist_ok=True)
    log_to(folder / f"{NAME}.log")
    rows, failed = [], False
    for name in options.only:
        seconds = PARTS[name][1]
        logger.info("%s: at most %d s", name, seconds)
        command = [sys.executable, "-m", "benchmarks.gpu_check", "--only", name, "--device", options.device]
        command += ["--configfile", options.configfile, *(["--toy"] if options.toy else [])]
        found, reason = run_part(command, seconds, folder / f"{NAME}-{name.replace(' ', '-')}.log")
        rows += found
        if reason:
            logger.error("error: %s: %s", name, reason)
            rows.append(note(name, f"failed: {reason}", **subject.where(NAME)))
            failed = True
    rows += hours_side_by_side(rows, subject)
    text = table(rows)
    path = page.write_rows(NAME, rows, folder)
    write_text(path.with_suffix(".md"), f"# GPU check\n\nOn {rows[0]['device']}. Written by `{COMMAND}`.\n\n{text}")
    print(text, end="")
    return int(failed)


def lacking(device: str) -> str | None:
    """Why nothing can be measured, with what to do, in one line; None where the device is there."""
    if device != "cuda" or torch.cuda.is_available():
        return None
    if torch.version.cuda is None and torch.version.hip is None:
        reason = f"torch {torch.__version__} is a build for CPUs"
    else:
        reason = f"torch {torch.__version__} finds no driver or device, or CUDA_VISIBLE_DEVICES hides it"
    return (
        f"no GPU that torch can use ({reason}); run {COMMAND} on a machine with one, with a build of torch for it "
        "(pytorch.org/get-started); on CPUs there is make bench"
    )


def run_part(command: Sequence[str], seconds: float, log: Path) -> tuple[list[dict], str | None]:
    """Run a part in a process group of its own, and end all of it where it takes too long.

    Args:
        command: gets `--rows` and a file, for a row as JSON a line.
        log: what the part prints, its traceback included.

    Returns:
        The rows that it wrote, and why there are not all of them, in one line.
    """
    with tempfile.TemporaryDirectory() as folder, log.open("w") as output:
        rows = Path(folder) / "rows"
        rows.touch()
        process = subprocess.Popen(
            [*command, "--rows", str(rows)], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status, reason = process.wait(seconds), None
        except subprocess.TimeoutExpired:
            status, reason = None, f"not done within {seconds:g} s"
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status:
            said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
            reason = f"{said[-1][:200] if said else 'no word'} (status {status}; {log})"
        return [json.loads(line) for line in rows.read_text().splitlines()], reason


def hours_side_by_side(rows: Sequence[dict], subject: MadeSubject) -> list[dict]:
    """The hours of the whole grid with as many runs at once as get most done together; none where a part is missing."""
    alone = [found["value"] for found in rows if found["case"] == HOURS]
    together = [found for found in rows if found["case"].startswith(TOGETHER)]
    if not alone or not together:
        return []
    best = max(together, key=lambda found: found["ratio"])
    number = best["case"].removeprefix(TOGETHER)
    case = f"the whole grid, runs at once: {number}, from the rates of stage I"
    return [row(NAME, case, [alone[0] / best["ratio"]], "h", **subject.where(NAME))]


def table(rows: Sequence[dict]) -> str:
    """All rows as one Markdown table; of a row without a number, its word."""
    lines = ["| What | Value | Against | Ratio |", "|---|---|---|---|"]
    for found in rows:
        value = f"{found['value']:.4g} {found['unit']}" if "value" in found else found["unit"]
        reference = f"{found['against']}: {found['reference']:.4g} {found['unit']}" if "reference" in found else ""
        ratio = f"{found['ratio']:.3g}" if "ratio" in found else ""
        lines.append(f"| {found['case']} | {value.replace('|', '/')} | {reference} | {ratio} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
