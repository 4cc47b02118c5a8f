"""Render the built-in rooms as a folder of PNG files: RGB, depth and surface normals, with a table of the rooms.

    python -m semcom.commands.render_png_folder results/png-rooms --train 160 --test 80

`config/examples/three-modalities.yaml` runs on it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from semcom.common.reporting import reported
from semcom.rooms.dataset import render_room, rooms
from semcom.rooms.png_writer import write_png_folder


@reported
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m semcom.commands.render_png_folder", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="where to write <split>/<class>/<scene>/ and rooms.csv")
    parser.add_argument("--train", type=int, default=160, help="training scenes (%(default)s)")
    parser.add_argument("--test", type=int, default=80, help="test scenes (%(default)s)")
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    listed = rooms(given.train, given.test, given.seed)
    write_png_folder(
        given.folder,
        (
            (room.part, room.label, scene)
            for room in listed
            for scene in render_room(room, given.size, given.size, given.seed)
        ),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
