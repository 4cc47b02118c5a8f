"""Both stages, their views and their evaluation: each test runs on the CPU, and on a GPU where there is one."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from semcom.baselines.study import Study
from semcom.config.jobs import BaselinesJob
from semcom.config.sections import BlockSettings, ViewSettings
from semcom.data.scenes import Scenes
from semcom.models.encoders import save_encoders
from semcom.models.kept_system import KeptSystem
from semcom.models.precision import decide, placed
from semcom.models.system import System
from semcom.rng import stream
from semcom.runs.checkpoint import Checkpoint
from semcom.training import optimization
from semcom.training.evaluation import Evaluation
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from semcom.views.views import centre_views, random_views
from test_stages import CONFIG, made_scenes, stage_one, stage_two

pytestmark = pytest.mark.gpu
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]
# Products in another order: float32's last digits.
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(params=DEVICES)
def device(request):
    """A device, deterministic and in float32; afterwards the process is as the other tests want it."""
    set_up(arithmetic(request.param))
    yield request.param
    set_up(CONFIG.compute)


def arithmetic(device: str):
    changes = {"device": device, "deterministic": True, "precision": "float32"}
    return CONFIG.compute.model_copy(update=changes)


def on(job, device: str):
    return job.model_copy(update={"compute": arithmetic(device)})


def scenes_on(device: str) -> Scenes:
    made = made_scenes()
    return Scenes(
        {name: images.to(device) for name, images in made.images.items()},
        made.modalities,
        made.labels.to(device),
        made.class_names,
        {name: indices.to(device) for name, indices in made.indices.items()},
    )


class Cut:
    """Looks on: ends a run after a number of steps, keeping its state as a checkpoint does, and lets
    another go on from there."""

    class Reached(Exception):
        """The step is done."""

    def __init__(self, path: Path, after: int | None):
        self._checkpoint, self._after, self._steps = Checkpoint(path, "a test"), after, 0

    def start(self, total: int, fault_in) -> dict | None:
        return self._checkpoint.load(fault_in)

    def step_done(self, done: int, state, **reached: object) -> None:
        self._steps += 1
        if self._steps == self._after:
            self._checkpoint.save(state())
            raise Cut.Reached

    def trained(self, state: dict) -> None:
        pass


def test_stage_one_trains_and_repeats_itself(device):
    job, scenes = on(stage_one("proposed", epochs=3), device), scenes_on(device)
    first, again = (pretrain(job, scenes, 0) for _ in range(2))
    assert first.status == optimization.OK
    assert {value.device.type for value in first.encoders.state_dict().values()} == {device}
    pd.testing.assert_frame_equal(first.steps, again.steps)


def test_stage_two_learns_from_the_encoders_of_stage_one(device, tmp_path):
    scenes = scenes_on(device)
    pretrained = pretrain(on(stage_one("proposed", epochs=1), device), scenes, 0)
    save_encoders(pretrained.encoders, tmp_path / "encoders.pt", pretrained.status)
    result = finetune(on(stage_two("proposed", epochs=12), device), scenes, 0, tmp_path / "encoders.pt")
    assert result.status == optimization.OK and result.rounds["accuracy"].iloc[-1] > 0.9


def test_stage_one_goes_on_to_the_same_digits(device, tmp_path):
    job, scenes = on(stage_one("proposed", epochs=3), device), scenes_on(device)
    whole = pretrain(job, scenes, 0)
    with pytest.raises(Cut.Reached):
        pretrain(job, scenes, 0, Cut(tmp_path / "run.pt", after=3))
    resumed = pretrain(job, scenes, 0, Cut(tmp_path / "run.pt", after=None))
    pd.testing.assert_frame_equal(resumed.steps, whole.steps)
    expected = whole.encoders.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.encoders.state_dict().items())


def test_stage_two_goes_on_to_the_same_digits(device, tmp_path):
    job, scenes = on(stage_two(epochs=3), device), scenes_on(device)
    whole = finetune(job, scenes, 0, None)
    with pytest.raises(Cut.Reached):
        finetune(job, scenes, 0, None, Cut(tmp_path / "run.pt", after=3))
    resumed = finetune(job, scenes, 0, None, Cut(tmp_path / "run.pt", after=None))
    for table in ("rounds", "steps", "ledger"):
        pd.testing.assert_frame_equal(getattr(resumed, table), getattr(whole, table))


@pytest.mark.parametrize("settings", ["pretrain", "finetune"])
def test_views_are_those_of_the_cpu(device, settings):
    """Parameters are drawn on the CPU, so that all that may differ is how products add up."""
    views: ViewSettings = getattr(CONFIG.augmentation, settings)
    side, found = CONFIG.augmentation.crop_size, {}
    for where in ("cpu", device):
        scenes = scenes_on(where)
        images = scenes.batch(scenes.indices["train"][:16])
        streams = [stream(0, "view", which) for which in (0, 1)]
        made = random_views(images, scenes.modalities, views, side, streams)
        found[where] = made | {
            f"centre of {name}": view for name, view in centre_views(images, scenes.modalities, 0.79, side).items()
        }
        assert {view.device.type for view in found[where].values()} == {where}
    for name, view in found["cpu"].items():
        torch.testing.assert_close(found[device][name].cpu(), view, **TOLERANCE)


def test_features_and_evaluation_are_those_of_the_cpu(device):
    """Without noise to speak of, for a device draws its own."""
    scores = {}
    for where in ("cpu", device):
        job, scenes = on(stage_two(snr_db=80), where), scenes_on(where)
        compute = decide(job.compute, torch.device(where))
        system = placed(System(job, scenes, 0), compute, torch.device(where))
        scores[where] = Evaluation(scenes, "test", job, 0, compute)(system)
    assert scores[device].loss == pytest.approx(scores["cpu"].loss, rel=1e-2)
    assert scores[device].accuracy == pytest.approx(scores["cpu"].accuracy, abs=1 / 30 + 1e-6)


def test_a_study_of_baselines_asks_one_system_as_server_and_as_sender(device):
    scenes = scenes_on(device)
    order = torch.arange(len(scenes), device=device)
    scenes.indices.update(train=order[:48], validation=order[48:64], test=order[64:])
    own = on(stage_two(epochs=4), device)
    kept = KeptSystem(finetune(own, scenes, 0, None).system, own, 0, "ok", None)
    job = BaselinesJob(
        experiment="e", study="s", modalities=own.modalities, schemes=[BlockSettings(name="image")], local={}, server=own.method,
        methods=[own.method], snr_db=[10.0], channel_uses=[4096], channel_draws=2, label_fraction=1.0, channel=own.channel,
        bits_per_value=32, compute=arithmetic(device),
    )  # fmt: skip
    table, _ = Study(job, {own.method: [kept]}, scenes, 0).answers()
    assert set(table["sender"]) == {"image", own.method} and (table["status"] == "ok").all()
    assert {parameter.device.type for parameter in kept.system.parameters()} == {device}
