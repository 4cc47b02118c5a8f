"""A run that is stopped anywhere and started again ends with the same bytes as one that never was."""

import random

import pandas as pd
import pytest
import torch

from attempts import attempt_in, own_signals  # noqa: F401
from semcom.runs.checkpoint import FORMAT, Checkpoint, fingerprint
from semcom.training import optimization
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from test_stages import CONFIG, made_scenes, stage_one, stage_two

pytestmark = pytest.mark.usefixtures("own_signals")


class Killed(Exception):
    """Stands for whatever ends a process between two steps."""


@pytest.fixture(autouse=True)
def every_step_is_kept(monkeypatch):
    set_up(CONFIG.compute)
    monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", "0")


@pytest.fixture
def kill(monkeypatch):
    """Ends a run as it begins its n-th step from now."""
    original = optimization.set_learning_rates

    def after(steps: int | None) -> None:
        left = [steps]

        def counted(optimizer, *factors):
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            original(optimizer, *factors)

        monkeypatch.setattr(optimization, "set_learning_rates", counted)

    return after


def pretrained(job, scenes, folder):
    with attempt_in(folder, "pretrain") as attempt:
        return pretrain(job, scenes, 0, attempt)


def finetuned(job, scenes, folder):
    with attempt_in(folder, "finetune") as attempt:
        return finetune(job, scenes, 0, None, attempt)


def with_dropout(job):
    return job.model_copy(update={"decoder": job.decoder.model_copy(update={"dropout": 0.3})})


@pytest.mark.parametrize("method", ["simclr", "byol", "simsiam"])
@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_stage_one_goes_on_where_it_was_killed(method, step, kill, tmp_path):
    scenes, job = made_scenes(), stage_one(method, epochs=3)
    whole = pretrain(job, scenes, 0)
    kill(step)
    with pytest.raises(Killed):
        pretrained(job, scenes, tmp_path)
    kill(6 - step)  # no more steps than were left
    resumed = pretrained(job, scenes, tmp_path)
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)
    for name, value in whole.encoders.state_dict().items():
        assert torch.equal(value, resumed.encoders.state_dict()[name]), name


@pytest.mark.parametrize("step", [0, 1, 3, 5])
def test_stage_two_goes_on_where_it_was_killed(step, kill, tmp_path):
    scenes, job = made_scenes(), with_dropout(stage_two(epochs=3, frozen_epochs=1, evaluate_every_rounds=2))
    whole = finetune(job, scenes, 0, None)
    kill(step)
    with pytest.raises(Killed):
        finetuned(job, scenes, tmp_path)
    kill(6 - step)
    resumed = finetuned(job, scenes, tmp_path)
    pd.testing.assert_frame_equal(resumed.rounds, whole.rounds, check_exact=True)
    pd.testing.assert_frame_equal(resumed.ledger, whole.ledger, check_exact=True)
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)


def test_a_run_killed_again_and_again_ends_the_same(kill, tmp_path):
    scenes, job = made_scenes(), stage_one(epochs=3)
    whole = pretrain(job, scenes, 0).steps
    for _ in range(5):
        kill(1)
        with pytest.raises(Killed):
            pretrained(job, scenes, tmp_path)
    kill(None)
    pd.testing.assert_frame_equal(pretrained(job, scenes, tmp_path).steps, whole)


