"""The whole of stage II's network: M encoders, their links, and the server's decoder, eqs. (1) to (4)."""

import torch
from torch import Tensor, nn

from semcom.config.jobs import FinetuneJob
from semcom.data.scenes import Scenes
from semcom.link.blocks import channel_uses, received_values
from semcom.link.link import make_link
from semcom.models.decoder import make_decoder
from semcom.models.encoders import make_encoders
from semcom.rng import stream_seed


class System(nn.Module):
    """M devices with an encoder each, their links, and the server's decoder: eqs. (1) to (4)."""

    def __init__(self, job: FinetuneJob, scenes: Scenes, seed: int):
        super().__init__()
        self.link = make_link(job.channel)  # the same for every device; each sees noise and fading of its own
        self.snr_offset_db = {m: job.channel.snr_offset_db.get(m, 0.0) for m in job.modalities}
        self.features = job.encoder.features
        self.encoders = make_encoders(job.encoder, {m: scenes.modalities[m].channels for m in job.modalities}, seed)
        received = len(job.modalities) * received_values(self.link.modulation, self.features)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, "initial weights", "decoder"))
            self.decoder = make_decoder(received, len(scenes.class_names), job.decoder.hidden, job.decoder.dropout)

    @property
    def channel_uses(self) -> int:
        """Channel uses that a device's features of one scene take."""
        return channel_uses(self.link.modulation, self.features)

    def receive(self, z: dict[str, Tensor], snr_db: float, generators: dict[str, torch.Generator]) -> Tensor:
        """Eqs. (2) and (3): features over each device's link, concatenated, to (B, received values).

        Args:
            z: (B, K) features of each modality.
            snr_db: nominal SNR of all devices, to which each one's offset is added.
            generators: of each device's fading and noise.
        """
        received = [self.link(z[m], snr_db + offset, generators[m]) for m, offset in self.snr_offset_db.items()]
        return torch.cat(received, dim=1)

    def decide(self, z: dict[str, Tensor], snr_db: float, generators: dict[str, torch.Generator]) -> Tensor:
        """Eqs. (2) to (4), as `receive`, to (B, classes) logits."""
        return self.decoder(self.receive(z, snr_db, generators))
