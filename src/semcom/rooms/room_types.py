"""Rooms by scene type: which pieces stand where.

Rooms share most of their furniture with other types (chairs, tables, shelves, plants, lamps, pictures), as real ones
do.
"""

from collections.abc import Callable

import numpy as np

from semcom.rooms import furniture as f
from semcom.rooms import furniture_by_room as by_room
from semcom.rooms.floor_plan import WALL_YAW, Plan
from semcom.rooms.furniture import Piece
from semcom.rooms.room_style import COOKING, WET, WORK
from semcom.rooms.textures import Material


def bedroom(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.8, 4.8), (3.0, 5.0))
    s = r.style
    r.against(by_room.bed(s), int(rng.integers(4)), want=4, tries=20)
    for _ in range(2):
        if r.chance(0.7):
            r.against(by_room.nightstand(s), want=1)
    r.windows_and_doors()
    for probability, make in ((0.6, by_room.wardrobe), (0.5, f.dresser)):
        if r.chance(probability):
            r.against(make(s))
    if r.chance(0.2):
        r.against(by_room.desk(s, computer=r.chance(0.5), width=1.1), want=0.8)
    if r.chance(0.35):
        r.amid(f.rug(s, rng.uniform(1.2, 2.2), rng.uniform(1.0, 1.6)), want=0)
    r.clutter(0.8)
    return r


def kitchen(rng: np.random.Generator, office: bool = False) -> Plan:
    r = Plan(rng, (2.3, 4.6), (2.6, 5.0), taste=COOKING)
    s = r.style
    r.tile_walls((0.1, 0.2), 0.25)
    first = int(rng.integers(4))
    walls = [first] if office or r.chance(0.3) else [first, (first + int(rng.choice([1, 2, 3]))) % 4]
    for n, k in enumerate(walls):
        length = r.wall_length(k) * rng.uniform(0.55, 0.95) - (0.65 if n else 0.0)
        if length < 0.8:
            continue
        if (r.chance(0.75) and n == 0) or office:
            r.against(by_room.fridge(s), k, want=1.5)
        for width in (length, 0.75 * length, 0.5 * length):
            piece = by_room.counter(
                s, width, sink=n == 0 or r.chance(0.3), cooker=not office and (n == 0 or r.chance(0.3))
            )
            if r.against(piece, k, want=4):
                break
        for _ in range(2):
            if r.chance(0.8):
                r.against(f.overhead(s, rng.uniform(0.6, max(0.7, 0.6 * length))), k, want=1)
        if r.chance(0.35):
            r.against(by_room.hood(s), k, want=0.5)
    if r.chance(0.3):
        r.table_with_chairs(r.size[0] / 2, r.size[1] / 2, rng.uniform(0.8, 1.2), 0.75, rng.uniform(0, 3))
    if r.chance(0.15):
        r.amid(by_room.counter(s, rng.uniform(1.0, 1.5), False, False), want=1, turn=False)
    r.windows_and_doors(0.9)
    r.clutter(0.5)
    return r


def living_room(rng: np.random.Generator, lounge: bool = False) -> Plan:
    r = Plan(rng, (3.2, 5.6), (3.2, 5.8))
    s = r.style
    x, y, yaw = rng.uniform(0.4, 0.6) * r.size[0], rng.uniform(0.4, 0.6) * r.size[1], WALL_YAW[rng.integers(4)]
    if r.chance(0.5):
        r.put(f.rug(s, rng.uniform(1.8, 2.6), rng.uniform(1.4, 2.0)), x, y, yaw, want=0)
    if r.chance(0.75):
        r.put(by_room.coffee_table(s), x, y, yaw, want=1.5)
    for k in range(int(rng.integers(1, 3)) + lounge):
        seats = int(rng.integers(2, 4))
        if r.chance(0.5) or not r.against(by_room.sofa(s, seats), want=3):
            turn = yaw + k * np.pi / 2
            away = rng.uniform(1.0, 1.5)
            r.put(by_room.sofa(s, seats), x + away * 1.4 * np.sin(turn), y - away * 1.4 * np.cos(turn), turn, want=3)
    if r.chance(0.5):
        r.against(by_room.sofa(s, 1), want=1)
    if r.chance(0.6):
        r.against(f.tv_stand(s), want=2)
    if r.chance(0.35):
        r.against(f.bookshelf(s, rng.uniform(0.8, 1.8), rng.uniform(1.0, 2.2)), want=0.7)
    if r.chance(0.2):
        r.table_with_chairs(rng.uniform(0.2, 0.8) * r.size[0], rng.uniform(0.2, 0.8) * r.size[1], 1.2, 0.8, yaw)
    r.windows_and_doors(1.4)
    r.clutter(1.0)
    return r