def test_no_draw_comes_from_a_state_that_a_checkpoint_would_have_to_hold(kill, tmp_path):
    """Checkpoints hold no random state. A process that goes on finds another one, and must not notice."""
    scenes = made_scenes()
    jobs = {"pretrain": stage_one("simclr", epochs=3), "finetune": with_dropout(stage_two(epochs=3))}
    for run, job in ((pretrained, jobs["pretrain"]), (finetuned, jobs["finetune"])):
        kill(None)
        (tmp_path / run.__name__).mkdir()
        whole = run(job, scenes, tmp_path / run.__name__ / "whole")
        for step in range(1, 6):
            kill(1)
            torch.manual_seed(step)
            random.seed(step)
            with pytest.raises(Killed):
                run(job, scenes, tmp_path / run.__name__)
        kill(None)
        resumed = run(job, scenes, tmp_path / run.__name__)
        table = "steps" if run is pretrained else "rounds"
        pd.testing.assert_frame_equal(getattr(resumed, table), getattr(whole, table), check_exact=True)


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("diverging", [False, True])
def test_a_finished_training_is_not_repeated_to_write_its_results(stage, diverging, kill, tmp_path):
    """As after a full disk: the run's results were lost, its last checkpoint was not."""
    scenes = made_scenes()
    bound = {"diverged_gradient_norm": 1e-9} if diverging else {}
    if stage == "pretrain":
        run, job, table = pretrained, stage_one(epochs=2, **bound), "steps"
    else:
        run, job, table = finetuned, stage_two(epochs=2, **bound), "rounds"
    first = run(job, scenes, tmp_path)
    assert first.status == (optimization.DIVERGED if diverging else optimization.OK)
    kill(0)
    again = run(job, scenes, tmp_path)
    assert again.status == first.status
    pd.testing.assert_frame_equal(getattr(again, table), getattr(first, table), check_exact=True)
    if stage == "pretrain":
        for name, value in first.encoders.state_dict().items():
            assert torch.equal(value, again.encoders.state_dict()[name]), name


# The file


def test_what_is_not_this_runs_checkpoint_is_refused_in_words(tmp_path, caplog):
    path = tmp_path / "run.pt"
    Checkpoint(path, "another").save({"step": 3})
    assert Checkpoint(path, "run").load() is None and "of other settings, data or code" in caplog.text
    Checkpoint(path, "run").save({"step": 3})
    assert Checkpoint(path, "run").load() == {"step": 3}
    torch.save({"fingerprint": "run", "state": {"step": 3}}, path)  # as anybody's program may write it
    caplog.clear()
    assert Checkpoint(path, "run").load() is None and "is no checkpoint of this program" in caplog.text
    assert len(caplog.messages) == 1


def test_a_checkpoint_cut_short_or_changed_at_any_byte_is_refused(tmp_path, caplog):
    path = tmp_path / "run.pt"
    Checkpoint(path, "run").save({"step": 3, "network": {"weight": torch.arange(50.0)}})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert Checkpoint(path, "run").load() is None, length
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert Checkpoint(path, "run").load() is None, position
    assert len(caplog.messages) == 2 * len(whole)  # one line each
    assert {"is damaged; starting" in m or "no checkpoint of this program; starting" in m for m in caplog.messages} == {
        True
    }
    path.write_bytes(whole)
    assert Checkpoint(path, "run").load()["step"] == 3


def test_an_empty_checkpoint_is_refused(tmp_path):
    (tmp_path / "run.pt").touch()
    assert Checkpoint(tmp_path / "run.pt", "run").load() is None
    (tmp_path / "run.pt").write_bytes(FORMAT)
    assert Checkpoint(tmp_path / "run.pt", "run").load() is None


def test_a_save_that_fails_leaves_the_last_one(tmp_path):
    path = tmp_path / "run.pt"
    Checkpoint(path, "run").save({"step": 3})
    with pytest.raises(Exception, match="pickle|local object"):
        Checkpoint(path, "run").save({"step": lambda: 4})
    assert Checkpoint(path, "run").load() == {"step": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_a_fingerprint_tells_runs_apart(tmp_path):
    code = tmp_path / "loss.py"
    code.write_text("a")
    base = fingerprint({"k": 1}, 0, [code])
    assert base == fingerprint({"k": 1}, 0, [code])
    assert base != fingerprint({"k": 2}, 0, [code]) and base != fingerprint({"k": 1}, 1, [code])
    code.write_text("b")
    assert base != fingerprint({"k": 1}, 0, [code])


def test_a_fingerprint_is_of_what_files_hold_not_of_when_or_where(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scenes.h5").write_bytes(b"scenes")
    here = fingerprint({}, 0, [tmp_path / "here/scenes.h5"])
    (tmp_path / "here/scenes.h5").touch()
    assert (
        here == fingerprint({}, 0, [tmp_path / "here/scenes.h5"]) == fingerprint({}, 0, [tmp_path / "there/scenes.h5"])
    )
