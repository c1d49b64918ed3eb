"""What no code can beat: the rate-distortion function of a Gaussian source, by reverse water-filling.

A Gaussian source of independent components of variances v_t, coded with R bits a vector, is reproduced with a mean squared error
of at least the sum of min(w, v_t), where the water level w is such that the sum of max(0, log2(v_t / w) / 2) is R. Where all
variances are v that is d v 2^(-2R/d). In the axes of the principal components any Gaussian vector is such a source.

The bound holds in the mean over the source, for every code of so many bits, of one vector or of many together; what `fit` learned
does not count, so a code that has learned the very vectors it is measured on can fall below it. For vectors that are not Gaussian
it is no bound: of all sources of one covariance the Gaussian is the hardest, and clustered vectors can be coded in fewer bytes.
It is then what a code can reach that knows nothing but the covariance. Real codes stay above it: the best level for each
component alone needs 0.25 bits a component more at high rates.

Source: Shannon 1959; Kolmogorov, "On the Shannon theory of information transmission in the case of continuous signals", 1956;
Cover and Thomas, "Elements of Information Theory", chapter 10 (theorem 10.3.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["components", "needed_bytes", "reachable", "white"]


def white(bits: float) -> float:
    """The least distortion of white Gaussian vectors at so many bits a dimension: 2^(-2 bits), as a share of the variance."""
    return float(2.0 ** (-2.0 * bits))


def components(variances: Any, bits: float) -> np.ndarray:
    """The mean squared error of every component of an ideal code: min(water level, variance).

    variances : [d], at least 0, in any order; bits : a vector, at least 0

    Returns float64[d]. Cost: d log d.
    """
    v = _variances(variances)
    if not bits >= 0:
        raise ValueError(f"components: bits expected at least 0, got {bits}")
    sorted_v = np.sort(v[v > 0])[::-1]
    if not len(sorted_v) or bits == 0:
        return v.copy()
    logs = np.log2(sorted_v)
    count = np.arange(1, len(logs) + 1)
    levels = (np.cumsum(logs) - 2.0 * bits) / count  # log2 of the water level if the so many largest components get bits
    last = max(0, int(np.count_nonzero(levels < logs)) - 1)  # true of the components that do: a prefix
    return np.minimum(v, 2.0 ** levels[last])


def reachable(variances: Any, nbytes: float) -> float:
    """The least distortion at so many bytes a vector: mean squared error by the variance, 0 to 1 (0 where nothing varies)."""
    v = _variances(variances)
    total = float(v.sum())
    return float(components(v, 8.0 * nbytes).sum() / total) if total else 0.0


def needed_bytes(variances: Any, distortion: float) -> float:
    """The fewest bytes a vector, not a whole number, by which a distortion (as of `reachable`) can be reached; inf for 0."""
    level, v = water_level(variances, distortion), _variances(variances)
    if level == 0:
        return float("inf") if v.any() else 0.0
    above = v[v > level]
    return float(np.log2(above / level).sum() / 16.0)


def water_level(variances: Any, distortion: float) -> float:
    """The level w at which min(w, variance) sums to this share of the variance, 0 to 1."""
    v = np.sort(_variances(variances))
    if not 0 <= distortion <= 1:
        raise ValueError(f"water_level: distortion expected 0 to 1, got {distortion}")
    if distortion == 1:
        return float(v[-1])
    wanted = distortion * float(v.sum())
    below = np.concatenate([[0.0], np.cumsum(v)[:-1]])  # of the components under the water, if v[t] is the first above it
    levels = (wanted - below) / np.arange(len(v), 0, -1)
    fits = np.flatnonzero(levels <= v)
    return max(0.0, float(levels[fits[0]])) if len(fits) else float(v[-1])


def _variances(variances: Any) -> np.ndarray:
    v = np.asarray(variances, np.float64)
    if v.ndim != 1 or not len(v) or not np.isfinite(v).all() or (v < 0).any():
        raise ValueError(f"variances expected a vector of finite numbers of at least 0, got shape {v.shape}")
    return v
