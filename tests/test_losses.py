"""The three losses against the printed equations: the reference, closed forms, symmetries, float32's limits."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import reference
from semcom.common import plugins
from semcom.config.loading import load_config
from semcom.losses import barlow_twins, decoupled, simclr
from semcom.losses._correlation import correlation
from semcom.models.torchvision_import import import_torchvision

torch.set_num_threads(1)

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"
RTOL = 1e-4  # float32 against the float64 reference


def options(k_sha=3, lambda_m=0.01, lambda_sha=0.02, lambda_uni=0.03, centre=False, cross_weight=1.0):
    return decoupled.Options(
        shared_features=k_sha,
        lambda_m=lambda_m,
        lambda_sha=lambda_sha,
        lambda_uni=lambda_uni,
        centre=centre,
        cross_weight=cross_weight,
    )


def reference_value(z, z_tilde, o):
    return reference.pretraining_loss(
        [x.double().numpy() for x in z],
        [x.double().numpy() for x in z_tilde],
        k_sha=o.shared_features,
        lambda_m=o.lambda_m,
        lambda_sha=o.lambda_sha,
        lambda_uni=o.lambda_uni,
        centre=o.centre,
        cross_weight=o.cross_weight,
    )


def features(seed, modalities=2, scenes=6, count=5, offset=0.3):
    """Two lists of M correlated (B, K) views with a mean, so that centring matters."""
    g = torch.Generator().manual_seed(seed)
    common = torch.randn(scenes, count, generator=g)
    z = [common + torch.randn(scenes, count, generator=g) + offset for _ in range(modalities)]
    return z, [x + 0.5 * torch.randn(scenes, count, generator=g) for x in z]


def total(terms):
    return sum(terms.values())


ALL = {
    "decoupled": (decoupled, options()),
    "decoupled centred": (decoupled, options(centre=True)),
    "barlow_twins": (barlow_twins, barlow_twins.Options(lambda_=0.005, centre=True)),
    "barlow_twins uncentred": (barlow_twins, barlow_twins.Options(lambda_=0.005, centre=False)),
    "simclr": (simclr, simclr.Options(temperature=0.2)),
}
every_loss = pytest.mark.parametrize(("loss", "o"), ALL.values(), ids=ALL.keys())


# Against the reference


@pytest.mark.parametrize("modalities", [2, 3])
@pytest.mark.parametrize(("count", "k_sha"), [(1, 0), (1, 1), (4, 0), (4, 3), (4, 4), (7, 5)])
@pytest.mark.parametrize(("centre", "cross_weight"), [(False, 1.0), (True, 1.0), (False, 0.25), (True, 0.0)])
def test_decoupled_loss_is_equations_7_to_14(modalities, count, k_sha, centre, cross_weight):
    z, z_tilde = features(count + 10 * k_sha, modalities, 6, count)
    o = options(k_sha, centre=centre, cross_weight=cross_weight)
    assert float(total(decoupled.terms(z, z_tilde, o))) == pytest.approx(reference_value(z, z_tilde, o), rel=RTOL)


def test_each_named_term_is_its_part_of_the_equations():
    z, z_tilde = features(3)
    o = options(k_sha=2)
    got = {name: float(value) for name, value in decoupled.terms(z, z_tilde, o).items()}
    c_intra = [reference.correlation(a.numpy(), b.numpy()) for a, b in zip(z, z_tilde, strict=True)]
    c_cross = [reference.correlation(z[m].numpy(), z[n].numpy()) for m, n in ((0, 1), (1, 0))]
    intra = np.sum([reference.diagonal_and_rest(c, 1) for c in c_intra], axis=0)
    shared = np.sum([reference.diagonal_and_rest(c[:2, :2], 1) for c in c_cross], axis=0)
    unique = np.sum([reference.diagonal_and_rest(c[2:, 2:], 0) for c in c_cross], axis=0)
    assert got == pytest.approx(
        {
            "intra_alignment": intra[0],
            "intra_decorrelation": 0.01 * intra[1],
            "shared_alignment": shared[0],
            "shared_decorrelation": 0.02 * shared[1],
            "unique_preservation": unique[0],
            "unique_decorrelation": 0.03 * unique[1],
        },
        rel=RTOL,
    )


def test_the_cross_modal_part_reads_first_views_only():
    """Eq. (11) correlates z^m with z^n, neither of them augmented."""
    z, z_tilde = features(4)
    other = [torch.randn_like(x) for x in z_tilde]
    a, b = (decoupled.terms(z, second, options()) for second in (z_tilde, other))
    for name in ("shared_alignment", "shared_decorrelation", "unique_preservation", "unique_decorrelation"):
        assert a[name] == b[name]
    assert a["intra_alignment"] != b["intra_alignment"]


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 4, 6])
@pytest.mark.parametrize("centre", [False, True])
def test_barlow_twins_is_equation_19_summed_over_modalities(modalities, count, centre):
    z, z_tilde = features(count, modalities, 5, count)
    expected = sum(
        reference.barlow_twins(a.numpy(), b.numpy(), 0.0051, centre) for a, b in zip(z, z_tilde, strict=True)
    )
    got = total(barlow_twins.terms(z, z_tilde, barlow_twins.Options(lambda_=0.0051, centre=centre)))
    assert float(got) == pytest.approx(expected, rel=RTOL)


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("scenes", [2, 3, 7])
@pytest.mark.parametrize("temperature", [0.07, 0.2, 0.5, 1.0])
def test_simclr_is_equation_18_summed_over_modalities(modalities, scenes, temperature):
    z, z_tilde = features(scenes, modalities, scenes, 4)
    expected = sum(reference.nt_xent(a.numpy(), b.numpy(), temperature) for a, b in zip(z, z_tilde, strict=True))
    got = total(simclr.terms(z, z_tilde, simclr.Options(temperature=temperature)))
    # Easy positives leave log(1 + something small), of which float32 keeps absolute precision only.
    assert float(got) == pytest.approx(expected, rel=RTOL, abs=1e-5)


@every_loss
def test_gradient_is_that_of_the_reference(loss, o):
    """The code computes in float32, too coarse for finite differences; those are taken of the float64 reference."""
    z, z_tilde = features(11, scenes=5, count=4)
    leaves = [x.clone().requires_grad_() for x in (*z, *z_tilde)]
    total(loss.terms(leaves[:2], leaves[2:], o)).backward()

    def value(flat):
        first, second = flat[:2], flat[2:]
        if loss is simclr:
            return sum(reference.nt_xent(a, b, o.temperature) for a, b in zip(first, second, strict=True))
        if loss is barlow_twins:
            return sum(reference.barlow_twins(a, b, o.lambda_, o.centre) for a, b in zip(first, second, strict=True))
        return reference_value([torch.tensor(x) for x in first], [torch.tensor(x) for x in second], o)

    rng = np.random.default_rng(0)
    points = [x.double().numpy() for x in (*z, *z_tilde)]
    for _ in range(6):
        direction = [rng.standard_normal(x.shape) for x in points]
        ahead, behind = (value([x + s * d for x, d in zip(points, direction, strict=True)]) for s in (1e-5, -1e-5))
        slope = sum(float((x.grad.double() * torch.tensor(d)).sum()) for x, d in zip(leaves, direction, strict=True))
        assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-3, abs=1e-4)


# Closed forms


def orthonormal(scenes, count, seed=0):
    """(B, K) with orthonormal columns of mean 0, K < B."""
    x = torch.randn(scenes, count, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(torch.cat([torch.ones(scenes, 1), x], dim=1))[0][:, 1:]


@pytest.mark.parametrize("centre", [False, True])
def test_identical_views_with_orthogonal_features_cost_nothing(centre):
    z = [orthonormal(16, 6, seed) for seed in (0, 1)]
    o = options(k_sha=3, centre=centre)
    for value in decoupled.intra_modal_terms(z, z, o).values():
        assert float(value) == pytest.approx(0, abs=1e-5)
    assert float(total(barlow_twins.terms(z, z, barlow_twins.Options(lambda_=1.0, centre=centre)))) == pytest.approx(
        0, abs=1e-5
    )


@pytest.mark.parametrize("centre", [False, True])
def test_perfectly_shared_and_perfectly_unique_features_cost_nothing(centre):
    """K_sha features the same in both modalities, the others orthogonal across them: eq. (12) is 0, and so is (7)."""
    shared, unique_a, unique_b = orthonormal(32, 12).split([4, 4, 4], dim=1)
    z = [torch.cat([shared, unique_a], dim=1), 2 * torch.cat([shared, unique_b], dim=1)]
    assert float(total(decoupled.terms(z, z, options(k_sha=4, centre=centre)))) == pytest.approx(0, abs=1e-5)


def test_sharing_what_should_be_unique_and_the_reverse_cost_one_a_feature_and_ordered_pair():
    shared, unique_a, unique_b = orthonormal(32, 12).split([4, 4, 4], dim=1)
    z = [torch.cat([unique_a, shared], dim=1), torch.cat([unique_b, shared], dim=1)]
    got = decoupled.cross_modal_terms(z, options(k_sha=4))
    assert float(got["shared_alignment"]) == pytest.approx(2 * 4, rel=1e-5)
    assert float(got["unique_preservation"]) == pytest.approx(2 * 4, rel=1e-5)


def test_k_sha_0_shares_nothing_and_k_sha_k_leaves_nothing_unique():
    z, z_tilde = features(5)
    nothing = decoupled.terms(z, z_tilde, options(k_sha=0))
    everything = decoupled.terms(z, z_tilde, options(k_sha=5))
    assert float(nothing["shared_alignment"]) == float(nothing["shared_decorrelation"]) == 0
    assert float(everything["unique_preservation"]) == float(everything["unique_decorrelation"]) == 0


@pytest.mark.parametrize("scenes", [2, 5, 64])
def test_features_that_are_all_alike_give_log_2b_minus_1(scenes):
    z = torch.full((scenes, 8), 0.7)
    for temperature in (0.05, 0.2, 1.0):
        assert float(simclr.nt_xent(z, z, temperature)) == pytest.approx(math.log(2 * scenes - 1), rel=1e-5)


def test_nt_xent_of_orthogonal_scenes():
    """Positives at similarity 1, the 2B - 2 negatives at 0: -log(e^(1/tau) / (e^(1/tau) + 2B - 2))."""
    scenes, temperature = 8, 0.5
    z = torch.eye(scenes)
    expected = math.log(1 + (2 * scenes - 2) * math.exp(-1 / temperature))
    assert float(simclr.nt_xent(z, 3 * z, temperature)) == pytest.approx(expected, rel=1e-5)


def test_correlation_is_1_of_a_feature_with_itself_and_minus_1_with_its_negative():
    z, _ = features(6)
    c = correlation(z[0], -2 * z[0], centre=False)
    assert torch.allclose(c.diagonal(), torch.full((5,), -1.0))
    assert float(correlation(z[0], z[1], centre=True).abs().max()) <= 1 + 1e-6


# The floor that more features than scenes impose


def floor(count, scenes, lambda_, centre):
    """lambda (K^2 / r - K), r the rank that the features can have: a batch of B scenes, one less when centred.

    With aligned views C is the Gram matrix of K unit vectors in r dimensions, whose squared norm is at least K^2 / r.
    """
    return lambda_ * (count**2 / (scenes - centre) - count)


def tight_frame(count, scenes, centre):
    """(B, K) features that reach the floor: equal column norms, orthogonal rows, and mean 0 if centred."""
    rows = torch.ones(1, 1)
    while len(rows) < count:  # Hadamard matrix
        rows = torch.cat([torch.cat([rows, rows], dim=1), torch.cat([rows, -rows], dim=1)])
    if not centre:
        return rows[:scenes]
    basis = torch.linalg.qr(torch.cat([torch.ones(scenes, 1), torch.eye(scenes)[:, 1:]], dim=1))[0][:, 1:]
    return basis @ rows[: scenes - 1]


@pytest.mark.parametrize(("centre", "noted"), [(True, 18.245), (False, 17.92)])
def test_the_floor_at_512_features_and_64_scenes_is_reached_and_is_a_floor(centre, noted):
    assert floor(512, 64, 5e-3, centre) == pytest.approx(noted, abs=1e-3)
    o = barlow_twins.Options(lambda_=5e-3, centre=centre)
    frame = [tight_frame(512, 64, centre)]
    assert float(total(barlow_twins.terms(frame, frame, o))) == pytest.approx(noted, rel=1e-4)
    for seed in range(3):
        z = [torch.randn(64, 512, generator=torch.Generator().manual_seed(seed)) + seed]
        assert float(total(barlow_twins.terms(z, z, o))) >= noted


@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize(("count", "scenes"), [(20, 5), (16, 8), (64, 13), (40, 27)])
def test_no_features_with_aligned_views_are_below_the_floor(count, scenes, centre):
    g = torch.Generator().manual_seed(count)
    for scale in (0.0, 1.0, 5.0):
        z = [torch.randn(scenes, count, generator=g) * torch.rand(count, generator=g) + scale for _ in range(2)]
        got = total(decoupled.intra_modal_terms(z, [3 * x for x in z], options(lambda_m=5e-3, centre=centre)))
        assert float(got) >= 2 * floor(count, scenes, 5e-3, centre) * (1 - 1e-5)


# Invariances


@pytest.mark.parametrize("name", [n for n in ALL if n != "simclr"])
def test_the_scale_of_any_feature_does_not_matter_to_a_correlation_loss(name):
    loss, o = ALL[name]
    z, z_tilde = features(7)
    scale = torch.tensor([0.01, 0.5, 1.0, 3.0, 200.0])
    scaled = [x * scale for x in z], [x * scale.flip(0) for x in z_tilde]
    assert float(total(loss.terms(*scaled, o))) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-5)


@pytest.mark.parametrize("name", ["decoupled centred", "barlow_twins"])
def test_with_centring_an_affine_change_of_any_feature_does_not_matter(name):
    loss, o = ALL[name]
    z, z_tilde = features(8)
    scale, shift = torch.tensor([0.1, 0.5, 1.0, 3.0, 20.0]), torch.tensor([-1.0, 0.0, 2.0, 5.0, 9.0])
    moved = [x * scale + shift for x in z], [x * scale + shift for x in z_tilde]
    assert float(total(loss.terms(*moved, o))) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-4)


def test_without_centring_a_shift_does_matter():
    """The printed C is a cosine: far from the origin all features correlate."""
    z, z_tilde = features(8)
    shifted = [x + 100 for x in z], [x + 100 for x in z_tilde]
    assert float(correlation(shifted[0][0], shifted[1][0], centre=False).min()) > 0.99


def test_the_scale_of_any_embedding_does_not_matter_to_simclr():
    z, z_tilde = features(9)
    scale = torch.tensor([0.01, 0.5, 1.0, 3.0, 20.0, 200.0])[:, None]
    o = simclr.Options(temperature=0.2)
    got = total(simclr.terms([x * scale for x in z], [x * scale.flip(0) for x in z_tilde], o))
    assert float(got) == pytest.approx(float(total(simclr.terms(z, z_tilde, o))), rel=1e-5)


@every_loss
def test_the_order_of_scenes_does_not_matter(loss, o):
    z, z_tilde = features(10)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    got = total(loss.terms([x[order] for x in z], [x[order] for x in z_tilde], o))
    assert float(got) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-5)


@pytest.mark.parametrize("name", [n for n in ALL if not n.startswith("decoupled")])
def test_swapping_the_views_does_not_matter(name):
    loss, o = ALL[name]
    z, z_tilde = features(12)
    assert float(total(loss.terms(z_tilde, z, o))) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-5)


def test_swapping_the_views_does_not_matter_within_a_modality():
    z, z_tilde = features(12)
    there, back = (total(decoupled.intra_modal_terms(*v, options())) for v in ((z, z_tilde), (z_tilde, z)))
    assert float(there) == pytest.approx(float(back), rel=1e-5)


@every_loss
def test_the_order_of_modalities_does_not_matter(loss, o):
    z, z_tilde = features(13, modalities=3)
    got = total(loss.terms([z[2], z[0], z[1]], [z_tilde[2], z_tilde[0], z_tilde[1]], o))
    assert float(got) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-5)


def test_the_sum_over_ordered_pairs_counts_each_pair_twice():
    """L^{1,2} = L^{2,1}, because C^{2,1} is the transpose of C^{1,2}."""
    z, _ = features(14)
    arrays = [x.numpy() for x in z]
    there = reference.shared_and_unique(arrays[0], arrays[1], 3, 0.02, 0.03)
    back = reference.shared_and_unique(arrays[1], arrays[0], 3, 0.02, 0.03)
    assert there == pytest.approx(back, rel=1e-12)
    assert float(total(decoupled.cross_modal_terms(z, options()))) == pytest.approx(2 * sum(there), rel=RTOL)


def test_a_quarter_of_the_cross_weight_is_decur_times_three():
    """DeCUR's total is (L^1 + L^2 + (L_sha + L_uni) / 2) / 3, its cross term on one unordered pair."""
    z, z_tilde = features(15)
    arrays, tilde = ([x.numpy() for x in views] for views in (z, z_tilde))
    pair = sum(reference.shared_and_unique(arrays[0], arrays[1], 3, 0.02, 0.03, centre=True))
    decur = (reference.intra(arrays, tilde, 0.01, centre=True) + pair / 2) / 3
    got = total(decoupled.terms(z, z_tilde, options(centre=True, cross_weight=0.25)))
    assert float(got) == pytest.approx(3 * decur, rel=RTOL)


