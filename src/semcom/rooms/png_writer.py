"""Write rendered scenes as a folder of PNG files with surface normals, laid out as `data/readers/png_folder.py` says."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from semcom.common.files import written_atomically
from semcom.rooms.nyud2_writer import Scene

MILLIMETRES = 1000  # in a metre


def surface_normals(depth: np.ndarray, focal: float) -> np.ndarray:
    """Unit normals of the surface that a depth image shows, from differences between neighbouring pixels.

    A pixel at (u, v) from the image's centre, u to the right and v up, shows the point d (u, v, -focal) / focal; the
    normal is the cross product of its derivatives along u and v.

    Args:
        depth: (H, W) distance along the optical axis, above 0.
        focal: focal length in pixels.

    Returns:
        (H, W, 3) components to the right, up, and towards the camera.
    """
    height, width = depth.shape
    depth = depth.astype(np.float64)
    u = np.arange(width) - (width - 1) / 2
    v = (height - 1) / 2 - np.arange(height)[:, None]
    points = np.stack([depth * u, depth * v, -depth * focal], axis=-1) / focal
    normals = np.cross(np.gradient(points, axis=1), -np.gradient(points, axis=0))
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def write_png_folder(root: Path, scenes: Iterable[tuple[str, str, Scene]]) -> None:
    """Write `rgb.png`, `depth.png` and `normals.png` of each scene below `root`, and `root`/rooms.csv at the end.

    Args:
        scenes: (split, class, scene).
    """
    rooms = [("scene", "room")]
    for number, (split, label, scene) in enumerate(scenes):
        name = f"{split}/{label}/{number:05d}"
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        normals = np.rint((surface_normals(scene.depth, scene.focal) + 1) / 2 * 255).astype(np.uint8)
        depth = np.rint(scene.depth * MILLIMETRES).astype(np.uint16)
        for kind, image in (("rgb", scene.rgb), ("depth", depth), ("normals", normals)):
            with written_atomically(folder / f"{kind}.png") as temporary:
                Image.fromarray(image).save(temporary, format="PNG")
        rooms.append((name, scene.scene))
    with written_atomically(root / "rooms.csv") as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows(rooms)
