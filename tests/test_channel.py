"""The link of eq. (2) against its stated conventions, against communication theory, and against other simulators."""

import dataclasses
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.special import erfc

import reference
from semcom.common import plugins
from semcom.common.errors import InputError
from semcom.config.experiment import LINK_OFFERS
from semcom.config.sections import BlockSettings, ChannelSettings
from semcom.link.blocks import Block, block, channel_uses, received_values
from semcom.link.fading import rayleigh, rician
from semcom.link.link import Link, make_link
from semcom.rng import stream

torch.set_num_threads(1)

MODULATIONS = ("literal", "packed", "peak")
FADINGS = {"awgn": "awgn", "rayleigh": "rayleigh", "rician": {"name": "rician", "k_factor": 3.0}}
EQUALIZERS = ("zero_forcing", "mmse")
every_modulation = pytest.mark.parametrize("modulation", MODULATIONS)
every_fading = pytest.mark.parametrize("fading", FADINGS)
every_equalizer = pytest.mark.parametrize("equalizer", EQUALIZERS)


def make(modulation="literal", fading="awgn", equalizer="zero_forcing") -> Link:
    given = {"modulation": modulation, "fading": FADINGS[fading], "equalizer": equalizer, "snr_offset_db": {}}
    return make_link(ChannelSettings(**given))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def features(scenes, count, seed=100):
    """Features of very different sizes from scene to scene, as an encoder may give."""
    g = generator(seed)
    return torch.randn(scenes, count, generator=g) * torch.logspace(-2, 2, scenes)[:, None]


def as_complex(values):
    real, imaginary = values.chunk(2, dim=1)
    return torch.complex(real, imaginary)


def observe(fading, z, snr_db, seed=0, **blocks):
    """What eq. (2) did to z: symbols s, coefficients h (B, 1), noise n and the server's estimate, all complex.

    The noise is read back from the zero-forcing output, s + n / h.
    """
    drawn = []

    def recorded(link):
        def coefficients(*arguments):
            drawn.append(link.fading.functions.coefficients(*arguments))
            return drawn[-1]

        functions = SimpleNamespace(coefficients=coefficients, mean=link.fading.functions.mean)
        return dataclasses.replace(link, fading=Block(functions, link.fading.options))

    link = recorded(make(fading=fading, **blocks))
    estimate = as_complex(link(z, snr_db, generator(seed)))
    forced = as_complex(
        recorded(make(fading=fading, **blocks | {"equalizer": "zero_forcing"}))(z, snr_db, generator(seed))
    )
    s, (h, again) = link.modulate(z), drawn
    assert torch.equal(h, again)
    return s, h, h * (forced - s), estimate


def db(ratio):
    return 10 * math.log10(ratio)


# Power and SNR, each modulation by its own definition


@pytest.mark.parametrize("modulation", ["literal", "packed"])
def test_every_scene_is_sent_at_mean_power_1(modulation):
    link = make(modulation)
    z = features(64, 128)
    power = link.modulate(z).abs().square().mean(dim=1)
    assert torch.allclose(power, torch.ones(64), rtol=1e-5)
    assert torch.allclose(link.modulate(1e4 * z), link.modulate(z), atol=1e-6)  # the features' scale is lost


def test_peak_amplitude_is_at_most_1_in_each_real_dimension():
    s = make("peak").modulate(features(64, 128))
    assert float(torch.view_as_real(s).abs().max()) <= 1
    z = torch.tensor([[-0.3, 0.5, 1.0, 2.0]])
    s = make("peak").modulate(z)
    assert torch.allclose(torch.cat([s.real, s.imag], dim=1), z.tanh())


@every_fading
@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 20.0])
@pytest.mark.parametrize("modulation", ["literal", "packed"])
def test_snr_is_symbol_power_over_noise_power_per_channel_use(fading, modulation, snr_db):
    s, _, n, _ = observe(fading, features(1000, 400), snr_db=snr_db, modulation=modulation)
    assert s.numel() >= 1e5
    measured = db(float(s.abs().square().mean() / n.abs().square().mean()))
    assert measured == pytest.approx(snr_db, abs=0.1)