# Numbers


@every_loss
def test_the_gradient_grows_as_the_features_shrink(loss, o):
    """A scale-invariant loss has a gradient homogeneous of degree -1: ten times smaller features, ten times steeper."""

    def gradient(scale):
        z, z_tilde = features(16)
        leaves = [(x * scale).requires_grad_() for x in z]
        total(loss.terms(leaves, [x * scale for x in z_tilde], o)).backward()
        return torch.cat([x.grad.flatten() for x in leaves])

    unit = gradient(1.0)
    for scale in (0.01, 0.1, 10.0):
        assert float((gradient(scale) * scale - unit).norm() / unit.norm()) < 1e-3


@every_loss
def test_a_gradient_step_is_orthogonal_to_the_features(loss, o):
    """Euler: along z itself a scale-invariant loss does not change."""
    z, z_tilde = features(17)
    leaves = [x.clone().requires_grad_() for x in (*z, *z_tilde)]
    total(loss.terms(leaves[:2], leaves[2:], o)).backward()
    along = sum(float((x.detach() * x.grad).sum()) for x in leaves)
    size = sum(float(x.detach().norm() * x.grad.norm()) for x in leaves)
    assert abs(along) < 1e-5 * size


@every_loss
@pytest.mark.parametrize("what", ["a feature", "a scene", "everything"])
def test_zeros_give_no_nan_in_value_or_gradient(loss, o, what):
    z, z_tilde = features(18)
    for x in (*z, *z_tilde):
        if what == "a feature":
            x[:, 1] = 0
        elif what == "a scene":
            x[2] = 0
        else:
            x.zero_()
    leaves = [x.requires_grad_() for x in (*z, *z_tilde)]
    value = total(loss.terms(leaves[:2], leaves[2:], o))
    value.backward()
    assert value.isfinite()
    assert all(x.grad.isfinite().all() for x in leaves)


