"""What a channel use can carry at most: Shannon's capacity of the complex AWGN channel.

Every modulation keeps E|s|^2 of a scene within the power that the SNR refers to, so that none carries more. Neither does
fading with E|h|^2 = 1, whether the server knows h or not: the logarithm is concave, so the mean of log2(1 + |h|^2 SNR)
is below log2(1 + SNR).

Source: T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed., Wiley, 2006, Chapter 9.
"""

import numpy as np


def bits_per_use(snr_db: float) -> float:
    """C = log2(1 + SNR), bits a complex channel use; `math.inf` for the noiseless link."""
    return float(np.log1p(10 ** (snr_db / 10)) / np.log(2))


def uses_for(bits: float, snr_db: float) -> float:
    """n with n C = `bits`: the channel uses, a real number, in which the capacity carries so many bits."""
    return bits / bits_per_use(snr_db)
