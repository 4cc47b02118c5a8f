"""What is measured: a configuration, its scenes, and the bare arithmetic of its encoders."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from semcom.common.errors import InputError
from semcom.config import jobs, paths
from semcom.config.experiment import Config
from semcom.config.loading import load_config
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes, load_scenes
from semcom.models.encoders import make_encoders
from semcom.models.precision import decide, encode, in_words, laid_out, placed
from semcom.runs.devices import choose
from semcom.runs.provenance import device_name
from semcom.training.process import set_up

METHOD = "proposed"
SNR_DB = 10.0


@dataclass(frozen=True)
class Subject:
    """A configuration to measure, as the command line names it."""

    configfile: str

    @cached_property
    def config(self) -> Config:
        return load_config(self.configfile)

    @cached_property
    def files(self) -> tuple[Path, Path]:
        """Its scenes and split, which the workflow makes where they are missing or of an earlier format.

        Raises:
            InputError: it could not.
        """
        folder = Path(paths.results(self.config.experiment)) / "data"
        files = folder / "scenes.h5", folder / "splits.csv"
        command = ["snakemake", str(files[1]), "--cores", "1", "--quiet", "rules", "progress", "host", "reason"]
        command += ["--nolock", "--configfile", self.configfile]  # several at once find all up to date
        if subprocess.run([sys.executable, "-m", *command], check=False, stdout=subprocess.DEVNULL).returncode:
            raise InputError(f"{files[1]}: could not be made by {' '.join(command)}; see what it says above")
        return files

    @cached_property
    def pretrain_job(self) -> jobs.PretrainJob:
        return jobs.pretrain_job(self.config, METHOD)

    @cached_property
    def finetune_job(self) -> jobs.FinetuneJob:
        return jobs.finetune_job(self.config, "supervised", SNR_DB, 1.0)

    @cached_property
    def device(self) -> torch.device:
        set_up(self.config.compute)
        return choose(self.config.compute)

    @cached_property
    def compute(self) -> ComputeSettings:
        """The configuration's arithmetic, decided for this device."""
        return decide(self.config.compute, self.device)

    @cached_property
    def scenes(self) -> Scenes:
        return load_scenes(*self.files, device=self.device, modalities=self.config.modalities)

    def where(self, name: str) -> dict[str, object]:
        """The columns of a row that say what was measured, on what, and by which command."""
        side, width = self.config.augmentation.crop_size, self.config.encoder.width
        return {
            "size": f"{side} x {side}, width {width}",
            "device": device_name(self.device),
            "arithmetic": in_words(self.compute),
            "threads": self.config.compute.threads,
            "command": f"python -m benchmarks {name} --configfile={self.configfile}",
        }


def bare_encoders(subject: Subject, compute: ComputeSettings) -> "_Bare":
    """Encoders of all modalities, as they are trained."""
    scenes = subject.scenes
    channels = {m: scenes.modalities[m].channels for m in subject.config.modalities}
    encoders = make_encoders(subject.pretrain_job.encoder, channels, seed=0)
    return placed(_Bare(encoders), compute, subject.device).train()


def ready_views(subject: Subject, batch: int, compute: ComputeSettings) -> dict[str, Tensor]:
    """Tensors of the shapes, type and memory format that encoders get."""
    side = subject.config.augmentation.crop_size
    generator = torch.Generator().manual_seed(0)
    views = {}
    for modality in subject.config.modalities:
        shape = (batch, subject.scenes.modalities[modality].channels, side, side)
        views[modality] = laid_out(torch.randn(shape, generator=generator).to(subject.device), compute)
    return views


def bare_step(subject: Subject, batch: int, compute: ComputeSettings | None = None) -> Callable[[], None]:
    """Forward and backward of the encoders on ready-made tensors, and nothing else.

    Args:
        batch: images of each modality.
        compute: arithmetic, decided; None takes the configuration's.
    """
    compute = compute or subject.compute
    bare, views = bare_encoders(subject, compute), ready_views(subject, batch, compute)

    def step() -> None:
        bare.zero_grad(set_to_none=True)
        sum(z.sum() for z in encode(bare.encoders, views, compute).values()).backward()
        wait(subject.device)

    return step


def wait(device: torch.device) -> None:
    """Until a device has done what it was given; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


class _Bare(nn.Module):
    def __init__(self, encoders: nn.ModuleDict):
        super().__init__()
        self.encoders = encoders