def test_a_dead_feature_correlates_with_nothing():
    z, _ = features(19)
    z[0][:, 2] = 0
    c = correlation(z[0], z[1], centre=False)
    assert (c[2] == 0).all()
    assert (correlation(z[1], z[0], centre=False)[:, 2] == 0).all()


@pytest.mark.parametrize("value", [1.0, 0.1, -37.3, 1234.567])
@pytest.mark.parametrize("scenes", [60, 64, 100])
def test_a_constant_feature_correlates_with_nothing_once_centred(value, scenes):
    """Its centred values are 0 but for rounding, which must not be blown up to unit length."""
    z, _ = features(20, scenes=scenes)
    z[0][:, 2] = value
    z[1][:, 3] = value / 3
    c = correlation(z[0], z[1], centre=True)
    assert float(c[2].abs().max()) < 1e-2
    assert float(c[:, 3].abs().max()) < 1e-2


@pytest.mark.parametrize(("centre", "value"), [(False, 0.0), (True, 0.0), (True, 0.1), (True, 1.0)])
def test_a_dead_feature_does_not_explode_the_gradient(centre, value):
    """The direction in which a dead feature would correlate is arbitrary: one such unit must not outweigh the others
    by the inverse of whatever keeps its norm from 0, and end a run as diverged."""
    z, z_tilde = features(20, scenes=60)
    alive = [x.clone().requires_grad_() for x in z]
    total(decoupled.terms(alive, z_tilde, options(centre=centre))).backward()
    z[0][:, 2] = value
    dead = [x.clone().requires_grad_() for x in z]
    total(decoupled.terms(dead, z_tilde, options(centre=centre))).backward()
    assert float(dead[0].grad.norm()) < 100 * float(alive[0].grad.norm())


