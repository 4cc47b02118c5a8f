"""Furniture that tells what a room is for: beds, counters, baths, desks, shop fittings. Axes as in `furniture.py`."""

from dataclasses import replace

import numpy as np

from semcom.rooms.furniture import Piece, chair, display, legs, table, table_lamp, trinket
from semcom.rooms.room_style import Style, hsv
from semcom.rooms.textures import Material

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
        plate = Material("hob", (0.05,) * 3, (0.25,) * 3, gloss=0.6)
        p.box((x - 0.29, x + 0.29), (0.03, d), (h - 0.01, h + 0.012), plate)
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
    p.cylinder(0, 0.43, (0.405, 0.455), (0.19, 0.25), enamel)
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
        p.cylinder(0, 0.28, (0.848, 0.872), (0.2, 0.15), replace(enamel, a=(0.4,) * 3))
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
        p.box((x - 0.03, x + 0.03), (0.2, 0.3), (0.1, 1.3), s.metal).box(
            (x - 0.02, x + 0.02), (0.2, 0.9), (0.9, 0.95), s.metal
        )
    return p.box((-0.35, 0.35), (0.15, 0.35), (1.2, 1.4), s.dark)


def weights(s: Style) -> Piece:
    p = Piece().box((-0.7, 0.7), (0.1, 0.5), (0.4, 0.48), s.cloth)
    legs(p, 0.6, (0.15, 0.45), 0.4, 0.03, s.metal)
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
    p = (
        Piece()
        .box((-w, w), (0.55, 0.65), (0, 1.1), s.fronted("panels", 0.8))
        .box((-w, w), (0.5, 0.8), (1.1, 1.14), s.wood)
    )
    p.box((-w, w), (0, 0.6), (0.7, 0.74), s.wood)
    return p.put(display(s, 0.5, 0.5), s.rng.uniform(-0.4, 0.4), 0.35, 0.74, np.pi)
