"""Schedules, batches, random streams and the test for divergence, from what their docstrings promise."""

import copy
import io
import math
from itertools import pairwise

import pytest
import torch

from conftest import ROOT
from semcom.config.loading import load_config
from semcom.rng import stream, stream_seed
from semcom.training.batches import epoch_batches
from semcom.training.optimization import (
    DIVERGED,
    OK,
    descend,
    gradient_norm,
    has_diverged,
    make_optimizer,
    set_learning_rates,
    weight_norm,
)
from semcom.training.schedule import learning_rate_factor, steps_per_epoch

torch.set_num_threads(1)
CONFIG = load_config(ROOT / "tests/config.yaml")


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


def descent(**changes):
    """A schedule that differs from the tests' own in how steps are taken."""
    return CONFIG.pretrain.model_copy(update={"clip_gradient_norm": None} | changes)


def linear(*sizes: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in pairwise(sizes)))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
def test_each_network_keeps_its_own_peak(optimizer):
    networks = [(linear(2, 3), 0.1), (linear(3, 1), 0.4)]
    made = make_optimizer(networks, descent(optimizer=optimizer))
    for factors in ((0.5, 0.5), (0.0, 0.25)):
        set_learning_rates(made, *factors)
        rates = {group["network"]: group["lr"] for group in made.param_groups}
        assert rates == pytest.approx({0: 0.1 * factors[0], 1: 0.4 * factors[1]})
    assert sum(len(group["params"]) for group in made.param_groups) == 4  # each parameter once


def test_sgd_decays_everything_and_the_others_neither_biases_nor_normalisation():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    for optimizer, bare in (("sgd", 0), ("adamw", 3), ("lars", 3)):
        made = make_optimizer([(network, 0.1)], descent(optimizer=optimizer, weight_decay=0.05))
        spared = [p for group in made.param_groups if group["weight_decay"] == 0 for p in group["params"]]
        assert len(spared) == bare and all(p.dim() == 1 for p in spared)


def _lars_by_hand(w, g, v, lr, beta, momentum, *, adapt):
    """Algorithm 1 of arXiv 1708.03888 for one layer, at a constant rate; without `adapt` plain SGD with no decay."""
    local = 0.001 * w.norm() / (g.norm() + beta * w.norm()) if adapt else 1.0
    v = momentum * (0 if v is None else v) + lr * local * (g + beta * w * adapt)
    return w - v, v


@pytest.mark.parametrize("bound", [None, 0.5])
def test_lars_takes_the_steps_of_its_paper(bound):
    torch.manual_seed(0)
    network = linear(4, 3)
    settings = descent(optimizer="lars", weight_decay=0.05, momentum=0.9, clip_gradient_norm=bound)
    optimizer = make_optimizer([(network, 0.2)], settings)
    expected = {name: (p.detach().clone(), None) for name, p in network.named_parameters()}
    for _ in range(3):
        x = torch.randn(5, 4)
        loss = network(x).square().sum()
        gradients = torch.autograd.grad(network(x).square().sum(), list(network.parameters()))
        norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
        divisor = max(1.0, float(norm) / bound) if bound else 1.0
        for (name, (w, v)), g in zip(expected.items(), gradients, strict=True):
            expected[name] = _lars_by_hand(w, g / divisor, v, 0.2, 0.05, 0.9, adapt=w.dim() > 1)
        descend(optimizer, loss, {"network": network}, settings)
        for name, p in network.named_parameters():
            assert torch.allclose(p, expected[name][0], atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
@pytest.mark.parametrize("bound", [None, 0.3, 1e6])
def test_clipping_inside_the_step_is_clipping_before_it(optimizer, bound):
    """Against torch's own clipping and a fresh optimizer without `grad_scale`."""
    torch.manual_seed(0)
    ours = linear(4, 6, 2)
    theirs = copy.deepcopy(ours)
    settings = descent(optimizer=optimizer, clip_gradient_norm=bound)
    a, b = (make_optimizer([(network, 0.1)], settings) for network in (ours, theirs))
    for _ in range(4):
        x = torch.randn(8, 4)
        numbers, status = descend(a, ours(x).square().sum(), {"all": ours}, settings)
        b.zero_grad()
        theirs(x).square().sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), bound or math.inf)
        b.step()
        assert status == OK and numbers["gradient_norm"] == pytest.approx(norm.item(), rel=1e-5)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(p, q, atol=2e-6)


def test_a_diverged_step_is_not_taken():
    network = linear(2, 1)
    before = copy.deepcopy(network.state_dict())
    settings = descent(diverged_gradient_norm=1e-12)
    optimizer = make_optimizer([(network, 0.1)], settings)
    numbers, status = descend(optimizer, network(torch.ones(3, 2)).sum(), {"all": network}, settings)
    assert status == DIVERGED and numbers["gradient_norm"] > 1e-12
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lars"])
@pytest.mark.parametrize("resumed_at", [2, 5])
def test_an_optimizer_goes_on_from_its_saved_state(optimizer, resumed_at):
    """Two networks, the first without gradients for three steps, as frozen encoders are."""
    settings = descent(optimizer=optimizer)

    def run(resumed: int | None) -> list[torch.Tensor]:
        torch.manual_seed(0)
        first, second = linear(3, 4), linear(4, 2)
        groups = [(first, 0.1), (second, 0.4)]
        made = make_optimizer(groups, settings)
        for step in range(8):
            if step == resumed:
                buffer = io.BytesIO()
                torch.save(made.state_dict(), buffer)
                buffer.seek(0)
                made = make_optimizer(groups, settings)
                made.load_state_dict(torch.load(buffer, weights_only=True))
            set_learning_rates(made, 0.0 if step < 3 else 1.0, 1.0)
            x = torch.randn(5, 3)
            with torch.set_grad_enabled(step >= 3):
                z = first(x)
            descend(made, second(z).square().mean(), {"all": torch.nn.ModuleList([first, second])}, settings)
        return [p.detach() for network in (first, second) for p in network.parameters()]

    assert all(torch.equal(p, q) for p, q in zip(run(None), run(resumed_at), strict=True))


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
