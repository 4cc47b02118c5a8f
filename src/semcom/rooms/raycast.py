"""Vectorised ray casting of furnished rooms: boxes, elliptic cylinders and ellipsoids inside a box-shaped shell.

World axes: x and y span the floor, z points up; lengths are metres. The room's shell occupies
[0, width] x [0, depth] x [0, height] and is seen from the inside. A solid is the unit cube [-1, 1]^3, the unit
cylinder or the unit ball under an affine map, so that one matrix product takes all rays to all solids, and an
intersection is an interval (near, far) of the ray parameter t.

`render` gives linear radiance and a `Surface` (metric depth along the optical axis, angle of incidence, gloss)
which `depth_camera.py` turns into what a structured-light camera reports.
"""

from dataclasses import dataclass, field

import numpy as np

from semcom.rooms.textures import Material, MaterialTable

BOX, CYLINDER, ELLIPSOID = 0, 1, 2

# Rays are traced in square tiles: it bounds memory, and a narrow cone of rays meets few solids.
TILE = 32

# The first sample is the pixel's centre (depth is taken there); three distinct rows and columns smooth the edges that
# rooms are full of, upright and level ones.
SAMPLE_OFFSETS = np.array([(0.0, 0.0), (1 / 3, 1 / 3), (-1 / 3, -1 / 3)], np.float32)
LAMP_OFFSETS = np.array([(0.0, 0.0, 0.3), (0.9, 0.4, -0.1), (-0.9, -0.4, -0.2)], np.float32)  # of the lamp's radius

# A shadow ray must be blocked before this share of its way to the lit point, else a point would shade itself.
SHADOW_REACH = 0.996


@dataclass(frozen=True)
class Solid:
    """One solid: `rotation` (3, 3) takes its axes to the world's; `half` (3,) are half its sides in metres."""

    shape: int
    centre: np.ndarray
    half: np.ndarray
    material: Material
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))


