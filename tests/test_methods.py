"""VICReg, BYOL and SimSiam against closed forms and other computations; what a network of a loss's own must keep to."""

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

import semcom.losses
from attempts import attempt_in, own_signals  # noqa: F401
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.losses import byol, simsiam, vicreg
from semcom.models.encoders import make_encoders
from semcom.models.momentum import WithTarget, follow, frozen_copy
from semcom.models.precision import placed
from semcom.models.torchvision_import import import_torchvision
from semcom.models.two_views import TwoViews, make_network
from semcom.rng import stream
from semcom.training.observer import Unobserved
from semcom.training.optimization import check_gradients
from semcom.training.pretrain import pretrain
from semcom.training.process import set_up
from semcom.training.schedule import total_steps
from semcom.views.views import random_views
from test_stages import COMPUTE, CONFIG, made_scenes, stage_one

AUTHORS = vicreg.Options(invariance=25.0, variance=25.0, covariance=1.0)
BYOL = byol.Options(predictor_hidden=8, tau_base=0.9)
SIMSIAM = simsiam.Options(predictor_hidden=8)
ALL = {"vicreg": (vicreg, AUTHORS, 2), "byol": (byol, BYOL, 4), "simsiam": (simsiam, SIMSIAM, 4)}
every_loss = pytest.mark.parametrize(("loss", "o", "lists"), ALL.values(), ids=ALL.keys())


@pytest.fixture(autouse=True)
def one_thread():
    set_up(CONFIG.compute)


def batches(lists: int, seed: int = 0, modalities: int = 2, scenes: int = 6, count: int = 5):
    """`lists` lists of M (B, K) features that are correlated and have a mean."""
    g = torch.Generator().manual_seed(seed)
    common = torch.randn(scenes, count, generator=g) + 0.3
    return [[common + torch.randn(scenes, count, generator=g) for _ in range(modalities)] for _ in range(lists)]


def total(terms) -> float:
    return float(sum(terms.values()))


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


# What holds for each of them


@every_loss
def test_the_order_of_scenes_and_of_modalities_does_not_matter(loss, o, lists):
    features = batches(lists, modalities=3)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    expected = total(loss.terms(*features, o))
    assert total(loss.terms(*[[x[order] for x in each] for each in features], o)) == pytest.approx(expected, rel=1e-5)
    assert total(loss.terms(*[each[::-1] for each in features], o)) == pytest.approx(expected, rel=1e-5)


@every_loss
def test_swapping_the_views_does_not_matter(loss, o, lists):
    features = batches(lists)
    swapped = [features[i ^ 1] for i in range(lists)]
    assert total(loss.terms(*swapped, o)) == pytest.approx(total(loss.terms(*features, o)), rel=1e-5)


@every_loss
def test_modalities_add_up(loss, o, lists):
    features = batches(lists, modalities=3)
    each = [total(loss.terms(*[[views[m]] for views in features], o)) for m in range(3)]
    assert total(loss.terms(*features, o)) == pytest.approx(sum(each), rel=1e-5)


@every_loss
def test_half_precision_features_are_computed_in_float32(loss, o, lists):
    half = [[x.to(torch.bfloat16) for x in each] for each in batches(lists)]
    got = loss.terms(*half, o)
    assert all(value.dtype == torch.float32 for value in got.values())
    assert total(got) == total(loss.terms(*[[x.float() for x in each] for each in half], o))


@every_loss
@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e9])
def test_no_features_give_nan_in_value_or_gradient(loss, o, lists, scale):
    leaves = [[(x * scale).requires_grad_() for x in each] for each in batches(lists)]
    value = sum(loss.terms(*leaves, o).values())
    value.backward()
    assert value.isfinite() and all(x.grad.isfinite().all() for each in leaves[:2] for x in each)


@every_loss
def test_a_list_that_lacks_a_modality_is_refused(loss, o, lists):
    features = batches(lists, modalities=3)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        loss.terms(*features[:-1], features[-1][:2], o)


@every_loss
def test_no_view_leaves_its_device(loss, o, lists):
    assert loss.views_exchanged(o) == 0


