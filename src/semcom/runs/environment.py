"""The variables of the environment that this program reads for itself, each checked before anything runs. Free of torch.

    SEMCOM_CHECKPOINT_SECONDS    least time between two checkpoints of a run; a minute
    SEMCOM_RUNS_PER_GPU          training runs at once on each GPU; one. The workflow sets it for its jobs
    ONEDNN_MAX_CPU_ISA           oneDNN's own, see `common.processor`

Others (CUDA_VISIBLE_DEVICES, SLURM_JOB_ID, SNAKEMAKE_PROFILE, ...) belong to the programs that set or check them.
"""

import contextlib
import difflib
from collections.abc import Mapping

from semcom.common import processor
from semcom.common.errors import InputError

CHECKPOINT_SECONDS = "SEMCOM_CHECKPOINT_SECONDS"
RUNS_PER_GPU = "SEMCOM_RUNS_PER_GPU"


def check(environment: Mapping[str, str]) -> None:
    """Whether all of them can be used, whatever of them a run will need.

    Raises:
        InputError: a value makes no sense, or a name is nearly one of these.
    """
    for name in environment:
        near = difflib.get_close_matches(name, (CHECKPOINT_SECONDS, RUNS_PER_GPU), n=1, cutoff=0.8)
        if near and near != [name]:
            raise InputError(f"{name}: no such variable; did you mean '{near[0]}'? Rename or unset it")
    checkpoint_seconds(environment)
    runs_per_gpu(environment)
    processor.check_limit(environment)


def checkpoint_seconds(environment: Mapping[str, str]) -> float:
    """Least time between two checkpoints: SEMCOM_CHECKPOINT_SECONDS, else a minute.

    Raises:
        InputError: the variable is no number of seconds.
    """
    text = environment.get(CHECKPOINT_SECONDS, "60")
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) >= 0:
            return seconds
    raise InputError(f"{CHECKPOINT_SECONDS}: '{text}' is no number of seconds; correct or unset the variable")


def runs_per_gpu(environment: Mapping[str, str]) -> int:
    """Places for runs on each GPU: SEMCOM_RUNS_PER_GPU, else one.

    Raises:
        InputError: the variable is no number, or less than 1.
    """
    text = environment.get(RUNS_PER_GPU, "1")
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InputError(f"{RUNS_PER_GPU}: '{text}' is no whole number of 1 or more; correct or unset the variable")
    return int(text)
