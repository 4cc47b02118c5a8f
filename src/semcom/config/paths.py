"""The runs of a grid and where their files lie: one source for the rules that write them and for all that reads them.

A *run* is a method and seed of stage I, or a method, SNR, label fraction and seed of stage II. Paths are relative to
the folder that Snakemake runs in; `{method}`, `{seed}`, `{snr_db}` and `{label_fraction}` in them are its wildcards.
"""

from dataclasses import dataclass

from semcom.common.spelling import spelled_number
from semcom.config.experiment import Config
from semcom.config.stage import Stage

DOWNLOADS = "results/downloads"


@dataclass(frozen=True)
class Run:
    """One run; SNR and label fraction are None in stage I."""

    stage: Stage
    method: str
    seed: int
    snr_db: float | None = None
    label_fraction: float | None = None

    def __str__(self) -> str:
        """As progress lines and lists name it."""
        numbers = self.spelled()
        cell = f" {numbers['snr_db']} dB labels {numbers['label_fraction']}" if numbers else ""
        return f"{self.stage} {self.method}{cell} seed {self.seed}"

    def fill(self, pattern: str) -> str:
        """A path pattern with this run in the place of its wildcards."""
        return pattern.format(method=self.method, seed=self.seed, **self.spelled())

    def spelled(self) -> dict[str, str]:
        """SNR and label fraction as paths and tables have them; empty in stage I."""
        cell = {"snr_db": self.snr_db, "label_fraction": self.label_fraction}
        return {name: spelled_number(value) for name, value in cell.items() if value is not None}


def runs(config: Config) -> list[Run]:
    """All runs of the grid: each stage I that it needs, once, then stage II, in the grid's order."""
    grid = config.grid
    return [Run(Stage.PRETRAIN, method, seed) for method in config.pretrained_methods() for seed in grid.seeds] + [
        Run(Stage.FINETUNE, method, seed, snr_db, label_fraction)
        for method in grid.methods
        for snr_db in grid.snr_db
        for label_fraction in grid.label_fractions
        for seed in grid.seeds
    ]


def download(name: str, sha256: str) -> str:
    """Where a downloaded file lies: by its name in `data.download`, and by its content, since all experiments share it."""
    return f"{DOWNLOADS}/{name}-{sha256[:12]}"


def results(experiment: str) -> str:
    """The folder of an experiment."""
    return f"results/{experiment}"


def folder(experiment: str, stage: Stage) -> str:
    """Where a run's results lie."""
    return f"{results(experiment)}/{stage.cell}"


def log(experiment: str, stage: Stage) -> str:
    """The log of a run."""
    return f"{results(experiment)}/logs/{stage.cell}.log"


def benchmark(experiment: str, stage: Stage) -> str:
    """Snakemake's own record of a run's time and memory."""
    return f"{results(experiment)}/benchmarks/{stage.cell}.tsv"


def earlier(experiment: str) -> str:
    """Where finished files are kept while a job makes them anew."""
    return f"{results(experiment)}/earlier"


def checkpoint(experiment: str, stage: Stage) -> str:
    """Where an unfinished run stands; its record (.json) and lock (.lock) lie beside it."""
    return f"{results(experiment)}/checkpoints/{stage.cell}.pt"
