"""The arithmetic of a run: what each kind of device gets, what is said of it, and that a run keeps it to its end."""

import itertools
import logging
import os
import subprocess
import sys

import pytest
import torch

from conftest import ROOT
from semcom.common import processor
from semcom.common.errors import InputError
from semcom.config.loading import load_config, parse_config
from semcom.models import precision
from semcom.models.precision import decide, decided
from semcom.training.finetune import finetune
from semcom.training.pretrain import pretrain
from test_stages import CONFIG, made_scenes, stage_one, stage_two

CPU = torch.device("cpu")


def compute(**changes):
    return CONFIG.compute.model_copy(update={"precision": "auto", "channels_last": "auto"} | changes)


@pytest.fixture
def native(monkeypatch):
    """Make every device one that has bfloat16, or one that has not."""

    def answer(has: bool) -> None:
        monkeypatch.setattr(precision, "has_bfloat16", lambda device: has)

    return answer


@pytest.mark.parametrize(
    ("device", "has", "expected"),
    [
        ("cpu", True, ("bfloat16", True)),
        ("cpu", False, ("float32", True)),
        ("cuda", True, ("bfloat16", True)),
        ("cuda", False, ("float32", False)),
        ("mps", False, ("float32", False)),
    ],
)
def test_auto_is_what_the_device_has(native, device, has, expected):
    native(has)
    found = decide(compute(), torch.device(device))
    assert (found.precision, found.channels_last) == expected
    assert precision.dtype(found) == getattr(torch, expected[0])


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.parametrize(("asked", "layout"), [*itertools.product(["float32", "bfloat16"], [True, False])])
def test_what_is_set_is_taken(native, has, asked, layout):
    native(has)
    found = decide(compute(precision=asked, channels_last=layout), CPU)
    assert decided(found) == {"precision": asked, "channels_last": layout}


def test_what_is_not_decided_cannot_be_computed_in():
    with pytest.raises(KeyError, match="auto"):
        precision.dtype(compute())
    with pytest.raises(ValueError, match="channels_last: 'auto'"):
        precision.laid_out(torch.zeros(1, 3, 4, 4), compute(precision="float32"))


# What processors have, by what torch reports of them


@pytest.mark.parametrize(
    ("found", "limit", "onednn", "has", "kind"),
    [
        ({"avx2": True}, None, False, False, "AVX2"),
        ({"avx2": True, "avx512_f": True}, None, True, False, "AVX-512"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True}, None, True, True, "AVX-512 BF16"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": True}, None, True, True, "AMX"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True}, "AVX2", False, False, "AVX-512 BF16 limited to AVX2"),
        ({"avx512_f": True, "avx512_bf16": True}, "AVX512_CORE", True, False, "AVX-512 BF16 limited to AVX512_CORE"),
        ({"avx512_f": True, "avx512_bf16": True}, "avx512_core_bf16", True, True, "AVX-512 BF16"),
        ({"avx512_f": True, "avx512_bf16": True}, "ALL", True, True, "AVX-512 BF16"),
        ({"neon": True}, None, False, False, "NEON"),
        ({"neon": True, "bf16": True}, None, True, True, "NEON BF16"),
        ({"neon": True, "bf16": True}, None, False, False, "NEON BF16"),  # a torch without oneDNN, as on macOS
        ({"neon": True, "bf16": True, "sve_bf16": True}, None, True, True, "SVE BF16"),
    ],
)
def test_a_processor_has_bfloat16_where_torch_computes_in_it(monkeypatch, found, limit, onednn, has, kind):
    monkeypatch.setattr(processor, "capabilities", lambda: found)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert (precision.has_bfloat16(CPU), processor.kind()) == (has, kind)
    assert kind in processor.name()


def test_this_processor_can_be_held_to_avx2():
    """The real libraries in a process of its own: float32 wherever bfloat16 would be emulated."""
    code = """
import torch
from semcom.config.loading import load_config
from semcom.models.precision import decide
print(decide(load_config("config/config.yaml").compute, torch.device("cpu")).precision)
"""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["float32"]


# What is said


def test_the_decision_is_said_in_one_line(native, caplog):
    native(False)
    with caplog.at_level(logging.INFO, "semcom"):
        decide(compute(), CPU)
    (line,) = caplog.messages
    assert line == f"arithmetic: float32, channels-last on {processor.name()}"


def test_emulated_bfloat16_is_warned_of_in_one_line(native, caplog):
    native(False)
    with caplog.at_level(logging.WARNING, "semcom"):
        decide(compute(precision="bfloat16"), CPU)
    (line,) = caplog.messages
    assert "compute.precision: bfloat16 is emulated" in line and "set it to auto or float32" in line
    assert "10 times" in line
    caplog.clear()
    native(True)
    with caplog.at_level(logging.WARNING, "semcom"):
        decide(compute(precision="bfloat16"), CPU)
    assert not caplog.messages


def test_bfloat16_on_a_device_without_it_is_refused(native):
    native(False)

    class NoBfloat16(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if (kwargs or {}).get("dtype") == torch.bfloat16:
                raise TypeError("BFloat16 is not supported on this device\nmore of it")
            return function(*args, **(kwargs or {}))

    with NoBfloat16(), pytest.raises(InputError) as error:
        decide(compute(precision="bfloat16"), CPU)
    assert "compute.precision" in str(error.value) and "set it to auto or float32" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_precision_is_named():
    raw = load_config(ROOT / "config/config.yaml").model_dump()
    raw["compute"]["precision"] = "bf16"
    with pytest.raises(InputError, match=r"compute\.precision: value 'bf16' .*'auto', 'float32' or 'bfloat16'"):
        parse_config(raw)


# A run keeps the arithmetic that it began with


class Interrupting:
    """Ends a stage after a few steps, and lets it go on from there: the state as a checkpoint would keep it."""

    def __init__(self, after: int | None, saved: dict | None = None):
        self.after, self.saved = after, saved

    def start(self, total, fault_in):
        assert self.saved is None or fault_in(self.saved) is None
        return self.saved

    def step_done(self, done, state, **reached):
        if self.after is not None:
            self.after -= 1
            if self.after == 0:
                self.saved = state()
                raise InterruptedError

    def trained(self, state):
        pass


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
@pytest.mark.parametrize("began_with", [True, False])
def test_a_run_that_goes_on_elsewhere_keeps_its_arithmetic(native, caplog, stage, began_with):
    scenes = made_scenes()

    def run(observer):
        if stage == "pretrain":
            job = stage_one(epochs=2)
            return pretrain(job.model_copy(update={"compute": compute()}), scenes, 0, observer)
        job = stage_two(epochs=2)
        return finetune(job.model_copy(update={"compute": compute()}), scenes, 0, None, observer)

    native(began_with)
    whole = run(None)
    first = Interrupting(after=2)
    with pytest.raises(InterruptedError):
        run(first)
    native(not began_with)
    with caplog.at_level(logging.INFO, "semcom"):
        resumed = run(Interrupting(None, first.saved))
    name = "bfloat16" if began_with else "float32"
    assert resumed.arithmetic == whole.arithmetic == {"precision": name, "channels_last": True}
    assert whole.steps.equals(resumed.steps)
    assert any("in it the run began, and goes on" in line for line in caplog.messages)
