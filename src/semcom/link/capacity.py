"""What a channel use can carry at most: Shannon's capacity of the complex AWGN channel.

Every modulation keeps E|s|^2 of a scene within the power that the SNR refers to, so that none carries more. Neither does
fading with E|h|^2 = 1, whether the server knows h or not: the logarithm is concave, so the mean of log2(1 + |h|^2 SNR)
is below log2(1 + SNR).

Source: T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed., Wiley, 2006, Chapter 9.
"""

import math

import numpy as np

HIGH_DB = 300.0  # from here on log2(1 + SNR) is log2(SNR) to the last digit, while 10^(SNR / 10) soon is no number


def bits_per_use(snr_db: float) -> float:
    """C = log2(1 + SNR), bits a complex channel use; `math.inf` for the noiseless link."""
    return float(bits_in_blocks(snr_db, np.ones(1))[0])


def bits_in_blocks(snr_db: float, gain: np.ndarray) -> np.ndarray:
    """log2(1 + |h|^2 SNR) bits a complex channel use of blocks with (N,) gains |h|^2: (N,); 0 where h is."""
    received_db = np.full(gain.shape, -np.inf)
    received_db[gain > 0] = snr_db + 10 * np.log10(gain[gain > 0])
    within = np.log1p(10 ** (np.minimum(received_db, HIGH_DB) / 10)) / np.log(2)
    return within + np.maximum(received_db - HIGH_DB, 0) * (math.log2(10) / 10)


def uses_for(bits: float, snr_db: float) -> float:
    """n with n C = `bits`: the channel uses, a real number, in which the capacity carries so many bits; infinitely many
    where it carries nothing."""
    carried = bits_per_use(snr_db)
    return bits / carried if carried else math.inf
