"""Who is told how far a stage is, and may know of an earlier attempt at it: the one thing that a stage's loop and the
life of its run (`semcom.runs.attempt.Attempt`) share."""

from collections.abc import Callable
from typing import Protocol


class Observer(Protocol):
    """What a stage calls. The default of each method does nothing and knows of nothing."""

    def start(self, total: int, fault_in: Callable[[dict], str | None] = lambda state: None) -> dict | None:
        """The state to go on from, as `step_done` or `trained` was given it; None to start from the beginning.

        Args:
            total: epochs of stage I, or rounds of stage II, in all.
            fault_in: says in what a state is not this stage's, None if in nothing. One that has a fault is not given.
        """

    def step_done(
        self, done: int, state: Callable[[], dict], *, accuracy: float | None = None, split: str | None = None
    ) -> None:
        """To be called after every step; may end the stage by raising.

        Args:
            done: epochs or rounds that are done.
            state: gives what `start` is to return when the run goes on from here.
            accuracy, split: of the last evaluation.
        """

    def trained(self, state: dict) -> None:
        """To be called when all steps are done, with what is needed to write the results."""


class Unobserved(Observer):
    """Nobody looks on."""
