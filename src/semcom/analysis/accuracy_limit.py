"""The largest accuracy that a number of bits allows: Fano's inequality, in its form for known shares of the classes.

Let Y be the label of a scene drawn from a split, and Y' what the server says after n channel uses. Whatever encoders and
decoder are, and however many devices share the uses, I(Y; Y') <= n C by the data-processing inequality. Fano's
inequality turns this into a limit of the accuracy 1 - P_e,

    H(Y) - h(P_e) - P_e log2(|Y| - 1) <= I(Y; Y') <= n C,

which is tight where all classes are equally frequent. Where they are not, it stays above the share of the most frequent
class at n C = 0. With the shares p_1 >= p_2 >= ... of the classes known, the tight bound is

    H(Y | Y') <= H(1 - P_e, min(p_2, t), min(p_3, t), ...),    P_e = min(p_2, t) + min(p_3, t) + ...,

with t between 0 and p_2: what is wrong is spread over the other classes as evenly as their shares allow. For P_e up to
(|Y| - 1) times the smallest share, it is Fano's.

Sources: S.-W. Ho, S. Verdu, "On the interplay between conditional entropy and error probability", IEEE Trans. Inf.
Theory, 2010; as a rate-distortion function, V. D. Erokhin, "Epsilon-entropy of a discrete random variable", Theory
Probab. Appl., 1958.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr


def entropy(shares: Sequence[float]) -> float:
    """H in bits of shares that sum to 1."""
    return float(entr(np.asarray(shares, float)).sum() / np.log(2))


def largest_accuracy(bits: float, shares: Sequence[float]) -> float:
    """The largest accuracy that `bits` of information on the label allow.

    Args:
        bits: at least 0, of each scene; may be infinite.
        shares: of the classes among the scenes, in any order; they sum to 1.

    Returns:
        A share of 1: at 0 bits that of the most frequent class, from the label's entropy on 1.
    """
    most, *others = np.sort(np.asarray(shares, float))[::-1]
    others = np.asarray(others)
    if bits >= entropy(shares):
        return 1.0
    if bits <= 0:
        return float(most)

    def lacking(t: float) -> float:
        """Bits that an answer of this kind takes, less those that there are."""
        wrong = np.minimum(others, t)
        return entropy(shares) - entropy([1 - wrong.sum(), *wrong]) - bits

    t = brentq(lacking, 0, others[0], xtol=1e-15)
    return float(1 - np.minimum(others, t).sum())
