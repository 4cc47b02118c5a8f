"""A data set that stays on disk: the same batches and the same run, in memory that does not grow with it."""

import logging
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from conftest import ROOT
from nyud2_files import named, write_both
from semcom.common.errors import InputError
from semcom.config.jobs import finetune_job, pretrain_job
from semcom.config.loading import load_config
from semcom.data.ingest import ingest, write_scenes
from semcom.data.scenes import load_scenes, scene_table
from semcom.data.source import COLOUR_IMAGE, METRIC_DEPTH
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up

CONFIG = load_config(ROOT / "tests/config.yaml")
SIDE = CONFIG.data.image_size
N = 100


def made_source(n: int, folder: Path, side: int) -> SimpleNamespace:
    """Noise of three classes; depth reaches as far as int16 does."""

    def read(index: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(index)
        depth = rng.uniform(0, 32.767, (side, side)).astype(np.float32)
        depth[0, 0] = 32.767
        return {"rgb": rng.integers(0, 256, (side, side, 3), np.uint8), "depth": depth}

    original = folder / "original"
    original.touch()
    source = SimpleNamespace(
        class_names=("one", "two", "three"),
        labels=np.arange(n) % 3,
        scene_types=["room"] * n,
        rooms=[f"room_{index}" for index in range(n)],
        split=np.where(np.arange(n) < 0.7 * n, "train", "test"),
        modalities={"rgb": COLOUR_IMAGE, "depth": METRIC_DEPTH},
        files=(original,),
        published_counts=None,
        read=read,
        origin=lambda index, modality: original,
    )
    return type("Source", (SimpleNamespace,), {"__len__": lambda self: n})(**vars(source))


def written(n: int, folder: Path, side: int = SIDE) -> Path:
    path = folder / f"scenes{n}.h5"
    write_scenes(made_source(n, folder, side), path, size=side)
    return path


def megabytes(n: int, side: int = SIDE) -> float:
    return n * side * side * (3 * 1 + 1 * 2) / 1e6  # rgb as uint8, depth as int16


def is_mapped(scenes) -> bool:
    kinds = {isinstance(images, torch.Tensor) for images in scenes.images.values()}
    assert len(kinds) == 1
    return not kinds.pop()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return written(N, tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def both(path):
    """The scenes in memory and the same ones mapped."""
    return [load_scenes(path, scene_table(path), device="cpu", in_memory_mb=limit) for limit in (np.inf, 0.001)]


def test_the_size_as_integers_decides(path, caplog):
    table = scene_table(path)
    with caplog.at_level(logging.INFO, logger="semcom"):
        assert not is_mapped(load_scenes(path, table, device="cpu", in_memory_mb=megabytes(N)))
        assert not caplog.messages
        assert is_mapped(load_scenes(path, table, device="cpu", in_memory_mb=0.999 * megabytes(N)))
    assert len(caplog.messages) == 1 and str(path) in caplog.text and "memory-mapped" in caplog.text
    rgb = load_scenes(path, table, device="cpu", in_memory_mb=0.999 * megabytes(N), modalities=["rgb"])
    assert not is_mapped(rgb)  # only what is asked for counts


@pytest.mark.parametrize("indices", [[0], [N - 1, 3, 3, 41, 0, 3], list(range(N)), []])
def test_batches_are_the_same_bit_for_bit(both, indices):
    whole, mapped = (scenes.batch(torch.tensor(indices, dtype=torch.int64)) for scenes in both)
    assert list(whole) == list(mapped) == ["rgb", "depth"]
    for name in whole:
        assert whole[name].dtype == mapped[name].dtype == {"rgb": torch.uint8, "depth": torch.int16}[name]
        assert torch.equal(whole[name], mapped[name])
    if len(indices) == N:
        assert (whole["depth"] == 32767).any()


def test_a_batch_is_the_caller_s_own(both):
    indices = torch.tensor([5, 6])
    _, mapped = both
    before = {name: images.clone() for name, images in mapped.batch(indices).items()}
    for images in mapped.batch(indices).values():
        images.zero_()
    for name, images in mapped.batch(indices).items():
        assert torch.equal(images, before[name])


def test_everything_but_the_images_is_the_same(both):
    whole, mapped = both
    assert len(whole) == len(mapped) == N
    assert whole.modalities == mapped.modalities and whole.class_names == mapped.class_names
    assert torch.equal(whole.labels, mapped.labels)
    assert all(torch.equal(whole.indices[split], mapped.indices[split]) for split in ("train", "test"))


def test_a_run_writes_the_same_tables(both):
    set_up(CONFIG.compute)

    def of_two_steps(job):
        changes = {"epochs": 2, "batch_size": 48, "warmup_epochs": 0.0}
        return job.model_copy(update={"schedule": job.schedule.model_copy(update=changes)})

    one, two = (pretrain(of_two_steps(pretrain_job(CONFIG, "proposed")), scenes, 0) for scenes in both)
    assert len(one.steps) == 2
    pd.testing.assert_frame_equal(one.steps, two.steps, check_exact=True)
    job = of_two_steps(finetune_job(CONFIG, "supervised", 10, 1.0))
    one, two = (finetune(job, scenes, 0, None) for scenes in both)
    pd.testing.assert_frame_equal(one.rounds, two.rounds, check_exact=True)
    pd.testing.assert_frame_equal(one.steps, two.steps, check_exact=True)


def test_memory_does_not_grow_with_the_data_set(tmp_path):
    few, many, side = 100, 500, 96
    growth = {}
    paths = {n: written(n, tmp_path, side) for n in (few, many)}
    for limit in (np.inf, 0.001):
        peaks = []
        for n, path in paths.items():
            table = scene_table(path)
            tracemalloc.start()
            scenes = load_scenes(path, table, device="cpu", in_memory_mb=limit)
            for indices in torch.arange(n).split(50):
                scenes.batch(indices)
            peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
        growth[limit] = (peaks[1] - peaks[0]) / megabytes(many - few, side)
    assert growth[np.inf] > 0.9  # so that the measurement is seen to see
    assert growth[0.001] < 0.05  # labels, names and splits


def test_ingested_images_lie_in_one_piece(tmp_path):
    path = tmp_path / "scenes.h5"
    ingest("rooms", named(*write_both(tmp_path)), path, size=8, counts_csv=tmp_path / "counts.csv")
    with h5py.File(path) as file:
        offsets = [file[name].id.get_offset() for name in ("rgb", "depth")]
    assert None not in offsets
    assert path.stat().st_size < max(offsets) + 100_000


def test_a_chunked_file_is_read_whole_but_not_mapped(path, tmp_path):
    chunked = tmp_path / "chunked.h5"
    chunked.write_bytes(path.read_bytes())
    with h5py.File(chunked, "r+") as file:
        for name in ("rgb", "depth"):
            values, attributes = file[name][:], dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=values, chunks=(1, *values.shape[1:])).attrs.update(attributes)
    whole, table = (load_scenes(p, scene_table(p), device="cpu") for p in (path, chunked)), scene_table(chunked)
    one, two = (scenes.batch(torch.arange(N)) for scenes in whole)
    assert all(torch.equal(one[name], two[name]) for name in one)
    with pytest.raises(InputError) as error:
        load_scenes(chunked, table, device="cpu", in_memory_mb=0.001)
    message = str(error.value)
    assert message.startswith(f"{chunked}: rgb does not lie in one piece") and "\n" not in message
    assert "make it again from the original files" in message and "compute.data_in_memory_mb" in message
