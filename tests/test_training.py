"""Schedules, batches, random streams and the test for divergence, from what their docstrings promise."""

import io
import math

import pytest
import torch

from conftest import ROOT
from semcom.config.experiment import load_config
from semcom.rng import stream, stream_seed
from semcom.training.batches import epoch_batches, steps_per_epoch
from semcom.training.optimization import (
    SGD,
    gradient_norm,
    has_diverged,
    learning_rate_factor,
    set_learning_rates,
    weight_norm,
)

torch.set_num_threads(1)
CONFIG = load_config(ROOT / "config/test.yaml")


# Learning rate


def test_warm_up_is_linear_from_its_first_share_to_1():
    factors = [learning_rate_factor(step, 100, 10, "cosine") for step in range(10)]
    assert factors == pytest.approx([(step + 1) / 10 for step in range(10)])


def test_constant_stays_at_the_peak():
    assert {learning_rate_factor(step, 100, 10, "constant") for step in range(10, 100)} == {1.0}


def test_cosine_falls_from_1_towards_0():
    factors = [learning_rate_factor(step, 110, 10, "cosine") for step in range(10, 110)]
    assert factors[0] == 1
    assert factors[50] == pytest.approx(0.5)
    assert factors == sorted(factors, reverse=True)
    assert 0 < factors[-1] < 1e-3
    assert factors[25] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


@pytest.mark.parametrize("decay", ["cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 7, 50])
def test_the_factor_is_continuous_and_never_beyond_0_and_1(decay, warmup):
    factors = [learning_rate_factor(step, 1000, warmup, decay) for step in range(1000)]
    jumps = [abs(b - a) for a, b in zip(factors, factors[1:], strict=False)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(jumps, default=0) <= max(1 / max(warmup, 1) if warmup > 1 else 0, math.pi / 2 / (1000 - warmup)) + 1e-12


@pytest.mark.parametrize("warmup", [0.5, 2.5, 3.6, 9.9])
def test_a_warm_up_of_part_of_an_epoch_does_not_overshoot_the_peak(warmup):
    """`warmup_epochs` may be any number, so warm-up need not be a whole number of steps."""
    assert max(learning_rate_factor(step, 100, warmup, "cosine") for step in range(100)) <= 1


def test_a_warm_up_as_long_as_the_run_does_not_fail():
    assert learning_rate_factor(10, 10, 10, "cosine") <= 1


def test_each_group_keeps_its_own_peak():
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = SGD([([p], lr) for p, lr in zip(parameters, (0.1, 0.4), strict=True)], 0.9, 0.0)
    for factors in ((0.5, 0.5), (0.0, 0.25)):
        set_learning_rates(optimizer, *factors)
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.1 * factors[0], 0.4 * factors[1]])


# SGD


@pytest.mark.parametrize("resumed_at", [None, 2, 5])
def test_sgd_is_torchs(resumed_at):
    """Two groups at their own rates, the first without gradients for three steps; also gone on from a saved state."""
    torch.manual_seed(0)
    starts = [torch.randn(3, 2, 4, 4).contiguous(memory_format=torch.channels_last), torch.randn(5), torch.randn(4, 2)]
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in starts] for _ in range(2))
    groups = [(ours[:2], 0.1), (ours[2:], 0.4)]
    optimizer = SGD(groups, momentum=0.9, weight_decay=0.05)
    reference = torch.optim.SGD(
        [{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2:], "lr": 0.4}], momentum=0.9, weight_decay=0.05
    )
    for step in range(8):
        if step == resumed_at:
            buffer = io.BytesIO()
            torch.save(optimizer.state_dict(), buffer)
            buffer.seek(0)
            optimizer = SGD(groups, momentum=0.9, weight_decay=0.05)
            optimizer.load_state_dict(torch.load(buffer, weights_only=True))
        factors = (1 / (step + 1), 1.0)
        set_learning_rates(optimizer, *factors)
        for group, peak, factor in zip(reference.param_groups, (0.1, 0.4), factors, strict=True):
            group["lr"] = peak * factor
        optimizer.zero_grad()
        reference.zero_grad()
        for position, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            if step >= 3 or position == 2:
                p.grad = torch.randn_like(p)
                q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
        for p, q in zip(ours, theirs, strict=True):
            assert torch.allclose(p, q, atol=1e-6)


# Batches


def schedule(batch_size, **changes):
    return CONFIG.pretrain.model_copy(update={"batch_size": batch_size} | changes)


@pytest.mark.parametrize(
    ("scenes", "batch", "count"), [(795, 64, 12), (397, 64, 6), (64, 64, 1), (63, 64, 0), (6, 2, 3)]
)
def test_an_epoch_is_whole_batches_of_each_scene_at_most_once(scenes, batch, count):
    indices = torch.arange(scenes) * 3 + 1
    batches = epoch_batches(indices, schedule(batch), 0, "pretrain", 0)
    assert len(batches) == steps_per_epoch(scenes, schedule(batch)) == count
    assert all(len(b) == batch for b in batches)
    drawn = torch.cat(batches).tolist() if batches else []
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(indices.tolist())


