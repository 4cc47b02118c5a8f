"""Materials of one room: what a kind of room leans to (`Taste`) and what this one has (`Style`)."""

from dataclasses import dataclass

import numpy as np

from semcom.rooms.textures import Material

Colour = tuple[float, float, float]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB in [0, 1] of a hue in turns."""
    channel = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    rgb = value * (1 - saturation * np.clip(np.minimum(channel, 4 - channel), 0, 1))
    return tuple(float(c) for c in rgb)


# Hue, saturation and value of common cloth.
BLUE, GREY, CHARCOAL = (0.60, 0.6, 0.25), (0.60, 0.1, 0.28), (0.6, 0.1, 0.08)
BRICK, OLIVE, BEIGE, BROWN, PLUM = (
    (0.01, 0.7, 0.3), (0.22, 0.5, 0.22), (0.10, 0.3, 0.5), (0.06, 0.6, 0.18), (0.88, 0.45, 0.2),
)  # fmt: skip


@dataclass(frozen=True)
class Taste:
    """What materials a kind of room leans to; each kind is shared by several classes.

    floor: chances of boards, carpet, tiles and plain covering; wall: hue interval and largest saturation; dyes: colours
    of cloth; timber: interval of the wood's value.
    """

    floor: tuple[float, float, float, float]
    wall: tuple[float, float, float]
    dyes: tuple[tuple[float, float, float], ...]
    timber: tuple[float, float]


HOMELY = Taste((0.55, 0.35, 0.05, 0.05), (0.02, 0.18, 0.35), (BLUE, BRICK, OLIVE, BEIGE, BROWN, PLUM), (0.15, 0.4))
WET = Taste((0.15, 0.0, 0.7, 0.15), (0.35, 0.62, 0.25), (BLUE, GREY, BEIGE, PLUM), (0.2, 0.5))
COOKING = Taste((0.35, 0.0, 0.5, 0.15), (0.05, 0.3, 0.25), (BLUE, BRICK, OLIVE, BEIGE), (0.2, 0.5))
WORK = Taste((0.15, 0.55, 0.1, 0.2), (0.5, 0.65, 0.12), (BLUE, GREY, CHARCOAL), (0.3, 0.5))


class Style:
    """Materials and taste of one room, drawn from its generator.

    Colours hint at the kind of room (`Taste`) as they do in real ones, and never tell its class.
    """

    def __init__(self, rng: np.random.Generator, taste: Taste) -> None:
        self.rng = rng
        self.taste = taste
        self.wood = self.timber()
        self.cloth = self.textile()
        self.cloth2 = self.textile()
        self.front = self.timber() if rng.random() < 0.55 else self.paint(0.15, (0.5, 0.8))
        grey = rng.uniform(0.03, 0.5)
        self.metal = Material("plain", (grey, grey, grey * 1.05), gloss=0.35)
        self.dark = Material("plain", (0.03, 0.03, 0.035), gloss=0.2)
        self.white = Material("plain", (0.8, 0.8, 0.78), gloss=0.25)

    def seed(self) -> int:
        return int(self.rng.integers(0, 200))

    def colour(self, saturation: float = 0.6, value: tuple = (0.08, 0.6)) -> Colour:
        rng = self.rng
        return hsv(rng.random(), saturation * rng.random(), rng.uniform(*value))

    def paint(self, saturation: float = 0.6, value: tuple = (0.08, 0.6)) -> Material:
        return Material("plain", self.colour(saturation, value), seed=self.seed())

    def dye(self) -> Colour:
        """A colour of cloth: near one of a few common ones."""
        rng = self.rng
        hue, saturation, value = self.taste.dyes[rng.integers(len(self.taste.dyes))]
        return hsv(hue + rng.normal(0, 0.02), saturation * rng.uniform(0.6, 1.0), value * rng.uniform(0.6, 1.4))

    def timber(self) -> Material:
        rng = self.rng
        value = rng.uniform(*self.taste.timber)
        a = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.75), value)
        b = hsv(rng.uniform(0.04, 0.09), rng.uniform(0.4, 0.8), value * rng.uniform(0.45, 0.8))
        return Material("wood", a, b, scale=rng.uniform(0.02, 0.06), gloss=rng.uniform(0, 0.2), seed=self.seed())

    def textile(self) -> Material:
        rng = self.rng
        kind = rng.choice(["fabric", "stripes", "blotches", "checks"], p=[0.82, 0.06, 0.07, 0.05])
        return Material(str(kind), self.dye(), self.dye(), scale=rng.uniform(0.06, 0.3), seed=self.seed())

    def fronted(self, texture: str, scale: float) -> Material:
        """Cupboard doors or drawers in the room's front colour."""
        handle = self.metal.a if self.rng.random() < 0.6 else self.dark.a
        return Material(texture, self.front.a, handle, scale=scale, seed=self.seed())

    def book_row(self) -> Material:
        return Material("books", self.colour(0.9), self.colour(0.9), self.rng.uniform(0.03, 0.055), seed=self.seed())

    def lit(self, colour: Colour, emission: float) -> Material:
        return Material("plain", colour, emission=emission)