@every_fading
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_peak_snr_is_peak_power_over_noise_power_per_real_dimension(fading, snr_db):
    """The group's other code: sigma = 10^(-dB/20) in each real dimension, 0.3162 at 10 dB, on amplitudes up to 1."""
    _, _, n, _ = observe(fading, features(1000, 400), snr_db=snr_db, modulation="peak")
    sigma = torch.view_as_real(n).square().mean(dim=(0, 1)).sqrt()
    assert torch.allclose(sigma, torch.full((2,), 10 ** (-snr_db / 20)), rtol=0.01)


def test_literal_has_3_db_more_in_the_quadrature_that_carries_the_feature():
    """K complex uses carry K real values: the real part sees N0/2 only."""
    s, _, n, _ = observe("awgn", features(1000, 200), snr_db=10.0, modulation="literal")
    assert db(float(s.real.square().mean() / n.real.square().mean())) == pytest.approx(10 + db(2), abs=0.1)


# Fading and noise as random variables


def test_rayleigh_coefficients_are_complex_gaussian_of_power_1():
    h = make(fading="rayleigh").coefficients(200_000, generator(1)).squeeze(1).numpy()
    power = np.abs(h) ** 2
    assert power.mean() == pytest.approx(1, abs=0.01)
    assert stats.kstest(power, "expon").pvalue > 1e-3
    assert stats.kstest(np.angle(h) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-3
    for part in (h.real, h.imag):
        assert stats.kstest(part * math.sqrt(2), "norm").pvalue > 1e-3


K_FACTORS = (0.0, 0.5, 3.0, 10.0, 100.0)
every_k = pytest.mark.parametrize("k", K_FACTORS)


def rician_power(k, scenes=200_000):
    """|h|^2 of Rician fading."""
    h = rician.coefficients(scenes, generator(1), rician.Options(k_factor=k))
    return np.abs(h.squeeze(1).numpy().astype(complex)) ** 2


@every_k
def test_rician_power_is_1_on_average_and_spreads_less_as_k_grows(k):
    """E|h|^2 = 1 and E|h|^4 = 1 + (2 K + 1) / (K + 1)^2, within five standard errors of each mean."""
    power = rician_power(k)
    for moment, expected in ((power, 1), (power**2, 1 + (2 * k + 1) / (k + 1) ** 2)):
        assert moment.mean() == pytest.approx(expected, abs=5 * moment.std() / math.sqrt(len(power)))


@every_k
def test_rician_amplitude_and_outage_follow_rices_law(k):
    """|h| is Rice distributed, so that |h|^2 < x, an outage, has probability 1 - Q_1(sqrt(2 K), sqrt(2 (K + 1) x))."""
    power = rician_power(k)
    law = stats.rice(b=math.sqrt(2 * k), scale=math.sqrt(1 / (2 * (k + 1))))
    assert stats.kstest(np.sqrt(power), law.cdf).pvalue > 1e-3
    for x in (0.1, 0.5, 1.0):
        outage = stats.ncx2.cdf(2 * (k + 1) * x, df=2, nc=2 * k) if k else 1 - math.exp(-x)
        tolerance = 5 * math.sqrt(outage * (1 - outage) / len(power)) + 1e-5
        assert (power < x).mean() == pytest.approx(outage, abs=tolerance)


def test_rician_has_rayleighs_law_without_a_fixed_path_and_awgns_with_nothing_else():
    scattered = rician.coefficients(1000, generator(1), rician.Options(k_factor=0.0))
    assert torch.equal(scattered, rayleigh.coefficients(1000, generator(1), rayleigh.Options()))
    fixed = rician.coefficients(1000, generator(1), rician.Options(k_factor=1e12))
    assert float((fixed - 1).abs().max()) < 1e-5


def test_rician_mean_is_the_fixed_path_and_the_rest_is_circular():
    h = rician.coefficients(200_000, generator(1), rician.Options(k_factor=3.0))
    rest = h - math.sqrt(3 / 4)
    bound = 5 * math.sqrt(1 / 4 / len(h))
    assert abs(complex(rest.mean())) < bound
    assert float(rest.real.var()) == pytest.approx(1 / 8, rel=0.02)
    assert float(rest.imag.var()) == pytest.approx(1 / 8, rel=0.02)


def test_awgn_has_coefficient_1():
    assert (make().coefficients(7, generator()) == 1).all()


@every_fading
def test_one_coefficient_a_scene(fading):
    """Block fading: h is constant over a scene's channel uses."""
    assert make(fading=fading).coefficients(7, generator()).shape == (7, 1)


def test_fading_is_constant_within_a_scene_on_the_air():
    """At high SNR the MMSE output is a real gain |h|^2 / (|h|^2 + N0) times the symbols: one gain a scene."""
    z = features(200, 64)
    s, h, _, estimate = observe("rayleigh", z, snr_db=0.0, modulation="packed", equalizer="mmse")
    gain = (estimate * s.conj()).real.sum(dim=1) / s.abs().square().sum(dim=1)
    expected = (h.abs().square() / (h.abs().square() + 1)).squeeze(1)
    assert float((gain - expected).abs().max()) < 0.5  # noise of 32 uses
    assert float(np.corrcoef(gain, expected)[0, 1]) > 0.9


def test_fading_is_independent_between_scenes_and_between_devices():
    link = make(fading="rayleigh")
    scenes = 50_000
    rgb, depth = (
        link.coefficients(scenes, stream(0, "finetune", "channel", device, 3)).squeeze(1) for device in ("rgb", "depth")
    )
    bound = 4 / math.sqrt(scenes)
    assert abs(complex((rgb * depth.conj()).mean())) < bound
    assert abs(complex((rgb[1:] * rgb[:-1].conj()).mean())) < bound
    power = rgb.abs().square() - 1
    assert abs(float((power[1:] * power[:-1]).mean())) < 2 * bound
    assert not torch.equal(rgb, depth)


@every_fading
@every_modulation
def test_noise_is_circular_white_and_independent_of_the_symbols(fading, modulation):
    s, h, n, _ = observe(fading, features(1000, 400), snr_db=3.0, modulation=modulation)
    n0 = reference.noise_power(3.0, modulation)
    samples, bound = n.numel(), 5 / math.sqrt(n.numel())
    assert samples >= 1e5
    assert float(n.real.square().mean()) == pytest.approx(n0 / 2, rel=2 * bound)
    assert float(n.imag.square().mean()) == pytest.approx(n0 / 2, rel=2 * bound)
    assert abs(float((n.real * n.imag).mean())) < bound * n0
    assert abs(complex((n[:, 1:] * n[:, :-1].conj()).mean())) < bound * n0
    assert abs(complex((n[1:] * n[:-1].conj()).mean())) < bound * n0
    assert abs(complex((n * s.conj()).mean())) < 2 * bound * n0
    assert abs(complex((n * h.conj()).mean())) < 2 * bound * n0
    assert stats.kstest(n.real.flatten().numpy() / math.sqrt(n0 / 2), "norm").pvalue > 1e-3


# Equalisation


@every_fading
@every_modulation
@every_equalizer
def test_the_noiseless_link_is_the_identity_up_to_the_documented_normalisation(fading, modulation, equalizer):
    z = features(50, 16)
    got = make(modulation, fading, equalizer)(z, math.inf, generator())
    if modulation == "peak":
        expected = z.tanh()
    else:
        uses = 16 if modulation == "literal" else 8
        expected = z / (z.square().sum(dim=1, keepdim=True) / uses).sqrt()
    if modulation == "literal":
        expected = torch.cat([expected, torch.zeros_like(z)], dim=1)
    assert torch.allclose(got, expected, atol=1e-4)


@every_fading
@every_modulation
@every_equalizer
def test_the_link_is_equation_2_of_the_reference(fading, modulation, equalizer):
    z = features(40, 8)
    s, h, n, estimate = observe(fading, z, snr_db=5.0, modulation=modulation, equalizer=equalizer)
    assert np.allclose(s.numpy(), reference.symbols(z.numpy(), modulation), atol=1e-5)
    # N0 / E|s|^2: under `peak`, by the bound of the symbols' power, 2.
    ratio = None if equalizer == "zero_forcing" else 10 ** (-5.0 / 10)
    expected = reference.received(z.numpy(), h.squeeze(1).numpy(), n.numpy(), modulation, ratio)
    got = torch.cat([estimate.real, estimate.imag], dim=1).numpy()
    assert np.allclose(got, expected, rtol=1e-3, atol=1e-3)


@every_modulation
def test_zero_forcing_leaves_noise_n0_over_h_squared(modulation):
    """In bins of |h|^2: what the estimate errs by is as large as N0 / |h|^2 says, deep fades included."""
    s, h, _, estimate = observe("rayleigh", features(8000, 64), snr_db=10.0, modulation=modulation)
    power = h.abs().square().squeeze(1)
    relative = (estimate - s).abs().square().mean(dim=1) * power / reference.noise_power(10.0, modulation)
    for bin_ in power.argsort().chunk(8):
        assert float(relative[bin_].mean()) == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("snr_db", [-10.0, -5.0, 0.0, 5.0, 10.0])
@pytest.mark.parametrize("modulation", ["literal", "packed"])
@every_fading
def test_mmse_never_errs_more_than_zero_forcing(fading, modulation, snr_db):
    """And errs as theory says: N0 / (|h|^2 + N0) on symbols of power 1."""
    z = features(3000, 64)
    s, h, n, estimate = observe(fading, z, snr_db=snr_db, modulation=modulation, equalizer="mmse")
    error = float((estimate - s).abs().square().mean())
    assert error <= float((n / h).abs().square().mean())
    n0 = 10 ** (-snr_db / 10)
    assert error == pytest.approx(float((n0 / (h.abs().square() + n0)).mean()), rel=0.02)


# Theory: bit error rates


def q_function(x):
    return 0.5 * erfc(x / math.sqrt(2))


def bit_errors(fading, modulation, snr_db, bits=400_000, per_scene=2, amplitude=1.0):
    """Share of wrong signs, and its standard error if fading blocks of `per_scene` bits err together."""
    g = generator(7)
    z = amplitude * (2.0 * torch.randint(0, 2, (bits // per_scene, per_scene), generator=g) - 1)
    got = make(modulation, fading)(z, snr_db, generator(8))[:, :per_scene]
    rate = float((got.sign() != z.sign()).float().mean())
    return rate, 5 * math.sqrt(rate * (1 - rate) / (bits / per_scene)) + 1e-5


# The SNR that one bit sees, over the nominal SNR: literal sends a bit a channel use, so Eb/N0 is the SNR, and the
# decision is on the one quadrature that carries it. Packed sends two bits a use, each at half of the power. Peak, its
# tanh saturated: amplitude 1 against a noise variance of 1 / SNR in the same real dimension, which is Eb/N0 = SNR / 2.
BIT_SNR = {"literal": (1.0, 1.0), "packed": (0.5, 1.0), "peak": (0.5, 20.0)}


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 4.0, 7.0])
@every_modulation
def test_bpsk_over_awgn_errs_as_theory_says(modulation, snr_db):
    """Q(sqrt(2 Eb/N0)) for each bit on its own quadrature."""
    share, amplitude = BIT_SNR[modulation]
    rate, tolerance = bit_errors("awgn", modulation, snr_db, amplitude=amplitude)
    assert rate == pytest.approx(q_function(math.sqrt(2 * share * 10 ** (snr_db / 10))), abs=tolerance)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
@every_modulation
def test_bpsk_over_rayleigh_errs_as_theory_says(modulation, snr_db):
    """(1 - sqrt(g / (1 + g))) / 2 with mean Eb/N0 g: fading that acted on the power alone, or twice, would show."""
    share, amplitude = BIT_SNR[modulation]
    rate, tolerance = bit_errors("rayleigh", modulation, snr_db, amplitude=amplitude)
    snr = share * 10 ** (snr_db / 10)
    assert rate == pytest.approx(0.5 * (1 - math.sqrt(snr / (1 + snr))), abs=tolerance)


@pytest.mark.parametrize("k", [0.0, 3.0, 100.0])
@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_bpsk_over_rician_errs_as_theory_says(k, snr_db):
    """(1 / pi) times the integral over theta in (0, pi / 2) of M(g / sin^2 theta), with the moment-generating function
    of the SNR M(s) = (1 + K) / (1 + K + s) exp(-K s / (1 + K + s)) and mean Eb/N0 g: M. Simon, M.-S. Alouini, "Digital
    Communication over Fading Channels", 2005."""

    def generating(s):
        return (1 + k) / (1 + k + s) * math.exp(-k * s / (1 + k + s))

    snr = 10 ** (snr_db / 10)
    expected = integrate.quad(lambda theta: generating(snr / math.sin(theta) ** 2), 0, math.pi / 2)[0] / math.pi
    link = dataclasses.replace(make(), fading=Block(rician, rician.Options(k_factor=k)))
    z = 2.0 * torch.randint(0, 2, (200_000, 2), generator=generator(7)) - 1
    rate = float((link(z, snr_db, generator(8))[:, :2].sign() != z.sign()).float().mean())
    assert rate == pytest.approx(expected, abs=5 * math.sqrt(rate * (1 - rate) / len(z)) + 1e-5)


# Gradients


@every_fading
@every_modulation
@every_equalizer
def test_gradients_flow_through_the_link(fading, modulation, equalizer):
    """Against finite differences of the float64 reference, under the same fading and noise."""
    z = torch.randn(5, 6, generator=generator(3))
    blocks = {"modulation": modulation, "equalizer": equalizer}
    _, h, n, estimate = observe(fading, z, snr_db=5.0, **blocks)
    weights = torch.randn(5, 2 * estimate.shape[1], generator=generator(4))
    leaf = z.clone().requires_grad_()
    (make(fading=fading, **blocks)(leaf, 5.0, generator()) * weights).sum().backward()
    ratio = None if equalizer == "zero_forcing" else 10 ** (-5.0 / 10)

    def value(x):
        out = reference.received(x, h.squeeze(1).numpy(), n.numpy(), modulation, ratio)
        return float((out * weights.numpy()).sum())

    point, step = z.double().numpy(), 1e-5
    for b, k in np.ndindex(*point.shape):
        ahead, behind = point.copy(), point.copy()
        ahead[b, k] += step
        behind[b, k] -= step
        slope = (value(ahead) - value(behind)) / (2 * step)
        assert float(leaf.grad[b, k]) == pytest.approx(slope, rel=1e-3, abs=1e-4)


@every_fading
@every_modulation
@every_equalizer
@pytest.mark.parametrize("snr_db", [10.0, math.inf])
def test_a_zero_feature_vector_gives_no_nan(fading, modulation, equalizer, snr_db):
    z = torch.randn(4, 6, generator=generator(3))
    z[1] = 0
    z.requires_grad_()
    got = make(modulation, fading, equalizer)(z, snr_db, generator())
    got.square().sum().backward()
    assert got.isfinite().all()
    assert z.grad.isfinite().all()


# What arrives, and what it costs


def test_literal_hands_on_2k_values_whose_imaginary_half_is_noise_alone():
    link = make("literal")
    one, other = features(500, 400, seed=1), features(500, 400, seed=2)
    a, b = link(one, 10.0, generator()), link(other, 10.0, generator())
    assert a.shape == (500, 800)
    assert received_values(link.modulation, 400) == 800
    assert torch.equal(a[:, 400:], b[:, 400:])
    assert float(a[:, 400:].var()) == pytest.approx(0.1 / 2, rel=0.02)
    assert not torch.equal(a[:, :400], b[:, :400])


@pytest.mark.parametrize("modulation", ["packed", "peak"])
def test_packed_hands_on_k_values_from_half_as_many_uses(modulation):
    link = make(modulation)
    assert link(features(5, 12), 10.0, generator()).shape == (5, 12)
    assert (channel_uses(link.modulation, 12), received_values(link.modulation, 12)) == (6, 12)
    assert link.modulate(features(5, 12)).shape == (5, 6)


def test_literal_takes_a_channel_use_a_feature():
    link = make("literal")
    assert channel_uses(link.modulation, 7) == 7
    assert link.modulate(features(5, 7)).shape == (5, 7)


@pytest.mark.parametrize("modulation", ["packed", "peak"])
def test_an_odd_number_of_features_cannot_be_packed(modulation):
    with pytest.raises(ValueError, match="K = 7"):
        make(modulation)(features(5, 7), 10.0, generator())


@every_fading
def test_the_same_stream_gives_the_same_channel(fading):
    link = make(fading=fading)
    z = features(6, 8)
    assert torch.equal(link(z, 10.0, generator(5)), link(z, 10.0, generator(5)))
    assert not torch.equal(link(z, 10.0, generator(5)), link(z, 10.0, generator(6)))


def test_snr_scales_the_same_noise():
    """Runs at several SNRs share a stream, hence differ in the noise's size alone."""
    z = features(6, 8)
    _, _, low, _ = observe("awgn", z, snr_db=0.0)
    _, _, high, _ = observe("awgn", z, snr_db=20.0)
    assert torch.allclose(low, 10 * high, atol=1e-4)


@every_modulation
def test_bfloat16_features_are_sent_in_float32(modulation):
    z = features(6, 8).bfloat16()
    got = make(modulation)(z, 10.0, generator())
    assert got.dtype == torch.float32
    assert torch.equal(got, make(modulation)(z.float(), 10.0, generator()))


@pytest.mark.parametrize("kind", LINK_OFFERS)
def test_unknown_names_are_refused(kind):
    with pytest.raises(InputError, match="known:"):
        block(kind, BlockSettings(name="other"))


def test_every_block_offers_what_its_kind_must():
    for kind, offers in LINK_OFFERS.items():
        for name in plugins.names(f"semcom.link.{kind}"):
            file = plugins.load(f"semcom.link.{kind}", name, offers)
            assert "name" not in file.Options.model_fields  # the key that names the block
            if name in (*MODULATIONS, *FADINGS, *EQUALIZERS):
                assert "Source:" in file.__doc__


def test_options_are_read_without_torch():
    """By the workflow, while it builds the graph."""
    code = "import sys; from semcom.common import plugins; from semcom.config.experiment import LINK_OFFERS\n"
    code += "for kind, offers in LINK_OFFERS.items():\n"
    code += "    for name in plugins.names(f'semcom.link.{kind}'): plugins.load(f'semcom.link.{kind}', name, offers)\n"
    code += "import semcom.link.pretraining_overhead; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_fading
@every_modulation
@every_equalizer
def test_fading_is_drawn_before_the_noise_from_one_stream(fading, modulation, equalizer):
    """The link against the reference under draws made here: results of earlier versions stay what they were."""
    z, g = torch.randn(20, 8, generator=generator(3)), generator(5)
    if fading == "awgn":
        h = torch.ones(20, dtype=torch.complex64)
    else:
        h = torch.randn(20, dtype=torch.complex64, generator=g)
    if fading == "rician":
        h = math.sqrt(3 / 4) + h / 2  # K = 3
    uses = 8 if modulation == "literal" else 4
    n = torch.randn(20, uses, dtype=torch.complex64, generator=g) * math.sqrt(reference.noise_power(5.0, modulation))
    ratio = None if equalizer == "zero_forcing" else 10 ** (-5.0 / 10)
    expected = reference.received(z.numpy(), h.numpy(), n.numpy(), modulation, ratio)
    stream_of_link = generator(5)
    got = make(modulation, fading, equalizer)(z, 5.0, stream_of_link)
    assert np.allclose(got.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(stream_of_link.get_state(), g.get_state())  # and nothing else was drawn


# Other implementations


def test_awgn_and_rayleigh_agree_with_sionna():
    """Noise of the same power and fading of the same law, by sionna's own definition of N0 and h."""
    pytest.importorskip("sionna.phy").config.seed = 1
    channel = pytest.importorskip("sionna.phy.channel")
    n0 = 10 ** (-7.0 / 10)
    zeros = torch.zeros(1000, 200, dtype=torch.complex64)
    theirs = channel.AWGN()(zeros, n0).cpu()
    ours = observe("awgn", features(1000, 200), snr_db=7.0)[2]
    for part in ("real", "imag"):
        pair = [getattr(x, part).flatten()[:20_000].numpy() for x in (theirs, ours)]
        assert stats.ks_2samp(*pair).pvalue > 1e-3
        assert pair[0].var() == pytest.approx(pair[1].var(), rel=0.05)
    fading = channel.GenerateFlatFadingChannel(1, 1)(20_000).cpu().flatten()
    own = make(fading="rayleigh").coefficients(20_000, generator()).flatten()
    assert stats.ks_2samp(fading.abs().numpy(), own.abs().numpy()).pvalue > 1e-3
    assert stats.ks_2samp(fading.angle().numpy(), own.angle().numpy()).pvalue > 1e-3
