"""A study of baselines: what every scheme and every trained link answers over the same links, and what training sends."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd
import torch
from torch import Tensor

from semcom.baselines.columns import COLUMNS, TRAINING_COLUMNS
from semcom.baselines.task import Air, Task, Told
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config.jobs import BaselinesJob, FinetuneJob
from semcom.data.scenes import Scenes
from semcom.link.blocks import uses_with_pilots
from semcom.link.capacity import uses_for
from semcom.link.ledger import Traffic
from semcom.link.link import make_link
from semcom.models.kept_system import KeptSystem
from semcom.training.evaluation import EVALUATED_SPLITS, Evaluation
from semcom.training.finetune import labelled_scenes
from semcom.training.optimization import OK

SCHEMES = "semcom.baselines.schemes"


class Study:
    """The scenes, and the systems of one seed that their study needs.

    Args:
        systems: of each method those that it was trained to, one an SNR. The highest SNR is taken for the classifiers of
            devices and server; of features that at the tested SNR, or else the highest.
    """

    def __init__(self, job: BaselinesJob, systems: Mapping[str, Sequence[KeptSystem]], scenes: Scenes, seed: int):
        self.job, self.systems, self.scenes, self.seed = job, systems, scenes, seed
        self.splits = [split for split in EVALUATED_SPLITS if split in scenes.indices]
        self.labels = {split: scenes.labels[scenes.indices[split]] for split in self.splits}
        self.link = make_link(job.channel)
        self._encoded: dict[tuple[str, float, str], tuple[Evaluation, dict[str, Tensor]]] = {}

    def answers(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What is answered, and what the schemes send in training.

        Returns:
            One row a sender (a scheme, or a method whose features are sent), SNR, budget and split: `COLUMNS`, channel_uses of
            all devices, of one inference. And one row a scheme and SNR: what it sends in training, `TRAINING_COLUMNS`, none
            where its classifier diverged.

        Raises:
            InputError: no budget of channel uses carries what a scheme sends.
        """
        rows, costs = [], []
        budgets = {scheme.name: self._budgets(scheme.name, scheme.options) for scheme in self.job.schemes}
        for scheme in self.job.schemes:
            of_scheme, of_training = self._scheme(scheme.name, scheme.options, budgets[scheme.name])
            rows, costs = rows + of_scheme, costs + of_training
        for method in self.job.methods:
            rows += self._features(method)
        return pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(costs, columns=TRAINING_COLUMNS)

    def _budgets(self, name: str, given: Mapping) -> list[int]:
        """The numbers of channel uses that a scheme takes of those that a device has."""
        scheme, classes = plugins.load(SCHEMES, name), len(self.scenes.class_names)
        taken = [scheme.channel_uses(uses, classes, scheme.Options(**given)) for uses in self.job.channel_uses]
        if not any(taken):
            raise InputError(
                f"baselines.{self.job.study}.channel_uses: {max(self.job.channel_uses)} are too few for what scheme '{name}' "
                f"sends for {classes} classes; add more, or leave the scheme out"
            )
        return list(dict.fromkeys(filter(None, taken)))

    def _scheme(self, name: str, given: Mapping, budgets: list[int]) -> tuple[list[dict], list[dict]]:
        scheme = plugins.load(SCHEMES, name)
        work = scheme.work()
        options = scheme.Options(**given)
        needed = list(self.job.local.values()) if scheme.NEEDS == "local" else [self.job.server]
        diverged = [method for method in needed if self._trained_without_noise(method).system is None]
        rows, costs = [], []
        task = None if diverged else self._task(scheme.NEEDS)
        prepared = None if diverged else work.prepare(task, options)
        for snr_db in self.job.snr_db:
            at = {m: snr_db + self.job.channel.snr_offset_db.get(m, 0.0) for m in self.job.modalities}
            for uses in budgets:
                if diverged:
                    rows += [self._row(name, snr_db, uses * len(at), split, None) for split in self.splits]
                    continue
                air = Air(self.link, at, uses, self.job.channel_draws, self.seed)
                told = work.answer(prepared, task, air, options)
                rows += [self._row(name, snr_db, uses * len(at), split, of_split) for split, of_split in told.items()]
            if not diverged:
                traffic = work.training(prepared, task, options)
                costs.append(self._run(name, snr_db) | costs_at(traffic, snr_db))
        return rows, costs

    def _task(self, needs: str) -> Task:
        labelled = labelled_scenes(self.scenes, self.job.label_fraction, self.seed)
        shares = torch.bincount(self.scenes.labels[labelled], minlength=len(self.scenes.class_names)).double().cpu()
        posteriors: dict[str, dict[str, Tensor]] = {}
        evaluations, server = {}, None
        if needs == "local":
            systems = {m: self._trained_without_noise(method) for m, method in self.job.local.items()}
            for split in self.splits:
                posteriors[split] = {m: self._log_posterior(kept, split) for m, kept in systems.items()}
        else:
            server = self._trained_without_noise(self.job.server)
            evaluations = {split: self._features_of(server, split)[0] for split in self.splits}
        return Task(
            scenes=self.scenes,
            labels={split: labels.cpu() for split, labels in self.labels.items()},
            posteriors=posteriors,
            server=server,
            evaluations=evaluations,
            prior=shares / shares.sum(),
            labelled=len(labelled),
            bits_per_value=self.job.bits_per_value,
            modalities=tuple(self.job.modalities),
        )

    def _log_posterior(self, kept: KeptSystem, split: str) -> Tensor:
        evaluation, z = self._features_of(kept, split)
        logits = evaluation.logits(kept.system, z, snr_db=math.inf, draws=1)
        return logits[0].double().log_softmax(dim=1).cpu()

    def _features(self, method: str) -> list[dict]:
        rows = []
        for snr_db in self.job.snr_db:
            kept = next((kept for kept in self.systems[method] if kept.job.snr_db == snr_db), None)
            kept = kept or self._trained_without_noise(method)
            uses = len(kept.job.modalities) * uses_of_a_device(kept.job)
            for split in self.splits:
                if kept.system is None:
                    rows.append(self._row(method, snr_db, uses, split, None))
                    continue
                evaluation, z = self._features_of(kept, split)
                logits = evaluation.logits(kept.system, z, snr_db=snr_db, draws=self.job.channel_draws)
                rows.append(self._row(method, snr_db, uses, split, Told(logits.argmax(dim=2).cpu(), 1.0)))
        return rows

    def _trained_without_noise(self, method: str) -> KeptSystem:
        return max(self.systems[method], key=lambda kept: kept.job.snr_db)

    def _features_of(self, kept: KeptSystem, split: str) -> tuple[Evaluation, dict[str, Tensor]]:
        """A system's evaluation on a split, and its features of the split's scenes, encoded once."""
        key = kept.job.method, kept.job.snr_db, split
        if key not in self._encoded:
            compute = kept.place(self.job.compute, self.scenes.device)
            evaluation = Evaluation(self.scenes, split, kept.job_without_trace, kept.seed, compute)
            self._encoded[key] = evaluation, evaluation.features(kept.system)
        return self._encoded[key]

    def _run(self, sender: str, snr_db: float) -> dict:
        return {"experiment": self.job.experiment, "sender": sender, "tested_snr_db": snr_db, "seed": self.seed}

    def _row(self, sender: str, snr_db: float, uses: int, split: str, told: Told | None) -> dict:
        row = self._run(sender, snr_db) | {"split": split, "channel_uses": uses}
        if told is None:
            return row | {
                "accuracy": math.nan,
                "mean_class_accuracy": math.nan,
                "heard": math.nan,
                "status": "diverged",
            }
        labels = self.labels[split].cpu()
        hits = (told.predicted == labels).double()
        recall = [hits[:, labels == of_class].mean().item() for of_class in labels.unique()]
        scores = {"accuracy": hits.mean().item(), "mean_class_accuracy": sum(recall) / len(recall)}
        return row | scores | {"heard": told.heard, "status": OK}


def uses_of_a_device(job: FinetuneJob) -> int:
    """Channel uses that a device's features of one scene take, with its pilots."""
    link = make_link(job.channel)
    return uses_with_pilots(link.modulation, link.estimation, job.encoder.features)


def costs_at(traffic: Traffic, snr_db: float) -> dict[str, int]:
    """Bits, and the channel uses that they take at capacity, log2(1 + SNR) bits a use, down as up."""
    return asdict(traffic) | {
        f"{way}_channel_uses": math.ceil(uses_for(getattr(traffic, f"{way}_bits"), snr_db))
        for way in ("uplink", "downlink")
    }
