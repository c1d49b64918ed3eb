"""A step of the beam search through codebooks: of all continuations of a row's paths, those of least cost."""

from __future__ import annotations

import numpy as np

from ..checks import check_int
from ..dispatch import empty, reference, run
from .numerics import array

MOST_PATHS = 256
MOST_ENTRIES = 256  # of a codebook
MOST_LABELS = 63  # of a path, before the step


def beam_step(
    costs: np.ndarray, pairs: np.ndarray, paths: np.ndarray, scores: np.ndarray, keep: int, *, num_threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `keep` best continuations of each row's paths by one label, best first.

    With l_0 ... l_j-1 the labels of path p of row i, its continuation by label c has

        total[p, c] = costs[i, c] + pairs[l_0, c] + pairs[ks + l_1, c] + ... + pairs[(j - 1) ks + l_j-1, c] + scores[i, p]

    in float32, added in this order. The least totals are kept, of equal ones those of the earlier path, then of the lower label;
    what is no number counts as infinity.

    Parameters
    ----------
    costs : float32[n, ks], what each label costs by itself, ks 1 to 256
    pairs : float32[j * ks, ks], what it costs with each label of a path in addition
    paths : uint8[n, b, j], labels below ks; b 1 to 256, j at most 63
    scores : float32[n, b], of the paths
    keep : 1 to 256; where there are fewer continuations, all are kept

    Returns
    -------
    uint8[n, k, j + 1], float32[n, k] : the paths and their totals, k = min(keep, b ks)

    Cost: a row b ks j additions, fewer where its paths begin alike, for these share their sums; each reads ks numbers of `pairs`.
    Source: Babenko and Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014.
    """
    costs = array("beam_step", "costs", costs, np.float32, (None, None))
    n, ks = costs.shape
    if not 1 <= ks <= MOST_ENTRIES:
        raise ValueError(f"beam_step: costs expected 1 to {MOST_ENTRIES} columns, got shape {costs.shape}")
    paths = array("beam_step", "paths", paths, np.uint8, (n, None, None))
    b, labels = paths.shape[1:]
    if not 1 <= b <= MOST_PATHS or labels > MOST_LABELS:
        raise ValueError(
            f"beam_step: paths expected 1 to {MOST_PATHS} a row with at most {MOST_LABELS} labels, got shape {paths.shape}"
        )
    if ks < MOST_ENTRIES and paths.size and paths.max() >= ks:
        raise ValueError(f"beam_step: paths expected labels below {ks}, the columns of costs, got {paths.max()}")
    scores = array("beam_step", "scores", scores, np.float32, (n, b))
    pairs = array("beam_step", "pairs", pairs, np.float32, (labels * ks, ks))
    keep = min(check_int("beam_step", "keep", keep, 1, MOST_PATHS), b * ks)
    grown, best = empty((n, keep, labels + 1), np.uint8), empty((n, keep), np.float32)
    run("beam_step", grown, best, costs, pairs, paths, scores, num_threads=num_threads)
    return grown, best


@reference("beam_step")
def _beam_step(
    grown: np.ndarray, best: np.ndarray, costs: np.ndarray, pairs: np.ndarray, paths: np.ndarray, scores: np.ndarray
) -> None:
    (n, keep), ks = best.shape, costs.shape[1]
    total = np.broadcast_to(costs[:, None], (*scores.shape, ks))
    with np.errstate(over="ignore", invalid="ignore"):
        for i in range(paths.shape[2]):
            total = total + pairs[i * ks + paths[:, :, i].astype(np.intp)]
        total = total + scores[:, :, None]
    flat = np.where(np.isnan(total), np.float32(np.inf), total).reshape(n, scores.shape[1] * ks)
    least = np.argsort(flat, axis=1, kind="stable")[:, :keep]
    best[:] = np.take_along_axis(flat, least, axis=1)
    grown[:, :, :-1] = np.take_along_axis(paths, least[:, :, None] // ks, axis=1)
    grown[:, :, -1] = least % ks
