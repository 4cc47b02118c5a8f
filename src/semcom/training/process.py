"""What a training process sets for itself before it begins: threads, memory, determinism, TF32."""

import contextlib
import ctypes
import os

import torch

from semcom.config.sections import ComputeSettings

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


def set_up(compute: ComputeSettings) -> None:
    """Apply threads, determinism and TF32 to this process."""
    torch.set_num_threads(compute.threads)
    keep_freed_memory()
    if compute.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA refuses matrix products
    torch.use_deterministic_algorithms(compute.deterministic)
    torch.backends.cudnn.benchmark = not compute.deterministic
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = compute.tf32


def keep_freed_memory(keep: bool = True) -> None:
    """Whether the process keeps memory that it has freed; where the C library is not glibc, nothing changes.

    By default glibc gives a step's activations back to the kernel and then asks for them again, which zeroes them page by
    page. Peak memory is the same.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1 if keep else 2**17)
        library.mallopt(M_MMAP_THRESHOLD, 2**25 if keep else 2**17)  # the most that it takes, and its default
