"""Where a run stands, saved now and then, so that a killed job goes on and ends with the same bytes.

Every random draw of a run is addressed by its position (`rng.py`), so a checkpoint holds networks, optimiser, position
and log, and no random state. It lies outside a rule's declared output, which Snakemake removes when a job fails.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from semcom.encoders import load_state
from semcom.errors import InputError
from semcom.progress import logger


class Checkpoint:
    """One run's checkpoint file.

    Args:
        path: the file; its folder is made when first needed.
        fingerprint: of all that decides the run, see `fingerprint`. A file with another one is refused.
        every_seconds: least time between two saves.
    """

    def __init__(self, path: Path, fingerprint: str, *, every_seconds: float = 60):
        self.path, self.fingerprint, self.every_seconds = path, fingerprint, every_seconds
        self.began = self.last = time.monotonic()
        self.earlier_s = 0.0  # that earlier attempts took to the state gone on from

    def load(self) -> dict | None:
        """The state last saved, or None where there is none that fits; what does not fit is said in the log."""
        if not self.path.is_file():
            return None
        try:
            saved = load_state(self.path, "starting from the beginning")
        except InputError as error:
            logger.warning("checkpoint refused: %s", error)
            return None
        if saved.get("fingerprint") != self.fingerprint:
            logger.warning(
                "checkpoint refused: %s is of other settings, data or code; starting from the beginning", self.path
            )
            return None
        logger.info("going on from %s", self.path)
        self.earlier_s = saved["spent_s"]
        return saved["state"]

    def due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.last >= self.every_seconds

    def save(self, state: dict) -> None:
        """Replace the file by this state, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(self.path.name + ".tmp")
        spent_s = self.earlier_s + time.monotonic() - self.began
        torch.save({"fingerprint": self.fingerprint, "spent_s": spent_s, "state": state}, temporary)
        temporary.replace(self.path)
        self.last = time.monotonic()

    def remove(self) -> None:
        """Forget the run; to be called when its results are written."""
        self.path.unlink(missing_ok=True)


def fingerprint(job: dict, seed: int, files: Iterable[Path]) -> str:
    """A digest of a run's settings, its seed, and its input files.

    Small files (code, splits, encoders) count by content; those above 64 MiB (the scenes) by size and time of change,
    since reading them would take longer than a checkpoint saves.
    """
    digest = hashlib.sha256(json.dumps([job, seed], sort_keys=True).encode())
    for path in map(Path, files):
        stat = path.stat()
        content = path.read_bytes() if stat.st_size <= 2**26 else repr((stat.st_size, stat.st_mtime_ns)).encode()
        digest.update(repr((path.name, hashlib.sha256(content).hexdigest())).encode())
    return digest.hexdigest()