def bathroom(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (1.9, 3.4), (2.1, 3.8), taste=WET)
    s = r.style
    r.tile_walls((0.1, 0.3), 0.65)
    pieces = [
        (0.85, by_room.bathtub, 2.0),
        (0.9, by_room.toilet, 3.0),
        (0.95, by_room.washbasin, 3.0),
        (0.5, by_room.towel, 0.6),
    ]
    for probability, make, want in pieces:
        if r.chance(probability):
            r.against(make(s), want=want, tries=25)
    r.windows_and_doors(0.5)
    if r.chance(0.25):
        r.against(by_room.washing_machine(s), want=0.5)
    if r.chance(0.4):
        r.amid(f.rug(s, 0.8, 0.5), want=0)
    r.clutter(0.35)
    return r


def dining_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.0, 5.2), (3.2, 5.5))
    s = r.style
    width, depth = rng.uniform(1.1, 2.1), rng.uniform(0.85, 1.15)
    x, y, yaw = r.size[0] * rng.uniform(0.42, 0.58), r.size[1] * rng.uniform(0.42, 0.58), rng.choice([0, np.pi / 2])
    if r.chance(0.35):
        r.put(f.rug(s, width + 1.2, depth + 1.2), x, y, yaw, want=0)
    if not r.table_with_chairs(x, y, width, depth, yaw):
        r.table_with_chairs(r.size[0] / 2, r.size[1] / 2, 1.1, 0.85, yaw)
    if r.chance(0.6):
        r.hang(x, y, rng.uniform(0.6, 1.0))
    for probability, make in ((0.5, f.dresser), (0.3, by_room.wardrobe)):
        if r.chance(probability):
            r.against(make(s), want=0.7)
    if r.chance(0.15):
        r.against(by_room.sofa(s, 2), want=0.6)
    r.windows_and_doors(1.4)
    r.clutter(0.9)
    return r


def _desk_place(r: Plan, computer: bool, office_chair: bool, clutter: int, want: float = 3.0) -> bool:
    s, rng = r.style, r.rng
    group = by_room.desk(s, computer, rng.uniform(1.1, 1.7), clutter)
    group.put(f.chair(s, office_chair), rng.uniform(-0.25, 0.25), rng.uniform(0.9, 1.2), 0, np.pi + rng.normal(0, 0.4))
    return r.against(group, want=want)


def office(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.7, 5.2), (2.7, 5.2), taste=WORK)
    s = r.style
    for _ in range(int(rng.integers(1, 5))):
        _desk_place(r, computer=r.chance(0.85), office_chair=r.chance(0.9), clutter=int(rng.integers(2, 7)))
    if r.chance(0.3):
        screen = Material("fabric", s.colour(0.3), scale=0.5, seed=s.seed())
        r.amid(Piece().box((-0.9, 0.9), (-0.03, 0.03), (0, rng.uniform(1.2, 1.6)), screen), want=0, turn=False)
    for probability in (0.7, 0.4):
        if r.chance(probability):
            r.against(by_room.filing_cabinet(s), want=0.8)
    if r.chance(0.6):
        r.against(f.bookshelf(s, rng.uniform(0.8, 1.2), rng.uniform(1.2, 2.2), fullness=0.7), want=0.8)
    if r.chance(0.35):
        r.against(by_room.writing_board(s, rng.uniform(1.0, 2.0), dark=False), want=0.7)
    r.windows_and_doors(1.2)
    r.clutter(0.8)
    return r


