"""What stage II writes down: evaluations, the ledger beside them, and a row a round."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from semcom.common.structure import NUMBER, fault, layout_of
from semcom.config.jobs import FinetuneJob
from semcom.link.ledger import Ledger, Traffic
from semcom.models.system import System
from semcom.training.answers import Answers
from semcom.training.evaluation import Score


@dataclass(frozen=True)
class Finetuned:
    """What stage II leaves.

    Attributes:
        rounds: one row an evaluation and split.
        ledger: by device.
        steps: one row a round.
        arithmetic: what it ran in; None where nothing was trained.
        system: as it is after the last round; None where the run diverged.
        answers: of the last evaluation, by split; none where the run diverged.
    """

    rounds: pd.DataFrame
    ledger: pd.DataFrame
    steps: pd.DataFrame
    status: str
    arithmetic: dict[str, object] | None
    system: System | None
    answers: dict[str, Answers]


class RoundLog:
    """Gathers evaluations and the ledger beside them.

    Args:
        splits: that are evaluated.
        rounds_per_epoch: to tell epochs from rounds.
    """

    def __init__(self, job: FinetuneJob, splits: Sequence[str], seed: int, rounds_per_epoch: int):
        self.run = {
            "experiment": job.experiment,
            "method": job.method,
            "snr_db": job.snr_db,
            "label_fraction": job.label_fraction,
            "seed": seed,
        }
        self.splits, self.rounds_per_epoch = splits, rounds_per_epoch
        self.ledger = Ledger(job.modalities)
        self.rounds: list[dict] = []
        self.traffic: list[dict] = []
        self.steps: list[dict] = []

    def step(self, loss: float, gradient_norm: float, status: str) -> None:
        """A row for the round that the ledger was charged last; of a diverged one, whose step was not taken, too."""
        position = {"round": self.ledger.rounds, "epoch": self.ledger.rounds / self.rounds_per_epoch}
        self.steps.append({**self.run, **position, "loss": loss, "gradient_norm": gradient_norm, "status": status})

    def add(self, scores: Mapping[str, Score], status: str) -> None:
        """A row a split; one without a score, of a run that has ended, has blanks."""
        position = {"round": self.ledger.rounds, "epoch": self.ledger.rounds / self.rounds_per_epoch}
        blank = dict.fromkeys(("accuracy", "mean_class_accuracy", "loss"), float("nan"))
        total = asdict(self.ledger.total())
        for split in self.splits:
            values = asdict(scores[split]) if split in scores else blank
            self.rounds.append({**self.run, "split": split, **position, **values, **total, "status": status})
        for device, traffic in self.ledger.devices.items():
            self.traffic.append({**self.run, "device": device, **position, **asdict(traffic)})

    def state_dict(self) -> dict:
        """Plain data for a checkpoint."""
        ledger = {device: asdict(traffic) for device, traffic in self.ledger.devices.items()}
        rows = {"rounds": self.rounds, "traffic": self.traffic, "steps": self.steps}
        return {**rows, "charged": self.ledger.rounds, "ledger": ledger}

    def fault_in(self, state: dict) -> str | None:
        """In what a state is not one that `load_state_dict` takes; None if in nothing."""
        run = {name: type(value) for name, value in self.run.items()}
        position, traffic = {"round": int, "epoch": NUMBER}, layout_of(Traffic)
        rounds = run | {"split": frozenset(self.splits)} | position | layout_of(Score) | traffic | {"status": str}
        return fault(
            state,
            {
                "rounds": [rounds],
                "traffic": [run | {"device": frozenset(self.ledger.devices)} | position | traffic],
                "steps": [run | position | {"loss": NUMBER, "gradient_norm": NUMBER, "status": str}],
                "charged": int,
                "ledger": dict.fromkeys(self.ledger.devices, traffic),
            },
            "state.log",
        )

    def load_state_dict(self, state: dict) -> None:
        self.rounds, self.traffic, self.steps = state["rounds"], state["traffic"], state["steps"]
        self.ledger.rounds = state["charged"]
        self.ledger.devices = {device: Traffic(**traffic) for device, traffic in state["ledger"].items()}

    def result(
        self,
        status: str,
        arithmetic: dict[str, object] | None,
        system: System | None = None,
        answers: Mapping[str, Answers] | None = None,
    ) -> Finetuned:
        steps = pd.DataFrame(self.steps, columns=[*self.run, "round", "epoch", "loss", "gradient_norm", "status"])
        rounds, ledger = pd.DataFrame(self.rounds), pd.DataFrame(self.traffic)
        return Finetuned(rounds, ledger, steps, status, arithmetic, system, dict(answers or {}))
