"""How many optimiser steps a schedule takes, and the learning rate of each; without torch."""

import math

from semcom.common.errors import InputError
from semcom.config.sections import ScheduleSettings


def steps_per_epoch(scenes: int, schedule: ScheduleSettings) -> int:
    """Batches in `scenes`: whole ones, and with `drop_last: false` what remains, if that is two scenes or more.

    By default it is dropped. Correlation losses have a floor that rises as the batch shrinks, and batch statistics of
    15 or 27 scenes, what remains of NYUD2's 399 (half of the labels) and 795, are no match for those of 64.
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


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int, decay: str) -> float:
    """Share of the peak learning rate at optimiser step `step`, counted from 0.

    Three cases: linear warm-up from 1/warmup_steps to 1; then constant; or a half cosine from 1 towards 0.
    """
    if step < warmup_steps:
        return min(1.0, (step + 1) / warmup_steps)
    if decay == "constant":
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return (1 + math.cos(math.pi * progress)) / 2
