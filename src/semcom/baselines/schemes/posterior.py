"""What each device thinks of every class, C real numbers by the analog link; the server adds them up."""

from types import ModuleType

from semcom.common.settings import Settings

LABEL = "Posterior"  # in figures
NEEDS = "local"


class Options(Settings):
    """Nothing to set."""


def channel_uses(given: int, classes: int, options: Options) -> int | None:
    """Whole transmissions of C numbers, two to a channel use, that fit; None where not one does."""
    once = -(-classes // 2)
    return given // once * once or None


def work() -> ModuleType:
    """See the scheme's docstring there."""
    from semcom.baselines import sent_posterior

    return sent_posterior
