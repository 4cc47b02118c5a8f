"""The label that each device finds by itself, in a code of n channel uses; the server fuses what it hears by Bayes."""

from types import ModuleType
from typing import Annotated

from pydantic import Field

from semcom.common.settings import Settings, ours

LABEL = "Coded label"  # in figures
NEEDS = "local"


class Options(Settings):
    pseudo_counts: list[Annotated[float, Field(gt=0)]] = ours(
        "scenes that each class counts beside its own validation scenes, spread over the labels as all scenes' labels are; "
        "of these numbers each device takes that under which leaving a scene out tells most of it",
        default=[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0],
        min_length=1,
    )


def channel_uses(given: int, classes: int, options: Options) -> int | None:
    """All that are given: a longer code word errs less."""
    return given


def work() -> ModuleType:
    """See the scheme's docstring there."""
    from semcom.baselines import coded_label

    return coded_label