@pytest.mark.parametrize("method", ALL)
def test_stage_one_lowers_the_loss_and_leaves_encoders_that_stage_two_knows(method):
    scenes, job = made_scenes(), stage_one(method, epochs=15)
    result = pretrain(job, scenes, 0)
    loss = result.steps["loss"]
    assert result.status == "ok" and loss.iloc[-4:].mean() < loss.iloc[:4].mean() - 0.05 * abs(loss.iloc[:4].mean())
    channels = {m: scenes.modalities[m].channels for m in job.modalities}
    assert result.encoders.state_dict().keys() == make_encoders(job.encoder, channels, 0).state_dict().keys()
    assert not [name for name in result.steps if "predictors" in name or "projectors" in name]


# VICReg


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0, 2.0])
def test_vicreg_of_uncorrelated_features(size):
    """Four scenes, two orthogonal features of variance 4 size^2 / 3; the other view is moved by 0.5."""
    z = size * torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    got = vicreg.terms([z], [z + 0.5], AUTHORS)
    assert float(got["invariance"]) == pytest.approx(25 * 0.25)
    hinge = max(0.0, 1 - math.sqrt(4 * size**2 / 3 + 1e-4))
    assert float(got["variance"]) == pytest.approx(25 * hinge, rel=1e-5)
    assert float(got["covariance"]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [2, 5])
def test_vicreg_of_one_feature_repeated(count):
    """All K (K - 1) covariances are its variance: c = (K - 1) var^2, of each of two views."""
    x = torch.tensor([[1.0], [2.0], [4.0], [9.0]])
    got = vicreg.terms([x.expand(4, count)], [x.expand(4, count)], AUTHORS)
    assert float(got["covariance"]) == pytest.approx(2 * (count - 1) * (38 / 3) ** 2, rel=1e-5)
    assert float(got["invariance"]) == float(got["variance"]) == 0


def vicreg_as_printed(a: np.ndarray, b: np.ndarray, lambda_: float, mu: float, nu: float) -> float:
    """l(Z, Z') of the paper, in float64."""

    def v(z):
        return np.maximum(0, 1 - np.sqrt(z.var(axis=0, ddof=1) + 1e-4)).mean()

    def c(z):
        covariance = np.cov(z, rowvar=False)
        return (covariance[~np.eye(len(covariance), dtype=bool)] ** 2).sum() / len(covariance)

    s = (np.linalg.norm(a - b, axis=1) ** 2).mean()
    return lambda_ * s + mu * (v(a) + v(b)) + nu * (c(a) + c(b))


@pytest.mark.parametrize("scale", [0.1, 0.7, 3.0])
@pytest.mark.parametrize(("scenes", "count"), [(6, 5), (4, 9), (64, 32)])
def test_vicreg_is_the_print_with_its_coefficients_translated(scale, scenes, count):
    z, z_tilde = ([scale * x for x in views] for views in batches(2, 1, 3, scenes, count))
    expected = sum(
        vicreg_as_printed(a.double().numpy(), b.double().numpy(), 25 / count, 25 / 2, 1)
        for a, b in zip(z, z_tilde, strict=True)
    )
    assert total(vicreg.terms(z, z_tilde, AUTHORS)) == pytest.approx(expected, rel=1e-4)


def test_vicreg_agrees_with_lightly():
    import_torchvision()
    lightly = pytest.importorskip("lightly.loss")
    for seed, scenes, count in [(0, 8, 16), (1, 64, 128)]:
        z, z_tilde = ([0.5 * x for x in views] for views in batches(2, seed, 1, scenes, count))
        expected = float(lightly.VICRegLoss()(z[0], z_tilde[0]))
        assert total(vicreg.terms(z, z_tilde, AUTHORS)) == pytest.approx(expected, rel=1e-4)


# BYOL


def test_byol_is_2_minus_2_cosines_of_both_directions():
    p, p_tilde, t, t_tilde = batches(4, 2, 3)
    expected = 0.0
    for a, b, a_t, b_t in zip(p, p_tilde, t, t_tilde, strict=True):
        expected += sum(
            (2 - 2 * (unit(x.numpy()) * unit(y.numpy())).sum(axis=1)).mean() for x, y in ((a, b_t), (b, a_t))
        )
    assert total(byol.terms(p, p_tilde, t, t_tilde, BYOL)) == pytest.approx(expected, rel=1e-5)


