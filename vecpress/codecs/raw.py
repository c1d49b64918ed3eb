"""Raw: the vectors themselves in float32 or float16, the exact baseline."""

from __future__ import annotations

import numpy as np

from ..arrays import FLOAT32_MAX, Rows
from ..checks import check_choice
from ..codec import METRICS, Codec, Metric, Query

BYTES = {"float32": 4, "float16": 2}


class Raw(Codec):
    """Stores every component as a little-endian float: search is exact up to the rounding of float16.

    Code layout, code_size = 4 d or 2 d:

    | bytes | content |
    |---|---|
    | 4 t .. 4 t + 3 | component t, IEEE 754 binary32, little-endian (dtype "float32") |
    | 2 t .. 2 t + 1 | component t, IEEE 754 binary16, little-endian, rounded to nearest even (dtype "float16") |

    Scores are exact inner products, or squared distances, of the query in float32 with the vector as stored, in the order of
    `vecpress.ops.flat`. `symmetric=True` rounds the query as the vectors were.

    Parameters
    ----------
    dtype : "float32" keeps every bit; "float16" halves the bytes and keeps 11 significant bits (relative error at most 2^-11,
        absolute 2^-25 below 2^-14)
    metric : "ip", "l2" or "cos"; under "cos" vectors are stored scaled to length 1

    Raises ValueError in `fit` and `encode` for a value beyond float16's range (65504), never stores an infinity.
    Cost: d multiply-adds a vector and query; memory as the vectors.
    """

    def __init__(self, dtype: str = "float32", *, metric: Metric = "ip"):
        self.dtype = check_choice("Raw", "dtype", dtype, tuple(BYTES))
        self.metric = check_choice("Raw", "metric", metric, METRICS)
        self.group = BYTES[self.dtype]
        self.largest = FLOAT32_MAX if self.dtype == "float32" else float(np.finfo(np.float16).max)

    @property
    def code_size(self) -> int:
        return BYTES[self.dtype] * self.dim

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        x.check()  # there is nothing to learn, but bad vectors are an error here as they are for every codec

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        return x.astype(self._stored, copy=False).view(np.uint8)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        return codes.view(self._stored).astype(np.float32)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        return Query("flat", rows=q, options={"l2": self.metric == "l2"})

    @property
    def _stored(self) -> np.dtype:
        return np.dtype(f"<f{BYTES[self.dtype]}")

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls(dtype, metric=metric) for metric in METRICS for dtype in BYTES]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """The larger of its two sizes that fits."""
        fitting: list[Codec] = [cls(dtype, metric=metric) for dtype, size in BYTES.items() if size * dim <= code_size]
        return fitting[:1]
