"""Random streams addressed by name and position, so that no stage has a random state to save.

Every draw of a run comes from a generator seeded by (seed, what for, where): `stream(3, "views", step)` gives the same
views of step 120 whether the run began at step 0 or was resumed at 119, and evaluating more often does not change the
training. Runs that share a seed share their batches, views and noise across methods, so that methods can be compared
pair by pair.
"""

import hashlib

import torch


def stream_seed(seed: int, *address: str | int) -> int:
    """A 63-bit seed from a run's seed and an address, e.g. `("noise", round, "rgb")`."""
    digest = hashlib.blake2b(repr((seed, *address)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def stream(seed: int, *address: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` at the start of the stream of that address."""
    return torch.Generator(device).manual_seed(stream_seed(seed, *address))