def test_byol_from_what_is_predicted_wholly_to_its_opposite():
    p, p_tilde, *_ = batches(4, 3)
    for factor, expected in ((2.0, 0.0), (-0.5, 8 * 2)):  # 4 a direction and modality at the most; size does not matter
        target, target_tilde = ([factor * x for x in views] for views in (p_tilde, p))
        assert total(byol.terms(p, p_tilde, target, target_tilde, BYOL)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("loss", [byol, simsiam])
def test_no_gradient_goes_into_what_is_predicted(loss):
    leaves = [[x.requires_grad_() for x in each] for each in batches(4)]
    sum(loss.terms(*leaves, ALL[loss.__name__.rpartition(".")[2]][1]).values()).backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for each in leaves[:2] for x in each)
    assert all(x.grad is None for each in leaves[2:] for x in each)


def test_tau_rises_by_a_cosine_from_its_base_to_1():
    assert byol.tau(0, 100, 0.996) == pytest.approx(0.996)
    assert byol.tau(50, 100, 0.996) == pytest.approx(0.998)
    assert byol.tau(100, 100, 0.996) == 1
    values = [byol.tau(step, 100, 0.9) for step in range(101)]
    assert values == sorted(values)


class Kept(Unobserved):
    """Keeps the network's state after each step."""

    def __init__(self):
        self.states = []

    def step_done(self, done, state, **reached):
        self.states.append({name: value.clone() for name, value in state()["network"].items()})


def test_the_target_is_the_moving_average_of_what_each_step_left():
    """After n steps: xi_n = prod tau_k xi_0 + sum_k (1 - tau_k) prod_{j > k} tau_j theta_k, with theta after step k."""
    scenes, job, kept = made_scenes(), stage_one("byol", epochs=4), Kept()
    job = job.model_copy(update={"options": job.options | {"tau_base": 0.8}})
    start = make_network(byol, job, scenes, 0).state_dict()
    pretrain(job, scenes, 0, kept)
    steps = total_steps(len(scenes.indices["train"]), job.schedule)
    taus = [byol.tau(step, steps, 0.8) for step in range(steps)]
    assert len(kept.states) == steps == 8
    trained = [name for name, _ in make_network(byol, job, scenes, 0).named_parameters() if name.startswith("target_")]
    assert any("encoders" in name for name in trained) and any("projectors" in name for name in trained)
    for name in trained:
        online = name.removeprefix("target_")
        expected = math.prod(taus) * start[name].double()
        for k, state in enumerate(kept.states):
            expected += (1 - taus[k]) * math.prod(taus[k + 1 :]) * state[online].double()
        assert torch.allclose(kept.states[-1][name].double(), expected, rtol=1e-5, atol=1e-7), name
        assert torch.equal(start[name], start[online])


def test_a_target_that_keeps_nothing_is_the_network_and_one_that_keeps_all_stays():
    online = torch.nn.Linear(3, 2)
    target = frozen_copy(online)
    before = target.weight.clone()
    with torch.no_grad():
        online.weight.add_(1)
    follow(target, online, 1.0)
    assert torch.equal(target.weight, before)
    follow(target, online, 0.0)
    assert torch.equal(target.weight, online.weight)
    assert not target.weight.requires_grad and target.weight.grad is None


def one_batch(job, scenes):
    streams = [stream(0, "pretrain", "view", which, 0) for which in (0, 1)]
    images = scenes.batch(scenes.indices["train"][:32])
    return random_views(images, scenes.modalities, job.views, job.crop_size, streams, torch.float32, job.depth_encoding)


def test_the_target_normalises_by_its_own_batch_and_moves_no_statistics_of_the_encoders():
    scenes, job = made_scenes(), stage_one("byol")
    network = placed(make_network(byol, job, scenes, 0), COMPUTE, scenes.device).train()
    alone = placed(TwoViews(job, scenes, 0), COMPUTE, scenes.device).train()
    views = one_batch(job, scenes)
    with torch.no_grad():  # so that target and encoders differ
        for parameter in network.encoders.parameters():
            parameter.mul_(1.1)
    *_, target, target_tilde = network.features(views, COMPUTE)
    z, z_tilde = alone.features(views, COMPUTE)  # the target's parameters, seeing the same batch by themselves
    assert all(torch.equal(a, b) for a, b in zip([*target, *target_tilde], [*z, *z_tilde], strict=True))
    buffers = dict(network.named_buffers())
    for name, value in alone.named_buffers():
        assert torch.equal(buffers[f"target_{name}"], value), name
        if name.endswith("num_batches_tracked"):
            assert buffers[name] == 1
    assert any(not torch.equal(buffers[name], value) for name, value in alone.named_buffers())
    before = {name: value.clone() for name, value in buffers.items()}
    network.after_step(0, 10)
    assert all(torch.equal(before[name], value) for name, value in network.named_buffers())


