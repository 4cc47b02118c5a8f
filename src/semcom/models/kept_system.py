"""A trained link as a file: encoders, decoder, and all that is needed to send scenes through it again."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from semcom.common.errors import InputError
from semcom.common.tensor_file import read_tensors, write_tensors
from semcom.config.jobs import FinetuneJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.models import precision
from semcom.models.system import System

FORMAT = "semcom-system-1"
REMEDY = "let the workflow train it again, by `snakemake --forcerun finetune` and this file's path"


@dataclass(frozen=True)
class KeptSystem:
    """A system as stage II left it.

    Attributes:
        system: None where the run diverged: there is nothing to evaluate.
        job, seed: of its run.
        status: of its run.
        arithmetic: the precision it was trained in, see `precision.decided`; None where nothing was trained.
    """

    system: System | None
    job: FinetuneJob
    seed: int
    status: str
    arithmetic: dict[str, Any] | None

    @property
    def job_without_trace(self) -> FinetuneJob:
        """Its run's job, without the trace that its training went along: SNRs come from who asks."""
        untraced = self.job.channel.model_copy(update={"snr_trace": None})
        return self.job.model_copy(update={"channel": untraced})

    def place(self, compute: ComputeSettings, device: torch.device) -> ComputeSettings:
        """Put the system, which did not diverge, where and how it is to answer, for good; in what arithmetic.

        Trained in bfloat16, it answers in it where the device computes it natively, else in what `compute` gives.
        """
        begun = self.arithmetic
        if begun and begun["precision"] == "bfloat16" and not precision.has_bfloat16(device):
            begun = None
        decided = precision.decide(compute, device, begun)
        precision.placed(self.system, decided, device)
        return decided


def save_system(kept: KeptSystem, scenes: Scenes, path: Path) -> None:
    """Write a system, its run's settings, and what the scenes were that it was trained on; whole or not at all.

    Raises:
        InputError: the disk is full.
    """
    state = {} if kept.system is None else kept.system.state_dict()
    known = {
        "job": kept.job.model_dump(),
        "seed": kept.seed,
        "status": kept.status,
        "arithmetic": kept.arithmetic,
        **_of_scenes(scenes, kept.job),
    }
    arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}
    write_tensors(path, arrays, known, format=FORMAT)


def load_system(path: Path, scenes: Scenes) -> KeptSystem:
    """Read what `save_system` wrote, onto the CPU.

    Raises:
        InputError: the file is missing, damaged, of another program or version, or the system was trained on other
            classes, other modalities, or otherwise normalised images than `scenes` has.
    """
    arrays, known = read_tensors(path, format=FORMAT, remedy=REMEDY)
    try:
        job, seed, status, arithmetic = (known[key] for key in ("job", "seed", "status", "arithmetic"))
        job = FinetuneJob(**job)
    except (KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: was written by another version of this program ({reason}); {REMEDY}") from None
    lacking = [m for m in job.modalities if m not in scenes.modalities]
    if lacking:
        raise InputError(
            f"{path}: was trained on {', '.join(job.modalities)}, and the scenes have no {lacking[0]}; {REMEDY}"
        )
    for key, here in _of_scenes(scenes, job).items():
        if known.get(key) != here:
            raise InputError(f"{path}: was trained on other scenes, which differ in their {key}; {REMEDY}")
    if not arrays:
        return KeptSystem(None, job, seed, status, arithmetic)
    without_files = job.model_copy(update={"encoder": job.encoder.model_copy(update={"weights": {}})})
    system = System(without_files, scenes, seed)
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    shapes = {name: tuple(value.shape) for name, value in system.state_dict().items()}
    differing = sorted(
        name
        for name in shapes.keys() | state.keys()
        if name not in state or tuple(state[name].shape) != shapes.get(name)
    )
    if differing:
        raise InputError(f"{path}: '{differing[0]}' is not as in a system of its own settings; {REMEDY}")
    system.load_state_dict(state)
    return KeptSystem(system, job, seed, status, arithmetic)


def _of_scenes(scenes: Scenes, job: FinetuneJob) -> dict[str, Any]:
    """What a system depends on of the scenes, as JSON gives it back."""
    modalities = {}
    for m in job.modalities:
        meaning = asdict(scenes.modalities[m])
        modalities[m] = {key: list(value) if isinstance(value, tuple) else value for key, value in meaning.items()}
    return {"classes": list(scenes.class_names), "modalities": modalities}
