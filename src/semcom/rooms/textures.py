"""Procedural textures: the albedo of a surface point from its texture coordinates.

A texture is a function of `Patch` (coordinates and the material's parameters, one row per point) to albedo
(N, 3). Coordinates u, v are metres on the surface (v points up on walls and fronts), un, vn run from 0 to 1 across
the face. Everything is drawn from one fixed table of random numbers, so a material looks the same in each frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_TABLE = np.random.default_rng(20120701).random((256, 256), dtype=np.float32)


@dataclass(frozen=True)
class Material:
    """Texture name, two colours (linear RGB), texture size in metres, gloss 0 to 1, emission, pattern seed."""

    texture: str
    a: tuple[float, float, float]
    b: tuple[float, float, float] = (0.1, 0.1, 0.1)
    scale: float = 0.1
    gloss: float = 0.0
    emission: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Patch:
    """Points to be textured: u, v, un, vn, scale (N,), seed (N,) int, colours a and b (N, 3)."""

    u: np.ndarray
    v: np.ndarray
    un: np.ndarray
    vn: np.ndarray
    scale: np.ndarray
    seed: np.ndarray
    a: np.ndarray
    b: np.ndarray


def _cell(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """A random number in [0, 1) per integer cell."""
    i, j = i.astype(np.int32), j.astype(np.int32)
    return _TABLE[(i * 7 + j * 31) & 255, (i * 53 + j) & 255]


def _noise(x: np.ndarray, y: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Smooth value noise in [0, 1) with one knot per unit."""
    i, j = np.floor(x), np.floor(y)
    fx, fy = x - i, y - j
    i, j = i.astype(np.int32) + seed, j.astype(np.int32) + 17 * seed
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    low = _TABLE[i & 255, j & 255] * (1 - fx) + _TABLE[(i + 1) & 255, j & 255] * fx
    high = _TABLE[i & 255, (j + 1) & 255] * (1 - fx) + _TABLE[(i + 1) & 255, (j + 1) & 255] * fx
    return low * (1 - fy) + high * fy


def _mix(p: Patch, m: np.ndarray) -> np.ndarray:
    return p.a + (p.b - p.a) * m[:, None]


def _near_edge(x: np.ndarray, margin: np.ndarray | float) -> np.ndarray:
    return (x < margin) | (x > 1 - margin)


def plain(p: Patch) -> np.ndarray:
    return p.a * (0.92 + 0.12 * _noise(p.u * 3, p.v * 3, p.seed))[:, None]


def wood(p: Patch) -> np.ndarray:
    """Grain along u, streaks of width `scale`."""
    grain = _noise(p.u * 2, p.v / p.scale, p.seed) * 0.6 + _noise(p.u * 5, p.v * 3 / p.scale, p.seed + 9) * 0.4
    return _mix(p, grain)


def planks(p: Patch) -> np.ndarray:
    """Floor boards of width `scale`, staggered."""
    row = np.floor(p.v / p.scale)
    along = p.u / (8 * p.scale) + _cell(row, p.seed)
    board = _cell(row + 3 * p.seed, np.floor(along))
    grain = _noise(p.u * 3, p.v * 40, p.seed)
    gap = _near_edge(p.v / p.scale - row, 0.04) | _near_edge(along - np.floor(along), 0.006)
    return _mix(p, 0.65 * board + 0.35 * grain) * np.where(gap, 0.5, 1.0)[:, None]


def tiles(p: Patch) -> np.ndarray:
    """Square tiles of side `scale` in a, grout in b."""
    x, y = p.u / p.scale, p.v / p.scale
    i, j = np.floor(x), np.floor(y)
    grout = _near_edge(x - i, 0.05) | _near_edge(y - j, 0.05)
    shade = 0.85 + 0.25 * _cell(i + p.seed, j)
    return np.where(grout[:, None], p.b, p.a * shade[:, None])


def checks(p: Patch) -> np.ndarray:
    parity = (np.floor(p.u / p.scale) + np.floor(p.v / p.scale)) % 2
    return _mix(p, parity)


