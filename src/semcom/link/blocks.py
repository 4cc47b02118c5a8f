"""A block of the link by name: the functions of its file, with the options to call them with. Free of torch."""

from dataclasses import dataclass
from types import ModuleType

from semcom.common import plugins
from semcom.common.settings import Settings
from semcom.config.sections import BlockSettings


@dataclass(frozen=True)
class Block:
    """A modulation, a fading, an estimation or an equaliser.

    Attributes:
        functions: its file, see the packages' own docstrings for what each kind offers.
        options: the last argument of each function.
    """

    functions: ModuleType
    options: Settings


def block(kind: str, settings: BlockSettings) -> Block:
    """The block that a configuration names.

    Args:
        kind: "modulation", "fading", "estimation" or "equalizer".

    Raises:
        InputError: there is none of that name.
    """
    functions = plugins.load(f"semcom.link.{kind}", settings.name)
    return Block(functions, functions.Options(**settings.options))


def channel_uses(modulation: Block, features: int) -> int:
    """Channel uses that one scene's K features take."""
    return modulation.functions.channel_uses(features, modulation.options)


def pilot_uses(estimation: Block) -> int:
    """Channel uses that a device spends on pilots with each scene."""
    return estimation.functions.channel_uses(estimation.options)


def uses_with_pilots(modulation: Block, estimation: Block, features: int) -> int:
    """Channel uses that a device's K features of one scene take, its pilots included."""
    return channel_uses(modulation, features) + pilot_uses(estimation)


def received_values(modulation: Block, features: int) -> int:
    """Real numbers per scene that the server's decoder gets for K features."""
    return modulation.functions.received_values(features, modulation.options)