def home_office(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.3, 4.2), (2.4, 4.4), (2.3, 2.7))
    s = r.style
    _desk_place(r, computer=r.chance(0.9), office_chair=r.chance(0.6), clutter=int(rng.integers(2, 6)))
    for probability in (0.8, 0.3):
        if r.chance(probability):
            r.against(f.bookshelf(s, rng.uniform(0.7, 1.4), rng.uniform(1.2, 2.2)), want=1)
    if r.chance(0.3):
        r.against(by_room.sofa(s, int(rng.integers(1, 3))), want=0.8)
    if r.chance(0.5):
        r.amid(f.rug(s, rng.uniform(1.0, 1.8), rng.uniform(0.9, 1.3)), want=0)
    r.windows_and_doors(1.2)
    r.clutter(1.1)
    return r


def _rows(r: Plan, make: Callable[[], Piece], across: float, along: float, front: float, want: float) -> None:
    """Rows of pieces facing the wall y = 0, the first `front` metres from it."""
    w, d, _ = r.size
    margin = r.rng.uniform(0.7, 1.1)
    for y in np.arange(front, d - 1.6, along):
        for x in np.arange(margin, w - margin + 0.1, across):
            if r.chance(0.93):
                r.put(make(), x + r.rng.normal(0, 0.04), y + r.rng.normal(0, 0.04), r.rng.normal(0, 0.03), want=want)


def classroom(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (4.6, 7.5), (5.2, 8.0), (2.5, 3.2), taste=WORK)
    s = r.style
    dark = r.chance(0.5)
    x, y, yaw = r.wall_place(0, r.size[0] / 2)
    r.put(by_room.writing_board(s, rng.uniform(2.2, min(4.5, r.size[0] - 1.0)), dark), x, y, yaw, want=5)
    if r.chance(0.5):
        r.put(by_room.desk(s, computer=r.chance(0.3)), r.size[0] * rng.uniform(0.25, 0.75), 1.0, 0.0, want=0.5)
    r.windows_and_doors(2.5)
    if r.chance(1 / 3):  # chairs only, as in a lecture room
        chairs = lambda: Piece().put(f.chair(s), yaw=np.pi)  # noqa: E731
        _rows(r, chairs, rng.uniform(0.6, 0.75), rng.uniform(0.9, 1.1), 2.4, want=0.3)
    else:
        _rows(r, lambda: by_room.student_desk(s), rng.uniform(1.3, 1.6), rng.uniform(1.35, 1.6), 2.4, want=0.4)
    r.clutter(0.5)
    return r


def bookstore(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.6, 7.0), (4.0, 7.5), (2.4, 3.2), taste=WORK)
    s = r.style
    height = rng.uniform(1.7, 2.4)
    if r.chance(0.75):
        gap = rng.uniform(1.3, 1.9)
        for x in np.arange(0.9, r.size[0] - 0.6, gap + 0.6):
            for y in np.arange(1.2, r.size[1] - 1.4, rng.uniform(1.6, 2.2)):
                for yaw in (np.pi / 2, -np.pi / 2):  # back to back
                    r.put(f.bookshelf(s, 1.4, height * rng.uniform(0.7, 1.0), 0.3, 0.97), x + 0.3, y, yaw, want=1)
    for _ in range(int(rng.integers(4, 9))):
        r.against(f.bookshelf(s, rng.uniform(1.0, 2.0), height, 0.3, 0.97), want=1.5)
    for _ in range(int(rng.integers(1, 4))):
        r.amid(by_room.display_table(s), want=1, turn=False)
    r.windows_and_doors(0.7)
    r.clutter(0.6)
    return r


