"""The two stages of Algorithm 1: what each is called, counts in, leaves on disk, and is given to run."""

from enum import StrEnum

from semcom.common.settings import Settings
from semcom.config.experiment import Config
from semcom.config.jobs import FinetuneJob, PretrainJob, finetune_job, pretrain_job


class Stage(StrEnum):
    """A stage. As a string it is the name of its rule and of its folders.

    Attributes:
        title: in tables and messages.
        unit: what its progress is counted in.
        cell: where a run lies below a folder of its experiment; a pattern with Snakemake's wildcards.
        outputs: files that a finished run has, all of them.
        job_type: the settings that a run is given, but for its seed.
    """

    title: str
    unit: str
    cell: str
    outputs: tuple[str, ...]
    job_type: type[Settings]

    def __new__(cls, name: str, title: str, unit: str, cell: str, outputs: tuple[str, ...], job_type: type[Settings]):
        stage = str.__new__(cls, name)
        stage._value_ = name
        stage.title, stage.unit, stage.cell, stage.outputs, stage.job_type = title, unit, cell, outputs, job_type
        return stage

    PRETRAIN = (
        "pretrain",
        "Stage I",
        "epoch",
        "pretrain/{method}/seed{seed}",
        ("encoders.pt", "steps.csv", "provenance.json"),
        PretrainJob,
    )
    FINETUNE = (
        "finetune",
        "Stage II",
        "round",
        "finetune/{method}/snr{snr_db}/labels{label_fraction}/seed{seed}",
        ("rounds.csv", "ledger.csv", "steps.csv", "provenance.json"),
        FinetuneJob,
    )

    def job(
        self, config: Config, method: str, snr_db: float | None = None, label_fraction: float | None = None
    ) -> PretrainJob | FinetuneJob:
        """The settings of a run of this stage; SNR and label fraction are stage II's.

        Raises:
            InputError: the method is unknown, or has no stage I.
        """
        if self is Stage.PRETRAIN:
            return pretrain_job(config, method)
        return finetune_job(config, method, snr_db, label_fraction)
