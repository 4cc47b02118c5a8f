"""The ledger: what crosses the air in training, device by device and round by round.

A round is one optimiser step of stage II: every device sends the features of a mini-batch up, and the server sends
their gradients down, unless the encoders are frozen and wait for none. The downlink is taken as error-free and is
counted in full: a gradient has as many values as the feature it belongs to, so it takes as many channel uses. Bits are
what a digital link would carry instead of analog symbols: real values times `bits_per_value`, uncoded.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """An amount of traffic; adds up."""

    uplink_channel_uses: int = 0
    downlink_channel_uses: int = 0
    uplink_bits: int = 0
    downlink_bits: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.uplink_channel_uses + other.uplink_channel_uses,
            self.downlink_channel_uses + other.downlink_channel_uses,
            self.uplink_bits + other.uplink_bits,
            self.downlink_bits + other.downlink_bits,
        )

    def uplink(self) -> "Traffic":
        """What goes up alone: of a round in which the encoders wait for no gradient."""
        return Traffic(uplink_channel_uses=self.uplink_channel_uses, uplink_bits=self.uplink_bits)

    def __mul__(self, times: int) -> "Traffic":
        return Traffic(
            self.uplink_channel_uses * times,
            self.downlink_channel_uses * times,
            self.uplink_bits * times,
            self.downlink_bits * times,
        )


def exchange(scenes: int, features: int, channel_uses: int, bits_per_value: int, pilots: int = 0) -> Traffic:
    """One device's features of a batch up and their gradients down.

    Args:
        scenes: B, scenes in the batch.
        features: K, real values per scene.
        channel_uses: channel uses per scene, as the link's modulation has it.
        bits_per_value: bits of a digital link per real value.
        pilots: channel uses per scene, of the uplink alone, by which the server learns h.
    """
    uses, bits = scenes * channel_uses, scenes * features * bits_per_value
    return Traffic(uses + scenes * pilots, uses, bits, bits)


class Ledger:
    """Cumulative traffic per device; `charge` adds a round."""

    def __init__(self, devices: list[str]):
        self.rounds = 0
        self.devices = {device: Traffic() for device in devices}

    def charge(self, costs: Mapping[str, Traffic], rounds: int = 1) -> None:
        """Add `rounds` rounds of the given cost per device."""
        self.rounds += rounds
        for device, traffic in costs.items():
            self.devices[device] += traffic * rounds

    def total(self) -> Traffic:
        """Cumulative traffic of all devices together."""
        return sum(self.devices.values(), Traffic())