# ---- scene types that count as `others`


def playroom(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.0, 5.0), (3.0, 5.5))
    s = r.style
    mat = Material("checks", s.colour(0.9), s.colour(0.9), scale=0.35)
    r.put(Piece().box((-1.2, 1.2), (-1.0, 1.0), (0, 0.02), mat), r.size[0] / 2, r.size[1] / 2, want=0)
    for _ in range(4):
        r.amid(by_room.toys(s), want=2)
    r.against(by_room.goods_rack(s, rng.uniform(1.0, 1.8), 0.95), want=1)
    small = Piece().put(f.table(s, 0.8, 0.55, 0.45)).box((-0.1, 0.2), (0.75, 1.0), (0, 0.28), s.paint(0.9))
    r.amid(small, want=1)
    if r.chance(0.4):
        r.against(by_room.sofa(s, 2), want=0.5)
    r.windows_and_doors()
    r.clutter(0.8)
    return r


def furniture_store(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (5.0, 8.0), (5.0, 8.0), (2.6, 3.4), taste=WORK)
    s = r.style
    makers = (
        lambda s: by_room.sofa(s, int(rng.integers(1, 4))),
        lambda s: f.table(s, 1.5, 0.9, 0.75),
        *(by_room.bed, by_room.wardrobe, by_room.coffee_table, by_room.nightstand, f.dresser, f.chair, f.floor_lamp),
    )
    for _ in range(18):
        r.style.cloth, r.style.wood = s.textile(), s.timber()
        r.amid(makers[rng.integers(len(makers))](s), want=1)
    for _ in range(5):
        r.against(makers[rng.integers(len(makers))](s), want=1)
    r.clutter(1.0)
    return r


def reception_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.5, 6.0), (3.5, 6.0), taste=WORK)
    s = r.style
    r.against(by_room.reception_desk(s), want=3, gap=0.4)
    for _ in range(int(rng.integers(1, 4))):
        r.against(by_room.sofa(s, int(rng.integers(1, 3))), want=1)
    if r.chance(0.5):
        r.amid(by_room.coffee_table(s), want=0.5)
    for _ in range(2):
        r.against(f.plant(s), want=0.5)
    r.windows_and_doors()
    r.clutter(0.8)
    return r


def conference_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.8, 5.5), (4.5, 7.0), taste=WORK)
    s = r.style
    x, y = r.size[0] / 2, r.size[1] / 2
    r.table_with_chairs(x, y, r.size[1] * rng.uniform(0.45, 0.6), rng.uniform(1.1, 1.4), np.pi / 2, office=True)
    if r.chance(0.7):
        r.against(by_room.writing_board(s, rng.uniform(1.5, 2.5), dark=False), want=1)
    r.windows_and_doors()
    r.clutter(0.6)
    return r


def foyer(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.4, 4.0), (3.0, 5.5), (2.5, 3.4))
    s = r.style
    if r.chance(0.7):
        r.against(by_room.stairs(s), want=3)
    for make, probability in (
        (by_room.coat_rack, 0.7),
        (by_room.bench, 0.6),
        (f.door, 0.9),
        (f.door, 0.6),
        (f.plant, 0.5),
    ):
        if r.chance(probability):
            r.against(make(s), want=1)
    if r.chance(0.5):
        r.amid(f.rug(s, 1.0, 1.8), want=0)
    r.clutter(0.6)
    return r


def laundry_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.0, 3.2), (2.2, 3.6), taste=WET)
    s = r.style
    wall = int(rng.integers(4))
    for _ in range(int(rng.integers(2, 4))):
        r.against(by_room.washing_machine(s), wall, want=3)
    r.against(f.overhead(s, 1.2), wall, want=1)
    if r.chance(0.5):
        r.against(by_room.counter(s, 1.2, True, False), want=1)
    for _ in range(2):
        r.against(f.bin_(s), want=0.5)
    r.clutter(0.9)
    return r


