"""How a number of the grid is spelled: in paths, tables, figures and log lines alike."""

from decimal import Decimal

INFINITY = "\N{INFINITY}"  # in figures


def spelled_number(value: float) -> str:
    """A number's shortest decimal digits, which only this number has: no exponent, no `.0`; `inf` for infinity.

    `float(spelled_number(x)) == x` for every x but NaN, and two numbers that differ are spelled otherwise.
    """
    return _without_exponent(Decimal(repr(float(value) + 0.0)))  # -0.0 + 0.0 is 0.0


def spelled_percent(share: float) -> str:
    """A share in per cent, by moving the point of its `spelled_number`: 0.07 is 7, which 100 * 0.07 is not."""
    return _without_exponent(Decimal(repr(float(share) + 0.0)).scaleb(2))


def _without_exponent(number: Decimal) -> str:
    return f"{number.normalize():f}".replace("Infinity", "inf")