@every_loss
@pytest.mark.parametrize("scale", [1e-9, 1e-5, 1e5, 1e9])
def test_tiny_and_large_features_in_float32(loss, o, scale):
    z, z_tilde = features(21)
    got = total(loss.terms([x * scale for x in z], [x * scale for x in z_tilde], o))
    assert float(got) == pytest.approx(float(total(loss.terms(z, z_tilde, o))), rel=1e-4)


@every_loss
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_computed_in_float32(loss, o, kind):
    z, z_tilde = ([x.to(kind) for x in views] for views in features(22))
    got = loss.terms(z, z_tilde, o)
    assert all(value.dtype == torch.float32 for value in got.values())
    exact = loss.terms([x.float() for x in z], [x.float() for x in z_tilde], o)
    assert {n: float(v) for n, v in got.items()} == {n: float(v) for n, v in exact.items()}


@pytest.mark.parametrize("centre", [False, True])
def test_nearly_orthogonal_features_have_a_redundancy_that_is_not_negative(centre):
    """A sum of squares; the difference of two large sums may round below 0."""
    for seed in range(5):
        z = [orthonormal(600, 256, seed)]
        got = barlow_twins.terms(z, z, barlow_twins.Options(lambda_=1.0, centre=centre))
        assert -1e-4 < float(got["redundancy"]) < 1e-4


