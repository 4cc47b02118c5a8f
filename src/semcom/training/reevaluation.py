"""A trained link asked again: at another SNR, over other links, without some of its devices. Nothing is trained."""

import math
from collections.abc import Iterator

import pandas as pd

from semcom.common.errors import InputError
from semcom.common.spelling import spelled_number
from semcom.config.jobs import EvaluationJob
from semcom.data.scenes import Scenes
from semcom.link.blocks import uses_with_pilots
from semcom.link.uplinks import Uplinks, make_uplinks
from semcom.models.kept_system import KeptSystem
from semcom.models.system import System
from semcom.training.evaluation import EVALUATED_SPLITS, Evaluation


def reevaluate(job: EvaluationJob, kept: KeptSystem, scenes: Scenes) -> pd.DataFrame:
    """A system under every condition and at every SNR of an evaluation, on every split that the scenes have.

    With the links, the SNR and the channel draws of its training, a system scores as in the last row of its rounds.csv,
    to the bit on the same kind of processor with as many threads. A system that was trained in bfloat16 answers in it
    where the device computes it natively, else in what `compute` gives.

    Returns:
        One row a condition, tested SNR and split: the run as in rounds.csv (`snr_db` is what it was trained at),
        condition, tested_snr_db (blank along a trace), split, accuracy, mean_class_accuracy, loss, channel_uses (uplink
        uses of one inference with its pilots, of all devices that send) and status. A run that diverged has blanks.

    Raises:
        InputError: a condition drives the answers beyond what numbers hold; a trace cannot be read, or is too short.
    """
    run = {
        "experiment": kept.job.experiment,
        "method": kept.job.method,
        "snr_db": kept.job.snr_db,
        "label_fraction": kept.job.label_fraction,
        "seed": kept.seed,
    }
    tested_at = job.snr_db or [kept.job.snr_db]
    splits = [split for split in EVALUATED_SPLITS if split in scenes.indices]
    if kept.system is None:
        blank = dict.fromkeys(("accuracy", "mean_class_accuracy", "loss", "channel_uses"), math.nan)
        rows = [
            {**run, "condition": name, "tested_snr_db": snr_db, "split": split, **blank, "status": kept.status}
            for split in splits
            for name, condition in job.conditions.items()
            for snr_db in ([math.nan] if condition.channel.snr_trace else tested_at)
        ]
        return pd.DataFrame(rows)
    compute = kept.place(job.compute, scenes.device)
    links = {
        name: make_uplinks(condition.channel, kept.job.modalities, condition.silent)
        for name, condition in job.conditions.items()
    }
    traces = {name: condition.channel.snr_trace for name, condition in job.conditions.items()}
    rows = []
    for split in splits:
        evaluation = Evaluation(scenes, split, kept.job_without_trace, kept.seed, compute)
        for scored in _scores(evaluation, kept.system, links, traces, tested_at, job.channel_draws):
            rows.append({**run, **scored, "status": kept.status})
    return pd.DataFrame(rows)


def _scores(
    evaluation: Evaluation,
    system: System,
    links: dict[str, Uplinks],
    traces: dict[str, str | None],
    tested_at: list[float],
    draws: int | None,
) -> Iterator[dict]:
    z = evaluation.features(system)
    for condition, uplinks in links.items():
        of_each = uses_with_pilots(uplinks.link.modulation, uplinks.link.estimation, system.features)
        uses = of_each * (len(uplinks.snr_offset_db) - len(uplinks.silent))
        along = evaluation.along(traces[condition])
        for snr_db in [math.nan] if along else tested_at:
            nominal = along or snr_db
            try:
                score = evaluation.score(evaluation.logits(system, z, uplinks=uplinks, snr_db=nominal, draws=draws))
            except FloatingPointError as error:
                at = "along its trace" if along else f"at {spelled_number(snr_db)} dB"
                raise InputError(
                    f"condition '{condition}' {at}: {error}; take a higher SNR, or an equalizer that bounds the noise, as mmse"
                ) from None
            place = {"condition": condition, "tested_snr_db": snr_db, "split": evaluation.split}
            yield {**place, **vars(score), "channel_uses": uses}
