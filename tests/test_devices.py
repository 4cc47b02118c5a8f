"""Which device a job trains on, and that no two jobs of one machine take the same GPU."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from semcom.common.errors import InputError
from semcom.config.sections import ComputeSettings
from semcom.runs.devices import allocated, choose, visible_gpus
from slurm.cluster import wait_until

SETTINGS = {
    "threads": 1,
    "data_in_memory_mb": 8000,
    "compile": "none",
    "tf32": False,
    "precision": "float32",
    "channels_last": False,
    "deterministic": False,
}
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU that torch can use")
# Takes one of the GPUs named on the command line, says which, and keeps it until it is killed or its input ends.
HOLDER = """
import sys
from pathlib import Path
from semcom.runs.devices import claim
from semcom.common.reporting import log_to
log_to(sys.argv[1] + "/" + sys.argv[2] + ".log")
print(claim(sys.argv[3:], Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def compute(device: str) -> ComputeSettings:
    return ComputeSettings(device=device, **SETTINGS)


@pytest.fixture(autouse=True)
def no_allocation(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        monkeypatch.delenv(name, raising=False)


@without_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu():
    assert choose(compute("auto")) == torch.device("cpu")


@without_gpu
@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS"])
def test_auto_does_not_leave_an_allocated_gpu_idle(monkeypatch, name):
    monkeypatch.setenv(name, "0")
    with pytest.raises(InputError, match=rf"compute\.device: auto .* {name}=0 .* CUDA build of torch, or .* cpu"):
        choose(compute("auto"))
    assert choose(compute("cpu")) == torch.device("cpu")


@without_gpu
@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles"])
def test_what_says_no_gpu_is_no_allocation(monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert choose(compute("auto")) == torch.device("cpu")


@without_gpu
def test_a_named_device_that_is_not_there_is_said():
    with pytest.raises(InputError, match=r"compute\.device: 'cuda:1' cannot be used .*; set it to auto or cpu"):
        choose(compute("cuda:1"))


def test_an_allocation_is_named_by_its_variable():
    assert allocated({"SLURM_JOB_GPUS": "2,3"}) == "SLURM_JOB_GPUS=2,3"
    assert allocated({"CUDA_VISIBLE_DEVICES": "-1", "HOME": "/"}) is None


@pytest.mark.parametrize(
    ("count", "variable", "names"),
    [
        (2, None, ["0", "1"]),
        (2, "", ["0", "1"]),
        (2, "2,3", ["2", "3"]),  # a job that sees GPUs 2 and 3 names them as one that sees all four does
        (4, None, ["0", "1", "2", "3"]),
        (1, "GPU-8932f937-d72c-4106", ["GPU-8932f937-d72c-4106"]),
        (2, "0, 1", ["0", "1"]),
    ],
)
def test_gpus_have_the_same_names_in_all_processes(count, variable, names):
    assert visible_gpus(count, {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}) == names


@pytest.fixture
def hold(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a process that claims one of some GPUs."""
    started: list[subprocess.Popen] = []

    def start(*names: str) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), str(len(started)), *names]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:  # which waits, and closes its pipes
            pass


def claimed(process: subprocess.Popen) -> int:
    return int(process.stdout.readline())


def log_of(folder: Path, process: int) -> str:
    path = folder / f"{process}.log"
    return path.read_text() if path.exists() else ""


def test_each_process_has_a_gpu_of_its_own_and_gives_it_back_however_it_ends(hold, tmp_path):
    first, second = hold("0", "1"), hold("0", "1")
    held = {claimed(first): first, claimed(second): second}
    assert held.keys() == {0, 1}
    third = hold("0", "1")
    wait_until(lambda: "waiting: other jobs have all 2 GPUs" in log_of(tmp_path, 2), "the third process to wait")
    held[1].kill()
    assert claimed(third) == 1
    held[0].stdin.close()
    assert held[0].wait() == 0
    assert claimed(hold("0", "1")) == 0


def test_a_process_that_sees_fewer_gpus_claims_among_them(hold):
    assert claimed(hold("1")) == 0  # the first that it sees is the machine's GPU 1
    assert claimed(hold("0", "1")) == 0
