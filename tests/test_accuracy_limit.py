"""The limit that a channel sets to accuracy: closed forms, a search over all answers, and links that must stay below."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import entr, ndtr

from semcom.analysis.accuracy_limit import entropy, largest_accuracy
from semcom.config.sections import BlockSettings, ChannelSettings
from semcom.link.capacity import bits_in_blocks, bits_per_use, uses_for
from semcom.link.link import make_link

UNIFORM = np.full(10, 0.1)
UNEVEN = np.array([94, 52, 28, 27, 19, 12, 11, 5, 52, 20]) / 320  # the built-in rooms' test scenes
SHARES = [UNIFORM, UNEVEN, np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.5]), np.array([0.4, 0.4, 0.2])]


def information(joint: np.ndarray) -> float:
    """I(Y; Y') in bits of a joint distribution."""
    return entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint.ravel())


def fano(bits: float, shares: np.ndarray) -> float:
    """The largest accuracy by Fano's inequality alone, searched for on a grid."""
    wrong = np.linspace(0, 1, 200_001)
    uncertain = np.array([entropy([w, 1 - w]) for w in wrong[::20]])
    uncertain = np.interp(wrong, wrong[::20], uncertain) + wrong * math.log2(len(shares) - 1)
    return float(1 - wrong[np.argmax(entropy(shares) - uncertain <= bits)])


@pytest.mark.parametrize(("snr_db", "bits"), [(0, 1), (10 * math.log10(3), 2), (-math.inf, 0), (math.inf, math.inf)])
def test_the_capacity_of_a_use_is_the_logarithm_of_one_plus_the_snr(snr_db, bits):
    assert bits_per_use(snr_db) == pytest.approx(bits)


def test_at_low_snr_the_capacity_is_the_snr_in_nats_and_the_label_takes_its_entropy_over_it():
    assert bits_per_use(-60) == pytest.approx(1e-6 / math.log(2), rel=1e-6)
    assert uses_for(3.3, 0) == pytest.approx(3.3) and uses_for(3.3, math.inf) == 0


@pytest.mark.parametrize("snr_db", [-3000, -300, -160, 290, 299.9, 300, 3100, 1e6])
def test_the_capacity_is_a_number_at_every_snr(snr_db):
    """SNR / ln 2 where it is small, log2(SNR) where it is large."""
    expected = 10 ** (snr_db / 10) / math.log(2) if snr_db < 0 else snr_db * math.log2(10) / 10
    assert bits_per_use(snr_db) == pytest.approx(expected, rel=1e-12)
    assert uses_for(3.3, snr_db) == pytest.approx(3.3 / expected, rel=1e-12)


def test_a_faded_block_carries_as_much_as_its_gain_leaves():
    gain = np.array([0, 0.5, 1, 2])
    assert bits_in_blocks(3.0, gain) == pytest.approx(np.log2(1 + gain * 10**0.3))
    assert bits_in_blocks(math.inf, gain).tolist() == [0, math.inf, math.inf, math.inf]
    assert bits_in_blocks(-math.inf, gain).tolist() == [0, 0, 0, 0] and uses_for(1, -math.inf) == math.inf


@pytest.mark.parametrize("shares", SHARES, ids=len)
def test_nothing_carried_leaves_the_most_frequent_class_and_the_labels_entropy_is_enough(shares):
    assert largest_accuracy(0, shares) == pytest.approx(max(shares))
    assert largest_accuracy(1e-12, shares) == pytest.approx(max(shares), abs=1e-4)
    for bits in (entropy(shares), 100, math.inf):
        assert largest_accuracy(bits, shares) == 1
    assert largest_accuracy(0.999 * entropy(shares), shares) < 1


@pytest.mark.parametrize("shares", SHARES, ids=len)
def test_it_rises_with_the_bits_and_ever_more_slowly(shares):
    limits = np.array([largest_accuracy(bits, shares) for bits in np.linspace(0, entropy(shares), 101)])
    assert (np.diff(limits) > 0).all() and (np.diff(limits, 2) < 1e-9).all()