# What the loss refuses, and its interface


def test_the_decoupled_loss_needs_two_modalities_and_k_sha_within_k():
    z, z_tilde = features(23)
    with pytest.raises(ValueError, match="at least 2"):
        decoupled.terms(z[:1], z_tilde[:1], options())
    with pytest.raises(ValueError, match="K_sha = 6"):
        decoupled.terms(z, z_tilde, options(k_sha=6))


@every_loss
def test_a_list_of_views_that_lacks_a_modality_is_refused(loss, o):
    z, z_tilde = features(23, modalities=3)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        loss.terms(z, z_tilde[:2], o)


def test_only_a_loss_that_correlates_modalities_exchanges_views():
    assert decoupled.views_exchanged(options()) == 1
    assert decoupled.views_exchanged(options(cross_weight=0.0)) == 0
    assert barlow_twins.views_exchanged(ALL["barlow_twins"][1]) == 0
    assert simclr.views_exchanged(ALL["simclr"][1]) == 0


def test_importing_the_losses_does_not_import_torch():
    """The workflow reads their Options while it builds the graph; torch would cost seconds each time."""
    names = plugins.names("semcom.losses")
    assert {"barlow_twins", "decoupled", "simclr"} <= set(names)
    code = "import sys, importlib\n"
    code += "".join(f"importlib.import_module('semcom.losses.{name}')\n" for name in names)
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The configuration


