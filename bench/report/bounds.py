"""The least distortion that any codec can have at a size: rate-distortion functions of Gaussian sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

NEGLIGIBLE = 1e-12  # of the largest eigenvalue


def water_filling(spectrum: Sequence[float], bits: np.ndarray) -> np.ndarray:
    """Distortion over variance of a Gaussian source with these eigenvalues, at so many bits a vector: float64 like `bits`.

    Reverse water-filling: components of more variance than a level are coded down to it, the others not at all. With equal
    eigenvalues this is 2^(-2R), R bits a dimension. For other sources of the same covariance the least distortion is at most
    this: clustered data can be below. Source: Cover and Thomas, Elements of Information Theory, 10.3.3. O(d) a size.
    """
    values = np.sort(np.asarray(spectrum, np.float64))[::-1]
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or values[0] <= 0:
        raise ValueError(f"spectrum: expected eigenvalues of which one is positive, got {spectrum!r}")
    total = values.clip(min=0).sum()
    positive = values[values > NEGLIGIBLE * values[0]]
    logs = np.cumsum(np.log2(positive))
    active = np.arange(1, len(positive) + 1)
    out = np.empty(np.shape(bits), np.float64)
    for i, b in np.ndenumerate(np.asarray(bits, np.float64)):
        levels = np.exp2((logs - 2 * b) / active)  # the level if just the k largest are coded
        k = max(1, int(np.count_nonzero(levels < positive)))  # they are while each is above its level: true for the first k only
        out[i] = (levels[k - 1] * k + positive[k:].sum()) / total if b > 0 else 1.0
    return out


def spectrum_of(about: dict[str, Any]) -> list[float] | None:
    """The eigenvalues that are known of a data set: those in its record, or those that the name of a made set states, as
    "gaussian n=20000 d=128 seed=0" and "power_law n=20000 d=128 alpha=1 seed=0" do; None for all others."""
    spectrum = about.get("spectrum")
    if isinstance(spectrum, list) and spectrum:
        return [float(v) for v in spectrum]
    name, dim = str(about.get("name", "")).lower(), about.get("dim")
    if not isinstance(dim, int) or dim < 1 or about.get("metric") == "cos":  # "cos" changes vectors, and so their spectrum
        return None
    if name.startswith("gaussian ") or re.search(r"\bwhite\b", name):
        return [1.0] * dim
    if power := re.match(r"power_law .*\balpha=([\d.]+)", name):
        return [float(t) ** -float(power[1]) for t in range(1, dim + 1)]
    return None
