"""The batches of an epoch, and the steps of a whole stage, one batch each."""

from collections.abc import Iterator

import torch
from torch import Tensor

from semcom.config.sections import ScheduleSettings
from semcom.rng import stream
from semcom.training.schedule import steps_per_epoch


def epoch_batches(indices: Tensor, schedule: ScheduleSettings, seed: int, stage: str, epoch: int) -> list[Tensor]:
    """The batches of one epoch: `indices` shuffled by (seed, stage, epoch), cut into batches."""
    order = torch.randperm(len(indices), generator=stream(seed, stage, "order", epoch))
    order = indices[order.to(indices.device)]
    return list(order.split(schedule.batch_size)[: steps_per_epoch(len(indices), schedule)])


def steps(
    indices: Tensor, schedule: ScheduleSettings, seed: int, stage: str, start: int
) -> Iterator[tuple[int, Tensor]]:
    """Every optimiser step of a stage from `start` on: its number, from 0, and the scenes of its batch."""
    per_epoch = steps_per_epoch(len(indices), schedule)
    for step in range(start, per_epoch * schedule.epochs):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == start:
            batches = epoch_batches(indices, schedule, seed, stage, epoch)
        yield step, batches[position]
