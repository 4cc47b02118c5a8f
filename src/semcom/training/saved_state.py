"""What a run's checkpoint has to hold for a stage to go on from it: looked at before anything is taken from it."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from semcom.common.structure import NUMBER, fault
from semcom.config.sections import ScheduleSettings
from semcom.training import optimization

POSITION = {
    "step": int,
    "status": frozenset({optimization.OK, optimization.DIVERGED}),
    "arithmetic": {"precision": frozenset({"float32", "bfloat16"}), "channels_last": bool},
}


def networks_fault(
    state: Mapping[str, Any],
    name: str,
    network: nn.Module,
    rates: Iterable[optimization.Group],
    schedule: ScheduleSettings,
) -> str | None:
    """In what `state[name]` and `state["optimizer"]` are not those of a network and of the optimizer that trains it.

    Args:
        rates, schedule: as for `optimization.make_optimizer`.
    """
    return fault(state[name], network.state_dict(), name) or _optimizer_fault(state["optimizer"], rates, schedule)


def _optimizer_fault(saved: Any, rates: Iterable[optimization.Group], schedule: ScheduleSettings) -> str | None:
    if wrong := fault(saved, {"state": dict, "param_groups": [dict]}, "optimizer"):
        return wrong
    trial = optimization.make_optimizer(rates, schedule)
    for group in saved["param_groups"]:
        ours = {key: group.get(key) for key in ("lr", "peak_lr", "network")}
        if wrong := fault(ours, {"lr": NUMBER, "peak_lr": NUMBER, "network": int}, "optimizer.param_groups"):
            return wrong
    if wrong := fault(list(saved["state"].values()), [dict], "optimizer.state"):
        return wrong
    try:
        trial.load_state_dict(saved)  # it knows what other versions of torch left out
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return f"optimizer is not this one's ({' '.join(str(error).split())})"
    for parameter, kept in trial.state.items():
        for value in kept.values():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                return "optimizer keeps a tensor of another shape than its parameter's"
    return None
