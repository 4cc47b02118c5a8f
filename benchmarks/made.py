"""A configuration to measure without its data set: scenes of its sizes and numbers, made on the device in a moment."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch

from benchmarks.subject import Subject
from semcom.config.experiment import Config
from semcom.data.nyud2_layout import PUBLISHED_COUNTS
from semcom.data.scenes import Modality, Scenes

# What the integers of made images are: all alike likely from the first to the last but one.
_RANGES = {"rgb": (0, 256), "depth": (500, 6000)}
_UNITS = {"rgb": ("intensity", 1 / 255, "colour"), "depth": ("m", 0.001, "depth")}


@dataclass(frozen=True)
class MadeSubject(Subject):
    """A configuration on scenes of noise: what a step takes does not depend on what an image shows.

    Attributes:
        device_name: takes the place of `compute.device`.
        share: of the published numbers of scenes of NYU Depth V2, class by class.
        command: that makes the rows.
    """

    device_name: str
    share: float
    command: str

    @cached_property
    def config(self) -> Config:
        config = super().config
        return config.model_copy(update={"compute": config.compute.model_copy(update={"device": self.device_name})})

    @property
    def splits(self) -> pd.DataFrame:
        """Class and split of each scene, as `splits.split_table` has them."""
        rows = [
            {"class": name, "split": split}
            for split, position in (("train", 0), ("test", 1))
            for name, counts in PUBLISHED_COUNTS.items()
            for _ in range(max(2, round(self.share * counts[position])))
        ]
        return pd.DataFrame(rows)

    @cached_property
    def scenes(self) -> Scenes:
        table, side, device = self.splits, self.config.data.image_size, self.device
        generator = torch.Generator(device=device).manual_seed(0)
        images, modalities = {}, {}
        for name in self.config.modalities:
            (low, high), (unit, scale, photometry) = _RANGES[name], _UNITS[name]
            channels, dtype = (3, torch.uint8) if name == "rgb" else (1, torch.int16)
            size = len(table), channels, side, side
            images[name] = torch.randint(low, high, size, generator=generator, dtype=dtype, device=device)
            mean, deviation = (low + high - 1) / 2 * scale, (high - low) / 12**0.5 * scale
            modalities[name] = Modality(unit, scale, (mean,) * channels, (deviation,) * channels, photometry)
        labels, class_names = pd.factorize(table["class"], sort=True)
        split = table["split"].to_numpy()
        return Scenes(
            images=images,
            modalities=modalities,
            labels=torch.from_numpy(labels).to(device),
            class_names=tuple(class_names),
            indices={name: torch.from_numpy((split == name).nonzero()[0]).to(device) for name in ("train", "test")},
        )

    def where(self, name: str) -> dict[str, object]:
        """As `Subject.where`, under this subject's own command."""
        return super().where(name) | {"command": self.command}