@pytest.mark.parametrize(("scenes", "rest"), [(795, 27), (397, 13), (128, 64), (66, 2), (65, 64)])
def test_a_last_partial_batch_is_kept_where_that_is_asked_for(scenes, rest):
    """But one of a single scene, which has no batch statistics."""
    batches = epoch_batches(torch.arange(scenes), schedule(64, drop_last=False), 0, "pretrain", 0)
    assert len(batches) == steps_per_epoch(scenes, schedule(64, drop_last=False))
    assert [len(b) for b in batches] == [64] * (len(batches) - 1) + [rest]
    assert len(set(torch.cat(batches).tolist())) == scenes - (scenes == 65)


def order(*address, count=100, batch=10):
    return torch.cat(epoch_batches(torch.arange(count), schedule(batch), *address)).tolist()


def test_batches_depend_on_seed_stage_and_epoch_and_on_nothing_else():
    expected = order(3, "pretrain", 5)
    torch.manual_seed(99)
    torch.rand(17)
    assert order(3, "pretrain", 5) == expected
    others = [order(4, "pretrain", 5), order(3, "finetune", 5), order(3, "pretrain", 6)]
    assert expected not in others
    assert expected != sorted(expected)


def test_drawing_batches_leaves_the_global_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    order(3, "pretrain", 5)
    assert torch.equal(torch.rand(3), expected)


def test_every_scene_is_left_out_sometimes_and_drawn_mostly():
    """The scenes that the last partial batch drops change from epoch to epoch."""
    drawn = [set(order(0, "pretrain", epoch, count=95, batch=10)) for epoch in range(200)]
    share = torch.tensor([sum(scene in d for d in drawn) / 200 for scene in range(95)])
    assert float(share.min()) > 0.85
    assert float(share.max()) < 1


# Streams


def test_a_stream_is_where_its_address_says_whatever_was_drawn_before():
    first = torch.rand(5, generator=stream(3, "views", 120))
    for step in range(10):
        torch.rand(step, generator=stream(3, "views", step))
    assert torch.equal(torch.rand(5, generator=stream(3, "views", 120)), first)


def test_different_addresses_give_different_streams():
    addresses = [(seed, what, step) for seed in range(5) for what in ("views", "noise", "order") for step in range(50)]
    addresses += [(0, "1", 1), (0, 1, "1"), (0, "11"), (0, 11), (0, "views"), (0, "views", 1, 2)]
    seeds = {stream_seed(seed, *rest) for seed, *rest in addresses}
    assert len(seeds) == len(addresses)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_neighbouring_streams_are_uncorrelated():
    draws = torch.stack([torch.randn(2000, generator=stream(0, "noise", step)) for step in range(40)])
    correlations = torch.corrcoef(draws) - torch.eye(40)
    assert float(correlations.abs().max()) < 5 / math.sqrt(2000)


def test_a_stream_is_the_same_on_every_machine():
    """The seed is a hash of the address's text. It must not change, or no result can be repeated."""
    assert stream_seed(0, "views", 1) == 351285085273757681


# Norms and divergence


def test_norms_are_over_all_parameters_together():
    module = torch.nn.Linear(3, 2)
    module.weight.grad = torch.full((2, 3), 2.0)
    module.bias.grad = torch.full((2,), 1.0)
    assert float(gradient_norm(module)) == pytest.approx(math.sqrt(6 * 4 + 2))
    expected = math.sqrt(float(module.weight.detach().square().sum() + module.bias.detach().square().sum()))
    assert float(weight_norm(module)) == pytest.approx(expected, rel=1e-6)


def test_a_parameter_without_gradient_counts_as_0():
    module = torch.nn.Linear(3, 2)
    module.weight.grad = torch.full((2, 3), 2.0)
    assert float(gradient_norm(module)) == pytest.approx(math.sqrt(24))


@pytest.mark.parametrize(
    ("values", "norm", "expected"),
    [
        ([1.0, 2.0], 5.0, False),
        ([1.0, 2.0], 10.0, False),
        ([1.0, 2.0], 10.1, True),
        ([1.0, math.nan], 5.0, True),
        ([math.inf, 1.0], 5.0, True),
        ([-math.inf], 5.0, True),
        ([1.0], math.inf, True),
        ([1.0], math.nan, True),
        ([], 5.0, False),
    ],
)
def test_a_run_has_diverged_at_any_value_not_finite_or_a_norm_beyond_the_bound(values, norm, expected):
    """A norm that is no number passes no comparison, yet is the surest sign."""
    assert has_diverged(values, norm, bound=10.0) is expected
