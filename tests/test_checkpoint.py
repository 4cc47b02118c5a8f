"""A run that is interrupted anywhere and started again ends with the same bytes as one that never was."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from test_stages import CONFIG, made_scenes, stage_one, stage_two

from semcom import training
from semcom.checkpoint import Checkpoint, fingerprint
from semcom.finetune import finetune
from semcom.pretrain import pretrain


class Killed(Exception):
    """Stands for whatever ends a process between two steps."""


@pytest.fixture(autouse=True)
def one_thread():
    training.set_up(CONFIG.compute)


@pytest.fixture
def kill(monkeypatch):
    """Ends a run as it begins its n-th step from now."""
    original = training.set_learning_rates

    def after(steps: int | None) -> None:
        left = [steps]

        def counted(optimizer, factor):
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            original(optimizer, factor)

        monkeypatch.setattr(training, "set_learning_rates", counted)

    return after


def always(path: Path, run: str = "run") -> Checkpoint:
    return Checkpoint(path, run, every_seconds=0)


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_stage_one_goes_on_where_it_was_killed(step, kill, tmp_path):
    scenes, job = made_scenes(), stage_one("simclr", epochs=3)
    whole = pretrain(job, scenes, 0)
    kill(step)
    with pytest.raises(Killed):
        pretrain(job, scenes, 0, always(tmp_path / "run.pt"))
    kill(6 - step)  # no more steps than were left
    resumed = pretrain(job, scenes, 0, always(tmp_path / "run.pt"))
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)
    for name, value in whole.encoders.state_dict().items():
        assert torch.equal(value, resumed.encoders.state_dict()[name]), name


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_stage_two_goes_on_where_it_was_killed(step, kill, tmp_path):
    scenes, job = made_scenes(), stage_two(epochs=3, evaluate_every_rounds=2)
    job = job.model_copy(update={"decoder": job.decoder.model_copy(update={"dropout": 0.3})})
    whole = finetune(job, scenes, 0, None)
    kill(step)
    with pytest.raises(Killed):
        finetune(job, scenes, 0, None, always(tmp_path / "run.pt"))
    kill(6 - step)
    resumed = finetune(job, scenes, 0, None, always(tmp_path / "run.pt"))
    pd.testing.assert_frame_equal(resumed.rounds, whole.rounds, check_exact=True)
    pd.testing.assert_frame_equal(resumed.ledger, whole.ledger, check_exact=True)


def test_a_run_killed_again_and_again_ends_the_same(kill, tmp_path):
    scenes, job = made_scenes(), stage_one(epochs=3)
    whole = pretrain(job, scenes, 0).steps
    for _ in range(5):
        kill(1)
        with pytest.raises(Killed):
            pretrain(job, scenes, 0, always(tmp_path / "run.pt"))
    kill(None)
    pd.testing.assert_frame_equal(pretrain(job, scenes, 0, always(tmp_path / "run.pt")).steps, whole)


def test_what_is_not_this_runs_checkpoint_is_refused_in_words(tmp_path, caplog):
    path = tmp_path / "run.pt"
    always(path, "another").save({"step": 3})
    assert always(path).load() is None and "other settings, data or code" in caplog.text
    always(path).save({"step": 3})
    assert always(path).load() == {"step": 3}
    path.write_bytes(path.read_bytes()[:100])
    caplog.clear()
    assert always(path).load() is None and "checkpoint refused" in caplog.text
    always(path).remove()
    assert not list(tmp_path.iterdir()) and always(path).load() is None


def test_a_save_that_fails_leaves_the_last_one(tmp_path):
    path = tmp_path / "run.pt"
    always(path).save({"step": 3})
    with pytest.raises(Exception, match="pickle|local object"):
        always(path).save({"step": lambda: 4})
    assert always(path).load() == {"step": 3}


def test_a_fingerprint_tells_runs_apart(tmp_path):
    code = tmp_path / "loss.py"
    code.write_text("a")
    base = fingerprint({"k": 1}, 0, [code])
    assert base == fingerprint({"k": 1}, 0, [code])
    assert base != fingerprint({"k": 2}, 0, [code]) and base != fingerprint({"k": 1}, 1, [code])
    code.write_text("b")
    assert base != fingerprint({"k": 1}, 0, [code])
