"""What baselines share: what devices and server know, the air between them, and what the server made of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from semcom.data.scenes import Scenes
from semcom.link.capacity import bits_in_blocks
from semcom.link.link import Link, circular_noise
from semcom.models.kept_system import KeptSystem
from semcom.rng import stream
from semcom.training.evaluation import Evaluation

FITTED_ON = "validation"


@dataclass(frozen=True)
class Task:
    """The scenes to classify, and who can classify them.

    Attributes:
        scenes: with a validation split.
        labels: of each evaluated split, (N,).
        posteriors: of each evaluated split and device, (N, C) log-probabilities of its own classifier; empty where no
            baseline needs them.
        server: the classifier of all devices' images; None where no baseline needs it.
        evaluations: of the server's system, by split.
        prior: (C,) shares of the classes among the labelled training scenes.
        labelled: how many these are.
        bits_per_value: of a digital link per real value, as the ledger has it.
    """

    scenes: Scenes
    labels: Mapping[str, Tensor]
    posteriors: Mapping[str, Mapping[str, Tensor]]
    server: KeptSystem | None
    evaluations: Mapping[str, Evaluation]
    prior: Tensor
    labelled: int
    bits_per_value: int
    modalities: tuple[str, ...]

    @property
    def classes(self) -> int:
        return len(self.prior)


@dataclass(frozen=True)
class Air:
    """The links of all devices, each with fading and noise of its own.

    Attributes:
        link: its fading is drawn once a scene; the server knows it.
        snr_db: of each device.
        channel_uses: n, of each device for one inference.
        draws: D, realisations that an answer is averaged over.
    """

    link: Link
    snr_db: Mapping[str, float]
    channel_uses: int
    draws: int
    seed: int

    def generator(self, split: str, device: str, draw: int) -> torch.Generator:
        """The stream of one device's fading and noise in one realisation."""
        return stream(self.seed, "baseline", split, device, draw)

    def fading(self, scenes: int, split: str, device: str, draw: int) -> tuple[Tensor, torch.Generator]:
        """h of each scene, (N, 1) complex64, and the stream from which the noise is drawn next."""
        generator = self.generator(split, device, draw)
        return self.link.coefficients(scenes, generator), generator

    def noise_power(self, device: str) -> float:
        """N0 of a channel use, at symbols of power 1."""
        return 10 ** (-self.snr_db[device] / 10)

    def capacity_bits(self, device: str, h: Tensor) -> Tensor:
        """What n uses carry in each block, n log2(1 + |h|^2 SNR) bits, (N,): with the rate fitted to h."""
        gain = h.abs().double()[:, 0].cpu().numpy() ** 2
        return self.channel_uses * torch.from_numpy(bits_in_blocks(self.snr_db[device], gain))


@dataclass(frozen=True)
class Told:
    """What the server answered on a split.

    Attributes:
        predicted: (D, N) classes.
        heard: share of the messages that arrived as meant: not decoded wrongly, and not left out for want of bits.
    """

    predicted: Tensor
    heard: float


def receive_words(sent: Tensor, h: Tensor, n0: float, generator: torch.Generator) -> Tensor:
    """r = h x + n of (N, uses) complex64 words, n ~ CN(0, N0)."""
    return h * sent + circular_noise(sent.shape, n0, generator)


def label_bits(classes: int) -> int:
    """Bits of an uncoded label."""
    return math.ceil(math.log2(classes)) if classes > 1 else 1