def brick(p: Patch) -> np.ndarray:
    row = np.floor(p.v / p.scale)
    x = p.u / (3 * p.scale) + 0.5 * (row % 2)
    mortar = _near_edge(p.v / p.scale - row, 0.08) | _near_edge(x - np.floor(x), 0.03)
    shade = 0.7 + 0.5 * _cell(np.floor(x) + p.seed, row)
    return np.where(mortar[:, None], p.b, p.a * shade[:, None])


def fabric(p: Patch) -> np.ndarray:
    weave = _noise(p.u * 60, p.v * 60, p.seed)
    folds = _noise(p.u / p.scale, p.v / p.scale, p.seed + 5)
    return p.a * (0.8 + 0.1 * weave + 0.25 * folds)[:, None]


def stripes(p: Patch) -> np.ndarray:
    return _mix(p, (p.u / p.scale % 1.0 < 0.45) * 1.0)


def folds(p: Patch) -> np.ndarray:
    """A hanging cloth: soft vertical folds of width `scale`."""
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * p.u / p.scale + 3 * _noise(p.u * 4, p.v, p.seed))
    return _mix(p, 0.3 * (_noise(p.u * 12, p.v * 12, p.seed) > 0.6)) * (0.55 + 0.45 * wave)[:, None]


def blotches(p: Patch) -> np.ndarray:
    """Large two-coloured patches, as on rugs, quilts and clothes."""
    m = _noise(p.u / p.scale, p.v / p.scale, p.seed) * 0.7 + _noise(3 * p.u / p.scale, 3 * p.v / p.scale, p.seed) * 0.3
    return _mix(p, (m > 0.5) * 0.8 + 0.1)


def rug(p: Patch) -> np.ndarray:
    border = _near_edge(p.un, 0.08) | _near_edge(p.vn, 0.08)
    figure = _noise(np.abs(p.un - 0.5) * 10, np.abs(p.vn - 0.5) * 10, p.seed) > 0.55
    return _mix(p, np.where(border, 1.0, figure * 0.6))


def books(p: Patch) -> np.ndarray:
    """A row of spines of mean width `scale` on a board, gaps above the shorter ones."""
    x = p.u / p.scale + 0.35 * np.sin(p.u * 19 / p.scale / 5 + p.seed)
    i = np.floor(x)
    height = 0.65 + 0.35 * _cell(i, 3 * p.seed + 1)
    rgb = np.stack([_cell(i + k * 11, p.seed + 40 * k) for k in range(3)], 1)
    colour = 0.55 * rgb * rgb + 0.45 * _mix(p, _cell(i, p.seed + 7))
    label = (np.abs(p.vn - 0.25 - 0.4 * _cell(i, p.seed + 2)) < 0.06) & (_cell(i, p.seed + 5) > 0.4)
    shade = np.where(_near_edge(x - i, 0.09), 0.35, 1.0) * np.where(p.vn > height, 0.12, 1.0)
    return np.where(label[:, None], 0.7, colour) * shade[:, None]


def goods(p: Patch) -> np.ndarray:
    """A wall of packages or covers: one colour per cell of side `scale`."""
    i, j = np.floor(p.u / p.scale), np.floor(p.v / (1.4 * p.scale))
    edge = _near_edge(p.u / p.scale - i, 0.07) | _near_edge(p.v / (1.4 * p.scale) - j, 0.07)
    rgb = np.stack([_cell(i + k * 5 + p.seed, j + 9 * k) for k in range(3)], 1)
    return np.where(edge[:, None], 0.15, 0.6 * rgb + 0.4 * _mix(p, _cell(i + p.seed, j)))


