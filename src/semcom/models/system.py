"""The whole of stage II's network: M encoders, their links, and the server's decoder, eqs. (1) to (4)."""

import torch
from torch import Tensor, nn

from semcom.common import plugins
from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.link.link import Link
from semcom.models.decoder import make_decoder
from semcom.models.encoders import make_encoders
from semcom.rng import stream_seed


class System(nn.Module):
    """M devices with an encoder each, their links, and the server's decoder: eqs. (1) to (4)."""

    def __init__(self, job: FinetuneJob, scenes: Scenes, seed: int):
        super().__init__()
        channel = plugins.load("semcom.link.fading", job.channel.model).Channel
        self.links: dict[str, Link] = {
            m: channel(
                job.snr_db + job.channel.snr_offset_db.get(m, 0.0),
                convention=job.channel.convention,
                equalizer=job.channel.equalizer,
            )
            for m in job.modalities
        }
        self.encoders = make_encoders(job.encoder, {m: scenes.modalities[m].channels for m in job.modalities}, seed)
        received = sum(link.received_values(job.encoder.features) for link in self.links.values())
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "decoder"))
            self.decoder = make_decoder(received, len(scenes.class_names), job.decoder.hidden, job.decoder.dropout)

    def receive(self, z: dict[str, Tensor], generators: dict[str, torch.Generator]) -> Tensor:
        """Eqs. (2) and (3): features over each device's link, concatenated, to (B, received values)."""
        return torch.cat([link(z[m], generators[m]) for m, link in self.links.items()], dim=1)

    def decide(self, z: dict[str, Tensor], generators: dict[str, torch.Generator]) -> Tensor:
        """Eqs. (2) to (4): features over each device's link, concatenated, to (B, classes) logits."""
        return self.decoder(self.receive(z, generators))
