"""Where a run stands, as a file from which a killed job goes on and ends with the same bytes.

Every random draw of a run is addressed by its position (`rng.py`), so a checkpoint holds networks, optimiser, position
and log, and no random state. It lies outside a rule's declared output, which Snakemake removes when a job fails.

Layout: the line FORMAT, the SHA-256 of the rest as a line, then what `torch.save` makes of the state. torch's own format
does not notice a changed byte in the middle.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from semcom.common.checksums import sha256_of
from semcom.common.files import written_atomically
from semcom.common.reading import fault_of_surroundings
from semcom.common.reporting import logger
from semcom.common.structure import fault

FORMAT = b"semcom-checkpoint-2\n"


class Checkpoint:
    """One run's checkpoint file.

    Args:
        path: the file; its folder is made when first needed.
        fingerprint: of all that decides the run, see `fingerprint`. A file with another one is refused.
    """

    def __init__(self, path: Path, fingerprint: str):
        self.path, self.fingerprint = path, fingerprint

    def load(self, fault_in: Callable[[dict], str | None] = lambda state: None) -> dict | None:
        """The state last saved, or None where there is none that fits; what does not fit is said in the log.

        Args:
            fault_in: says in what a state is not one that the caller can go on from, None if in nothing. A digest tells
                that a file is as it was written, not who wrote it.

        Raises:
            InputError: the file cannot be read, which says nothing against what it holds.
        """
        saved = self._read()
        if saved is None:
            return None
        refused = saved if isinstance(saved, str) else fault_in(saved["state"])
        if refused:
            logger.warning("checkpoint refused: %s %s; starting from the beginning", self.path, refused)
            return None
        logger.info("going on from %s", self.path)
        return saved["state"]

    def save(self, state: dict) -> None:
        """Replace the file by this state, whole or not at all, and not before it is on the disk.

        Raises:
            InputError: the disk is full.
            OSError: the file cannot be written.
        """
        import torch  # seconds to import, and not needed before there is something to save

        buffer = io.BytesIO()  # torch.save to a file hides why writing failed
        torch.save({"fingerprint": self.fingerprint, "state": state}, buffer)
        content = buffer.getbuffer()
        with written_atomically(self.path) as temporary, temporary.open("wb") as file:
            file.write(FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n")
            file.write(content)

    def _read(self) -> dict | str | None:
        """The content of the file, or what is wrong with it; None where there is none."""
        import torch

        try:
            header, digest, content = _parts(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, MemoryError) as error:  # it may be whole, and to begin anew would write over it
            raise fault_of_surroundings(self.path, error) or error from None
        if header != FORMAT:
            return "is no checkpoint of this program"
        if hashlib.sha256(content).hexdigest().encode() + b"\n" != digest:
            return "is damaged"
        try:
            saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except MemoryError:
            raise
        except Exception as error:  # torch raises many kinds here, by where in the content the fault lies
            return f"holds no state of a run ({type(error).__name__})"
        if wrong := fault(saved, {"fingerprint": str, "state": dict}, "its content"):
            return f"is of another version: {wrong}"
        return saved if saved["fingerprint"] == self.fingerprint else "is of other settings, data or code"


def _parts(content: bytes) -> tuple[bytes, bytes, bytes]:
    ends = len(FORMAT), len(FORMAT) + 2 * hashlib.sha256().digest_size + 1
    return content[: ends[0]], content[ends[0] : ends[1]], content[ends[1] :]


def fingerprint(job: dict, seed: int, files: Iterable[Path]) -> str:
    """A digest of a run's settings, its seed, and its input files by name and content, wherever and of whenever they are."""
    digest = hashlib.sha256(json.dumps([job, seed], sort_keys=True).encode())
    files = list(map(Path, files))
    for path, content in zip(files, sha256_of(files, logger.info), strict=True):
        digest.update(repr((path.name, content)).encode())
    return digest.hexdigest()