def panels(p: Patch) -> np.ndarray:
    """Doors or drawers about `scale` wide in a, with dark gaps and a handle in b."""
    count = np.maximum(1.0, np.round(p.u / np.maximum(p.un, 1e-3) / p.scale))
    x = p.un * count
    x = x - np.floor(x)
    gap = _near_edge(x, 0.03) | _near_edge(p.vn, 0.02)
    handle = (np.abs(x - 0.86) < 0.035) & (np.abs(p.vn - 0.6) < 0.12)
    frame = _near_edge(x, 0.14) | _near_edge(p.vn, 0.1)
    shade = np.where(frame, 1.0, 0.85) * (0.9 + 0.15 * _noise(p.u * 3, p.v * 25, p.seed))
    return np.where(handle[:, None], p.b, p.a * np.where(gap, 0.25, shade)[:, None])


def drawers(p: Patch) -> np.ndarray:
    """Stacked drawers about `scale` high in a, a handle in b on each."""
    count = np.maximum(1.0, np.round(p.v / np.maximum(p.vn, 1e-3) / p.scale))
    y = p.vn * count
    y = y - np.floor(y)
    gap = _near_edge(y, 0.05) | _near_edge(p.un, 0.02)
    handle = (np.abs(y - 0.6) < 0.07) & (np.abs(p.un - 0.5) < 0.15)
    return np.where(handle[:, None], p.b, p.a * np.where(gap, 0.25, 0.95)[:, None])


def oven(p: Patch) -> np.ndarray:
    """An appliance's front: dark pane below, a row of knobs above."""
    pane = (np.abs(p.un - 0.5) < 0.36) & (p.vn > 0.15) & (p.vn < 0.68)
    knob = (p.vn > 0.84) & (p.vn < 0.93) & ((p.un * 6) % 1 < 0.4) & (p.un > 0.1) & (p.un < 0.9)
    bar = (np.abs(p.vn - 0.75) < 0.02) & (np.abs(p.un - 0.5) < 0.4)
    return np.where((pane | knob | bar)[:, None], p.b, p.a)


def hob(p: Patch) -> np.ndarray:
    x, y = p.un * 2 % 1 - 0.5, p.vn * 2 % 1 - 0.5
    r = np.sqrt(x * x + y * y)
    return _mix(p, ((r < 0.34) & (r > 0.1)) * 1.0)


def porthole(p: Patch) -> np.ndarray:
    """A washing machine's front."""
    r = np.hypot(p.un - 0.5, (p.vn - 0.45) * 1.2)
    panel = (p.vn > 0.86) & (p.un % 0.25 < 0.1)
    return np.where(((r < 0.26) | panel)[:, None], p.b, p.a * np.where(r < 0.32, 0.6, 1.0)[:, None])


def board(p: Patch) -> np.ndarray:
    """A writing board in a with lines of handwriting and a sketch in b, smears between them."""
    row = np.floor(p.v / 0.12)
    line = np.abs(p.v / 0.12 - row - 0.5 - 0.2 * (_noise(p.u * 25, row, p.seed) - 0.5)) < 0.17
    written = (_noise(p.u * 30, row * 3, p.seed + 3) > 0.4) & (_noise(p.u * 1.3, row / 2, p.seed + 1) > 0.5)
    sketch = np.abs(_noise(p.u * 2.5, p.v * 2.5, p.seed + 8) - 0.5) < 0.02
    m = np.where(_near_edge(p.vn, 0.06), 0.0, (line & written) * 0.8 + sketch * 0.6)
    return _mix(p, np.clip(m + 0.12 * _noise(p.u * 2, p.v * 2, p.seed + 2), 0, 1))


def screen(p: Patch) -> np.ndarray:
    """A lit display: windows and text, or a picture, in a bezel."""
    bezel = _near_edge(p.un, 0.04) | _near_edge(p.vn, 0.06)
    block = _cell(np.floor(p.un * 3) + p.seed, np.floor(p.vn * 3))
    text = (p.vn * 18 % 1 < 0.5) & (_noise(p.un * 30, np.floor(p.vn * 18), p.seed) > 0.45) & (block > 0.3)
    colour = _mix(p, block) * np.where(text, 0.35, 1.0)[:, None]
    return np.where(bezel[:, None], 0.02, colour)


