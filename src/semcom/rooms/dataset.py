"""The built-in data set: rendered rooms in the layout of NYU Depth V2, so that the pipeline runs without a download.

A room is drawn from (seed, part, class, number) and a frame of it from the frame's number besides, hence neither
depends on how many scenes are asked for or on the order of rendering. Parts and classes keep the published
proportions; frames of one room follow each other, share a `scenes` name, and lie in the same part of the split.
Arrays are reproducible to the byte on one machine with the same library versions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from semcom.common.errors import InputError
from semcom.data.nyud2_layout import CLASSES, PUBLISHED_COUNTS
from semcom.rooms import depth_camera
from semcom.rooms.floor_plan import Plan
from semcom.rooms.nyud2_writer import Scene, write_labeled_mat, write_splits_mat
from semcom.rooms.raycast import Camera, Light, World, look, render
from semcom.rooms.room_types import OTHERS_PUBLISHED, PLANS

PARTS = ("train", "test")
MIN_PER_CLASS = 2  # in each part: a class must be learnable and testable however small the data set
MEAN_FRAMES = 3  # 1,449 scenes of NYU Depth V2 show 464 rooms


@dataclass(frozen=True)
class Room:
    """One room: `part` of the split, class, its number among that class's rooms of the part, frames shown."""

    part: str
    label: str
    number: int
    frames: int

    def rng(self, seed: int, *purpose: int) -> np.random.Generator:
        """The room's own random numbers, independent for each purpose."""
        key = (PARTS.index(self.part), CLASSES.index(self.label), self.number, *purpose)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _shares(total: int, published: dict[str, int], part: str) -> dict[str, int]:
    """Largest remainder, but no class below MIN_PER_CLASS."""
    if total < MIN_PER_CLASS * len(published):
        raise InputError(
            f"rooms: {total} {part} scenes are too few; give at least {MIN_PER_CLASS * len(published)}, "
            f"{MIN_PER_CLASS} for each of {len(published)} classes"
        )
    quota = {name: total * count / sum(published.values()) for name, count in published.items()}
    # classes whose quota is too small get the minimum; the others share what is left
    small = {name for name, q in quota.items() if q < MIN_PER_CLASS}
    while True:
        left = total - MIN_PER_CLASS * len(small)
        weight = sum(published[name] for name in published if name not in small)
        quota = {name: left * published[name] / weight for name in published if name not in small}
        new = {name for name, q in quota.items() if q < MIN_PER_CLASS}
        if not new:
            break
        small |= new
    share = dict.fromkeys(small, MIN_PER_CLASS) | {name: int(q) for name, q in quota.items()}
    by_remainder = sorted(quota, key=lambda name: share[name] - quota[name])
    for name in by_remainder[: total - sum(share.values())]:
        share[name] += 1
    return share


def counts(n_train: int, n_test: int) -> dict[str, tuple[int, int]]:
    """Scenes per class as (train, test), in the proportions of NYU Depth V2; each part sums exactly.

    Raises:
        InputError: a part is too small to hold MIN_PER_CLASS scenes of each class.
    """
    parts = [
        _shares(total, {name: PUBLISHED_COUNTS[name][k] for name in CLASSES}, PARTS[k])
        for k, total in enumerate((n_train, n_test))
    ]
    return {name: (parts[0][name], parts[1][name]) for name in CLASSES}


def rooms(n_train: int, n_test: int, seed: int) -> list[Room]:
    """All rooms in file order: classes and parts shuffled by room."""
    listed = []
    for label, numbers in counts(n_train, n_test).items():
        for part, left in zip(PARTS, numbers, strict=True):
            number = 0
            while left > 0:
                room = Room(part, label, number, 1)
                frames = min(left, 1 + int(room.rng(seed, 0).poisson(MEAN_FRAMES - 1)))
                listed.append(replace(room, frames=frames))
                left -= frames
                number += 1
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(len(listed))
    return [listed[i] for i in order]


def scene_type(room: Room, seed: int) -> str:
    """One of NYU Depth V2's scene types; `others` is a mixture in the published proportions."""
    if room.label != "others":
        return room.label
    weights = np.array(list(OTHERS_PUBLISHED.values()), float)
    return str(room.rng(seed, 1).choice(list(OTHERS_PUBLISHED), p=weights / weights.sum()))


def scene_name(room: Room, seed: int) -> str:
    """The name shared by a room's frames; even numbers are train, odd ones test."""
    return f"{scene_type(room, seed)}_{2 * room.number + PARTS.index(room.part):04d}"


def render_room(room: Room, width: int, height: int, seed: int) -> Iterator[Scene]:
    """Render the room's frames at `width` x `height` pixels."""
    kind, name = scene_type(room, seed), scene_name(room, seed)
    rng = room.rng(seed, 2)
    plan = PLANS[kind](rng)
    world = World(plan.size, plan.shell, plan.solids)
    light = _light(plan, rng)
    for frame in range(room.frames):
        rng = room.rng(seed, 3, frame)
        camera = _camera(plan, world, rng)
        radiance, surface = render(world, light, camera, width, height)
        focal = camera.focal(width, height)
        raw = depth_camera.measure(surface, focal, rng)
        yield Scene(_expose(radiance, rng), depth_camera.fill(raw), raw, kind, name, focal)