def test_with_classes_equally_frequent_it_is_fanos():
    for bits in (0.05, 0.5, 1, 2, 3):
        assert largest_accuracy(bits, UNIFORM) == pytest.approx(fano(bits, UNIFORM), abs=2e-5)


@pytest.mark.parametrize("bits", [0, 0.1, 0.5, 1, 2, 2.8])
def test_known_shares_never_loosen_fanos_inequality(bits):
    assert largest_accuracy(bits, UNEVEN) <= fano(bits, UNEVEN) + 1e-5
    assert bits > 0 or largest_accuracy(bits, UNEVEN) < fano(bits, UNEVEN) - 0.05


@pytest.mark.parametrize("bits", [0.02, 0.1, 0.3, 0.6, 0.8])
def test_no_answer_to_two_classes_does_better_and_one_does_as_well(bits):
    """Over all channels from label to answer, on a grid."""
    two = np.array([0.3, 0.7])
    right, also = np.meshgrid(np.linspace(0, 1, 801), np.linspace(0, 1, 801))
    joint = np.stack([0.3 * right, 0.3 * (1 - right), 0.7 * (1 - also), 0.7 * also])
    answers = np.stack([joint[0] + joint[2], joint[1] + joint[3]])
    carried = entropy(two) + (entr(answers).sum(axis=0) - entr(joint).sum(axis=0)) / math.log(2)
    best = (joint[0] + joint[3])[carried <= bits].max()
    assert largest_accuracy(bits, two) - 0.003 < best <= largest_accuracy(bits, two) + 1e-12


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("shares", SHARES, ids=len)
def test_it_is_the_rate_distortion_function_that_blahuts_iteration_finds(shares, slope):
    """R. Blahut, "Computation of channel capacity and rate-distortion functions", IEEE Trans. Inf. Theory, 1972."""
    shares = np.asarray(shares)
    likes = np.where(np.eye(len(shares)) > 0, np.exp(slope), 1.0)
    answers = np.full(len(shares), 1 / len(shares))
    for _ in range(2_000):
        channel = answers * likes
        channel /= channel.sum(axis=1, keepdims=True)
        answers = shares @ channel
    joint = shares[:, None] * channel
    assert largest_accuracy(information(joint), shares) == pytest.approx(np.trace(joint), abs=1e-4)


def test_antipodal_symbols_stay_below_the_limit():
    """Two classes, +1 or -1 in every use: the optimal receiver errs with probability Q(sqrt(2 n SNR))."""
    for uses, snr_db in itertools.product((1, 2, 8), range(-30, 11)):
        accuracy = ndtr(math.sqrt(2 * uses * 10 ** (snr_db / 10)))
        assert accuracy <= largest_accuracy(uses * bits_per_use(snr_db), [0.5, 0.5]) + 1e-12


@pytest.mark.parametrize("modulation", ["literal", "packed", "peak"])
@pytest.mark.parametrize("fading", ["awgn", "rayleigh"])
def test_labels_over_every_link_stay_below_the_limit(modulation, fading):
    """Ten orthogonal codewords, decided by the nearest: whatever power a modulation takes is that of the SNR."""
    channel = ChannelSettings(
        modulation=BlockSettings(name=modulation),
        fading=BlockSettings(name=fading),
        equalizer=BlockSettings(name="zero_forcing"),
        snr_offset_db={},
    )
    link, stream = make_link(channel), torch.Generator().manual_seed(0)
    codewords = 10 * torch.eye(10)
    labels = torch.arange(10).repeat(2000)
    clean = link(codewords, math.inf, torch.Generator().manual_seed(1))
    uses = link.modulate(codewords).shape[1]
    for snr_db in (-15, -5, 0, 5):
        received = link(codewords[labels], snr_db, stream)
        accuracy = (torch.cdist(received, clean).argmin(dim=1) == labels).float().mean().item()
        assert accuracy <= largest_accuracy(uses * bits_per_use(snr_db), UNIFORM) + 0.01
