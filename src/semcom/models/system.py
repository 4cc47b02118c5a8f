"""The whole of stage II's network: M encoders, their links, and the server's decoder, eqs. (1) to (4)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.link.blocks import Block, channel_uses, pilot_uses, received_values
from semcom.link.uplinks import make_uplinks
from semcom.models.decoder import make_decoder
from semcom.models.encoders import make_encoders
from semcom.rng import stream_seed


class System(nn.Module):
    """M devices with an encoder each, their links, and the server's decoder: eqs. (1) to (4)."""

    def __init__(self, job: FinetuneJob, scenes: Scenes, seed: int):
        super().__init__()
        self.uplinks = make_uplinks(job.channel, job.modalities)
        self.features = job.encoder.features
        self.encoders = make_encoders(job.encoder, {m: scenes.modalities[m].channels for m in job.modalities}, seed)
        received = len(job.modalities) * received_values(self.modulation, self.features)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "decoder"))
            self.decoder = make_decoder(received, len(scenes.class_names), job.decoder.hidden, job.decoder.dropout)

    @property
    def modulation(self) -> Block:
        """How features become channel uses, on every device."""
        return self.uplinks.link.modulation

    @property
    def channel_uses(self) -> int:
        """Channel uses that a device's features of one scene take."""
        return channel_uses(self.modulation, self.features)

    @property
    def pilots(self) -> int:
        """Channel uses that a device spends on pilots with each scene."""
        return pilot_uses(self.uplinks.link.estimation)

    def decide(
        self,
        z: Mapping[str, Tensor],
        snr_db: float | Tensor | Mapping[str, Tensor],
        generators: Mapping[str, torch.Generator],
        heard: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Eqs. (2) to (4), as `Uplinks.receive`, to (B, classes) logits."""
        return self.decoder(self.uplinks.receive(z, snr_db, generators, heard))
