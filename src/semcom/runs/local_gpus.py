"""Runs side by side on the GPUs of one workstation, as the profile `local-gpu` asks for them.

The profile says two numbers, of GPUs and of runs on each. What they come to is checked here before anything starts;
each job learns the second from the environment. Nothing here needs torch.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from semcom.common.errors import InputError

_COUNT = "import torch; print(torch.accelerator.device_count() if torch.accelerator.is_available() else 0)"


@dataclass(frozen=True)
class Places:
    """Where training runs have room.

    Attributes:
        gpus: of the workstation.
        runs_per_gpu: at once on each.
        profile: the file that says so, for messages.
    """

    gpus: int
    runs_per_gpu: int
    profile: str

    @property
    def at_once(self) -> int:
        """Runs at once, on all GPUs together."""
        return self.gpus * self.runs_per_gpu

    def check(self, seen: int) -> None:
        """See whether there are as many GPUs.

        Args:
            seen: GPUs that torch can use.

        Raises:
            InputError: there are fewer.
        """
        if seen == 0:
            raise InputError(
                f"{self.profile}: gpus: {self.gpus}, but torch can use none here; install a CUDA build of torch, or run "
                "without this profile: snakemake --cores all all"
            )
        if self.gpus > seen:
            raise InputError(f"{self.profile}: gpus: {self.gpus} is more than torch can use here; set it to {seen}")


def places(
    asked: Mapping[str, Mapping[str, object]], profile: str, *, cores: int | None, threads: int
) -> Places | None:
    """What a profile asks for.

    Args:
        asked: rule to what the profile's `set-resources` says of it: `gpus` and `runs_per_gpu`, as they stand there.
        profile: its file, for messages.
        cores: that Snakemake may use; None where it runs nothing.
        threads: of a training run, `compute.threads`.

    Returns:
        None where it speaks of no `gpus`, as all profiles but `local-gpu` do.

    Raises:
        InputError: one of the two is missing, no number, or less than 1; rules differ in it; or all runs at once would
            take more cores than there are.
    """
    said = {rule: settings for rule, settings in asked.items() if {"gpus", "runs_per_gpu"} & settings.keys()}
    if not said:
        return None
    numbers = {}
    for key, meaning in (("gpus", "how many GPUs this workstation has"), ("runs_per_gpu", "how many runs share a GPU")):
        values = {rule: settings.get(key) for rule, settings in said.items()}
        if len(set(values.values())) > 1:
            told = ", ".join(f"{value} for {rule}" for rule, value in values.items())
            raise InputError(f"{profile}: {key}: {told}; give all training rules the same number, {meaning}")
        value = next(iter(values.values()))
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            fault = "is missing" if value is None else f"{value!r} is not a whole number of 1 or more"
            raise InputError(f"{profile}: {key}: {fault}; set it to {meaning}")
        numbers[key] = value
    found = Places(**numbers, profile=profile)
    if cores is not None and found.runs_per_gpu > 1 and found.at_once * threads > cores:
        fit = max(1, cores // (threads * found.gpus))
        raise InputError(
            f"{profile}: runs_per_gpu: {found.runs_per_gpu} makes {found.at_once} runs of {threads} threads "
            f"(compute.threads), more than the {cores} cores that Snakemake may use; set it to {fit}"
        )
    return found


def gpus_seen(python: str) -> int | None:
    """GPUs that torch can use, asked in a process of its own of this interpreter; None where it cannot be asked, as where only the jobs'
    own environments have it."""
    done = subprocess.run([python, "-c", _COUNT], check=False, capture_output=True, text=True)
    return None if done.returncode else int(done.stdout)