def computer_lab(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (5.0, 8.0), (5.0, 8.0), taste=WORK)
    s = r.style

    def place() -> Piece:
        return by_room.desk(s, True, 1.2, 1).put(f.chair(s, True), 0.0, 1.0, 0, np.pi + rng.normal(0, 0.3))

    _rows(r, place, 1.3, 1.7, 1.0, want=1)
    r.windows_and_doors()
    r.clutter(0.5)
    return r


def cafe(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (4.5, 7.0), (4.5, 7.5), (2.6, 3.4))
    s = r.style
    for _ in range(6):
        x, y = rng.uniform(0.2, 0.8) * r.size[0], rng.uniform(0.2, 0.8) * r.size[1]
        r.table_with_chairs(x, y, 0.7, 0.7, rng.uniform(0, 3))
    r.against(by_room.reception_desk(s), want=1, gap=0.5)
    for _ in range(3):
        r.hang(rng.uniform(0.2, 0.8) * r.size[0], rng.uniform(0.2, 0.8) * r.size[1], rng.uniform(0.5, 0.9))
    r.windows_and_doors(2)
    r.clutter(0.6)
    return r


def excercise_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (3.0, 5.0), (3.0, 5.5), taste=WORK)
    s = r.style
    for make in (by_room.treadmill, by_room.weights, by_room.treadmill, by_room.bench):
        if r.chance(0.8):
            r.against(make(s), want=2)
    r.amid(f.rug(s, 0.6, 1.7), want=0)
    r.windows_and_doors()
    r.clutter(0.7)
    return r


def home_storage(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.2, 4.0), (2.4, 4.5))
    s = r.style
    for _ in range(3):
        r.against(by_room.goods_rack(s, rng.uniform(0.9, 1.6), rng.uniform(1.4, 2.0)), want=2)
    for _ in range(8):
        r.against(f.boxes(s), want=1)
    r.clutter(0.8)
    return r


def printer_room(rng: np.random.Generator) -> Plan:
    r = Plan(rng, (2.4, 4.0), (2.4, 4.0), taste=WORK)
    s = r.style
    for make, probability in (
        (by_room.copier, 1.0),
        (by_room.copier, 0.5),
        (by_room.filing_cabinet, 0.7),
        (f.pinboard, 0.6),
    ):
        if r.chance(probability):
            r.against(make(s), want=2)
    r.against(by_room.goods_rack(s, 1.0, 1.8), want=1)
    r.windows_and_doors(0.6)
    r.clutter(0.8)
    return r


PLANS: dict[str, Callable[[np.random.Generator], Plan]] = {
    "bedroom": bedroom,
    "kitchen": kitchen,
    "living_room": living_room,
    "bathroom": bathroom,
    "dining_room": dining_room,
    "office": office,
    "home_office": home_office,
    "classroom": classroom,
    "bookstore": bookstore,
    "playroom": playroom,
    "furniture_store": furniture_store,
    "study": home_office,
    "reception_room": reception_room,
    "office_kitchen": lambda rng: kitchen(rng, office=True),
    "basement": home_storage,
    "computer_lab": computer_lab,
    "cafe": cafe,
    "conference_room": conference_room,
    "home_storage": home_storage,
    "student_lounge": lambda rng: living_room(rng, lounge=True),
    "foyer": foyer,
    "excercise_room": excercise_room,
    "laundry_room": laundry_room,
    "printer_room": printer_room,
}

# Scenes of each rendered type among `others` in NYU Depth V2; study_room, dinette and indoor_balcony are left out.
OTHERS_PUBLISHED = {
    "playroom": 31,
    "furniture_store": 27,
    "study": 25,
    "reception_room": 17,
    "office_kitchen": 10,
    "basement": 7,
    "computer_lab": 6,
    "cafe": 5,
    "conference_room": 5,
    "home_storage": 5,
    "student_lounge": 5,
    "foyer": 4,
    "excercise_room": 3,
    "laundry_room": 3,
    "printer_room": 3,
}
