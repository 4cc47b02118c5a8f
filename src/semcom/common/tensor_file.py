"""Arrays and what is to be known of them in one file, free of code: safetensors, with a digest of every byte of them.

safetensors checks that a file is whole, but not that its numbers are those that were written.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semcom.common.errors import InputError
from semcom.common.files import written_atomically
from semcom.common.reading import fault_of_surroundings


def write_tensors(path: str | Path, arrays: Mapping[str, np.ndarray], known: Mapping[str, Any], *, format: str) -> None:
    """Write arrays and what is known of them, whole or not at all.

    Args:
        known: plain data, as JSON has it.
        format: name and version of what the file is; `read_tensors` asks for the same.

    Raises:
        InputError: the disk is full.
    """
    from safetensors.numpy import save  # imported where it is needed: the workflow's own process needs none of it

    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(known, sort_keys=True)
    metadata = {"format": format, "known": text, "sha256": _digest(contiguous, text)}
    with written_atomically(path) as temporary:
        temporary.write_bytes(save(contiguous, metadata))


def read_tensors(path: str | Path, *, format: str, remedy: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `write_tensors` wrote: the arrays, and what is known of them.

    Args:
        remedy: how the message ends.

    Raises:
        InputError: the file is missing, cannot be read, is damaged, or of another kind or version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with Path(path).open("rb") as file:
            file.read(1)  # safetensors, which maps the file, would hide why reading failed
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != format:
                raise InputError(
                    f"{path}: is of format {metadata.get('format')!r}, this program reads {format}; {remedy}"
                )
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise InputError(f"{path}: not found; {remedy}") from None
    except OSError as error:
        raise fault_of_surroundings(path, error) or InputError(f"{path}: damaged ({error}); {remedy}") from None
    except SafetensorError as error:
        raise InputError(f"{path}: no safetensors file, or damaged ({error}); {remedy}") from None
    if metadata.get("sha256") != _digest(arrays, metadata.get("known", "")):
        raise InputError(f"{path}: damaged, its content has another sha256 than was written; {remedy}")
    return arrays, json.loads(metadata["known"])


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
