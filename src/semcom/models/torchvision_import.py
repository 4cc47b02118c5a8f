"""torchvision, imported whole, also where it was built for another variant of torch than the one beside it."""

import importlib
from types import ModuleType

import torch

from semcom.common.errors import InputError

# Operators that importing torchvision describes to torch, whether or not its compiled part could be loaded.
DESCRIBED = ("nms", "qnms")
REMEDY = "install torch and torchvision from one index, in the versions that envs/requirements.txt pins"


def import_torchvision() -> ModuleType:
    """torchvision itself; where its compiled operators do not load, the two that its import needs are declared.

    PyPI's torchvision for Linux is a CUDA build. Beside a CPU build of torch its operators (non-maximum suppression and
    others for detection) do not load, and its import fails with "operator torchvision::nms does not exist". A declared
    operator has a signature and no code: calling it is an error, as it was before.

    Raises:
        InputError: it is not installed, or cannot be imported all the same.
    """
    try:
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            if f"operator torchvision::{DESCRIBED[0]} does not exist" not in str(error):
                raise
        for name in DESCRIBED:
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise InputError(f"torchvision: cannot be imported ({' '.join(str(error).split())}); {REMEDY}") from None
