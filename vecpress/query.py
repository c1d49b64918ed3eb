"""What a codec makes of queries: the scan that scores codes, and its operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from . import ops
from .dispatch import empty
from .ops import Blocks, Factor

SMALLEST = np.float32(2.0**-126)
NOTHING = 2.0**-40  # of the largest number of a query: what its weight is at least, for the bias to count beside roundings


class Query(NamedTuple):
    """What a scan needs to score codes against queries. Scores are similarities: larger is better, squared distances negated.

    scan : "lut4" | "lut8" with `tables` float32[nq, m, 16 | 256]; "dot" | "flat" with `rows` float32[nq, d]; "trellis" with
        `rows` float32[nq, m] and, where codes have labels, `tables` float32[nq, labels, 256]; "hamming" with `rows` uint8[nq,
        bytes of bits]; "sdc" with `rows` uint8[nq, bytes of codes] and the options dim and n_bits
    sum_weights : for "sdc", float32[nq], what each query's sums are multiplied with, above 0; None: 1
    scale, bias : where in the code the per-vector factors stand; a plain number scales every sum alike
    constant : float32[nq] added to each query's scores
    bias_weights : float32[nq], what each query multiplies the codes' biases with, any finite number; None: 1
    options : what else the scan is to know, the same for all queries
    """

    scan: Literal["lut4", "lut8", "dot", "flat", "trellis", "hamming", "sdc"]
    tables: np.ndarray | None = None
    rows: np.ndarray | None = None
    scale: float | Factor = 1.0
    bias: Factor | None = None
    constant: np.ndarray | None = None
    sum_weights: np.ndarray | None = None
    bias_weights: np.ndarray | None = None
    options: Mapping[str, Any] | None = None

    def search(
        self,
        blocks: Blocks,
        k: int,
        ids: np.ndarray | None = None,
        allow: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best of `blocks`: scores float32[nq, k], ids int64[nq, k]. Arguments as in `vecpress.ops.scan.scan`."""
        if self.bias_weights is not None:
            return self._search_weighed(blocks, k, ids, allow, num_threads)
        operand, options = self.tables if self.rows is None else self.rows, self.options or {}
        if self.rows is not None and self.tables is not None:
            options = {**options, "tables": self.tables}
        if self.sum_weights is not None:
            options = {**options, "weights": self.sum_weights}
        return getattr(ops, self.scan)(
            blocks, operand, k, ids=ids, allow=allow, scale=self.scale, bias=self.bias, constant=self.constant,
            num_threads=num_threads, **options,
        )  # fmt: skip

    def part(self, which: slice | np.ndarray) -> Query:
        """Some of the queries."""
        parts: dict[str, Any] = {
            name: None if (operand := getattr(self, name)) is None else operand[which]
            for name in ("tables", "rows", "constant", "sum_weights", "bias_weights")
        }
        return self._replace(**parts)

    def _search_weighed(
        self, blocks: Blocks, k: int, ids: np.ndarray | None, allow: np.ndarray | None, num_threads: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `search`, of queries that weigh the biases.

        A scan adds biases as they are. So what it multiplies is divided by the size of the query's weight, biases get the
        weight's sign, and the scores are multiplied with that size afterwards: their order is the same.
        """
        assert self.bias_weights is not None and self.bias is not None
        if not len(self.bias_weights):
            return self._replace(bias_weights=None).search(blocks, k, ids, allow, num_threads)
        divided = ("sum_weights",) if self.scan == "sdc" else ("tables", "rows")
        operands = [a for a in (getattr(self, name) for name in divided) if a is not None]
        size = np.abs(self.bias_weights)
        most = np.max([np.abs(a).reshape(len(a), -1).max(axis=1, initial=0) for a in operands], axis=0)
        weighs = size > most * NOTHING
        size = np.where(weighs, size, np.float32(1))
        scores, found = empty((len(size), k), np.float32), empty((len(size), k), np.int64)
        above, below = weighs & (self.bias_weights > 0), weighs & (self.bias_weights < 0)
        for bias, which in ((self.bias, above), (_negated(self.bias), below), (None, ~weighs)):
            if not which.any():
                continue
            query = self.part(which)._replace(bias=bias, bias_weights=None, constant=None)
            for name in divided:
                operand = getattr(query, name)
                if operand is not None:
                    own = size[which].reshape(-1, *[1] * (operand.ndim - 1))
                    operand = operand / own
                    query = query._replace(**{name: np.maximum(operand, SMALLEST) if name == "sum_weights" else operand})
            scores[which], found[which] = query.search(blocks, k, ids, allow, num_threads)
        with np.errstate(over="ignore", invalid="ignore"):
            scores *= size[:, None]
            if self.constant is not None:
                scores += self.constant[:, None]
        scores[np.isnan(scores) & (found >= 0)] = -np.inf  # inf - inf, of queries too far away for float32
        order = np.lexsort((found, -scores))  # rounding may have made scores equal: ties go to the lower id
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(found, order, axis=1)


def _negated(factor: Factor) -> Factor:
    return replace(factor, table=None if factor.table is None else -factor.table, times=-factor.times)
