"""The batches of an epoch."""

import torch
from torch import Tensor

from semcom.config.sections import ScheduleSettings
from semcom.rng import stream
from semcom.training.steps import steps_per_epoch


def epoch_batches(indices: Tensor, schedule: ScheduleSettings, seed: int, stage: str, epoch: int) -> list[Tensor]:
    """The batches of one epoch: `indices` shuffled by (seed, stage, epoch), cut into batches."""
    order = torch.randperm(len(indices), generator=stream(seed, stage, "order", epoch))
    order = indices[order.to(indices.device)]
    return list(order.split(schedule.batch_size)[: steps_per_epoch(len(indices), schedule)])
