"""The link from a device to the server, eq. (2), z_hat = h z + n: modulation, fading, noise, and equalisation by what
the server knows of h.

SNR is E|s|^2 / N0 per complex channel use before fading, with E|h|^2 = 1 and n ~ CN(0, N0): variance N0/2 in each real
dimension. The modulation says which power E|s|^2 stands for. The SNR is given with each call.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from semcom.config.sections import ChannelSettings
from semcom.link.blocks import Block, block

BLOCKS = ("modulation", "fading", "estimation", "equalizer")


@dataclass(frozen=True)
class Link:
    """A device's channel to the server, composed of four blocks."""

    modulation: Block
    fading: Block
    estimation: Block
    equalizer: Block

    def __call__(self, z: Tensor, snr_db: float | Tensor, generator: torch.Generator) -> Tensor:
        """Send features over the air and equalise what arrives, eq. (2).

        Args:
            z: (B, K) real features; sent in float32.
            snr_db: SNR in dB, one number or (B,) of each scene; `math.inf` gives the noiseless link.
            generator: random stream of this device's fading, the error of its estimate and then noise, on z's device.

        Returns:
            (B, received values) float32, differentiable in z; how many they are, the modulation says.

        Raises:
            ValueError: the modulation takes features in groups, and K is no multiple.
        """
        s = self.modulate(z)
        h = self.coefficients(len(s), generator)
        n0 = self.noise_power(snr_db)
        ratio, mean = n0 / self.modulation.functions.SYMBOL_POWER, self.fading.functions.mean(self.fading.options)
        known = self.estimation.functions.estimate(h, mean, ratio, generator, self.estimation.options)
        received = h * s + circular_noise(s.shape, n0, generator)
        uncertain = ratio + self.estimation.functions.error_power(mean, ratio, self.estimation.options)
        estimates = self.equalizer.functions.equalize(received, known, uncertain, self.equalizer.options)
        return self.modulation.functions.demodulate(estimates, self.modulation.options)

    def modulate(self, z: Tensor) -> Tensor:
        """Features (B, K) to symbols s, (B, uses) complex64, at the modulation's power."""
        return self.modulation.functions.modulate(z.float(), self.modulation.options)

    def coefficients(self, scenes: int, generator: torch.Generator) -> Tensor:
        """h for each of `scenes` blocks: (scenes, 1) complex64 on the generator's device, E|h|^2 = 1."""
        return self.fading.functions.coefficients(scenes, generator, self.fading.options)

    def noise_power(self, snr_db: float | Tensor) -> float | Tensor:
        """N0 of a complex channel use at an SNR; (B, 1) for an SNR of each scene, (B,)."""
        if isinstance(snr_db, Tensor):
            snr_db = snr_db[:, None]
        return self.modulation.functions.SYMBOL_POWER * 10 ** (-snr_db / 10)


def make_link(channel: ChannelSettings) -> Link:
    """The link that a configuration names.

    Raises:
        InputError: it names a block that does not exist.
    """
    return Link(*(block(kind, getattr(channel, kind)) for kind in BLOCKS))


def circular_noise(shape: torch.Size, power: float | Tensor, generator: torch.Generator) -> Tensor:
    """n ~ CN(0, N0 I) of the given shape, with N0 = `power`, a number or of a shape that broadcasts."""
    unit = torch.randn(shape, dtype=torch.complex64, device=generator.device, generator=generator)
    return unit * power**0.5