@dataclass(frozen=True)
class Light:
    """A small spherical lamp at `position` (3,) with `colour` (3,) at one metre, and an `ambient` (3,) term."""

    position: np.ndarray
    colour: np.ndarray
    ambient: np.ndarray
    radius: float = 0.12


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: yaw turns left from +y, pitch upwards; `fov` is the longer side's angle. All radians."""

    position: np.ndarray
    yaw: float
    pitch: float
    fov: float

    def focal(self, width: int, height: int) -> float:
        """Focal length in pixels; pixels are square, so the shorter side sees less."""
        return 0.5 * max(width, height) / np.tan(0.5 * self.fov)

    def axes(self) -> np.ndarray:
        """Rows right, down, forward (3, 3), unit vectors in world axes."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        return np.array([(cy, sy, 0), (-sy * sp, cy * sp, -cp), (-sy * cp, cy * cp, sp)])

    def rays(self, width: int, height: int, offset: np.ndarray = SAMPLE_OFFSETS[0]) -> np.ndarray:
        """Directions (height, width, 3) scaled to one metre along the optical axis: then t is metric depth."""
        right, down, forward = self.axes().astype(np.float32)
        f = np.float32(self.focal(width, height))
        x = (np.arange(width, dtype=np.float32) + 0.5 + offset[0] - width / 2) / f
        y = (np.arange(height, dtype=np.float32) + 0.5 + offset[1] - height / 2) / f
        return forward + x[None, :, None] * right + y[:, None, None] * down


class World:
    """Solids inside a shell, packed into arrays.

    Args:
        size: the shell's (width, depth, height) in metres.
        shell: materials of its six faces: x = 0, x = width, y = 0, y = depth, floor, ceiling.
        solids: P solids, none of which may hold a camera or the light.
    """

    def __init__(self, size: tuple[float, float, float], shell: list[Material], solids: list[Solid]) -> None:
        self.size = np.asarray(size, np.float32)
        self.shape = np.array([s.shape for s in solids], np.int8)
        order = np.argsort(self.shape, kind="stable")  # shapes are contiguous: one slice per formula
        solids = [solids[i] for i in order]
        self.shape = self.shape[order]
        p = len(solids)
        self.centre = np.array([s.centre for s in solids], np.float32).reshape(p, 3)
        self.half = np.array([s.half for s in solids], np.float32).reshape(p, 3)
        rotation = np.array([s.rotation for s in solids], np.float32).reshape(p, 3, 3)
        self.to_unit = rotation.transpose(0, 2, 1) / self.half[:, :, None]
        self.radius = np.linalg.norm(self.half, axis=1)
        self.materials = MaterialTable([*(s.material for s in solids), *shell])

    def holds(self, point: np.ndarray, margin: float = 0.0) -> bool:
        """Whether a point (3,) lies in the bounding box of a solid, widened by `margin` metres."""
        local = np.einsum("pij,pj->pi", self.to_unit, point - self.centre) * self.half
        return bool((np.abs(local) < self.half + margin).all(1).any())

    def subset_in_cone(self, origin: np.ndarray, axis: np.ndarray, cos_half: float, reach: float) -> np.ndarray:
        """Indices of the solids whose bounding ball meets a cone of rays from `origin` no longer than `reach`."""
        to = self.centre - origin
        distance = np.sqrt((to * to).sum(1))
        sin_ball = self.radius / np.maximum(distance, 1e-6)
        # cos(a + b) with a the cone's and b the ball's half angle; a ball around the origin is always met
        cos_ball = np.sqrt(np.maximum(0.0, 1.0 - sin_ball * sin_ball))
        limit = cos_half * cos_ball - np.sqrt(max(0.0, 1.0 - cos_half * cos_half)) * sin_ball
        meets = (sin_ball >= 1.0) | ((to @ axis) / np.maximum(distance, 1e-6) >= limit)
        return np.flatnonzero(meets & (distance - self.radius <= reach))

    def nearest(self, origin: np.ndarray, rays: np.ndarray, subset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First hit of rays (N, 3) with the solids in `subset`: t (N,), inf where none, and the solid's index (N,)."""
        n = len(rays)
        if not len(subset):
            return np.full(n, np.inf, np.float32), np.zeros(n, np.intp)
        to_unit = self.to_unit[subset]
        o = (to_unit @ (origin - self.centre[subset])[:, :, None]).astype(np.float32)  # (P, 3, 1)
        d = (to_unit.reshape(-1, 3) @ rays.T).reshape(-1, 3, n)  # (P, 3, N)
        d[np.abs(d) < 1e-7] = 1e-7
        cut = np.searchsorted(self.shape[subset], [CYLINDER, ELLIPSOID])
        near, far = [], []
        for part, interval in zip(np.split(np.arange(len(subset)), cut), (_slabs, _cylinder, _ball), strict=True):
            if len(part):
                lo, hi = interval(o[part[0] : part[-1] + 1], d[part[0] : part[-1] + 1])
                near.append(lo)
                far.append(hi)
        near, far = np.concatenate(near), np.concatenate(far)
        near[(near > far) | (near < 1e-4)] = np.inf
        first = near.argmin(0)
        return near[first, np.arange(n)], subset[first]

    def leave_shell(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Where rays (N, 3) from inside the shell reach it: t (N,)."""
        safe = np.where(np.abs(rays) < 1e-7, np.float32(1e-7), rays)
        x, y, z = (np.where(safe > 0, self.size - origin, -origin) / safe).astype(np.float32).T
        return np.minimum(np.minimum(x, y), z)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Scalar products of rows: several times as fast as a sum over an axis of length 3."""
    return np.einsum("ij,ij->i", a, b)


def _slabs(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inverse = 1.0 / d
    middle = -o * inverse
    np.abs(inverse, out=inverse)
    low, high = middle - inverse, middle + inverse
    near, far = low[:, 0], high[:, 0]
    for axis in range(1, low.shape[1]):  # pairwise: reducing over a short axis is slow
        near, far = np.maximum(near, low[:, axis]), np.minimum(far, high[:, axis])
    return near, far


def _quadratic(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval in which |o + t d| <= 1, over however many axes are given; empty (near > far) when missed."""
    a = np.einsum("pin,pin->pn", d, d)
    b = np.einsum("pi,pin->pn", o[:, :, 0], d)
    c = np.einsum("pin,pin->pn", o, o) - 1.0
    root = b * b - a * c
    missed = root < 0
    root = np.sqrt(np.where(missed, 0.0, root))
    near, far = (-b - root) / a, (-b + root) / a
    near[missed] = np.inf
    return near, far


def _cylinder(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    near, far = _quadratic(o[:, :2], d[:, :2])
    low, high = _slabs(o[:, 2:], d[:, 2:])
    return np.maximum(near, low), np.minimum(far, high)


def _ball(o: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _quadratic(o, d)


@dataclass(frozen=True)
class Surface:
    """What the depth camera sees at each pixel's centre, all (H, W) float32.

    depth: metres along the optical axis; cosine: of the angle between ray and normal; gloss: 0 matt to 1 mirror;
    albedo: mean reflectance; solid: index of the solid (int), or at least the number of solids for the shell.
    """

    depth: np.ndarray
    cosine: np.ndarray
    gloss: np.ndarray
    albedo: np.ndarray
    solid: np.ndarray


def _tiles(height: int, width: int) -> list[tuple[slice, slice]]:
    return [
        (slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width)))
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    ]


def _cone(rays: np.ndarray) -> tuple[np.ndarray, float]:
    """Axis and cosine of the half angle of the cone that holds the rays (N, 3)."""
    unit = rays / np.sqrt(_dot(rays, rays))[:, None]
    axis = unit.mean(0)
    axis /= max(float(np.sqrt(axis @ axis)), 1e-6)
    return axis, float((unit @ axis).min())


def look(world: World, camera: Camera, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Metric depth (H, W) and solid index (H, W, -1 for the shell), without shading: a cheap look around."""
    rays = camera.rays(width, height).reshape(-1, 3)
    origin = camera.position.astype(np.float32)
    subset = world.subset_in_cone(origin, *_cone(rays), np.inf)
    t, index = world.nearest(origin, rays, subset)
    shell = world.leave_shell(origin, rays)
    index = np.where(shell < t, -1, index)
    return np.minimum(t, shell).reshape(height, width), index.reshape(height, width)


def render(
    world: World, light: Light, camera: Camera, width: int, height: int, samples: int = len(SAMPLE_OFFSETS)
) -> tuple[np.ndarray, Surface]:
    """Render linear radiance (H, W, 3) float32 and the surface at each pixel's centre.

    Each of the `samples` per pixel has its own point of the lamp, which softens the edges of shadows.
    """
    radiance = np.zeros((height, width, 3), np.float32)
    surface = Surface(*(np.zeros((height, width), np.float32) for _ in range(4)), np.zeros((height, width), np.intp))
    origin = camera.position.astype(np.float32)
    for sample in range(samples):
        rays = camera.rays(width, height, SAMPLE_OFFSETS[sample])
        lamp = light.position.astype(np.float32) + np.float32(light.radius) * LAMP_OFFSETS[sample]
        for tile in _tiles(height, width):
            shape = rays[tile].shape[:2]
            colour, parts = _trace(world, light, lamp, origin, np.ascontiguousarray(rays[tile]).reshape(-1, 3))
            radiance[tile] += colour.reshape(*shape, 3)
            if sample == 0:
                for name, values in parts.items():
                    getattr(surface, name)[tile] = values.reshape(shape)
    radiance /= samples
    return radiance, surface


def _trace(
    world: World, light: Light, lamp: np.ndarray, origin: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Radiance (N, 3) along rays (N, 3), and the fields of `Surface`, (N,) each."""
    solids = len(world.shape)
    t, index = world.nearest(origin, rays, world.subset_in_cone(origin, *_cone(rays), np.inf))
    shell = world.leave_shell(origin, rays)
    outside = shell <= t
    t = np.minimum(t, shell)
    point = origin + t[:, None] * rays
    normal, u, v, un, vn, index = _surface_frame(world, point, index, outside)

    toward = lamp - point
    distance2 = _dot(toward, toward)
    toward /= np.sqrt(distance2)[:, None]
    lambert = np.maximum(0.0, _dot(normal, toward))
    way = point - lamp
    reach = float(np.sqrt(distance2.max()))
    blocked, _ = world.nearest(lamp, way, world.subset_in_cone(lamp, *_cone(way), reach))
    lambert[blocked < SHADOW_REACH] = 0.0

    unit = rays / np.sqrt(_dot(rays, rays))[:, None]
    cosine = np.abs(_dot(normal, unit))
    albedo, gloss, emission = world.materials.evaluate(index, u, v, un, vn)
    # ambient light: more from above, less near the shell's edges (a room's corners are darker)
    wall = np.minimum(point, world.size - point)
    occlusion = 1.0 - 0.4 * np.exp(-np.maximum(wall, 0.0) / 0.25)
    facing = np.abs(normal) > 0.7
    occlusion[facing & (index >= solids)[:, None]] = 1.0
    occlusion = occlusion[:, 0] * occlusion[:, 1] * occlusion[:, 2]
    ambient = (0.75 + 0.25 * normal[:, 2]) * occlusion * (0.7 + 0.3 * cosine)
    direct = lambert * (1.0 / (0.6 + 0.4 * distance2))
    half = toward - unit
    half /= np.sqrt(_dot(half, half))[:, None] + 1e-6
    shine = gloss * np.maximum(0.0, _dot(half, normal)) ** 40 * (lambert > 0)
    colour = albedo * (light.ambient * ambient[:, None] + light.colour * direct[:, None] + emission[:, None])
    colour += 0.5 * light.colour * (shine * direct)[:, None]
    parts = {
        "depth": t,
        "cosine": cosine,
        "gloss": gloss,
        "albedo": albedo @ np.full(3, 1 / 3, np.float32),
        "solid": index,
    }
    return colour.astype(np.float32), parts


def _surface_frame(world: World, point: np.ndarray, index: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, ...]:
    """Outward normal (N, 3), texture coordinates in metres u, v and from 0 to 1 un, vn, and the material's index."""
    n = len(point)
    solids = len(world.shape)
    if solids:
        to_unit = world.to_unit[index]
        q = np.einsum("nij,nj->ni", to_unit, point - world.centre[index])
        half = world.half[index]
        shape = world.shape[index]
    else:
        q, half, shape = np.zeros((n, 3), np.float32), np.ones((n, 3), np.float32), np.zeros(n, np.int8)
    # the shell counts as a box around its middle
    q[outside] = point[outside] / (0.5 * world.size) - 1.0
    half[outside] = 0.5 * world.size
    shape = np.where(outside, BOX, shape)

    axis = np.abs(q).argmax(1)
    rows = np.arange(n)
    local = np.zeros((n, 3), np.float32)
    local[rows, axis] = np.sign(q[rows, axis])
    a, b = np.where(axis == 0, 1, 0), np.where(axis == 2, 1, 2)  # the two axes of a box's face
    un, vn = 0.5 * (q[rows, a] + 1.0), 0.5 * (q[rows, b] + 1.0)
    u, v = 2.0 * half[rows, a] * un, 2.0 * half[rows, b] * vn
    curved = shape != BOX
    if curved.any():
        c = np.flatnonzero(curved)
        cap = (shape[c] == CYLINDER) & (np.abs(q[c, 2]) > 0.999)
        side = q[c].copy()
        side[shape[c] == CYLINDER, 2] = 0.0
        local[c] = np.where(cap[:, None], np.sign(q[c]) * (0, 0, 1), side)
        angle = np.arctan2(q[c, 1], q[c, 0])
        un[c] = np.where(cap, un[c], angle / (2 * np.pi) + 0.5)
        vn[c] = np.where(cap, vn[c], 0.5 * (q[c, 2] + 1.0))
        u[c], v[c] = np.where(cap, u[c], angle * half[c, 0]), np.where(cap, v[c], 2.0 * half[c, 2] * vn[c])
    if solids:
        normal = np.einsum("nij,ni->nj", to_unit, local)
        normal /= np.sqrt(_dot(normal, normal))[:, None] + 1e-9
    else:
        normal = local.copy()
    normal[outside] = -local[outside]
    face = 2 * axis + (local[rows, axis] > 0)
    return normal, u, v, un, vn, np.where(outside, solids + face, index)
