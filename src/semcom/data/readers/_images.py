"""Image files as arrays, for readers of folders."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from semcom.common.errors import InputError
from semcom.common.reading import fault_of_surroundings

SIXTEEN_BIT = ("I;16", "I;16B", "I")  # Pillow's modes of a 16-bit grey PNG; which of them depends on its version


def read_image(path: Path) -> np.ndarray:
    """The pixels as the file holds them: (H, W, 3) uint8 of an RGB image; ingest refuses what has other channels.

    Raises:
        InputError: there is no such file, it cannot be read, is not a whole image, or has more than 89 million pixels.
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
        with warnings.catch_warnings():
            # Pillow's own limit, 89 million pixels, is known from the header; up to twice of it Pillow only warns.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
            image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: not found, but the other scenes have it; add it, or leave the scene out") from None
    except Exception as error:  # Pillow lets syntax, value, struct and zlib errors through on damaged files
        reason = " ".join(str(error).split())
        raise fault_of_surroundings(path, error) or InputError(
            f"{path}: not a readable image ({reason}); use the original file"
        ) from error
    return image
