"""What a channel's blocks count: values that the decoder gets, channel uses, pilots; of one device and scene."""

from semcom.common import plugins
from semcom.config.sections import ChannelSettings


def received_values(channel: ChannelSettings, features: int) -> int:
    """Real numbers that the decoder gets for K features of one device."""
    modulation = plugins.load("semcom.link.modulation", channel.modulation.name)
    return modulation.received_values(features, modulation.Options(**channel.modulation.options))


def channel_uses(channel: ChannelSettings, features: int) -> int:
    """Channel uses of one device and scene, pilots included."""
    modulation = plugins.load("semcom.link.modulation", channel.modulation.name)
    return modulation.channel_uses(features, modulation.Options(**channel.modulation.options)) + pilots(channel)


def pilots(channel: ChannelSettings) -> int:
    """Channel uses of one device and scene that are pilots."""
    estimation = plugins.load("semcom.link.estimation", channel.estimation.name)
    return estimation.channel_uses(estimation.Options(**channel.estimation.options))