def test_the_optimizer_has_nothing_of_the_target():
    scenes, job = made_scenes(), stage_one("byol")
    network = make_network(byol, job, scenes, 0).train()
    predictions = network.features(one_batch(job, scenes), COMPUTE)
    sum(byol.terms(*predictions, byol.Options(**job.options)).values()).backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in network.named_parameters() if name.startswith("target_")} != set()
    assert set(network.parts) == {"rgb", "depth", "projectors", "predictors"}


# SimSiam


def test_simsiam_is_half_the_negative_cosines_of_both_directions():
    p, p_tilde, z, z_tilde = batches(4, 4, 3)
    expected = 0.0
    for a, b, a_z, b_z in zip(p, p_tilde, z, z_tilde, strict=True):
        expected -= sum((unit(x.numpy()) * unit(y.numpy())).sum(axis=1).mean() / 2 for x, y in ((a, b_z), (b, a_z)))
    assert total(simsiam.terms(p, p_tilde, z, z_tilde, SIMSIAM)) == pytest.approx(expected, rel=1e-5)
    assert total(simsiam.terms(p, p_tilde, p_tilde, p, SIMSIAM)) == pytest.approx(-3, rel=1e-5)


def test_the_gradient_of_simsiam_is_what_calculus_gives():
    """Of D to a row of p: -(z^ - (p^ . z^) p^) / (|p| B), with ^ for unit length; half of it in the symmetric loss."""
    p, p_tilde, z, z_tilde = batches(4, 5, 1)
    p[0].requires_grad_()
    sum(simsiam.terms(p, p_tilde, z, z_tilde, SIMSIAM).values()).backward()
    a, b = p[0].detach().double().numpy(), z_tilde[0].double().numpy()
    cosine = (unit(a) * unit(b)).sum(axis=1, keepdims=True)
    expected = -(unit(b) - cosine * unit(a)) / np.linalg.norm(a, axis=1, keepdims=True) / len(a) / 2
    assert p[0].grad.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_byol_and_simsiam_start_from_the_encoders_of_every_other_method():
    scenes = made_scenes()
    plain = TwoViews(stage_one("byol"), scenes, 3).state_dict()
    for loss in (byol, simsiam):
        network = make_network(loss, stage_one(loss.__name__.rpartition(".")[2]), scenes, 3)
        for name, value in network.encoders.state_dict().items():
            assert torch.equal(value, plain[f"encoders.{name}"])


# A loss file of one's own


HEAD = """
from semcom.common.settings import Settings
class Options(Settings):
    pass
def views_exchanged(options):
    return 0
"""
SQUARES = "def terms(z, z_tilde, options):\n    return {'squares': sum(x.square().mean() for x in [*z, *z_tilde])}\n"


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Puts a loss file beside the package's own, and gives the module and a job that names it."""
    folder = tmp_path / "losses"
    folder.mkdir()
    monkeypatch.setattr(semcom.losses, "__path__", [*semcom.losses.__path__, str(folder)])
    monkeypatch.setattr(semcom.losses.__spec__, "submodule_search_locations", semcom.losses.__path__)

    def add(name: str, body: str, **changes):
        monkeypatch.delitem(__import__("sys").modules, f"semcom.losses.{name}", raising=False)
        (folder / f"{name}.py").write_text(HEAD + body)
        job = stage_one("byol", epochs=3)
        return job.model_copy(update={"method": "m", "loss": name, "options": {}} | changes)

    return add


def test_a_modality_without_gradient_is_named_at_the_first_step(added):
    job = added("lopsided", "def terms(z, z_tilde, options):\n    return {'a': z[0].sum(), 'b': z[1].detach().sum()}\n")
    with pytest.raises(InputError) as error:
        pretrain(job, made_scenes(), 0)
    message = str(error.value)
    assert message.startswith("methods.m: loss 'lopsided' gives no gradient to depth") and "\n" not in message


@pytest.mark.parametrize("body", ["{'a': sum(x.detach().sum() for x in z)}", "{}"])
def test_a_loss_without_any_gradient_names_all_that_it_should_train(added, body):
    job = added("constant", f"def terms(z, z_tilde, options):\n    return {body}\n")
    with pytest.raises(InputError, match="'constant' gives no gradient to rgb, depth, projectors;"):
        pretrain(job, made_scenes(), 0)
    with pytest.raises(InputError, match="gives no gradient to rgb, depth;"):  # no projectors, none to train
        pretrain(job.model_copy(update={"projector": []}), made_scenes(), 0)


