"""The link from a device to the server, eq. (2), z_hat = h z + n: power normalisation, noise,
and equalisation by a server that knows h.

SNR is E|s|^2 / N0 per complex channel use before fading, with E|h|^2 = 1 and n ~ CN(0, N0): variance N0/2 in each
real dimension. Three conventions say how the K real features become channel uses:

`literal`  Eq. (2) as printed. Each channel use carries one real feature, and the complex value received is handed on
           whole: K uses, real and imaginary part of each, 2K real numbers out. Physically: amplitude modulation of
           one quadrature. E|s|^2 = 1 per scene, so the quadrature that carries the feature sees N0/2: a decoder
           that learns to ignore the other one works at an SNR 3 dB above the nominal.
`packed`   Two features to a channel use, s_k = z_k + j z_{K/2+k}: K/2 uses, K real numbers out, E|s|^2 = 1 per scene.
           Physically: quadrature amplitude modulation, the usual way to send real features over a complex channel.
`peak`     As in the group's sister work [9]: the amplitude is limited, |s| <= 1 per real dimension by tanh, instead of
           normalised, and the noise is sigma = 10^(-SNR/20) in each real dimension, so "SNR" is the peak power over
           the noise power per real dimension. Packed two to a channel use: K/2 uses, K real numbers out.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Link(ABC):
    """One device's channel to the server.

    Args:
        snr_db: SNR in dB; `math.inf` gives the noiseless link.
        convention: `literal`, `packed` or `peak`, see the module.
        equalizer: `zero_forcing` divides by h; `mmse` multiplies by h* / (|h|^2 + N0 / E|s|^2).
    """

    def __init__(self, snr_db: float, *, convention: str = "literal", equalizer: str = "zero_forcing"):
        if convention not in ("literal", "packed", "peak"):
            raise ValueError(f"unknown channel convention '{convention}'; known: literal, packed, peak")
        if equalizer not in ("zero_forcing", "mmse"):
            raise ValueError(f"unknown equalizer '{equalizer}'; known: zero_forcing, mmse")
        self.convention = convention
        self.equalizer = equalizer
        # `peak` states both powers per real dimension, of which a channel use has two.
        self.symbol_power = 2 if convention == "peak" else 1  # E|s|^2; under `peak` its upper bound
        self.noise_power = self.symbol_power * 10 ** (-snr_db / 10)  # N0

    @abstractmethod
    def coefficients(self, scenes: int, generator: torch.Generator) -> Tensor:
        """h for each of `scenes` blocks: (scenes, 1) complex64 on the generator's device, E|h|^2 = 1."""

    def channel_uses(self, features: int) -> int:
        """Channel uses that one scene's K features take."""
        return features if self.convention == "literal" else -(-features // 2)

    def received_values(self, features: int) -> int:
        """Real numbers per scene that the server's decoder gets for K features."""
        return 2 * features if self.convention == "literal" else features

    def modulate(self, z: Tensor) -> Tensor:
        """Features (B, K) to symbols (B, uses) complex64, at the convention's power.

        Raises:
            ValueError: K is odd where two features share a channel use.
        """
        z = z.float()
        if self.convention == "literal":
            s = torch.complex(z, torch.zeros_like(z))
        else:
            if z.shape[1] % 2:
                raise ValueError(f"convention '{self.convention}' packs two features a channel use; K = {z.shape[1]}")
            s = torch.complex(*(z.tanh() if self.convention == "peak" else z).chunk(2, dim=1))
        return s if self.convention == "peak" else normalize_power(s)

    def __call__(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Send features over the air and equalise what arrives, eq. (2).

        Args:
            z: (B, K) real features.
            generator: random stream of this device's fading and noise, on z's device.

        Returns:
            (B, K) float32, or (B, 2K) with the real parts first where the convention is `literal`.
            Differentiable in z.
        """
        s = self.modulate(z)
        h = self.coefficients(len(s), generator)
        received = h * s + self._noise(s.shape, generator)
        return self._demodulate(self._equalize(received, h))

    def _noise(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """n ~ CN(0, N0 I)."""
        unit = torch.randn(shape, dtype=torch.complex64, device=generator.device, generator=generator)
        return unit * self.noise_power**0.5

    def _equalize(self, received: Tensor, h: Tensor) -> Tensor:
        if self.equalizer == "zero_forcing":
            return received / h
        return received * h.conj() / (h.abs().square() + self.noise_power / self.symbol_power)

    @staticmethod
    def _demodulate(symbols: Tensor) -> Tensor:
        return torch.cat([symbols.real, symbols.imag], dim=1)


def normalize_power(s: Tensor) -> Tensor:
    """Scale each row of (B, uses) symbols to mean power 1; a row of zeros stays zero."""
    power = torch.view_as_real(s).square().sum(dim=(1, 2)) / s.shape[1]
    return s * power.clamp_min(1e-12).rsqrt()[:, None]
