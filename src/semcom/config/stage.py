"""The two stages of Algorithm 1: what each is called, counts in, leaves on disk, and is given to run."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semcom.config.experiment import Config
    from semcom.config.jobs import FinetuneJob, PretrainJob


class Stage(StrEnum):
    """A stage. As a string it is the name of its rule and of its folders.

    Attributes:
        title: in tables and messages.
        unit: what its progress is counted in.
        cell: where a run lies below a folder of its experiment; a pattern with Snakemake's wildcards.
        outputs: files that a finished run has, all of them.

    What a run is given comes from `config.jobs`, whose imports take a moment: a job's first lines, which note signals, do
    without.
    """

    title: str
    unit: str
    cell: str
    outputs: tuple[str, ...]

    def __new__(cls, name: str, title: str, unit: str, cell: str, outputs: tuple[str, ...]):
        stage = str.__new__(cls, name)
        stage._value_ = name
        stage.title, stage.unit, stage.cell, stage.outputs = title, unit, cell, outputs
        return stage

    PRETRAIN = (
        "pretrain",
        "Stage I",
        "epoch",
        "pretrain/{method}/seed{seed}",
        ("encoders.pt", "encoders.pt.sha256", "steps.csv", "provenance.json"),
    )
    FINETUNE = (
        "finetune",
        "Stage II",
        "round",
        "finetune/{method}/snr{snr_db}/labels{label_fraction}/seed{seed}",
        ("rounds.csv", "ledger.csv", "steps.csv", "answers.safetensors", "provenance.json"),
    )

    @property
    def job_type(self) -> type[PretrainJob | FinetuneJob]:
        """The settings that a run is given, but for its seed."""
        from semcom.config import jobs

        return jobs.PretrainJob if self is Stage.PRETRAIN else jobs.FinetuneJob

    def job(
        self, config: Config, method: str, snr_db: float | None = None, label_fraction: float | None = None
    ) -> PretrainJob | FinetuneJob:
        """The settings of a run of this stage; SNR and label fraction are stage II's.

        Raises:
            InputError: the method is unknown, or has no stage I.
        """
        from semcom.config import jobs

        if self is Stage.PRETRAIN:
            return jobs.pretrain_job(config, method)
        return jobs.finetune_job(config, method, snr_db, label_fraction)
