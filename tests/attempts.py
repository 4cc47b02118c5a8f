"""Attempts at runs in the tests' own process, whose signal handlers they put back."""

import signal
from pathlib import Path

import pytest

from semcom.config.stage import Stage
from semcom.runs.attempt import Attempt
from semcom.runs.signals import ASKED_TO_STOP


@pytest.fixture
def own_signals():
    """Puts back the handlers that an attempt leaves."""
    before = {number: signal.getsignal(number) for number in ASKED_TO_STOP}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def attempt_in(folder: Path, stage: str = Stage.PRETRAIN, job: dict | None = None, seed: int = 0) -> Attempt:
    """An attempt whose checkpoint is `run.pt` in the folder, and whose only output is `results/provenance.json`."""
    return Attempt(
        Stage(stage),
        job or {},
        seed,
        checkpoint=folder / "run.pt",
        earlier=folder / "earlier",
        inputs=[],
        outputs=[folder / "results/provenance.json"],
    )
