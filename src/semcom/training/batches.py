"""The batches of an epoch, how many there are, and the steps of a whole stage, one batch each."""

from collections.abc import Iterator

import torch
from torch import Tensor

from semcom.common.errors import InputError
from semcom.config.sections import ScheduleSettings
from semcom.rng import stream


def steps_per_epoch(scenes: int, schedule: ScheduleSettings) -> int:
    """Batches in `scenes`: whole ones, and with `drop_last: false` what remains, if that is two scenes or more.

    By default it is dropped. Correlation losses have a floor that rises as the batch shrinks, and batch statistics of
    13 or 27 scenes, what remains of NYUD2's 397 and 795, are no match for those of 64.
    """
    whole, rest = divmod(scenes, schedule.batch_size)
    return whole + (not schedule.drop_last and rest > 1)  # batch normalisation takes two


def total_steps(scenes: int, schedule: ScheduleSettings) -> int:
    """Optimiser steps of a whole schedule.

    Raises:
        InputError: the scenes do not fill one batch.
    """
    if scenes < schedule.batch_size:
        raise InputError(
            f"batch_size: {schedule.batch_size} exceeds the {scenes} scenes it is drawn from; lower it in the config"
        )
    return steps_per_epoch(scenes, schedule) * schedule.epochs


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
