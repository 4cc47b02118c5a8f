"""The paper's equations as printed, in float64 and explicit loops: what the fast code must agree with.

Eqs. (7) to (14), (18), (19) and the link of eq. (2), written from arXiv 2503.13940 index by index. Nothing here is
meant to be quick, and nothing here is shared with the package. Indices b, i, j, k, m, n are the paper's, from 0.
"""

import cmath
import math

import numpy as np


def centred(z: np.ndarray) -> np.ndarray:
    """(B, K) features less their mean over the batch: a switch of ours, not printed in eqs. (8), (11)."""
    out = np.array(z, dtype=np.float64)
    scenes, features = out.shape
    for i in range(features):
        mean = sum(out[b, i] for b in range(scenes)) / scenes
        for b in range(scenes):
            out[b, i] -= mean
    return out


def correlation(a: np.ndarray, c: np.ndarray, centre: bool = False) -> np.ndarray:
    """Eqs. (8) and (11): (K, K) from two (B, K). A feature without energy correlates with nothing."""
    a, c = (centred(x) if centre else np.asarray(x, dtype=np.float64) for x in (a, c))
    scenes, features = a.shape
    matrix = np.zeros((features, features))
    for i in range(features):
        for j in range(features):
            product = energy_i = energy_j = 0.0
            for b in range(scenes):
                product += a[b, i] * c[b, j]
                energy_i += a[b, i] ** 2
                energy_j += c[b, j] ** 2
            if energy_i > 0 and energy_j > 0:
                matrix[i, j] = product / (math.sqrt(energy_i) * math.sqrt(energy_j))
    return matrix


def diagonal_and_rest(matrix: np.ndarray, target: float) -> tuple[float, float]:
    """sum_i (target - C_ii)^2 and sum_{i != j} C_ij^2, the two sums of eqs. (10), (13), (14) and (19)."""
    diagonal = rest = 0.0
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            if i == j:
                diagonal += (target - matrix[i, i]) ** 2
            else:
                rest += matrix[i, j] ** 2
    return diagonal, rest


def intra(z: list, z_tilde: list, lambda_m: float, centre: bool = False) -> float:
    """Eq. (9) of eq. (10)."""
    total = 0.0
    for m in range(len(z)):
        diagonal, rest = diagonal_and_rest(correlation(z[m], z_tilde[m], centre), target=1)
        total += diagonal + lambda_m * rest
    return total


def shared_and_unique(
    z_m: np.ndarray, z_n: np.ndarray, k_sha: int, lambda_sha: float, lambda_uni: float, centre: bool = False
) -> tuple[float, float]:
    """Eqs. (13) and (14) for one ordered pair of modalities."""
    matrix = correlation(z_m, z_n, centre)
    shared_diagonal, shared_rest = diagonal_and_rest(matrix[:k_sha, :k_sha], target=1)
    unique_diagonal, unique_rest = diagonal_and_rest(matrix[k_sha:, k_sha:], target=0)
    return shared_diagonal + lambda_sha * shared_rest, unique_diagonal + lambda_uni * unique_rest


def cross(z: list, k_sha: int, lambda_sha: float, lambda_uni: float, centre: bool = False) -> float:
    """Eq. (12), its upper limit N read as M: every ordered pair m != n."""
    total = 0.0
    for m in range(len(z)):
        for n in range(len(z)):
            if n != m:
                total += sum(shared_and_unique(z[m], z[n], k_sha, lambda_sha, lambda_uni, centre))
    return total


def pretraining_loss(
    z: list,
    z_tilde: list,
    *,
    k_sha: int,
    lambda_m: float,
    lambda_sha: float,
    lambda_uni: float,
    centre: bool = False,
    cross_weight: float = 1.0,
) -> float:
    """Eq. (7); as printed with the two switches at their defaults."""
    return cross_weight * cross(z, k_sha, lambda_sha, lambda_uni, centre) + intra(z, z_tilde, lambda_m, centre)


def barlow_twins(a: np.ndarray, c: np.ndarray, lambda_: float, centre: bool) -> float:
    """Eq. (19) for one modality."""
    diagonal, rest = diagonal_and_rest(correlation(a, c, centre), target=1)
    return diagonal + lambda_ * rest


def nt_xent(a: np.ndarray, c: np.ndarray, temperature: float) -> float:
    """Eq. (18) for one modality, averaged over all 2N anchors; rows i and i + N are a positive pair."""
    rows = [np.asarray(row, dtype=np.float64) for row in (*a, *c)]
    half = len(rows) // 2

    def similarity(i: int, k: int) -> float:
        dot = sum(x * y for x, y in zip(rows[i], rows[k], strict=True))
        return dot / math.sqrt(sum(x * x for x in rows[i])) / math.sqrt(sum(x * x for x in rows[k]))

    total = 0.0
    for i in range(2 * half):
        j = (i + half) % (2 * half)
        denominator = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * half) if k != i)
        total -= math.log(math.exp(similarity(i, j) / temperature) / denominator)
    return total / (2 * half)


def symbols(z: np.ndarray, modulation: str) -> np.ndarray:
    """(B, K) real features to the complex symbols of eq. (2), at the power that each modulation states."""
    z = np.asarray(z, dtype=np.float64)
    scenes, features = z.shape
    uses = features if modulation == "literal" else features // 2
    out = np.zeros((scenes, uses), dtype=np.complex128)
    for b in range(scenes):
        for k in range(uses):
            if modulation == "literal":
                out[b, k] = z[b, k]
            elif modulation == "packed":
                out[b, k] = complex(z[b, k], z[b, uses + k])
            else:
                out[b, k] = complex(math.tanh(z[b, k]), math.tanh(z[b, uses + k]))
        if modulation != "peak":
            power = sum(abs(s) ** 2 for s in out[b]) / uses
            out[b] /= math.sqrt(power)
    return out


def noise_power(snr_db: float, modulation: str) -> float:
    """N0 per complex channel use. `peak`: 10^(-SNR/10) in each of the two real dimensions."""
    return 10 ** (-snr_db / 10) * (2 if modulation == "peak" else 1)


def received(z: np.ndarray, h: np.ndarray, n: np.ndarray, modulation: str, mmse: float | None = None) -> np.ndarray:
    """Eq. (2), y = h s + n, equalised and split into real numbers: (B, 2 uses), real parts first.

    Args:
        h: (B,) coefficient of each scene.
        n: (B, uses) noise.
        mmse: N0 / E|s|^2 for the minimum mean squared error equaliser; None divides by h.
    """
    s = symbols(z, modulation)
    out = np.zeros((len(s), 2 * s.shape[1]))
    for b in range(len(s)):
        for k in range(s.shape[1]):
            y = h[b] * s[b, k] + n[b, k]
            if mmse is None:
                estimate = y / h[b]
            else:
                estimate = y * complex(h[b]).conjugate() / (abs(h[b]) ** 2 + mmse)
            assert not cmath.isnan(estimate)
            out[b, k], out[b, s.shape[1] + k] = estimate.real, estimate.imag
    return out
