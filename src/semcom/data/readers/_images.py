"""Image files as arrays, for readers of folders."""

from pathlib import Path

import numpy as np
from PIL import Image

from semcom.common.errors import InputError

SIXTEEN_BIT = ("I;16", "I;16B", "I")  # Pillow's modes of a 16-bit grey PNG; which of them depends on its version


def read_image(path: Path) -> np.ndarray:
    """The pixels as the file holds them: (H, W, 3) uint8 of an RGB image; ingest refuses what has other channels.

    Raises:
        InputError: there is no such file, or it is not a whole image.
    """
    return np.asarray(_opened(path))


def read_sixteen_bit(path: Path) -> np.ndarray:
    """(H, W) uint16 of a 16-bit grey image.

    Raises:
        InputError: as `read_image`, or the image is of another kind: an 8-bit one would pass for very near depth.
    """
    image = _opened(path)
    if image.mode not in SIXTEEN_BIT:
        raise InputError(
            f"{path}: an image of Pillow's mode {image.mode}, expected 16-bit grey; depth has one channel of 16 bits"
        )
    return np.asarray(image).astype(np.uint16)


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: not found, but the other scenes have it; add it, or remove the scene") from None
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError on some damaged PNGs
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable image ({reason}); use the original file") from error
    return image
