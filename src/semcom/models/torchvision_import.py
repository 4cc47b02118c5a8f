"""torchvision, of which a job needs one file: imported without the rest, or whole, where it does not match this torch."""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import torch

from semcom.common.errors import InputError


def resnet() -> ModuleType:
    """torchvision's ResNets, without the packages around them.

    Those load the operators for detection, and with them what `torch.compile` needs, which takes about as long as
    importing torch; and on Linux, where PyPI's torchvision is a CUDA build, they do not load beside a CPU build of torch.

    Raises:
        InputError: torchvision is not installed, or its parts are not where they were in the version that is pinned.
    """
    name = "torchvision.models.resnet"
    if name in sys.modules or "torchvision" in sys.modules:
        return importlib.import_module(name)
    found = importlib.util.find_spec("torchvision")
    if found is None:
        raise InputError("torchvision: not installed; install what envs/requirements.txt pins")
    root = Path(found.origin).parent
    packages = {"torchvision": root, "torchvision.models": root / "models"}
    for package, folder in packages.items():
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"torchvision: {error}; install the version that envs/requirements.txt pins") from None
    finally:
        for package in packages:  # whoever wants them whole shall get them
            del sys.modules[package]


def whole() -> ModuleType:
    """torchvision, also where it was built for another torch variant: its compiled operators are then missing.

    It fails at import on declaring the fakes of `nms` and its kin. Where none of them is called, declaring the missing
    names is enough.

    Raises:
        InputError: it is not installed, or cannot be imported all the same.
    """
    reason = ""
    for _ in range(8):  # one round for each operator that it misses; 0.28 misses two
        try:
            return importlib.import_module("torchvision")
        except (ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            missing = re.search(r"operator (torchvision::\w+) does not exist", reason)
            if not missing:
                break
            torch.library.define(missing[1], "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    raise InputError(f"torchvision: {reason}; install what envs/requirements.txt pins")
