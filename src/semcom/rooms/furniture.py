"""Furniture that rooms of many types share, made of boxes, cylinders and ellipsoids.

A piece stands in its own axes: x along the wall with 0 in the middle, y out of the wall from 0, z up from the
floor; metres. Every function draws the piece's proportions from the style's generator.
"""

from dataclasses import replace

import numpy as np

from semcom.rooms.raycast import BOX, CYLINDER, ELLIPSOID, Solid
from semcom.rooms.room_style import Style, hsv
from semcom.rooms.textures import Material


class Piece:
    """A list of solids in the piece's own axes."""

    def __init__(self) -> None:
        self.solids: list[Solid] = []

    def box(self, x: tuple, y: tuple, z: tuple, material: Material) -> "Piece":
        """A box over three intervals."""
        low, high = np.array([x, y, z], float).T
        self.solids.append(Solid(BOX, (low + high) / 2, np.maximum((high - low) / 2, 1e-3), material))
        return self

    def cylinder(self, x: float, y: float, z: tuple, radius: float | tuple, material: Material) -> "Piece":
        """An upright cylinder; two radii (along x, along y) make it elliptic."""
        rx, ry = radius if isinstance(radius, tuple) else (radius, radius)
        centre, half = np.array([x, y, (z[0] + z[1]) / 2]), np.array([rx, ry, (z[1] - z[0]) / 2])
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


def legs(piece: Piece, x: float, y: tuple, top: float, thick: float, material: Material) -> None:
    for sx in (-x, x):
        for sy in y:
            piece.box((sx - thick, sx + thick), (sy - thick, sy + thick), (0, top), material)


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
    legs(p, w - 0.02, (0.03, d - 0.03), h, 0.02, frame)
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
        legs(p, width / 2 - 0.05, (0.05, depth - 0.05), height - 0.045, rng.uniform(0.02, 0.04), top)
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
    return p.cylinder(
        0, 0.2, (h, h + 0.25), s.rng.uniform(0.14, 0.22), s.lit((0.9, 0.8, 0.6), s.rng.choice([0.0, 0.8]))
    )


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
        pane = Material(
            "blinds", (0.75, 0.75, 0.7), (0.3, 0.3, 0.32), scale=rng.uniform(0.04, 0.09), emission=bright / 3
        )
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


def overhead(s: Style, width: float) -> Piece:
    doors = s.fronted("panels", 0.45)
    return Piece().box((-width / 2, width / 2), (0, 0.34), (1.42, s.rng.uniform(2.0, 2.25)), doors)


def display(s: Style, width: float, lit: float) -> Piece:
    """A flat screen on a foot, standing on z = 0, facing +y."""
    height = width * 0.6
    if s.rng.random() < lit:
        face = Material(
            "screen", s.colour(0.7), s.colour(0.9), gloss=0.6, emission=s.rng.uniform(0.4, 1.0), seed=s.seed()
        )
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


def pinboard(s: Style) -> Piece:
    w = s.rng.uniform(0.3, 0.8)
    notes = Material("papers", (0.8, 0.8, 0.75), hsv(0.09, 0.5, 0.35), scale=0.22, seed=s.seed())
    return Piece().box((-w, w), (0, 0.03), (1.1, s.rng.uniform(1.6, 1.9)), notes)
