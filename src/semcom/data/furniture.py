"""Furniture made of boxes, cylinders and ellipsoids, in a style that a whole room shares.

A piece stands in its own axes: x along the wall with 0 in the middle, y out of the wall from 0, z up from the
floor; metres. Every function draws the piece's proportions from the style's generator.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from semcom.data.raycast import BOX, CYLINDER, ELLIPSOID, Solid
from semcom.data.textures import Material

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


class Piece:
    """A list of solids in the piece's own axes."""

    def __init__(self, solids: Iterable[Solid] = ()) -> None:
        self.solids = list(solids)

    def box(self, x: tuple, y: tuple, z: tuple, material: Material) -> "Piece":
        """A box over three intervals."""
        low, high = np.array([x, y, z], float).T
        self.solids.append(Solid(BOX, (low + high) / 2, np.maximum((high - low) / 2, 1e-3), material))
        return self

    def cylinder(self, x: float, y: float, z: tuple, radius: float, material: Material) -> "Piece":
        """An upright cylinder."""
        centre, half = np.array([x, y, (z[0] + z[1]) / 2]), np.array([radius, radius, (z[1] - z[0]) / 2])
        self.solids.append(Solid(CYLINDER, centre, half, material))
        return self

    def roll(self, x: tuple, y: float, z: float, radius: float, material: Material) -> "Piece":
        """A cylinder lying along x."""
        turn = np.array([(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)])
        half = np.array([radius, radius, (x[1] - x[0]) / 2])
        self.solids.append(Solid(CYLINDER, np.array([(x[0] + x[1]) / 2, y, z]), half, material, turn))
        return self

    def ball(self, x: float, y: float, z: float, half: tuple, material: Material) -> "Piece":
        """An ellipsoid with half axes `half`."""
        self.solids.append(Solid(ELLIPSOID, np.array([x, y, z], float), np.array(half, float), material))
        return self

    def put(self, other: "Piece", x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> "Piece":
        """Add another piece, turned by `yaw` (left, radians) and moved."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn, move = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1.0)]), np.array([x, y, z])
        for solid in other.solids:
            self.solids.append(replace(solid, centre=turn @ solid.centre + move, rotation=turn @ solid.rotation))
        return self

    def bounds(self) -> np.ndarray:
        """Axis-aligned bounds (2, 3): low and high corner."""
        reach = np.array([np.abs(s.rotation) @ s.half for s in self.solids])
        centre = np.array([s.centre for s in self.solids])
        return np.array([(centre - reach).min(0), (centre + reach).max(0)])


class Style:
    """Materials and taste of one room, drawn from its generator.

    Colours hint at the kind of room (`Taste`) as they do in real ones, and never tell its class.
    """

    def __init__(self, rng: np.random.Generator, taste: Taste) -> None:
        self.rng = rng
        self.taste = taste
        self.wood = self.timber()
        self.wood2 = self.timber()
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
        return Material(
            str(kind), self.dye(), self.dye(), scale=rng.uniform(0.06, 0.3), seed=self.seed()
        )  # fmt: skip

    def fronted(self, texture: str, scale: float) -> Material:
        """Cupboard doors or drawers in the room's front colour."""
        handle = self.metal.a if self.rng.random() < 0.6 else self.dark.a
        return Material(texture, self.front.a, handle, scale=scale, seed=self.seed())

    def book_row(self) -> Material:
        return Material("books", self.colour(0.9), self.colour(0.9), self.rng.uniform(0.03, 0.055), seed=self.seed())

    def lit(self, colour: Colour, emission: float) -> Material:
        return Material("plain", colour, emission=emission)


def _legs(piece: Piece, x: float, y: tuple, top: float, thick: float, material: Material) -> None:
    for sx in (-x, x):
        for sy in y:
            piece.box((sx - thick, sx + thick), (sy - thick, sy + thick), (0, top), material)


# ---- shared by many classes


def chair(s: Style, office: bool = False) -> Piece:
    """A chair facing +y with its back at y = 0; `office` gives it a column, a star foot and cushions."""
    p, rng = Piece(), s.rng
    w, d, h = rng.uniform(0.2, 0.24), rng.uniform(0.4, 0.46), rng.uniform(0.42, 0.48)
    if office:
        p.cylinder(0, d / 2, (0.08, h), 0.03, s.dark)
        p.box((-0.28, 0.28), (d / 2 - 0.03, d / 2 + 0.03), (0.02, 0.08), s.dark)
        p.box((-0.03, 0.03), (d / 2 - 0.28, d / 2 + 0.28), (0.02, 0.08), s.dark)
        p.box((-w, w), (0.02, d), (h, h + 0.08), s.cloth)
        p.box((-w * 0.9, w * 0.9), (0, 0.07), (h + 0.12, h + rng.uniform(0.45, 0.7)), s.cloth)
        if rng.random() < 0.6:
            for side in (-1, 1):
                p.box((side * w - 0.03, side * w + 0.03), (0.1, 0.35), (h + 0.2, h + 0.24), s.dark)
        return p
    frame = s.wood if rng.random() < 0.7 else s.metal
    seat = frame if rng.random() < 0.5 else s.cloth2
    _legs(p, w - 0.02, (0.03, d - 0.03), h, 0.02, frame)
    p.box((-w, w), (0, d), (h, h + 0.04), seat)
    back = h + rng.uniform(0.35, 0.55)
    if rng.random() < 0.5:
        p.box((-w, w), (0, 0.04), (h + 0.15, back), seat)
    else:
        for x in (-w + 0.02, 0, w - 0.02):
            p.box((x - 0.02, x + 0.02), (0, 0.03), (h, back), frame)
        p.box((-w, w), (0, 0.035), (back - 0.1, back), frame)
    return p


def table(s: Style, width: float, depth: float, height: float, round_top: bool = False) -> Piece:
    p, rng = Piece(), s.rng
    top = s.wood if rng.random() < 0.75 else s.paint(0.3)
    if round_top:
        p.cylinder(0, depth / 2, (height - 0.04, height), depth / 2, top)
        p.cylinder(0, depth / 2, (0.03, height - 0.04), 0.05, s.wood)
        p.cylinder(0, depth / 2, (0, 0.04), depth * 0.28, s.wood)
    else:
        p.box((-width / 2, width / 2), (0, depth), (height - 0.045, height), top)
        _legs(p, width / 2 - 0.05, (0.05, depth - 0.05), height - 0.045, rng.uniform(0.02, 0.04), top)
    return p


def bookshelf(s: Style, width: float, height: float, depth: float = 0.3, fullness: float = 0.8) -> Piece:
    p, rng = Piece(), s.rng
    levels = max(2, round(height / rng.uniform(0.32, 0.42)))
    p.box((-width / 2, width / 2), (0, 0.02), (0, height), s.wood)
    for x in (-width / 2, width / 2 - 0.03):
        p.box((x, x + 0.03), (0, depth), (0, height), s.wood)
    step = height / levels
    for k in range(levels + 1):
        p.box((-width / 2, width / 2), (0, depth), (k * step - 0.015, k * step + 0.015), s.wood)
    for k in range(levels):
        if rng.random() < fullness:
            end = rng.uniform(0.5, 1.0) if rng.random() < 0.4 else 1.0
            x = (-width / 2 + 0.03, -width / 2 + 0.03 + (width - 0.06) * end)
            y = depth * rng.uniform(0.6, 0.9)
            p.box(x, (0.02, y), (k * step + 0.015, (k + 1) * step - rng.uniform(0.05, 0.1)), s.book_row())
        elif rng.random() < 0.6:
            p.put(trinket(s), rng.uniform(-width / 3, width / 3), depth / 2, k * step + 0.015)
    return p


def trinket(s: Style) -> Piece:
    """Something small: a box, a vase or a ball."""
    p, rng = Piece(), s.rng
    size = rng.uniform(0.04, 0.12)
    kind = rng.integers(4)
    if kind == 0:
        p.box((-size, size), (-size * 0.7, size * 0.7), (0, size * rng.uniform(0.5, 2)), s.paint(0.9))
    elif kind == 1:
        p.cylinder(0, 0, (0, size * rng.uniform(1, 3)), size * 0.6, s.paint(0.9))
    elif kind == 2:
        p.ball(0, 0, size, (size, size, size), s.paint(0.9))
    else:
        p.box((-0.15, 0.15), (-0.11, 0.11), (0, rng.uniform(0.01, 0.06)), replace(s.white, texture="plain"))
    return p


def plant(s: Style) -> Piece:
    p, rng = Piece(), s.rng
    h, r = rng.uniform(0.5, 1.3), rng.uniform(0.18, 0.35)
    leaf = Material("leaves", (0.05, 0.16, 0.04), (0.16, 0.34, 0.08), seed=s.seed())
    p.cylinder(0, r, (0, 0.3), 0.15, s.paint())
    p.cylinder(0, r, (0.3, h), 0.02, s.wood)
    for _ in range(3):
        x, y, z = rng.uniform(-0.12, 0.12), r + rng.uniform(-0.1, 0.1), h + rng.uniform(-0.15, 0.3)
        p.ball(x, y, z, (r * 0.7, r * 0.7, r * rng.uniform(0.5, 1.1)), leaf)
    return p


def floor_lamp(s: Style) -> Piece:
    h = s.rng.uniform(1.3, 1.7)
    p = Piece().cylinder(0, 0.2, (0, 0.03), 0.14, s.dark).cylinder(0, 0.2, (0, h), 0.015, s.metal)
    return p.cylinder(0, 0.2, (h, h + 0.25), s.rng.uniform(0.14, 0.22), s.lit((0.9, 0.8, 0.6), s.rng.choice([0.0, 0.8])))


def table_lamp(s: Style) -> Piece:
    p = Piece().cylinder(0, 0, (0, 0.22), 0.04, s.paint())
    return p.cylinder(0, 0, (0.2, 0.4), 0.13, s.lit((0.9, 0.8, 0.65), s.rng.choice([0.0, 0.9])))


def boxes(s: Style) -> Piece:
    """A small stack of cartons or storage boxes."""
    p, rng = Piece(), s.rng
    z = 0.0
    for _ in range(rng.integers(1, 4)):
        w, h = rng.uniform(0.18, 0.32), rng.uniform(0.2, 0.4)
        carton = Material("plain", hsv(0.08, 0.45, rng.uniform(0.25, 0.5))) if rng.random() < 0.6 else s.paint(0.8)
        p.put(Piece().box((-w, w), (-w * 0.7, w * 0.7), (0, h), carton), 0, 0.3, z, rng.uniform(-0.3, 0.3))
        z += h
    return p


def sideboard(s: Style) -> Piece:
    """A cabinet as long and high as a kitchen counter: in depth alone they are hard to tell apart."""
    rng = s.rng
    w, h = rng.uniform(0.6, 1.2), rng.uniform(0.75, 0.95)
    p = Piece().box((-w, w), (0, 0.5), (0.06, h), s.fronted(str(rng.choice(["panels", "drawers"])), 0.45))
    p.box((-w - 0.02, w + 0.02), (0, 0.53), (h, h + 0.03), s.wood)
    for _ in range(rng.integers(0, 4)):
        p.put(trinket(s), rng.uniform(-w, w) * 0.8, 0.25, h + 0.03)
    return p


def daybed(s: Style) -> Piece:
    """A couch without arms, a large pouffe or a blanket chest: as high as a bed."""
    rng = s.rng
    w, d, h = rng.uniform(0.5, 1.0), rng.uniform(0.6, 0.95), rng.uniform(0.38, 0.52)
    p = Piece().box((-w, w), (0, d), (0.08, h - 0.15), s.wood).box((-w, w), (0, d), (h - 0.15, h), s.cloth2)
    if rng.random() < 0.6:
        p.ball(rng.uniform(-0.5, 0.5) * w, 0.25, h + 0.08, (0.25, 0.18, 0.12), s.cloth)
    return p


def door(s: Style) -> Piece:
    p, w = Piece(), s.rng.uniform(0.4, 0.46)
    leaf = Material("panels", s.front.a, s.dark.a, scale=2.0)
    p.box((-w - 0.08, w + 0.08), (0, 0.03), (0, 2.12), s.white)
    return p.box((-w, w), (0, 0.05), (0, 2.04), leaf)


def window(s: Style) -> Piece:
    p, rng = Piece(), s.rng
    w, low, high = rng.uniform(0.45, 1.1), rng.uniform(0.8, 1.1), rng.uniform(1.9, 2.3)
    bright = rng.uniform(0.3, 1.6)
    ground = hsv(rng.uniform(0.15, 0.45), 0.5, 0.3)
    if rng.random() < 0.25:
        pane = Material("blinds", (0.75, 0.75, 0.7), (0.3, 0.3, 0.32), scale=rng.uniform(0.04, 0.09), emission=bright / 3)
    else:
        pane = Material("window", (0.8, 0.88, 1.0), ground, gloss=0.9, emission=bright, seed=s.seed())
    p.box((-w, w), (0, 0.03), (low, high), pane)
    p.box((-w - 0.05, w + 0.05), (0, 0.12), (low - 0.05, low), s.white)
    if rng.random() < 0.45:
        drape = Material("folds", s.dye(), s.dye(), scale=rng.uniform(0.1, 0.2), seed=s.seed())
        down = rng.choice([0.05, low - 0.15])
        for side in (-1, 1):
            x = sorted((side * (w - 0.1), side * (w + 0.25)))
            p.box(x, (0.05, 0.15), (down, high + 0.12), drape)
    return p


def picture(s: Style) -> Piece:
    w, h, z = s.rng.uniform(0.2, 0.6), s.rng.uniform(0.15, 0.4), s.rng.uniform(1.4, 1.7)
    art = Material("picture", s.colour(0.8), s.wood.a, seed=s.seed())
    return Piece().box((-w, w), (0, 0.03), (z - h, z + h), art)


def rug(s: Style, width: float, depth: float) -> Piece:
    pattern = Material("rug", s.dye(), s.dye(), seed=s.seed())
    return Piece().box((-width / 2, width / 2), (-depth / 2, depth / 2), (0, 0.015), pattern)


def bin_(s: Style) -> Piece:
    return Piece().cylinder(0, 0.18, (0, s.rng.uniform(0.28, 0.6)), s.rng.uniform(0.12, 0.18), s.paint())


def radiator(s: Style) -> Piece:
    ribs = Material("stripes", (0.75, 0.75, 0.72), (0.5, 0.5, 0.48), scale=0.06)
    w = s.rng.uniform(0.3, 0.7)
    return Piece().box((-w, w), (0.03, 0.12), (0.12, 0.65), ribs)


def pendant(s: Style, x: float, y: float, ceiling: float, drop: float) -> Piece:
    """A hanging lamp; in the room's own axes."""
    p, r = Piece(), s.rng.uniform(0.12, 0.25)
    p.cylinder(x, y, (ceiling - drop, ceiling), 0.012, s.dark)
    return p.ball(x, y, ceiling - drop, (r, r, r * 0.6), s.lit((0.9, 0.85, 0.7), 0.9))


# ---- bedroom


def bed(s: Style) -> Piece:
    p, rng = Piece(), s.rng
    w, length, h = rng.choice([0.48, 0.7, 0.8, 0.9]), rng.uniform(1.9, 2.1), rng.uniform(0.4, 0.62)
    linen = Material("fabric", s.colour(0.2, (0.5, 0.85)), scale=0.3, seed=s.seed())
    p.box((-w, w), (0, length), (0.08, h - 0.2), s.wood)
    p.box((-w + 0.02, w - 0.02), (0.05, length - 0.03), (h - 0.2, h), linen)
    start = rng.uniform(0.55, 1.2)
    p.box((-w - 0.02, w + 0.02), (start, length + 0.01), (rng.uniform(0.12, h - 0.15), h + 0.05), s.cloth)
    if rng.random() < 0.75:
        p.box((-w - 0.03, w + 0.03), (0, 0.06), (0, h + rng.uniform(0.2, 0.6)), s.wood)
    if rng.random() < 0.25:
        p.box((-w - 0.03, w + 0.03), (length, length + 0.05), (0, h + 0.15), s.wood)
    for x in [0.0] if w < 0.6 else [-w / 2, w / 2]:
        p.ball(x + rng.uniform(-0.05, 0.05), 0.3, h + 0.08, (0.3, 0.2, 0.11), linen if rng.random() < 0.6 else s.cloth2)
    if rng.random() < 0.4:
        p.ball(rng.uniform(-w, w) / 2, length * 0.7, h + 0.08, (0.35, 0.25, 0.1), s.textile())
    return p


def nightstand(s: Style) -> Piece:
    w, h = s.rng.uniform(0.2, 0.3), s.rng.uniform(0.45, 0.65)
    p = Piece().box((-w, w), (0, 0.4), (0, h), s.fronted("drawers", 0.2))
    return p.put(table_lamp(s) if s.rng.random() < 0.7 else trinket(s), 0, 0.2, h)


def wardrobe(s: Style) -> Piece:
    w, h = s.rng.uniform(0.5, 1.1), s.rng.uniform(1.8, 2.2)
    return Piece().box((-w, w), (0, 0.6), (0, h), s.fronted("panels", 0.5))


def dresser(s: Style) -> Piece:
    rng = s.rng
    w, h = rng.uniform(0.4, 0.7), rng.uniform(0.75, 1.1)
    p = Piece().box((-w, w), (0, 0.48), (0, h), s.fronted("drawers", 0.22))
    if rng.random() < 0.5:
        glass = Material("mirror", s.colour(0.2), s.wood.a, gloss=0.95, seed=s.seed())
        p.box((-w * 0.7, w * 0.7), (0, 0.04), (h, h + 0.8), glass)
    for _ in range(rng.integers(0, 3)):
        p.put(trinket(s), rng.uniform(-w, w) * 0.8, 0.3, h)
    return p


# ---- kitchen


def counter(s: Style, width: float, sink: bool, cooker: bool) -> Piece:
    p, rng = Piece(), s.rng
    h, d = 0.9, 0.62
    p.box((-width / 2, width / 2), (0, d - 0.04), (0.08, h - 0.04), s.fronted("panels", 0.5))
    top = Material("blotches", s.colour(0.3), s.colour(0.3), scale=0.03, gloss=0.35, seed=s.seed())
    p.box((-width / 2, width / 2), (0, d), (h - 0.04, h), top)
    places = list(rng.permutation(np.arange(-width / 2 + 0.35, width / 2 - 0.3, 0.65)))
    if cooker and places:
        x = places.pop()
        face = Material("oven", s.metal.a if rng.random() < 0.5 else s.white.a, s.dark.a, gloss=0.3)
        p.box((x - 0.3, x + 0.3), (0, d + 0.01), (0.06, h - 0.01), face)
        p.box((x - 0.29, x + 0.29), (0.03, d), (h - 0.01, h + 0.012), Material("hob", (0.05,) * 3, (0.25,) * 3, gloss=0.6))
        if rng.random() < 0.6:
            p.cylinder(x - 0.13, 0.2, (h + 0.01, h + 0.16), 0.11, s.metal)
    if sink and places:
        x = places.pop()
        p.box((x - 0.28, x + 0.28), (0.1, 0.5), (h, h + 0.008), replace(s.metal, gloss=0.7, a=(0.18, 0.18, 0.19)))
        p.cylinder(x, 0.07, (h, h + 0.3), 0.02, replace(s.metal, gloss=0.7))
        p.box((x - 0.02, x + 0.02), (0.07, 0.25), (h + 0.28, h + 0.31), replace(s.metal, gloss=0.7))
    for x in places:
        if rng.random() < 0.6:
            p.put(trinket(s), x, rng.uniform(0.2, 0.45), h)
        elif rng.random() < 0.4:
            p.box((x - 0.24, x + 0.24), (0.1, 0.45), (h, h + 0.28), Material("oven", s.metal.a, s.dark.a, gloss=0.3))
    return p


def overhead(s: Style, width: float) -> Piece:
    doors = s.fronted("panels", 0.45)
    return Piece().box((-width / 2, width / 2), (0, 0.34), (1.42, s.rng.uniform(2.0, 2.25)), doors)


def fridge(s: Style) -> Piece:
    w, h = s.rng.uniform(0.3, 0.45), s.rng.uniform(1.6, 1.9)
    body = s.white if s.rng.random() < 0.5 else replace(s.metal, gloss=0.5)
    p = Piece().box((-w, w), (0, 0.65), (0.03, h), body)
    split = h * s.rng.uniform(0.4, 0.7)
    p.box((-w, w), (0.65, 0.655), (split - 0.01, split + 0.01), s.dark)
    for z in ((split + 0.06, split + 0.4), (split - 0.45, split - 0.06)):
        p.box((w - 0.09, w - 0.05), (0.65, 0.7), z, s.metal)
    return p


def hood(s: Style) -> Piece:
    p = Piece().box((-0.3, 0.3), (0, 0.5), (1.5, 1.62), s.metal)
    return p.box((-0.13, 0.13), (0, 0.3), (1.62, 2.3), s.metal)


# ---- living room


def sofa(s: Style, seats: int) -> Piece:
    p, rng = Piece(), s.rng
    w, d, h = 0.34 * seats + 0.06, rng.uniform(0.8, 1.0), rng.uniform(0.36, 0.46)
    arm = rng.uniform(0.1, 0.22)
    cover = s.cloth
    p.box((-w, w), (0.1, d), (0.06, h - 0.1), cover)
    back = h + rng.uniform(0.35, 0.5)
    p.box((-w - arm, w + arm), (0, 0.24), (0.06, back), cover)
    for side in (-1, 1):
        p.box(sorted((side * w, side * (w + arm))), (0, d), (0.06, h + 0.2), cover)
    width = 2 * w / seats
    for k in range(seats):
        x = -w + k * width
        p.box((x + 0.012, x + width - 0.012), (0.24, d + 0.03), (h - 0.1, h + 0.06), cover)
        p.box((x + 0.02, x + width - 0.02), (0.22, 0.38), (h + 0.05, back + 0.04), cover)
        if rng.random() < 0.35:
            p.ball(x + width / 2, 0.48, h + 0.24, (0.2, 0.1, 0.2), s.cloth2)
    return p


def coffee_table(s: Style) -> Piece:
    rng = s.rng
    w, h = rng.uniform(0.7, 1.2), rng.uniform(0.36, 0.48)
    p = table(s, w, rng.uniform(0.5, 0.7), h, round_top=rng.random() < 0.25)
    for _ in range(rng.integers(0, 4)):
        p.put(trinket(s), rng.uniform(-0.25, 0.25), rng.uniform(0.2, 0.4), h)
    return p


def display(s: Style, width: float, lit: float) -> Piece:
    """A flat screen on a foot, standing on z = 0, facing +y."""
    height = width * 0.6
    if s.rng.random() < lit:
        face = Material("screen", s.colour(0.7), s.colour(0.9), gloss=0.6, emission=s.rng.uniform(0.4, 1.0), seed=s.seed())
    else:
        face = Material("plain", (0.012, 0.012, 0.015), gloss=0.7)
    p = Piece().box((-0.1, 0.1), (-0.06, 0.1), (0, 0.02), s.dark).box((-0.03, 0.03), (0, 0.02), (0, 0.1), s.dark)
    p.box((-width / 2, width / 2), (-0.01, 0.02), (0.07, 0.07 + height), s.dark)
    return p.box((-width / 2, width / 2), (0.02, 0.026), (0.07, 0.07 + height), face)


def tv_stand(s: Style) -> Piece:
    rng = s.rng
    w, h = rng.uniform(0.6, 0.9), rng.uniform(0.4, 0.6)
    p = Piece().box((-w, w), (0, 0.45), (0, h), s.fronted("panels", 0.5))
    return p.put(display(s, rng.uniform(0.8, 1.3), 0.5), 0, 0.22, h)


# ---- bathroom


def bathtub(s: Style) -> Piece:
    p, rng = Piece(), s.rng
    w, d, h = rng.uniform(0.75, 0.88), rng.uniform(0.7, 0.8), rng.uniform(0.48, 0.58)
    enamel = replace(s.white, gloss=0.4)
    for x in ((-w, -w + 0.07), (w - 0.07, w)):
        p.box(x, (0, d), (0, h), enamel)
    for y in ((0, 0.06), (d - 0.07, d)):
        p.box((-w, w), y, (0, h), enamel)
    p.box((-w + 0.05, w - 0.05), (0.05, d - 0.05), (0, 0.15), enamel)
    p.box((-w + 0.2, -w + 0.24), (0.02, 0.15), (h + 0.05, h + 0.1), replace(s.metal, gloss=0.8))
    if rng.random() < 0.5:
        drape = Material("folds", s.dye(), s.dye(), scale=rng.uniform(0.1, 0.2), seed=s.seed())
        end = rng.uniform(-0.6, 0.5) * w
        p.box((-w, end), (d - 0.05, d + 0.04), (0.2, 1.95), drape)
        p.roll((-w, w), d, 1.97, 0.015, s.metal)
    return p


def toilet(s: Style) -> Piece:
    p = Piece()
    enamel = replace(s.white, gloss=0.4)
    p.box((-0.2, 0.2), (0, 0.2), (0.38, 0.78), enamel)
    p.box((-0.21, 0.21), (-0.0, 0.21), (0.78, 0.82), enamel)
    p.ball(0, 0.42, 0.26, (0.17, 0.24, 0.2), enamel)
    p.box((-0.12, 0.12), (0.1, 0.5), (0, 0.25), enamel)
    p.put(Piece([Solid(CYLINDER, np.array([0, 0.43, 0.43]), np.array([0.19, 0.25, 0.025]), enamel)]))
    if s.rng.random() < 0.4:
        p.box((-0.19, 0.19), (0.19, 0.23), (0.44, 0.86), enamel)
    return p


def washbasin(s: Style) -> Piece:
    p, rng = Piece(), s.rng
    enamel = replace(s.white, gloss=0.4)
    if rng.random() < 0.5:
        w = rng.uniform(0.35, 0.75)
        p.box((-w, w), (0, 0.5), (0, 0.8), s.fronted("panels", 0.4))
        p.box((-w - 0.02, w + 0.02), (0, 0.54), (0.8, 0.85), enamel)
        p.put(Piece([Solid(CYLINDER, np.array([0, 0.28, 0.86]), np.array([0.2, 0.15, 0.012]), replace(enamel, a=(0.4,) * 3))]))
    else:
        w = rng.uniform(0.25, 0.33)
        p.cylinder(0, 0.2, (0, 0.72), 0.08, enamel)
        p.ball(0, 0.24, 0.78, (w, 0.24, 0.12), enamel)
        p.box((-w, w), (0, 0.4), (0.8, 0.86), enamel)
    p.cylinder(0, 0.07, (0.85, 1.0), 0.02, replace(s.metal, gloss=0.8))
    p.box((-0.015, 0.015), (0.07, 0.2), (0.97, 1.0), replace(s.metal, gloss=0.8))
    if rng.random() < 0.8:
        glass = Material("mirror", s.colour(0.2), s.metal.a, gloss=0.95, seed=s.seed())
        p.box((-w * 0.9, w * 0.9), (0, 0.03), (1.15, rng.uniform(1.7, 2.0)), glass)
    return p


def towel(s: Style) -> Piece:
    w = s.rng.uniform(0.2, 0.35)
    p = Piece().roll((-w - 0.05, w + 0.05), 0.07, 1.3, 0.012, s.metal)
    return p.box((-w, w), (0.04, 0.1), (s.rng.uniform(0.6, 0.9), 1.32), s.textile())


# ---- work


def desk(s: Style, computer: bool, width: float = 1.4, clutter: int = 3) -> Piece:
    """A desk against the wall with the chair's side at +y."""
    p, rng = Piece(), s.rng
    d, h = rng.uniform(0.6, 0.8), rng.uniform(0.7, 0.78)
    p.put(table(s, width, d, h))
    if rng.random() < 0.6:
        side = rng.choice([-1, 1])
        x = sorted((side * (width / 2 - 0.45), side * (width / 2 - 0.03)))
        p.box(x, (0.05, d - 0.05), (0.03, h - 0.05), s.fronted("drawers", 0.22))
    if computer:
        x = rng.uniform(-0.25, 0.25) * width
        p.put(display(s, rng.uniform(0.4, 0.62), 0.6), x, 0.22, h, rng.uniform(-0.3, 0.3))
        p.box((x - 0.22, x + 0.22), (d - 0.3, d - 0.15), (h, h + 0.025), s.dark if rng.random() < 0.6 else s.white)
    for _ in range(clutter):
        p.put(trinket(s), rng.uniform(-0.45, 0.45) * width, rng.uniform(0.15, d - 0.15), h, rng.uniform(0, 3))
    return p


def filing_cabinet(s: Style) -> Piece:
    w, h = s.rng.uniform(0.22, 0.5), s.rng.uniform(0.7, 1.4)
    return Piece().box((-w, w), (0, 0.5), (0, h), Material("drawers", s.metal.a, s.dark.a, scale=0.32, gloss=0.2))


def writing_board(s: Style, width: float, dark: bool) -> Piece:
    if dark:
        ground = hsv(s.rng.choice([0.35, 0.6]), s.rng.uniform(0, 0.5), s.rng.uniform(0.05, 0.14))
        face = Material("board", ground, (0.7, 0.7, 0.65), seed=s.seed())
    else:
        face = Material("board", (0.8, 0.82, 0.82), hsv(s.rng.random(), 0.9, 0.25), gloss=0.45, seed=s.seed())
    p = Piece().box((-width / 2 - 0.04, width / 2 + 0.04), (0, 0.03), (0.86, 2.12), s.metal)
    p.box((-width / 2, width / 2), (0.02, 0.04), (0.9, 2.08), face)
    return p.box((-width / 2, width / 2), (0.03, 0.12), (0.85, 0.88), s.metal)


def pinboard(s: Style) -> Piece:
    w = s.rng.uniform(0.3, 0.8)
    notes = Material("papers", (0.8, 0.8, 0.75), hsv(0.09, 0.5, 0.35), scale=0.22, seed=s.seed())
    return Piece().box((-w, w), (0, 0.03), (1.1, s.rng.uniform(1.6, 1.9)), notes)


def student_desk(s: Style) -> Piece:
    """A small desk and its chair; the pupil looks towards -y (the desk stands at y = 0)."""
    p = table(s, 0.65 if s.rng.random() < 0.5 else 1.2, 0.48, 0.73)
    return p.put(chair(s), s.rng.uniform(-0.05, 0.05), 0.95, 0, np.pi + s.rng.uniform(-0.2, 0.2))


# ---- shops and the rest


def display_table(s: Style) -> Piece:
    """A low table heaped with books or goods."""
    p, rng = Piece(), s.rng
    w, d, h = rng.uniform(0.9, 1.6), rng.uniform(0.6, 0.9), rng.uniform(0.6, 0.85)
    p.box((-w / 2, w / 2), (0, d), (0, h), s.wood)
    for x in np.arange(-w / 2 + 0.15, w / 2 - 0.1, 0.28):
        for y in np.arange(0.17, d - 0.1, 0.3):
            cover = Material("goods", s.colour(0.9), s.colour(0.9), scale=0.2, seed=s.seed())
            p.box((x - 0.1, x + 0.1), (y - 0.12, y + 0.12), (h, h + rng.uniform(0.02, 0.22)), cover)
    return p


def goods_rack(s: Style, width: float, height: float) -> Piece:
    """A rack with spread wares, not books."""
    p, rng = Piece(), s.rng
    levels = int(height / 0.45)
    for k in range(levels + 1):
        p.box((-width / 2, width / 2), (0, 0.4), (k * 0.45, k * 0.45 + 0.03), s.metal)
    for x in (-width / 2, width / 2 - 0.03):
        p.box((x, x + 0.03), (0, 0.4), (0, levels * 0.45), s.metal)
    for k in range(levels):
        x = -width / 2 + 0.05
        while x < width / 2 - 0.3:
            w = rng.uniform(0.15, 0.45)
            if rng.random() < 0.75:
                p.box((x, x + w), (0.03, 0.35), (k * 0.45 + 0.03, k * 0.45 + rng.uniform(0.15, 0.4)), s.paint(0.9))
            x += w + 0.03
    return p


def washing_machine(s: Style) -> Piece:
    return Piece().box((-0.3, 0.3), (0, 0.6), (0, 0.86), Material("porthole", s.white.a, s.dark.a, gloss=0.25))


def copier(s: Style) -> Piece:
    p = Piece().box((-0.45, 0.45), (0, 0.6), (0, 0.75), Material("drawers", s.white.a, s.dark.a, scale=0.18))
    p.box((-0.42, 0.42), (0.02, 0.58), (0.78, 1.1), Material("plain", (0.6, 0.6, 0.58)))
    return p.box((-0.75, -0.45), (0.15, 0.5), (0.75, 0.8), s.dark)


def treadmill(s: Style) -> Piece:
    p = Piece().box((-0.35, 0.35), (0.2, 1.8), (0.05, 0.2), s.dark)
    for x in (-0.34, 0.34):
        p.box((x - 0.03, x + 0.03), (0.2, 0.3), (0.1, 1.3), s.metal).box((x - 0.02, x + 0.02), (0.2, 0.9), (0.9, 0.95), s.metal)
    return p.box((-0.35, 0.35), (0.15, 0.35), (1.2, 1.4), s.dark)


def weights(s: Style) -> Piece:
    p = Piece().box((-0.7, 0.7), (0.1, 0.5), (0.4, 0.48), s.cloth)
    _legs(p, 0.6, (0.15, 0.45), 0.4, 0.03, s.metal)
    p.roll((-0.8, 0.8), 0.25, 0.95, 0.02, s.metal)
    for x in (-0.75, 0.62):
        p.roll((x, x + 0.13), 0.25, 0.95, 0.2, s.dark)
    return p.box((-0.5, -0.44), (0.2, 0.3), (0, 0.95), s.metal).box((0.44, 0.5), (0.2, 0.3), (0, 0.95), s.metal)


def toys(s: Style) -> Piece:
    """Bricks and balls strewn over a square metre of floor, centred on the origin."""
    p, rng = Piece(), s.rng
    for _ in range(rng.integers(5, 11)):
        x, y, size = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.05, 0.18)
        paint = Material("plain", hsv(rng.random(), rng.uniform(0.5, 1), rng.uniform(0.4, 0.9)))
        if rng.random() < 0.5:
            p.ball(x, y, size, (size,) * 3, paint)
        else:
            p.put(Piece().box((-size, size), (-size, size), (0, size * 1.4), paint), x, y, 0, rng.uniform(0, 1.5))
    return p