def picture(p: Patch) -> np.ndarray:
    """A framed painting or poster; the frame is b."""
    level = np.floor(5 * _noise(p.un * 3 + p.seed, p.vn * 3, p.seed))
    rgb = np.stack([_cell(level + 13 * k, p.seed + k) for k in range(3)], 1)
    frame = _near_edge(p.un, 0.07) | _near_edge(p.vn, 0.07)
    return np.where(frame[:, None], p.b, 0.5 * p.a + 0.5 * rgb)


def window(p: Patch) -> np.ndarray:
    """A view of sky a above something b, with mullions."""
    bars = _near_edge(p.un, 0.05) | _near_edge(p.vn, 0.05) | (np.abs(p.un - 0.5) < 0.025)
    skyline = 0.2 + 0.5 * _noise(p.un * 6, 0 * p.un, p.seed)
    view = np.where((p.vn < skyline)[:, None], p.b * (0.6 + 0.6 * _noise(p.un * 14, p.vn * 14, p.seed))[:, None], p.a)
    return np.where(bars[:, None], 0.35, view)


def blinds(p: Patch) -> np.ndarray:
    return _mix(p, (p.v / p.scale % 1.0 < 0.4) * 1.0)


def mirror(p: Patch) -> np.ndarray:
    """What a mirror might show: a blurred room."""
    frame = _near_edge(p.un, 0.04) | _near_edge(p.vn, 0.04)
    haze = _noise(p.un * 3, p.vn * 2, p.seed)
    return np.where(frame[:, None], 0.4 * p.b, _mix(p, haze))


def leaves(p: Patch) -> np.ndarray:
    return _mix(p, (_noise(p.u * 30, p.v * 30, p.seed) > 0.5) * 1.0)


def papers(p: Patch) -> np.ndarray:
    """Sheets pinned or lying on a ground in b."""
    i, j = np.floor(p.u / p.scale), np.floor(p.v / p.scale)
    x, y = p.u / p.scale - i, p.v / p.scale - j
    there = _cell(i + p.seed, j) > 0.45
    sheet = there & (np.abs(x - 0.5) < 0.36) & (np.abs(y - 0.5) < 0.42)
    line = (y * 9 % 1 < 0.4) & (np.abs(x - 0.5) < 0.28)
    return np.where(sheet[:, None], p.a * np.where(line, 0.55, 1.0)[:, None], p.b)


_TEXTURES: tuple[Callable[[Patch], np.ndarray], ...] = (
    plain, wood, planks, tiles, checks, brick, fabric, stripes, folds, blotches, rug, books, goods, panels, drawers,
    oven, hob, porthole, board, screen, picture, window, blinds, mirror, leaves, papers,
)  # fmt: skip
_INDEX = {texture.__name__: i for i, texture in enumerate(_TEXTURES)}


class MaterialTable:
    """The materials of a world, packed into arrays."""

    def __init__(self, materials: list[Material]) -> None:
        self._kind = np.array([_INDEX[m.texture] for m in materials], np.int8)
        self._a = np.array([m.a for m in materials], np.float32)
        self._b = np.array([m.b for m in materials], np.float32)
        self._scale = np.array([m.scale for m in materials], np.float32)
        self._gloss = np.array([m.gloss for m in materials], np.float32)
        self._emission = np.array([m.emission for m in materials], np.float32)
        self._seed = np.array([m.seed for m in materials], np.int32)

    def evaluate(
        self, index: np.ndarray, u: np.ndarray, v: np.ndarray, un: np.ndarray, vn: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Albedo (N, 3), gloss (N,) and emission (N,) of points with material `index` (N,)."""
        kind = self._kind[index]
        albedo = np.empty((len(index), 3), np.float32)
        for k in np.flatnonzero(np.bincount(kind, minlength=len(_TEXTURES))):
            at = np.flatnonzero(kind == k)
            i = index[at]
            patch = Patch(u[at], v[at], un[at], vn[at], self._scale[i], self._seed[i], self._a[i], self._b[i])
            albedo[at] = _TEXTURES[k](patch)
        return albedo, self._gloss[index], self._emission[index]
