"""What a codec makes of queries: the scan that scores codes, and its operands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from . import ops
from .ops import Blocks, Factor


class Query(NamedTuple):
    """What a scan needs to score codes against queries. Scores are similarities: larger is better, squared distances negated.

    scan : "lut4" | "lut8" with `tables` float32[nq, m, 16 | 256]; "dot" | "flat" with `rows` float32[nq, d]; "trellis" with
        `rows` float32[nq, m] and, where codes have labels, `tables` float32[nq, labels, 256]; "hamming" with `rows` uint8[nq,
        bytes of bits]; "sdc" with `rows` uint8[nq, bytes of codes] and the options dim and n_bits
    scale, bias : where in the code the per-vector factors stand; a plain number scales every sum alike
    constant : float32[nq] added to each query's scores
    options : what else the scan is to know, the same for all queries
    """

    scan: Literal["lut4", "lut8", "dot", "flat", "trellis", "hamming", "sdc"]
    tables: np.ndarray | None = None
    rows: np.ndarray | None = None
    scale: float | Factor = 1.0
    bias: Factor | None = None
    constant: np.ndarray | None = None
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
        operand, options = self.tables if self.rows is None else self.rows, self.options or {}
        if self.rows is not None and self.tables is not None:
            options = {**options, "tables": self.tables}
        return getattr(ops, self.scan)(
            blocks, operand, k, ids=ids, allow=allow, scale=self.scale, bias=self.bias, constant=self.constant,
            num_threads=num_threads, **options,
        )  # fmt: skip

    def part(self, which: slice | np.ndarray) -> Query:
        """Some of the queries."""
        tables, rows, constant = (None if a is None else a[which] for a in (self.tables, self.rows, self.constant))
        return self._replace(tables=tables, rows=rows, constant=constant)
