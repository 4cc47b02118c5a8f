"""What a trained system answers on a split, over several realisations of the channel, and how that is scored."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from semcom.config.jobs import FinetuneJob
from semcom.config.sections import ComputeSettings
from semcom.data.scenes import Scenes
from semcom.link.trace import check_length, read_trace
from semcom.link.uplinks import Uplinks
from semcom.models.precision import dtype, encode, laid_out
from semcom.models.system import System
from semcom.rng import stream
from semcom.views.views import centre_views

EVALUATED_SPLITS = ("test", "validation")
VIEWS_KEPT_MB = 300  # 654 scenes at 224 x 224 take 262 in bfloat16


@dataclass(frozen=True)
class Score:
    """Accuracy, accuracy averaged over classes, and cross-entropy; each the mean over channel draws."""

    accuracy: float
    mean_class_accuracy: float
    loss: float


class Evaluation:
    """Scores a system on a split, each scene encoded once and sent `channel_draws` times.

    The channel's realisations are the same at every evaluation of a run, and for every method of the same seed. So are
    the centre views that are encoded: they are made once, if all of them take `VIEWS_KEPT_MB` at most.

    Args:
        compute: arithmetic, decided (`precision.decide`).
    """

    def __init__(self, scenes: Scenes, split: str, job: FinetuneJob, seed: int, compute: ComputeSettings):
        self.scenes, self.split, self.job, self.seed, self.compute = scenes, split, job, seed, compute
        self.indices = scenes.indices[split]
        self.labels = scenes.labels[self.indices]
        channels = sum(scenes.modalities[m].channels for m in job.modalities)
        bytes_a_view = channels * job.crop_size**2 * dtype(compute).itemsize
        self._trace = self.along(job.channel.snr_trace)
        self._kept = list(self.views()) if len(self.indices) * bytes_a_view <= 1e6 * VIEWS_KEPT_MB else None

    def __call__(self, system: System) -> Score:
        """The scores of a system over the links and at the SNR of its own training; it is left in evaluation mode.

        Raises:
            FloatingPointError: the cross-entropy is not finite: the run has diverged.
        """
        return self.score(self.logits(system, self.features(system)))

    @torch.no_grad()
    def features(self, system: System) -> dict[str, Tensor]:
        """(N, K) features of the split's scenes for each modality; the system is left in evaluation mode."""
        system.eval()
        chunks: dict[str, list[Tensor]] = {m: [] for m in self.job.modalities}
        for views in self._kept or self.views():
            for m, z in encode(system.encoders, views, self.compute).items():
                chunks[m].append(z.clone())  # a replayed CUDA graph writes the next features over these
        return {m: torch.cat(of_modality) for m, of_modality in chunks.items()}

    @torch.no_grad()
    def logits(
        self,
        system: System,
        z: dict[str, Tensor],
        *,
        uplinks: Uplinks | None = None,
        snr_db: float | Mapping[str, Tensor] | None = None,
        draws: int | None = None,
    ) -> Tensor:
        """What the server answers to the features: (draws, N, classes).

        Args:
            z: see `features`.
            uplinks, snr_db, draws: the links, the nominal SNR and the number of channel realisations; None: those of
                the training. Whatever they are, realisation d draws from the same stream.
        """
        uplinks, received = uplinks or system.uplinks, []
        nominal = (self._trace or self.job.snr_db) if snr_db is None else snr_db
        for draw in range(draws or self.job.schedule.channel_draws):
            address = [(m, (self.seed, "evaluate", self.split, m, draw)) for m in self.job.modalities]
            noise = {m: stream(*at, device=self.scenes.device) for m, at in address}
            received.append(uplinks.receive(z, nominal, noise))
        return system.decoder(torch.stack(received))

    def along(self, trace: str | None) -> dict[str, Tensor] | None:
        """(N,) SNR in dB of each device from the first N rounds of a trace, one a scene; None without a trace.

        Raises:
            InputError: the trace cannot be read, or has fewer rounds than the split has scenes.
        """
        if trace is None:
            return None
        by_device = read_trace(trace, self.job.modalities)
        check_length(by_device, len(self.indices), trace, f"the {self.split} split, a round a scene,")
        rounds = {m: torch.tensor(values[: len(self.indices)]) for m, values in by_device.items()}
        return {m: values.float().to(self.scenes.device) for m, values in rounds.items()}

    def score(self, logits: Tensor) -> Score:
        """Of (draws, N, classes) logits.

        Raises:
            FloatingPointError: the cross-entropy is not finite: the run has diverged.
        """
        draws = len(logits)
        of_class = one_hot(self.labels, len(self.scenes.class_names))
        hits = (logits.argmax(dim=2) == self.labels).sum(dim=0)  # of each scene, over the draws
        # Counts, and float64 after them: shares are subtracted from one another, and equal ones must differ by 0.
        right, sent = torch.stack([(hits[:, None] * of_class).sum(dim=0), draws * of_class.sum(dim=0)]).tolist()
        recalls = [r / s for r, s in zip(right, sent, strict=True) if s]
        loss = cross_entropy(logits.flatten(0, 1), self.labels.repeat(draws)).item()
        score = Score(sum(right) / sum(sent), sum(recalls) / len(recalls), loss)
        if not math.isfinite(score.loss):
            raise FloatingPointError(f"the cross-entropy on the {self.split} scenes is {score.loss}")
        return score

    def views(self) -> Iterator[dict[str, Tensor]]:
        """Centre views, batch by batch, as encoders want them."""
        job, scenes = self.job, self.scenes
        view = job.evaluation_crop_scale, job.crop_size, dtype(self.compute), job.depth_encoding
        for part in self.indices.split(2 * job.schedule.batch_size):  # as many images at once as in stage I
            views = centre_views(scenes.batch(part), scenes.modalities, *view)
            yield {m: laid_out(views[m], self.compute) for m in job.modalities}