def _light(plan: Plan, rng: np.random.Generator) -> Light:
    """A ceiling lamp, a low lamp or daylight through a window."""
    w, d, h = plan.size
    warm = rng.uniform(0.0, 0.12)
    tint = np.array([1.0 + 0.3 * warm, 1.0, 1.0 - 0.6 * warm])
    kind = rng.random()
    if plan.windows and kind < 0.14:
        position, tint, radius = plan.windows[rng.integers(len(plan.windows))], np.array([0.96, 1.0, 1.05]), 0.35
    elif 0.14 <= kind < 0.2:
        position, radius = np.array([rng.uniform(0.15, 0.85) * w, rng.uniform(0.15, 0.85) * d, 1.75]), 0.1
    else:
        position, radius = np.array([rng.uniform(0.42, 0.58) * w, rng.uniform(0.42, 0.58) * d, h - 0.12]), 0.15
    ambient = rng.uniform(0.3, 0.45)
    return Light(position, tint * rng.uniform(2.5, 3.5), (0.5 + 0.5 * tint) * ambient, radius)


def _camera(plan: Plan, world: World, rng: np.random.Generator) -> Camera:
    """A hand-held camera turned to some piece of furniture; the best of a few tries to see something at a distance."""
    w, d, h = plan.size
    weights = np.array([want for _, want in plan.subjects])
    best, best_score = None, -np.inf
    ideal = rng.uniform(1.4, 3.0)  # metres to the subject: from a close-up to a view of the room
    for _ in range(10):
        target = plan.subjects[rng.choice(len(weights), p=weights / weights.sum())][0]
        position = np.array([rng.uniform(0.2, w - 0.2), rng.uniform(0.2, d - 0.2), rng.uniform(1.0, min(1.9, h - 0.4))])
        to = target + rng.normal(0, 0.35, 3) * (1, 1, 0.6) - position
        yaw = np.arctan2(-to[0], to[1])
        pitch = np.clip(np.arctan2(to[2], np.hypot(to[0], to[1])), -0.75, 0.15)
        camera = Camera(position, yaw, float(pitch), np.deg2rad(rng.uniform(55, 66)))
        depth, solid = look(world, camera, 12, 9)
        near, middle = np.quantile(depth, (0.05, 0.5))
        furnished = (solid >= 0).mean()
        away = float(np.hypot(to[0], to[1]))
        score = min(near, 1.0) + min(middle, 2.2) / 2 + 2 * min(furnished, 0.35) - abs(away - ideal) / 2
        inside = world.holds(position, margin=0.1)
        score -= 10.0 * inside
        if score > best_score:
            best, best_score = camera, score
        if not inside and near > 0.75 and middle > min(1.5, ideal) and furnished > 0.3 and abs(away - ideal) < 0.5:
            break
    return best


def _expose(radiance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear radiance (H, W, 3) to an 8-bit picture: exposure, white balance, vignetting, sensor noise, gamma."""
    height, width, _ = radiance.shape
    level = rng.uniform(0.23, 0.29) if rng.random() < 0.9 else rng.uniform(0.06, 0.18)
    gain = level / max(float(radiance.mean()), 1e-3)
    balance = 1.0 + rng.normal(0, 0.025, 3)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    vignette = 1.0 - rng.uniform(0.0, 0.15) * (x * x + y * y) / 2
    linear = radiance * (gain * balance) * vignette[..., None]
    sigma = np.sqrt(rng.uniform(0.0005, 0.003) ** 2 + rng.uniform(0.0001, 0.0006) * np.maximum(linear, 0))
    linear = linear + sigma * rng.standard_normal(radiance.shape)
    shown = np.clip(linear, 0, 1) ** (1 / 2.2)
    contrast = rng.uniform(0.3, 0.5)  # a camera's tone curve is steeper than the bare gamma
    shown += contrast * (shown * shown * (3 - 2 * shown) - shown)
    return np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)


def write_rooms(
    labeled_mat: Path,
    splits_mat: Path,
    *,
    train_scenes: int,
    test_scenes: int,
    width: int,
    height: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Render the data set and write both of NYU Depth V2's files, holding them in memory, compressed, until they are whole.

    Args:
        labeled_mat: target, in the layout of `nyu_depth_v2_labeled.mat`.
        splits_mat: target, in the layout of `splits.mat`.
        train_scenes, test_scenes: scenes in each part; at least two for each of the ten classes.
        width, height: pixels; the longer side sees about 60 degrees.
        seed: the same seed gives the same arrays.
        progress: called with (scenes done, scenes in all) after each scene.

    Raises:
        InputError: too few scenes for the ten classes.
    """
    listed = rooms(train_scenes, test_scenes, seed)
    total = train_scenes + test_scenes
    parts = [room.part for room in listed for _ in range(room.frames)]

    def scenes() -> Iterator[Scene]:
        done = 0
        for room in listed:
            for scene in render_room(room, width, height, seed):
                yield scene
                done += 1
                if progress is not None:
                    progress(done, total)

    write_labeled_mat(labeled_mat, n=total, width=width, height=height, scenes=scenes())
    train, test = ([i for i, part in enumerate(parts, 1) if part == name] for name in PARTS)
    write_splits_mat(splits_mat, train, test)
