"""Which device a job trains on, and that the jobs of one machine share its GPUs as they are told to."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from semcom.common.errors import InputError
from semcom.config.sections import ComputeSettings
from semcom.runs import devices
from semcom.runs.devices import allocated, choose, claim, claims_folder, visible_gpus
from semcom.runs.environment import RUNS_PER_GPU, check, runs_per_gpu
from semcom.runs.local_gpus import Places, places
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
with_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="this machine has no two GPUs that torch can use")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that torch can use")
# Takes a place on one of the GPUs named on the command line, says on which, and keeps it until its input or it ends.
HOLDER = """
import os, sys
from pathlib import Path
from semcom.runs.devices import claim
from semcom.runs.environment import runs_per_gpu
from semcom.common.reporting import log_to
log_to(sys.argv[1] + "/" + sys.argv[2] + ".log")
print(claim(sys.argv[3:], Path(sys.argv[1]), runs_per_gpu(os.environ)), flush=True)
sys.stdin.read()
"""


def compute(device: str) -> ComputeSettings:
    return ComputeSettings(device=device, **SETTINGS)


@pytest.fixture(autouse=True)
def no_allocation(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", RUNS_PER_GPU):
        monkeypatch.delenv(name, raising=False)


@without_gpu
def test_auto_takes_the_cpu_where_there_is_no_gpu():
    assert choose(compute("auto")) == torch.device("cpu")


@pytest.mark.gpu
@with_gpu
def test_auto_takes_a_gpu_where_there_is_one():
    assert choose(compute("auto")).type == "cuda"


@pytest.mark.gpu
@with_gpus
def test_two_jobs_on_auto_train_on_two_gpus():
    script = "from test_devices import choose, compute; print(choose(compute('auto')), flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    path = os.pathsep.join(sys.path)
    jobs = [
        subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": path}, **pipes)
        for _ in range(2)
    ]
    found = {job.stdout.readline().strip() for job in jobs}
    for job in jobs:
        job.communicate("\n")
    assert found == {"cuda:0", "cuda:1"}


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
    """Starts a process that claims a place on one of some GPUs."""
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


def test_runs_that_share_gpus_fill_them_evenly(hold, tmp_path, monkeypatch):
    """Four places on two GPUs: a run on each before a second on any; a place that is free again is taken next."""
    monkeypatch.setenv(RUNS_PER_GPU, "2")
    runs = []
    for _ in range(4):
        runs.append(hold("0", "1"))
        runs[-1].gpu = claimed(runs[-1])
    assert [run.gpu for run in runs] == [0, 1, 0, 1]
    fifth = hold("0", "1")
    wait_until(
        lambda: (
            "waiting: other jobs have all 2 places on 2 GPUs; --resources gpu=4 starts no more" in log_of(tmp_path, 4)
        ),
        "the fifth process to wait",
    )
    runs[1].kill()
    assert claimed(fifth) == 1


def test_a_run_that_wants_a_gpu_alone_sees_no_second_place(hold, monkeypatch, tmp_path):
    assert claimed(hold("0")) == 0
    waiting = hold("0")
    wait_until(lambda: "waiting: other jobs have all 1 GPUs" in log_of(tmp_path, 1), "the second process to wait")
    monkeypatch.setenv(RUNS_PER_GPU, "2")
    assert claimed(hold("0")) == 0
    assert waiting.poll() is None


# The folder that GPUs are claimed in


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where the folder of claims is to lie."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"semcom-gpus-{os.getuid()}"


def test_the_folder_of_claims_is_ones_own(temporary):
    assert claims_folder() == temporary == claims_folder()
    assert temporary.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link to a folder", "link to nothing", "file", "pipe"])
def test_what_is_no_folder_is_refused(temporary, tmp_path, kind):
    if kind == "link to a folder":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        temporary.symlink_to(tmp_path / "elsewhere")
    elif kind == "link to nothing":
        temporary.symlink_to(tmp_path / "nothing")
    elif kind == "file":
        temporary.touch()
    else:
        os.mkfifo(temporary)
    with pytest.raises(InputError, match=rf"^{temporary}: is no folder, .*; move it away, or set TMPDIR to [^\n]*$"):
        claims_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to someone else")
def test_a_folder_of_another_user_is_refused(temporary):
    temporary.mkdir(mode=0o700)
    os.chown(temporary, 12345, 12345)
    with pytest.raises(InputError, match=rf"^{temporary}: belongs to another user, .*; set TMPDIR to [^\n]*$"):
        claims_folder()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720])
def test_a_folder_that_others_may_write_to_is_refused(temporary, mode):
    temporary.mkdir()
    temporary.chmod(mode)
    with pytest.raises(InputError, match=rf"^{temporary}: others may write to it, .*; chmod 700 {temporary}$"):
        claims_folder()


def test_a_folder_that_cannot_be_made_is_said(temporary, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be made, to claim GPUs in \(Not a directory\); set TMPDIR to"):
        claims_folder()


def test_a_pipe_or_a_link_in_place_of_a_lock_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "0.0.lock")
    with pytest.raises(InputError, match=r"^.*/0\.0\.lock: [^\n]*; set TMPDIR to [^\n]*$"):
        claim(["0"], tmp_path)
    (tmp_path / "target").touch()
    (tmp_path / "1.0.lock").symlink_to(tmp_path / "target")
    with pytest.raises(
        InputError, match=r"^.*/1\.0\.lock: cannot be opened, to claim a GPU \(.*\); set TMPDIR to [^\n]*$"
    ):
        claim(["1"], tmp_path)


def test_a_slice_of_a_gpu_can_be_claimed_by_the_name_that_cuda_gives_it(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_claimed", held := [])
    assert claim(["MIG-GPU-8932f937/1/0"], tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["MIG-GPU-8932f937_1_0.0.lock"]
    held[0].close()


# What the profile says


FILE = "local-gpu/profile.yaml"
ALIKE = ("pretrain", "finetune", "calibrate")


def asked(**numbers: object) -> Places | None:
    return places(dict.fromkeys(ALIKE, {"gpu": 1} | numbers), FILE, cores=16, threads=2)


def test_places_are_gpus_times_runs_on_each():
    assert asked(gpus=2, runs_per_gpu=4) == Places(2, 4, FILE)
    assert asked(gpus=2, runs_per_gpu=4).at_once == 8
    assert asked() is None  # a profile for SLURM
    assert asked(gpus=16, runs_per_gpu=1).at_once == 16  # more GPUs than cores: Snakemake starts fewer


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"gpus": 0, "runs_per_gpu": 1}, "gpus: 0 is not a whole number of 1 or more; set it to how many GPUs this"),
        ({"gpus": -2, "runs_per_gpu": 1}, "gpus: -2 is not a whole number of 1 or more; set it to how many GPUs"),
        ({"gpus": "two", "runs_per_gpu": 1}, "gpus: 'two' is not a whole number of 1 or more; set it to how many GPUs"),
        ({"gpus": True, "runs_per_gpu": 1}, "gpus: True is not a whole number"),
        ({"runs_per_gpu": 1}, "gpus: is missing; set it to"),
        ({"gpus": 1, "runs_per_gpu": 0}, "runs_per_gpu: 0 is not a whole number of 1 or more; set it to how many runs"),
        ({"gpus": 1, "runs_per_gpu": "1.5"}, "runs_per_gpu: '1.5' is not a whole number of 1 or more; set it to"),
        ({"gpus": 1}, "runs_per_gpu: is missing; set it to"),
        (
            {"gpus": 2, "runs_per_gpu": 5},
            "runs_per_gpu: 5 makes 10 runs of 2 threads (compute.threads), more than the 16 cores that Snakemake may "
            "use; set it to 4",
        ),
    ],
)
def test_a_number_that_makes_no_sense_is_said_with_file_key_and_remedy(numbers, said):
    with pytest.raises(InputError) as error:
        asked(**numbers)
    assert str(error.value).startswith(f"{FILE}: {said}") and "\n" not in str(error.value)


def test_where_nothing_runs_no_cores_are_compared():
    said = dict.fromkeys(ALIKE, {"gpus": 2, "runs_per_gpu": 5})
    assert places(said, FILE, cores=None, threads=2).at_once == 10


def test_training_rules_must_agree():
    said = dict.fromkeys(ALIKE, {"gpus": 2, "runs_per_gpu": 1}) | {"finetune": {"gpus": 1, "runs_per_gpu": 1}}
    with pytest.raises(InputError, match="gpus: 2 for pretrain, 1 for finetune, 2 for calibrate; give all training"):
        places(said, FILE, cores=16, threads=2)


def test_more_gpus_than_torch_can_use_are_said_with_their_number():
    Places(2, 4, FILE).check(2)
    Places(2, 4, FILE).check(3)
    with pytest.raises(InputError, match=rf"^{FILE}: gpus: 2 is more than torch can use here; set it to 1$"):
        Places(2, 1, FILE).check(1)
    with pytest.raises(InputError, match=rf"^{FILE}: gpus: 2, but torch can use none here; install .*, or run without"):
        Places(2, 1, FILE).check(0)


def test_runs_per_gpu_reach_a_job_by_the_environment():
    assert runs_per_gpu({}) == 1 and runs_per_gpu({RUNS_PER_GPU: "4"}) == 4
    for text in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(InputError, match=rf"^{RUNS_PER_GPU}: '{text}' is no whole number of 1 or more; correct or"):
            runs_per_gpu({RUNS_PER_GPU: text})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SEMCOM_CHECKPOINT_SECONDS", "soon", "'soon' is no number of seconds; correct or unset"),
        ("SEMCOM_CHECKPOINT_SECONDS", "nan", "'nan' is no number of seconds"),
        (RUNS_PER_GPU, "two", "'two' is no whole number of 1 or more; correct or unset"),
        ("SEMCOM_RUNS_PER_GPUS", "2", f"no such variable; did you mean '{RUNS_PER_GPU}'"),
        ("SEMCOM_CHECKPOINTS_SECONDS", "2", "no such variable; did you mean 'SEMCOM_CHECKPOINT_SECONDS'"),
        ("ONEDNN_MAX_CPU_ISA", "AVX-2", "'AVX-2' is no instruction set of oneDNN; correct or unset"),
        ("DNNL_MAX_CPU_ISA", "fastest", "'fastest' is no instruction set of oneDNN"),
    ],
)
def test_a_variable_of_the_environment_is_checked_whatever_needs_it(name, value, says):
    with pytest.raises(InputError, match=f"^{name}: {says}"):
        check({"PATH": "/bin", name: value})


def test_a_sound_environment_passes():
    check({})
    check({"SEMCOM_CHECKPOINT_SECONDS": "0.5", RUNS_PER_GPU: "2", "SEMCOM_KILLS": "x", "ONEDNN_MAX_CPU_ISA": "avx2"})
    for name in ("", "ALL", "DEFAULT", "SSE41", "AVX2_VNNI_2", "AVX512_CORE_BF16", "AVX10_1_512_AMX_FP16"):
        check({"ONEDNN_MAX_CPU_ISA": name})
