"""What a run takes: time and memory, over all of its attempts. Nothing here needs torch."""

import contextlib
import resource
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """What a run has taken, over all of its attempts: seconds, and the largest memory, in MB, of any of them.

    What an attempt did after its last checkpoint, and lost, is not in it.
    """

    wall_time_s: float
    peak_memory_mb: float
    peak_device_memory_mb: float | None

    @classmethod
    def since(cls, began: float) -> "Spent":
        """By this process, since `time.monotonic()` was `began`."""
        return cls(round(time.monotonic() - began, 3), peak_memory_mb(), peak_device_memory_mb())

    def after(self, earlier: "Spent | None") -> "Spent":
        """Together with what earlier attempts took."""
        if earlier is None:
            return self
        device = [peak for peak in (self.peak_device_memory_mb, earlier.peak_device_memory_mb) if peak is not None]
        return Spent(
            round(self.wall_time_s + earlier.wall_time_s, 3),
            max(self.peak_memory_mb, earlier.peak_memory_mb),
            max(device, default=None),
        )


def peak_memory_mb() -> float:
    """Largest resident set of this process so far."""
    # What `getrusage` tells begins with the largest of the process that started this one.
    if (peak := proc_status_mb("VmHWM")) is not None:
        return round(peak, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)  # macOS counts bytes, Linux kilobytes


def proc_status_mb(field: str) -> float | None:
    """A memory field of /proc/self/status, None where there is none such."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        return next((int(line.split()[1]) / 1e3 for line in status if line.startswith(f"{field}:")), None)
    return None


def peak_device_memory_mb() -> float | None:
    """Largest allocation of this process on a CUDA device so far, None where it has used none."""
    torch = sys.modules.get("torch")  # if it is not loaded yet, nothing is on a device
    if torch is None or not torch.cuda.is_initialized():
        return None
    return round(max(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count()))) / 1e6, 1)