def test_proposed_literal_is_the_loss_to_the_letter():
    """What `proposed` becomes is our choice; `proposed_literal` must stay what the paper prints."""
    config = load_config(CONFIG)
    method = config.methods["proposed_literal"]
    o = config.loss_options("proposed_literal")
    assert method.loss == "decoupled"
    assert method.projector == []  # C is computed on z itself
    assert o.centre is False  # eqs. (8), (11) subtract no mean
    assert o.cross_weight == 1.0  # eqs. (7), (12)
    assert min(o.lambda_m, o.lambda_sha, o.lambda_uni) > 0
    assert 0 < o.shared_features < config.encoder.features
    small = o.model_copy(update={"shared_features": 4})
    z, z_tilde = features(24, count=6)
    expected = reference.pretraining_loss(
        [x.numpy() for x in z],
        [x.numpy() for x in z_tilde],
        k_sha=4,
        lambda_m=o.lambda_m,
        lambda_sha=o.lambda_sha,
        lambda_uni=o.lambda_uni,
    )
    loss = importlib.import_module(f"semcom.losses.{method.loss}")
    assert float(total(loss.terms(z, z_tilde, small))) == pytest.approx(expected, rel=RTOL)


def test_the_baselines_are_the_losses_that_the_paper_names():
    config = load_config(CONFIG)
    found = {name: config.methods[name].loss for name in ("simclr", "barlow_twins", "supervised")}
    assert found == {"simclr": "simclr", "barlow_twins": "barlow_twins", "supervised": None}


