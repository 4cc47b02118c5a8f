"""The label that each device finds by itself, in a code of n channel uses; the server fuses what it hears by Bayes."""

from types import ModuleType

from semcom.common.settings import Settings, ours

LABEL = "Coded label"  # in figures
NEEDS = "local"


class Options(Settings):
    pseudo_count: float = ours(
        "validation scenes that each class counts beside its own, spread over the labels as all scenes' labels are",
        default=1.0,
        gt=0,
    )


def channel_uses(given: int, classes: int, options: Options) -> int | None:
    """All that are given: a longer code word errs less."""
    return given


def work() -> ModuleType:
    """See the scheme's docstring there."""
    from semcom.baselines import coded_label

    return coded_label
