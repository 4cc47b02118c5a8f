"""Whether the grid fits the scenes, as far as they are known before any job runs; the job that splits them looks again."""

from pathlib import Path

import numpy as np
import pandas as pd

from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config import paths
from semcom.config.experiment import Config
from semcom.data.nyud2_layout import PUBLISHED_COUNTS
from semcom.data.splits import WITHHELD, check_split, label_subset, split_table
from semcom.link.trace import check_length, read_trace
from semcom.rooms.dataset import rooms, scene_name
from semcom.training.schedule import total_steps


def check_scenes(config: Config, folder: Path = Path()) -> None:
    """See whether every run of the grid has scenes to train on and to be evaluated on.

    Args:
        folder: that Snakemake runs in.

    Raises:
        InputError: the split would be refused, see `splits.check_split`; or a folder of scenes lacks a modality.
    """
    check_modalities(config)
    known = known_scenes(config, folder)
    if known is None:
        return
    where, scenes = known
    table = _split(config, scenes)
    try:
        check_split(table, config.grid.label_fractions, config.batches(), trials=config.tables.trials)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def check_traces(config: Config, folder: Path = Path()) -> None:
    """See whether each channel trace has every device that goes along it, and, where the scenes are known, is long enough.

    Args:
        folder: that Snakemake runs in.

    Raises:
        InputError: a trace cannot be read, or has too few rounds; the message names the file.
    """
    if not (traces := config.traces()):
        return
    known = known_scenes(config, folder)
    table = None if known is None else _split(config, known[1])
    for use in traces:
        devices = {device: None for method in use.methods for device in config.modalities_of(method)}
        trace = read_trace(use.path, list(devices), known=config.modalities)
        if table is None:
            continue
        counts = table["split"].value_counts()
        for split in ("test", "validation"):
            if split in counts:
                check_length(trace, counts[split], use.path, f"the {split} split, a round a scene,")
        if use.trains:
            labels = pd.factorize(table["class"][table["split"] == "train"], sort=True)[0]
            labelled = len(label_subset(labels, max(config.grid.label_fractions), seed=0))
            for method in use.methods:
                rounds = total_steps(labelled, config.finetune_settings(method))
                check_length(trace, rounds, use.path, f"stage II of {method}")


def check_modalities(config: Config) -> None:
    """Of a folder of the user's own, see whether it has the modalities that the grid takes.

    Raises:
        InputError: it lacks one, or is not laid out as its reader expects.
    """
    if not _is_folder(config):
        return
    with _source(config) as source:
        for modality in config.modalities:
            if modality not in source.modalities:
                raise InputError(
                    f"modalities: {' and '.join(config.data.files.values())} has no '{modality}', only "
                    f"{', '.join(source.modalities)}; add its files, or leave it out"
                )


def known_scenes(config: Config, folder: Path = Path()) -> tuple[str, pd.DataFrame] | None:
    """What is known of the scenes, and whence: columns class, room and split ("train" or "test"), the official one.

    The built-in rooms and NYUD2 without validation rooms are known from the start, a folder of scenes from its names, and
    anything else from the split that an earlier run has made, unless the files are newer.
    """
    data = config.data
    if data.rooms and not data.files:
        size = data.rooms
        listed = [
            (room.label, scene_name(room, size.seed), room.part)
            for room in rooms(size.train_scenes, size.test_scenes, size.seed)
            for _ in range(room.frames)
        ]
        return "data.rooms", pd.DataFrame(listed, columns=["class", "room", "split"])
    if _is_folder(config):
        with _source(config) as source:
            classes = np.array(source.class_names, dtype=object)[source.labels]
            columns = {"class": classes, "room": list(source.rooms), "split": list(source.split)}
            return " and ".join(data.files.values()), pd.DataFrame(columns)
    path = folder / paths.results(config.experiment) / "data/splits.csv"
    earlier = _earlier(path, [folder / file for file in data.files.values()])
    if data.reader != "nyud2":
        return None if earlier is None else (str(path), earlier)
    if earlier is not None and _counts(earlier) == PUBLISHED_COUNTS:
        return str(path), earlier
    if data.validation_fraction:
        return None  # which rooms there are, only the file tells
    listed = [
        (name, f"{name} {part} {number}", part)
        for name, counts in PUBLISHED_COUNTS.items()
        for part, count in zip(("train", "test"), counts, strict=True)
        for number in range(count)
    ]
    return "NYU Depth V2", pd.DataFrame(listed, columns=["class", "room", "split"])


def _split(config: Config, scenes: pd.DataFrame) -> pd.DataFrame:
    """The split that the configuration makes of known scenes."""
    data = config.data
    return split_table(
        scenes,
        validation_fraction=data.validation_fraction,
        seed=data.validation_seed,
        withhold_test=data.withhold_test,
    )


def _is_folder(config: Config) -> bool:
    """Whether the scenes are files in a folder of the user's own, to be found without opening one of them."""
    known = plugins.load("semcom.data.readers", config.data.reader).FILES
    return any(known[name].folder for name in config.data.files)


def _source(config: Config):
    reader = plugins.load("semcom.data.readers", config.data.reader)
    return reader.open_scenes({name: Path(path) for name, path in config.data.files.items()})


def _earlier(path: Path, files: list[Path]) -> pd.DataFrame | None:
    """The official split in a table that an earlier run made; None where there is none that counts."""
    try:
        made = path.stat().st_mtime
        if any(file.stat().st_mtime > made for file in files):
            return None
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        official = table["split"].replace({"validation": "train", WITHHELD: "test"})
        return table[["class", "room"]].assign(split=official)
    except (OSError, ValueError, KeyError):
        return None  # the job that makes it, or reads it, says what is wrong


def _counts(scenes: pd.DataFrame) -> dict[str, tuple[int, int]]:
    table = pd.crosstab(scenes["class"], scenes["split"]).reindex(columns=["train", "test"], fill_value=0)
    return {name: (int(train), int(test)) for name, train, test in table.itertuples()}