def test_a_network_that_takes_no_part_is_named(added):
    body = """
def network(job, scenes, seed):
    from semcom.models.predictor import WithPredictor
    return WithPredictor(job, scenes, seed, 8)
def terms(p, p_tilde, z, z_tilde, options):
    return {'squares': sum(x.square().mean() for x in z)}
"""
    with pytest.raises(InputError, match="gives no gradient to predictors;"):
        pretrain(added("idle", body), made_scenes(), 0)


def test_a_network_that_is_reached_through_any_path_counts_as_trained():
    a, b, frozen = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).requires_grad_(False)
    loss = torch.utils.checkpoint.checkpoint(b, a(torch.ones(3, 2)), use_reentrant=False).sum()
    check_gradients(loss, {"a": a, "b": b, "frozen": frozen, "empty": torch.nn.Identity()}, "loss")
    with pytest.raises(InputError, match="loss gives no gradient to b;"):
        check_gradients(a(torch.ones(3, 2)).sum(), {"a": a, "b": b}, "loss")


NETWORK = """
def network(job, scenes, seed):
    import torch
    from semcom.models.two_views import TwoViews
    class Own(TwoViews):
        {}
    return Own(job, scenes, seed)
"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def network(job, scenes, seed):\n    import torch\n    return torch.nn.Linear(1, 1)\n", "has no 'encoders'"),
        (NETWORK.format("parts = {}"), r"parts \[\]; both need one encoder for each of \['rgb', 'depth'\]"),
        (
            NETWORK.format("parts = property(lambda self: dict(self.encoders))"),
            r"trains 'projectors.rgb.0.weight', which is in none of its parts; .* requires_grad_\(False\)",
        ),
        (
            NETWORK.format("def __init__(self, *a): super().__init__(*a); del self.encoders['depth']"),
            r"encoders \['rgb'\]",
        ),
    ],
)
def test_a_network_that_lacks_what_stage_one_needs_is_refused(added, body, says):
    job = added("odd", body + SQUARES)
    with pytest.raises(InputError, match=f"losses/odd.py: its network.*{says}"):
        pretrain(job, made_scenes(), 0)


QUEUE = """
def network(job, scenes, seed):
    import torch
    from semcom.models.two_views import TwoViews
    class WithQueue(TwoViews):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.register_buffer("queue", torch.zeros(2, 64))
        def features(self, views, compute):
            z, z_tilde = super().features(views, compute)
            self.latest = z[0].detach().mean(dim=0)
            return z, z_tilde, self.queue.clone()
        def after_step(self, step, total):
            self.queue.copy_(torch.stack([self.latest, self.queue[0]]))
    return WithQueue(job, scenes, seed)
def terms(z, z_tilde, queue, options):
    return {"away": sum(((x - queue.mean(dim=0)) ** 2).mean() for x in [*z, *z_tilde])}
"""


class Stopped(Exception):
    pass


@pytest.mark.usefixtures("own_signals")
def test_a_buffer_of_a_loss_files_own_network_reaches_the_checkpoint(added, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SEMCOM_CHECKPOINT_SECONDS", "0")
    scenes, job = made_scenes(), added("queue", QUEUE)
    kept = Kept()
    whole = pretrain(job, scenes, 0, kept)
    assert all((state["queue"][: n + 1] != 0).any(dim=1).all() for n, state in enumerate(kept.states))
    loss, original = plugins.load("semcom.losses", "queue"), plugins.load("semcom.losses", "queue").terms
    calls = []

    def stopping(*arguments):
        calls.append(None)
        if len(calls) == 4:
            raise Stopped
        return original(*arguments)

    monkeypatch.setattr(loss, "terms", stopping)
    with pytest.raises(Stopped), attempt_in(tmp_path) as attempt:
        pretrain(job, scenes, 0, attempt)
    with attempt_in(tmp_path) as attempt:
        resumed = pretrain(job, scenes, 0, attempt)
    assert len(calls) == 4 + 3  # six steps, three of them before
    pd.testing.assert_frame_equal(resumed.steps, whole.steps, check_exact=True)


def test_the_classes_are_what_the_examples_say():
    scenes = made_scenes()
    assert type(make_network(ModuleType("plain"), stage_one("vicreg"), scenes, 0)) is TwoViews
    assert isinstance(make_network(byol, stage_one("byol"), scenes, 0), WithTarget)
