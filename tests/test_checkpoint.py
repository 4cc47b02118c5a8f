"""A run that is stopped anywhere and started again ends with the same bytes as one that never was."""

import contextlib
import copy
import hashlib
import io
import random
from pathlib import Path

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


def sealed(path, content: bytes) -> None:
    """A checkpoint file whose digest is right, whatever it holds."""
    path.write_bytes(FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def pickled(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no state of a run"),
        (b"no archive", "holds no state of a run"),
        (pickled([1, 2]), "is of another version: its content is no mapping"),
        (pickled({"state": {}}), "its content lacks 'fingerprint'"),
        (pickled({"fingerprint": "run", "state": None}), "its content.state is NoneType, expected dict"),
        (pickled({"fingerprint": 1, "state": {}}), "its content.fingerprint is int"),
        (pickled({"fingerprint": "run", "state": {}, "host": "x"}), "'host', which this version does not know"),
        (pickled({"fingerprint": "run", "state": Path}), "holds no state of a run"),  # needs code to be read
    ],
)
def test_a_right_digest_over_other_content_is_refused_like_any_foreign_one(content, says, tmp_path, caplog):
    path = tmp_path / "run.pt"
    sealed(path, content)
    before = path.read_bytes()
    assert Checkpoint(path, "run").load() is None
    (line,) = caplog.messages
    assert line.startswith(f"checkpoint refused: {path} ") and says in line and "\n" not in line
    assert line.endswith("; starting from the beginning") and path.read_bytes() == before


class Asking:
    """Ends a stage as it begins, and keeps what it says of states that it might go on from."""

    def start(self, total, fault_in):
        self.fault_in = fault_in
        raise Killed


def places(value, at=()):
    """Keys that lead to each place of a state: to the first entry of lists and of networks; to optimizers themselves."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    if at in (("network",), ("system",)):
        inner = list(inner)[:1]
    for key, each in inner if at != ("optimizer",) else ():
        yield from places(each, (*at, key))


def spoiled(state, at):
    """Copies of a state with the entry at a place gone, of another kind, and with a field more."""
    for how in ("gone", "other", "more"):
        copied = holder = copy.deepcopy(state)
        for key in at[:-1]:
            holder = holder[key]
        if how == "other":
            holder[at[-1]] = {"another": "kind"}
        elif how == "gone" and isinstance(holder, dict):
            del holder[at[-1]]
        elif how == "more" and isinstance(holder[at[-1]], dict):
            holder[at[-1]]["a field of a newer version"] = 1
        else:
            continue
        yield how, copied


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_state_that_lacks_something_or_has_more_is_not_gone_on_from(stage, finished, kill, tmp_path):
    scenes = made_scenes()
    run, job = (pretrained, stage_one("simclr", epochs=2)) if stage == "pretrain" else (finetuned, stage_two(epochs=2))
    kill(None if finished else 2)
    with contextlib.nullcontext() if finished else pytest.raises(Killed):
        run(job, scenes, tmp_path)
    saved = kept(tmp_path)["state"]
    asking = Asking()
    with pytest.raises(Killed):
        pretrain(job, scenes, 0, asking) if stage == "pretrain" else finetune(job, scenes, 0, None, asking)
    assert asking.fault_in(saved) is None
    tried = 0
    unused = [("optimizer",)] if finished else []  # nothing is left to be trained by it
    for at in [at for at in places(saved) if at and at not in unused]:
        for how, foreign in spoiled(saved, at):
            assert asking.fault_in(foreign), (at, how)
            tried += 1
    assert tried > 40


def kept(folder: Path) -> dict:
    """What a checkpoint holds: spent and state, of a fingerprint."""
    return torch.load(io.BytesIO((folder / "run.pt").read_bytes()[len(FORMAT) + 65 :]), weights_only=True)["state"]


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("spoil", [
    lambda saved: saved["spent"].update(energy_kwh=1.0),
    lambda saved: saved.update(spent={}),
    lambda saved: saved.update(host="node7"),
    lambda saved: saved.update(state={}),
    lambda saved: saved["state"].update(precision="float16"),
    lambda saved: saved["state"]["arithmetic"].update(precision="float16"),
    lambda saved: saved["state"]["optimizer"]["param_groups"].pop(),
    lambda saved: saved["state"]["optimizer"]["param_groups"][0].pop("peak_lr"),
    lambda saved: saved["state"]["optimizer"]["param_groups"][0].update(network="x"),
    lambda saved: saved["state"]["optimizer"]["param_groups"][0]["params"].pop(),
    lambda saved: saved["state"]["optimizer"]["param_groups"].append(3),
    lambda saved: saved["state"]["optimizer"]["state"][0].update(momentum_buffer=torch.ones(3)),
    lambda saved: saved["state"]["optimizer"]["state"].update({0: 3}),
])  # fmt: skip
def test_a_run_with_a_foreign_checkpoint_starts_anew_and_ends_the_same(stage, spoil, kill, tmp_path, caplog):
    scenes = made_scenes()
    first = stage == "pretrain"
    run, job = (pretrained, stage_one(epochs=2)) if first else (finetuned, stage_two(epochs=2))
    whole = pretrain(job, scenes, 0).steps if first else finetune(job, scenes, 0, None).rounds
    kill(2)
    with pytest.raises(Killed):
        run(job, scenes, tmp_path)
    kill(None)
    saved = kept(tmp_path)
    spoil(saved)
    Checkpoint(tmp_path / "run.pt", fingerprint({}, 0, [])).save(saved)
    caplog.clear()
    again = run(job, scenes, tmp_path)
    pd.testing.assert_frame_equal(again.steps if first else again.rounds, whole, check_exact=True)
    (line,) = [line for line in caplog.messages if line.startswith("checkpoint refused")]
    assert "is of another version: " in line and line.endswith("; starting from the beginning") and "\n" not in line


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
