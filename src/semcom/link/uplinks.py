"""The links of all devices to the server: eq. (2) for each, and their concatenation, eq. (3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from semcom.config.sections import ChannelSettings
from semcom.link.link import Link, make_link

ZEROS, NOISE = "zeros", "noise"


@dataclass(frozen=True)
class Uplinks:
    """What lies between the devices and the server.

    Attributes:
        link: the same for every device; each sees noise and fading of its own.
        snr_offset_db: of each device, in the order in which the server concatenates them.
        silent: devices that do not send. `zeros`: the server knows, and puts zeros in the place of what it would have
            received. `noise`: it does not know, and takes for features what it receives: the noise, equalised by the h that
            it would have known.
    """

    link: Link
    snr_offset_db: Mapping[str, float]
    silent: Mapping[str, str] = field(default_factory=dict)

    def receive(
        self,
        z: Mapping[str, Tensor],
        snr_db: float | Tensor | Mapping[str, Tensor],
        generators: Mapping[str, torch.Generator],
        heard: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Eqs. (2) and (3): features over each device's link, concatenated, to (B, received values).

        Args:
            z: (B, K) features of each modality.
            snr_db: nominal SNR, to which each device's offset is added: a number, (B,) of each scene, or that by device.
            generators: of each device's fading and noise. A silent device draws as it would otherwise, so that the
                others' draws are the same.
            heard: (B,) booleans of each device: where False, the server puts zeros, as for a silent one.
        """
        received = []
        for m, offset in self.snr_offset_db.items():
            sent = torch.zeros_like(z[m]) if self.silent.get(m) == NOISE else z[m]
            nominal = snr_db[m] if isinstance(snr_db, Mapping) else snr_db
            values = self.link(sent, nominal + offset, generators[m])
            if self.silent.get(m) == ZEROS:
                values = torch.zeros_like(values)
            if heard is not None:
                values = values * heard[m][:, None]
            received.append(values)
        return torch.cat(received, dim=1)


def make_uplinks(
    channel: ChannelSettings, modalities: Sequence[str], silent: Mapping[str, str] | None = None
) -> Uplinks:
    """The links that a configuration names, one a modality; entries of modalities beyond these are not looked at.

    Raises:
        InputError: it names a block that does not exist.
    """
    offsets = {m: channel.snr_offset_db.get(m, 0.0) for m in modalities}
    return Uplinks(make_link(channel), offsets, {m: how for m, how in (silent or {}).items() if m in offsets})
