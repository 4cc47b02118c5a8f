"""Model files that nothing can be taken from, each of another kind."""

import os
import pickle
from pathlib import Path

import torch
from torch import nn


class Bomb:
    """Unpickled by a careless reader, makes a directory."""

    def __init__(self, marker: Path):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


# The kind of file, and a part of what is to be said of it.
UNREADABLE = {
    "missing": "model file is missing",
    "directory": "cannot be read (Is a directory)",
    "empty": "not a readable model file",
    "random bytes": "not a readable model file",
    "cut off": "not a readable model file",
    "a bomb among tensors": "needs code to be read (posix.mkdir), which is not run",
    "a bomb as torch 1.5 saved it": "needs code to be read (posix.mkdir), which is not run",
    "a plain pickle": "not a readable model file (UnpicklingError)",
    "a list": "holds a list, not a state dict",
    "a tensor": "holds a Tensor, not a state dict",
    "a whole network": "holds a whole network, not its state dict",
    "a whole network as torch 1.5 saved it": "holds a whole network, not its state dict",
    "a damaged safetensors file": "afetensor",
}


def write_unreadable(kind: str, path: Path, network: nn.Module) -> None:
    """A file of the kind at a path; a bomb in it would make a folder beside it, `.exploded`."""
    state, bomb, old = (
        network.state_dict(),
        Bomb(path.with_suffix(".exploded")),
        {"_use_new_zipfile_serialization": False},
    )
    if kind == "missing":
        return
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "random bytes":
        path.write_bytes(bytes(range(256)) * 40)
    elif kind == "cut off":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-5000])
    elif kind == "a bomb among tensors":
        torch.save(state | {"conv1.weight": bomb}, path)
    elif kind == "a bomb as torch 1.5 saved it":
        torch.save(bomb, path, **old)
    elif kind == "a plain pickle":
        path.write_bytes(pickle.dumps(bomb))
    elif kind == "a list":
        torch.save([1, 2, 3], path)
    elif kind == "a tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "a whole network":
        torch.save(network, path)
    elif kind == "a whole network as torch 1.5 saved it":
        torch.save(nn.Sequential(nn.Linear(2, 2)), path, **old)
    elif kind == "a damaged safetensors file":
        path.write_bytes((2).to_bytes(8, "little") + b"{}"[:1] + b"?")
    else:
        raise ValueError(kind)
