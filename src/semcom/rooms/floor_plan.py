"""A room under construction: its shell, and furniture placed along its walls and on its floor without collisions."""

from collections.abc import Callable

import numpy as np

from semcom.rooms import furniture as f
from semcom.rooms.furniture import Piece
from semcom.rooms.raycast import Solid
from semcom.rooms.room_style import HOMELY, Style, Taste, hsv
from semcom.rooms.textures import Material

WALL_YAW = (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)


class Plan:
    """A room under construction: its shell, the solids so far, and what a photographer would look at."""

    def __init__(
        self,
        rng: np.random.Generator,
        width: tuple,
        depth: tuple,
        height: tuple = (2.4, 2.9),
        taste: Taste = HOMELY,
    ) -> None:
        self.rng = rng
        self.style = Style(rng, taste)
        self.size = (rng.uniform(*width), rng.uniform(*depth), rng.uniform(*height))
        self.solids: list[Solid] = []
        self.subjects: list[tuple[np.ndarray, float]] = []  # where to look, and how gladly
        self.windows: list[np.ndarray] = []
        self._taken: list[np.ndarray] = []
        wall = self._wall()
        walls = [wall if rng.random() < 0.85 else self._wall() for _ in range(4)]
        ceiling = Material("plain", hsv(0.12, 0.05 * rng.random(), rng.uniform(0.55, 0.85)))
        self.shell = [*walls, self._floor(taste.floor), ceiling]

    def _wall(self) -> Material:
        rng, s = self.rng, self.style
        low, high, saturation = s.taste.wall
        colour = hsv(rng.uniform(low, high), saturation * rng.random(), rng.uniform(0.5, 0.85))
        darker = tuple(0.88 * c for c in colour)
        kind = rng.choice(["plain", "stripes", "blotches", "brick"], p=[0.83, 0.07, 0.05, 0.05])
        if kind == "stripes":
            return Material("stripes", colour, darker, scale=rng.uniform(0.1, 0.3))
        if kind == "blotches":
            return Material("blotches", colour, darker, scale=rng.uniform(0.1, 0.3), seed=s.seed())
        if kind == "brick":
            clay = hsv(0.04, rng.uniform(0, 0.6), rng.uniform(0.3, 0.6))
            return Material("brick", clay, (0.5, 0.5, 0.48), scale=0.075)
        return Material("plain", colour, seed=s.seed())

    def _floor(self, chances: tuple) -> Material:
        rng, s = self.rng, self.style
        kind = rng.choice(["planks", "fabric", "tiles", "plain"], p=chances)
        if kind == "planks":
            timber = s.timber()
            return Material("planks", timber.a, timber.b, scale=rng.uniform(0.07, 0.15), gloss=0.15, seed=s.seed())
        if kind == "tiles":
            return self.tiling((0.2, 0.5))
        return Material(str(kind), s.colour(0.25, (0.15, 0.5)), scale=0.5, seed=s.seed())

    def tiling(self, side: tuple[float, float]) -> Material:
        rng = self.rng
        colour = hsv(rng.random(), 0.35 * rng.random() ** 2, rng.uniform(0.3, 0.9))
        grout = (0.55, 0.55, 0.52) if rng.random() < 0.6 else tuple(0.5 * c for c in colour)
        return Material("tiles", colour, grout, scale=rng.uniform(*side), gloss=0.3, seed=self.style.seed())

    def tile_walls(self, side: tuple[float, float], chance: float) -> None:
        if self.rng.random() < chance:
            self.shell[:4] = [self.tiling(side)] * 4

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def put(
        self, piece: Piece, x: float, y: float, yaw: float = 0.0, z: float = 0.0, want: float = 1.0, force: bool = False
    ) -> bool:
        """Put a piece at (x, y); refused (False) if it leaves the room or meets another, unless forced."""
        placed = Piece().put(piece, x, y, z, yaw)
        low, high = placed.bounds()
        slack = 0.02
        if not force:
            if (low[:2] < -slack).any() or (high > np.array(self.size) + slack).any():
                return False
            for other in self._taken:
                if (low < other[1] - slack).all() and (high > other[0] + slack).all():
                    return False
        self._taken.append(np.array([low, high]))
        self.solids += placed.solids
        if want > 0:
            self.subjects.append(((low + high) / 2, want))
        return True

    def wall_place(self, wall: int, along: float) -> tuple[float, float, float]:
        """(x, y, yaw) of the point `along` metres on a wall, seen from its left end when facing the room."""
        w, d, _ = self.size
        return ((along, 0.0), (w, along), (w - along, d), (0.0, d - along))[wall] + (WALL_YAW[wall],)

    def wall_length(self, wall: int) -> float:
        return self.size[wall % 2]

    def against(
        self, piece: Piece, wall: int | None = None, want: float = 1.0, gap: float = 0.0, tries: int = 10
    ) -> bool:
        """Stand or hang a piece against a wall where it fits; False if it does not."""
        low, high = piece.bounds()
        for _ in range(tries):
            k = int(self.rng.integers(4)) if wall is None else wall
            room = self.wall_length(k) - (high[0] - low[0])
            if room < 0:
                continue
            along = -low[0] + room * self.rng.random()
            x, y, yaw = self.wall_place(k, along)
            if self.put(piece, x - gap * np.sin(yaw), y + gap * np.cos(yaw), yaw, want=want):
                return True
        return False

    def amid(self, piece: Piece, want: float = 1.0, tries: int = 10, turn: bool = True) -> bool:
        """Stand a piece somewhere on the floor."""
        for _ in range(tries):
            x, y = self.rng.uniform(0.2, 0.8) * self.size[0], self.rng.uniform(0.2, 0.8) * self.size[1]
            yaw = self.rng.uniform(0, 2 * np.pi) if turn else WALL_YAW[self.rng.integers(4)]
            if self.put(piece, x, y, yaw, want=want):
                return True
        return False

    def hang(self, x: float, y: float, drop: float) -> None:
        self.put(f.pendant(self.style, x, y, self.size[2], drop), 0, 0, want=0, force=True)

    def windows_and_doors(self, windows: float = 1.2) -> None:
        for _ in range(self.rng.poisson(windows)):
            k = int(self.rng.integers(4))
            x, y, yaw = self.wall_place(k, self.wall_length(k) * self.rng.uniform(0.2, 0.8))
            if self.put(f.window(self.style), x, y, yaw, want=0.08):
                self.windows.append(np.array([x - 0.5 * np.sin(yaw), y + 0.5 * np.cos(yaw), 1.6]))
        if self.chance(0.7):
            self.against(f.door(self.style), want=0.08)

    def niches(self) -> None:
        """Chimney breasts, columns and ducts: shape without meaning."""
        for _ in range(self.rng.poisson(0.6)):
            half, out = self.rng.uniform(0.15, 0.8), self.rng.uniform(0.15, 0.6)
            breast = Piece().box((-half, half), (0, out), (0, self.size[2]), self.shell[0])
            self.against(breast, want=0)

    def clutter(self, amount: float = 1.0) -> None:
        """What may stand in any room; `amount` scales the chances of all of it."""
        s = self.style
        shared: tuple[tuple[float, Callable[[], Piece]], ...] = (
            (0.16, lambda: f.sideboard(s)),
            (0.12, lambda: f.daybed(s)),
            (0.1, lambda: f.overhead(s, self.rng.uniform(0.5, 1.2))),
            (0.39, lambda: f.picture(s)),
            (0.26, lambda: f.picture(s)),
            (0.2, lambda: f.plant(s)),
            (0.16, lambda: f.floor_lamp(s)),
            (0.23, lambda: f.bin_(s)),
            (0.23, lambda: f.boxes(s)),
            (0.2, lambda: f.radiator(s)),
            (0.16, lambda: f.chair(s)),
            (0.13, lambda: f.bookshelf(s, self.rng.uniform(0.6, 1.0), self.rng.uniform(0.9, 2.0), fullness=0.6)),
            (0.1, lambda: f.pinboard(s)),
            (0.08, lambda: f.tv_stand(s)),
            (0.08, lambda: f.dresser(s)),
            (0.07, lambda: f.table(s, 1.0, 0.6, 0.74)),
        )
        self.niches()
        for probability, make in shared:
            if self.chance(probability * amount):
                self.against(make(), want=0.15)
        if self.chance(0.15 * amount):
            x, y = self.rng.uniform(0.25, 0.75) * self.size[0], self.rng.uniform(0.25, 0.75) * self.size[1]
            self.table_with_chairs(x, y, self.rng.uniform(0.7, 1.2), 0.75, self.rng.uniform(0, 3), want=0.5)

    def table_with_chairs(
        self, x: float, y: float, width: float, depth: float, yaw: float, office: bool = False, want: float = 3
    ) -> bool:
        s, rng = self.style, self.rng
        round_top = abs(width - depth) < 0.35 and self.chance(0.6)
        group = Piece().put(f.table(s, width, depth, rng.uniform(0.72, 0.77), round_top), 0, -depth / 2)
        for side in (1, -1):
            count = max(1, int(width / 0.62))
            for k in range(count):
                if self.chance(0.88):
                    at = (k + 0.5) / count * width - width / 2
                    turn = (0.0 if side < 0 else np.pi) + rng.normal(0, 0.15)
                    pull = depth / 2 + rng.uniform(0.05, 0.35)
                    group.put(f.chair(s, office), at, side * pull, 0, turn)
            if self.chance(0.5) and not round_top:
                turn = side * np.pi / 2 + rng.normal(0, 0.1)
                group.put(f.chair(s, office), side * (width / 2 + rng.uniform(0.1, 0.3)), 0, 0, turn)
        for _ in range(rng.integers(0, 4)):
            group.put(f.trinket(s), rng.uniform(-0.35, 0.35) * width, rng.uniform(-0.3, 0.3) * depth, 0.76)
        return self.put(group, x, y, yaw, want=want)