def stairs(s: Style) -> Piece:
    p = Piece()
    for k in range(9):
        p.box((-1.2 + 0.27 * k, 1.3), (0, 0.95), (0.18 * k, 0.18 * (k + 1)), s.wood)
    return p


def coat_rack(s: Style) -> Piece:
    p, rng = Piece().box((-0.6, 0.6), (0, 0.04), (1.6, 1.72), s.wood), s.rng
    for x in np.arange(-0.5, 0.55, 0.22):
        if rng.random() < 0.7:
            p.box((x - 0.1, x + 0.1), (0.04, 0.2), (rng.uniform(0.7, 1.1), 1.65), s.textile())
    return p


def bench(s: Style) -> Piece:
    return table(s, s.rng.uniform(0.9, 1.5), 0.4, 0.45)


def reception_desk(s: Style) -> Piece:
    w = s.rng.uniform(0.9, 1.4)
    p = Piece().box((-w, w), (0.55, 0.65), (0, 1.1), s.fronted("panels", 0.8)).box((-w, w), (0.5, 0.8), (1.1, 1.14), s.wood)
    p.box((-w, w), (0, 0.6), (0.7, 0.74), s.wood)
    return p.put(display(s, 0.5, 0.5), s.rng.uniform(-0.4, 0.4), 0.35, 0.74, np.pi)
