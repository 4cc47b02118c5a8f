"""A structured-light depth camera: what it reports of a rendered surface, and how its gaps are filled.

Constants are those measured for the camera of NYU Depth V2 (Kinect, first generation): axial noise from
C. Nguyen, S. Izadi, D. Lovell, "Modeling Kinect Sensor Noise for Improved 3D Reconstruction and Tracking", 3DIMPVT
2012; step of the depth scale from K. Khoshelham, S. Oude Elberink, "Accuracy and Resolution of Kinect Depth Data",
Sensors 12, 2012. Depths are metres along the optical axis.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt

from semcom.rooms.raycast import Surface

NEAREST, FARTHEST = 0.7, 10.0
BASELINE = 0.075  # metres between projector and camera
EDGE_JUMP = 0.06  # of the nearer depth
STEP = 2.85e-3  # depth step in metres at one metre; grows with the square of depth


def noise_sigma(depth: np.ndarray) -> np.ndarray:
    """Standard deviation in metres of the axial noise at `depth` metres (Nguyen et al., eq. 3)."""
    return 0.0012 + 0.0019 * (depth - 0.4) ** 2


def _patchy(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Random numbers in [0, 1], shape (H, W), half of whose spread is shared by neighbours: holes come in patches."""
    coarse = rng.random((10, 10))
    y, x = (np.linspace(0, 8.999, n) for n in shape)
    i, j = y.astype(int)[:, None], x.astype(int)[None, :]
    fy, fx = y[:, None] - i, x[None, :] - j
    smooth = (coarse[i, j] * (1 - fx) + coarse[i, j + 1] * fx) * (1 - fy)
    smooth += (coarse[i + 1, j] * (1 - fx) + coarse[i + 1, j + 1] * fx) * fy
    return 0.6 * smooth + 0.4 * rng.random(shape)


def in_projector_shadow(depth: np.ndarray, focal: float) -> np.ndarray:
    """Pixels (H, W) bool that the projector, BASELINE to the camera's right, cannot light.

    A pixel in column x is lit in the projector's column x - focal * BASELINE / depth. Seen from there a row's order
    is kept, except behind a nearer surface: those pixels are hidden from the projector.
    """
    column = np.arange(depth.shape[1]) - focal * BASELINE / depth
    nearest = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
    hidden = np.zeros(depth.shape, bool)
    hidden[:, :-1] = column[:, :-1] >= nearest[:, 1:]
    return hidden


def at_edges(depth: np.ndarray) -> np.ndarray:
    """Pixels (H, W) bool beside a jump in depth: the pattern is cut there, and thin things are lost."""
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        near = np.minimum(*(np.take(depth, range(k, depth.shape[axis] - 1 + k), axis) for k in (0, 1)))
        jump = np.abs(np.diff(depth, axis=axis)) > EDGE_JUMP * near
        pad = [(0, 0), (0, 0)]
        pad[axis] = (0, 1)
        edge |= np.pad(jump, pad)
        pad[axis] = (1, 0)
        edge |= np.pad(jump, pad)
    return edge


def measure(surface: Surface, focal: float, rng: np.random.Generator) -> np.ndarray:
    """Raw depth (H, W) float32 in metres, 0 where nothing is measured.

    Holes: beyond the range, in the projector's shadow, beside jumps in depth, at grazing angles, on mirrors, panes
    and dark material.
    """
    depth = surface.depth.astype(np.float64)
    noisy = depth + noise_sigma(depth) * rng.standard_normal(depth.shape)
    noisy = np.maximum(noisy, 0.1)
    noisy = 1.0 / (np.round(1.0 / noisy / STEP) * STEP)  # steps of disparity, hence of z^2 in depth
    loss = 0.95 * surface.gloss**2
    loss = np.maximum(loss, 1.2 * np.clip(1.0 - surface.cosine / 0.35, 0.0, 1.0))
    loss = np.maximum(loss, 0.8 * np.clip(1.0 - surface.albedo / 0.06, 0.0, 1.0))
    loss = np.maximum(loss, 0.5 * at_edges(depth))
    lost = _patchy(rng, depth.shape) < 0.28 + loss
    lost |= in_projector_shadow(depth, focal)
    lost |= (noisy < NEAREST) | (noisy > FARTHEST)
    return np.where(lost, 0.0, noisy).astype(np.float32)


def fill(raw: np.ndarray) -> np.ndarray:
    """Fill holes (zeros) of raw depth (H, W) with the nearest measured pixel; all FARTHEST if nothing was measured."""
    if not raw.any():
        return np.full_like(raw, FARTHEST)
    row, column = distance_transform_edt(raw == 0, return_distances=False, return_indices=True)
    return raw[row, column]
