"""Options chosen by recall: queries, and rows, that are held out of a fit judge what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .checks import Metric

LEARNED_ROWS, JUDGED_ROWS, JUDGES = 8192, 24576, 256  # that options are chosen with, at most
FAR_QUERIES = np.errstate(over="ignore", invalid="ignore")  # for who judges: some may be too far away for float32
LEAST_ROWS, LEAST_QUERIES = 512, 16  # with fewer, chance chooses


class HeldOut(NamedTuple):
    """judges : float32[nj, d], queries that judge
    known : float32[nq, d], the other queries, to learn from; None where there were none, and rows are the judges
    rows : float32[n, d], all but the judges, in an order that is drawn
    """

    judges: np.ndarray
    known: np.ndarray | None
    rows: np.ndarray


def hold_out(x: np.ndarray, queries: np.ndarray | None, seed: int) -> HeldOut | None:
    """Half of the queries, or a quarter of the rows where there are none, 256 at most; None where there are too few of either."""
    if len(x) < LEAST_ROWS or (queries is not None and len(queries) < LEAST_QUERIES):
        return None
    rng = np.random.Generator(np.random.PCG64(seed))
    x = x[rng.permutation(len(x))]
    if queries is None:
        half = min(len(x) // 4, JUDGES)
        return HeldOut(x[:half], None, x[half:])
    queries = queries[rng.permutation(len(queries))]
    half = min(len(queries) // 2, JUDGES)
    return HeldOut(queries[:half], queries[half:], x)


class Judge:
    """Recall k@k of scores of rows for queries, on average over some k: with more neighbours it is less a matter of chance.

    rows float32[n, d]; queries float32[nq, d]
    """

    def __init__(self, rows: np.ndarray, queries: np.ndarray, metric: Metric, neighbours: Sequence[int] = (10,)):
        self.metric, self.neighbours = metric, neighbours
        self._true = self._best(queries @ rows.T, np.square(rows).sum(axis=1))

    def recall(self, products: np.ndarray, squares: np.ndarray) -> float:
        """Of decoded rows; what is the same for all may be left out.

        products : float32[nq, n], of queries and rows; squares : float32[n], squared lengths of rows, for l2
        """
        found = self._best(products, squares)
        pairs = zip(found, self._true, strict=True)
        return float(np.mean([(own[:, :, None] == true[:, None, :]).any(axis=2).mean() for own, true in pairs]))

    def _best(self, products: np.ndarray, squares: np.ndarray) -> list[np.ndarray]:
        """int64[nq, k] for each k: the places of the highest scores, in any order."""
        scores = squares - 2 * products if self.metric == "l2" else -products
        counts = [min(k, scores.shape[1]) for k in self.neighbours]
        return [np.argpartition(scores, count - 1, axis=1)[:, :count] for count in counts]