# Other implementations


@pytest.fixture
def lightly():
    """lightly's losses; its package imports torchvision."""
    import_torchvision()
    return pytest.importorskip("lightly.loss")


def test_nt_xent_agrees_with_lightly(lightly):
    for seed, scenes, temperature in [(0, 8, 0.5), (1, 64, 0.2), (2, 32, 0.1)]:
        z, z_tilde = features(seed, 1, scenes, 128, offset=0.0)
        expected = lightly.NTXentLoss(temperature=temperature)(z[0], z_tilde[0])
        assert float(simclr.nt_xent(z[0], z_tilde[0], temperature)) == pytest.approx(float(expected), rel=RTOL)


def test_barlow_twins_agrees_with_lightly(lightly):
    for seed, scenes, count in [(0, 8, 16), (1, 64, 128), (2, 128, 32)]:
        z, z_tilde = ([30 * x for x in views] for views in features(seed, 1, scenes, count))
        o = barlow_twins.Options(lambda_=5e-3, centre=True)
        # lightly adds 1e-5 to the variance, which features of this size leave without effect.
        expected = lightly.BarlowTwinsLoss(lambda_param=5e-3)(z[0], z_tilde[0])
        assert float(total(barlow_twins.terms(z, z_tilde, o))) == pytest.approx(float(expected), rel=RTOL)
