"""PQ: product quantization, 4 or 8 bits a sub-vector."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..kmeans import kmeans

TRAIN_ROWS = 65536  # learned from at most: 256 a centroid at 8 bits
ENOUGH_ROWS = 39  # a centroid; with fewer, codebooks fit the sample's noise and recall suffers
MAX_SEED = 2**63 - 1
# codes and tables of so few are made from the codebooks by column; for more, turning those around costs next to nothing
FEW_ROWS = 4
FEW_QUERIES = 8


class PQ(Codec):
    """Cuts a vector into m sub-vectors and stores for each the number of its nearest centroid.

    x_hat = codebooks[0, label 0] | codebooks[1, label 1] | ... | codebooks[m - 1, label m - 1]

    Code layout:

    | n_bits | code_size | byte b |
    |---|---|---|
    | 8 | m | label b |
    | 4 | ceil(m / 2) | label 2 b in the low half, label 2 b + 1 in the high half; the last high half is 0 where m is odd |

    Ties go to the lower label. Scores sum one table entry a sub-vector, in order: its inner product, or squared distance, with
    the query's sub-vector, so a score is that of the query with the decoded vector.

    `symmetric=True` builds the query's tables from its decoded code. Tables of all pairs of centroids (m * 4^n_bits numbers)
    would give the same scores, and are not kept: they would save d * 2^n_bits multiply-adds a query, which is little beside a
    scan of thousands of codes, and cost 12 MB of state at m = 48 and 8 bits.

    Parameters
    ----------
    m : sub-vectors; must divide d. Larger -> more bytes, more recall
    n_bits : 8 (256 centroids) or 4 (16 centroids, scanned several times faster, less recall at equal bytes)
    metric : "ip", "l2" or "cos"
    seed : of the sample that is learned from and of k-means, 0 .. 2^63 - 1

    Learned: codebooks_ float32[m, 2**n_bits, d / m]. Learns from 65,536 rows at most, drawn with the seed. Fewer than 39 rows a
    centroid (9,984 at 8 bits, 624 at 4) raise a SmallTrainingSetWarning; fewer rows than centroids still give a valid codec.
    Values beyond 2^50 are a ValueError: their squared distances could leave float32.

    Cost: fit 25 * 65,536 * d * 2^n_bits multiply-adds at most, encode n * d * 2^n_bits, a query d * 2^n_bits; m look-ups a code.
    Source: Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", PAMI 2011.
    """

    state = {"codebooks_": Array("float32", ("m", "ks", "dsub"))}  # noqa: RUF012  declared ClassVar in Codec
    largest = SQUARES_FIT
    codebooks_: np.ndarray

    def __init__(self, m: int, n_bits: int = 8, *, metric: Metric = "ip", seed: int = 0):
        name = type(self).__name__
        self.m = check_int(name, "m", m, 1)
        self.n_bits = check_choice(name, "n_bits", n_bits, (4, 8))
        self.metric = check_choice(name, "metric", metric, METRICS)
        self.seed = check_int(name, "seed", seed, 0, MAX_SEED)

    @property
    def code_size(self) -> int:
        return self.m if self.n_bits == 8 else (self.m + 1) // 2

    @property
    def ks(self) -> int:
        """Centroids a sub-vector, 2**n_bits."""
        return 2**self.n_bits

    @property
    def dsub(self) -> int:
        """Columns of a sub-vector, d / m."""
        return self.dim // self.m

    @property
    def enough_rows(self) -> int:
        return ENOUGH_ROWS * self.ks

    def _check_dim(self, dim: int) -> None:
        if dim % self.m:
            raise ValueError(f"{type(self).__name__}: m expected a divisor of d={dim}, got {self.m}")

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        self.codebooks_ = self._codebooks(x.sample(TRAIN_ROWS, self.seed), num_threads)

    def _codebooks(self, x: np.ndarray, num_threads: int | None, iterations: int = 25) -> np.ndarray:
        """float32[m, ks, dsub]: the centroids of each sub-vector of the rows of x."""
        codebooks = np.empty((self.m, self.ks, self.dsub), np.float32)
        for j, part in enumerate(np.split(x, self.m, axis=1)):
            codebooks[j], _ = kmeans(part, self.ks, (self.seed, j), iterations=iterations, num_threads=num_threads)
        return codebooks

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        by_column = len(x) <= FEW_ROWS
        codebooks = self._columns() if by_column else self.codebooks_
        return ops.encode_pq(x, codebooks, by_column=by_column, num_threads=num_threads)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        if self.n_bits == 4:
            codes = np.stack((codes & 15, codes >> 4), axis=2).reshape(len(codes), 2 * self.code_size)
        out = np.empty((len(codes), self.dim), np.float32)
        for j, codebook in enumerate(self.codebooks_):
            out[:, j * self.dsub : (j + 1) * self.dsub] = codebook[codes[:, j]]
        return out

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        by_column, l2 = len(q) <= FEW_QUERIES, self.metric == "l2"
        codebooks = self._columns() if by_column else self.codebooks_
        tables = ops.tables(q, codebooks, l2=l2, by_column=by_column, num_threads=num_threads)
        return Query("lut8" if self.n_bits == 8 else "lut4", tables=tables)

    def _columns(self) -> np.ndarray:
        """The codebooks by column, float32[m, dsub, ks], made when first asked for and kept as long as they are the same."""
        codebooks = self.codebooks_  # once: another thread may fit meanwhile
        made_of, columns = self.__dict__.get("_kept_columns", (None, None))
        if made_of is not codebooks:
            columns = np.ascontiguousarray(codebooks.transpose(0, 2, 1))
            self.__dict__["_kept_columns"] = codebooks, columns
        return columns

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls(8),
            cls(6, metric="l2"),
            cls(4, metric="cos", seed=1),
            cls(12, 4),
            cls(3, 4, metric="l2"),  # an odd m: half a byte is unused
            cls(8, 4, metric="cos", seed=1),
        ]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """Sub-vectors of about 16, 8 and 4 columns at 8 bits, 4 and 2 at 4 bits: 1/2, 1 and 2 bits a dimension."""
        found = []
        for n_bits, dsub in ((8, 16), (8, 8), (8, 4), (4, 4), (4, 2)):
            m = max(m for m in range(1, max(1, dim // dsub) + 1) if dim % m == 0)
            found.append(cls(m, n_bits, metric=metric))
        return [codec for i, codec in enumerate(found) if codec not in found[:i]]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As many sub-vectors as fit, of 8 bits and of 4."""
        most = {8: code_size, 4: 2 * code_size}
        cuts = {bits: max(m for m in range(1, min(most[bits], dim) + 1) if dim % m == 0) for bits in most}
        return [cls(m, n_bits, metric=metric, seed=seed) for n_bits, m in cuts.items()]
