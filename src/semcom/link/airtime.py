"""How long channel uses take: symbols of a bandwidth, one after the other."""


def symbol_rate(bandwidth_hz: float, roll_off: float) -> float:
    """Symbols a second that a bandwidth carries with pulses of a raised cosine.

    A raised cosine of roll-off a that sends R symbols a second fills (1 + a) R Hz; without a roll-off this is Nyquist's
    limit for a complex channel.

    Args:
        bandwidth_hz: of the whole channel, above 0.
        roll_off: a, from 0 to 1.
    """
    return bandwidth_hz / (1 + roll_off)


def airtime(channel_uses: float, symbols_per_s: float) -> float:
    """Seconds that channel uses take where a use is a symbol.

    The devices take turns, and uplink and downlink do too: nothing is sent at the same time, so that channel uses of
    all devices and both directions simply add up.

    Args:
        channel_uses: of whatever devices and directions; a number, or an array or column of them.
        symbols_per_s: of `symbol_rate`.
    """
    return channel_uses / symbols_per_s
