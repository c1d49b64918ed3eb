"""RQ: a vector as a sum of codebook entries, found by a beam search; its product form cuts the vector into parts first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import Metric, check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Query
from ..dispatch import empty
from ..ops.factors import Factor
from ..residual import Step, best_labels, learn_books, search_steps, sums
from .pq import MAX_SEED

TRAIN_ROWS = 32768  # learned from at most: 128 an entry at 8 bits
ENOUGH_ROWS = 39  # an entry, as of PQ
MOST = 32  # codebooks a part: tables of pairs and least squares grow with its square


class RQ(Codec):
    """x_hat = sum over j of codebooks_[j, label j]; with `parts`, each part of the columns has m / parts of the codebooks.

    Part p is columns p d / parts onwards, and codebooks p m / parts onwards. `parts` = m is product quantization.
    Labels are found one codebook after the other: of all continuations, the `beam` of least squared error are kept, and the best
    one at the end is the code. A beam of 1 always takes the entry nearest to what is left. The search is no projection: a
    decoded vector may get another code, of about the same vector.

    Code layout, l = 1 for l2, else 0; code_size = l + m, or l + ceil(m / 2) for 4 bits:

    | bytes | content |
    |---|---|
    | 0, l2 only | the number of the level in cross_ that is nearest to the code's cross terms, of equals the lower |
    | l + b, n_bits 8 | label b |
    | l + b, n_bits 4 | label 2 b in the low half, label 2 b + 1 in the high half; the last high half is 0 where m is odd |

    All arithmetic is float32. With y = x - centre, where the centre is the mean of each part's first codebook, and c the entries,
    those of a first codebook less the centre, so that what is far from 0 loses no digits:

        cost[j, c] = |c|^2 - 2 <y, c>                              a chain of `ops.project` from |c|^2
        score[0 .. j] = score[0 .. j - 1] + (cost[j, label j] + 2 <c_0, c_j> + 2 <c_1, c_j> + ...)         in order, within a part
        cross terms = sum of 2 <c_i, c_j> over i < j within a part

    so a vector meets every entry once, whatever the beam, and errors below some 2^-11 of |y| are not told from each other. Ties
    go to the better rank one codebook before, then to the lower label.

    Scores are <q, x_hat>, or -|q - x_hat|^2 but for the rounding of the cross terms, of no measurable cost.

    Parameters
    ----------
    m : codebooks, 32 a part at most. Larger -> more bytes, more recall
    n_bits : 8 (256 entries a codebook) or 4 (16)
    parts : must divide m and d. Larger -> faster fit and encode, a larger error
    beam : 1 to 256 paths that are kept. Larger -> slower fit and encode, a smaller error
    metric : "ip", "l2" or "cos"
    seed : of the sample that is learned from and of k-means, 0 .. 2^63 - 1

    Learned: codebooks_ float32[m, 2**n_bits, d / parts]; cross_ float32[256], ascending, half of them with equally many training
    rows each. Learns from 32,768 rows at most; fewer than 39 an entry raise a SmallTrainingSetWarning.

    How codebooks are learned: `vecpress.residual`.

    Raises ValueError for values beyond 2^50.

    Cost: encode n d m 2^n_bits / parts multiply-adds and at most n beam 2^n_bits m (m / parts + 3) / 2 additions, fewer
    where paths begin alike; fit k-means of 131,072 rows at most, 8 times at most encoding and a system of m 2^n_bits / parts
    unknowns a part, of which it holds the matrix; a query d m 2^n_bits / parts multiply-adds; a code m look-ups. Products of
    entries, 2 m^2 4^n_bits / parts bytes, are made when first needed and kept, outside the state.

    Source: Chen, Guan, Wang, "Approximate nearest neighbor search by residual vector quantization", Sensors 2010; Babenko and
    Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014 (beam, least squares); Martinez et al.,
    "Revisiting additive quantization", ECCV 2016, and "LSQ++", ECCV 2018 (with a ridge). Differs in lambda, in held-out rows,
    and in what is stored for l2.
    """

    state = {"codebooks_": Array("float32", ("m", "ks", "dsub")), "cross_": Array("float32", (256,))}  # noqa: RUF012  ClassVar
    largest = SQUARES_FIT
    codebooks_: np.ndarray
    cross_: np.ndarray

    def __init__(self, m: int, n_bits: int = 8, *, parts: int = 1, beam: int = 8, metric: Metric = "ip", seed: int = 0):
        self.m = check_int("RQ", "m", m, 1)
        self.n_bits = check_choice("RQ", "n_bits", n_bits, (4, 8))
        self.parts = check_int("RQ", "parts", parts, 1)
        self.beam = check_int("RQ", "beam", beam, 1, 256)
        self.metric = check_choice("RQ", "metric", metric, METRICS)
        self.seed = check_int("RQ", "seed", seed, 0, MAX_SEED)
        if self.m % self.parts:
            raise ValueError(f"RQ: parts expected a divisor of m={self.m}, got {self.parts}")
        if self.depth > MOST:
            raise ValueError(f"RQ: m expected at most {MOST} codebooks a part, {MOST * self.parts} in all, got {self.m}")
        self.head = 1 if self.metric == "l2" else 0

    @property
    def code_size(self) -> int:
        return self.head + (self.m if self.n_bits == 8 else (self.m + 1) // 2)

    @property
    def ks(self) -> int:
        """Entries of a codebook, 2**n_bits."""
        return 2**self.n_bits

    @property
    def dsub(self) -> int:
        """Columns of an entry, d / parts."""
        return self.dim // self.parts

    @property
    def depth(self) -> int:
        """Codebooks of a part, m / parts."""
        return self.m // self.parts

    @property
    def enough_rows(self) -> int:
        return ENOUGH_ROWS * self.ks

    def _check_dim(self, dim: int) -> None:
        if dim % self.parts:
            raise ValueError(f"RQ: parts expected a divisor of d={dim}, got {self.parts}")

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(TRAIN_ROWS, self.seed)
        pairs = enumerate(self._split(sample))
        parts = [learn_books(x, self.depth, self.ks, self.beam, (self.seed, part), num_threads) for part, x in pairs]
        self.codebooks_ = np.concatenate(parts)
        self.cross_ = self._levels(sample, num_threads)

    def _levels(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[256]: what the cross terms are rounded to."""
        occurred = np.sort(self._cross(self._find(x, num_threads), num_threads).astype(np.float64))
        low, high = occurred[0], occurred[-1]
        longest = np.sqrt(np.square(self._tables(num_threads).entries, dtype=np.float64).sum(axis=2)).max(axis=1)
        most = np.square(longest.reshape(self.parts, self.depth).sum(axis=1)).sum()  # no labels have more, or less than -most
        equally_many = occurred[((np.arange(128) + 0.5) / 128 * len(occurred)).astype(int)]
        share = (np.arange(1, 33) / 32) ** 3
        above, below = high + max(most - high, 0.0) * share, low - max(most + low, 0.0) * share
        return np.sort(np.concatenate((equally_many, np.linspace(low, high, 64), above, below))).astype(np.float32)

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        labels = self._find(x, num_threads)
        out = empty((len(x), self.code_size), np.uint8)
        if self.head:
            between = (self.cross_[1:] + self.cross_[:-1]) / np.float32(2)
            out[:, 0] = np.searchsorted(between, self._cross(labels, num_threads))
        if self.n_bits == 4:
            labels = np.pad(labels, ((0, 0), (0, self.m % 2)))
            labels = labels[:, 0::2] | labels[:, 1::2] << 4
        out[:, self.head :] = labels
        return out

    def _find(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        """uint8[n, m]: the labels of x."""
        tables = self._tables(num_threads)
        pairs = zip(self._split(x - tables.centre), tables.steps, strict=True)
        return np.hstack([best_labels(columns, steps, self.beam, num_threads) for columns, steps in pairs])

    def _split(self, x: np.ndarray) -> list[np.ndarray]:
        """The columns of each part."""
        return [np.ascontiguousarray(columns) for columns in np.split(x, self.parts, axis=1)]

    def _sum(self, books: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """float32[n, d]: the labels' entries, summed up part by part."""
        pairs = zip(np.split(books, self.parts), np.split(labels, self.parts, axis=1), strict=True)
        return np.hstack([sums(of_part, columns) for of_part, columns in pairs])

    def _cross(self, labels: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[n]: twice the products of each two entries of a part."""
        total = np.zeros(len(labels), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for steps, columns in zip(self._tables(num_threads).steps, np.split(labels, self.parts, axis=1), strict=True):
                for j, step in enumerate(steps):
                    for i in range(j):
                        total += step.pairs[i * self.ks + columns[:, i].astype(np.intp), columns[:, j]]
        return total

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        labels = codes[:, self.head :]
        if self.n_bits == 4:
            labels = np.stack((labels & 15, labels >> 4), axis=2).reshape(len(codes), 2 * labels.shape[1])[:, : self.m]
        return self._sum(self.codebooks_, labels)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        tables = self._tables(num_threads)
        out = np.zeros((len(q), self.m + (self.m % 2 if self.n_bits == 4 else 0), self.ks), np.float32)
        l2 = self.metric == "l2"
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            if l2:
                q = q - tables.centre
                constant = -np.square(ops.norms(q, num_threads=num_threads))
            else:
                constant = ops.project(q, tables.centre[:, None], num_threads=num_threads)[:, 0]
            for part, columns in enumerate(self._split(q)):
                for j, step in enumerate(tables.steps[part], part * self.depth):
                    out[:, j] = ops.project(columns, step.weights, step.offset if l2 else None, num_threads=num_threads)
        scan: Any = "lut8" if self.n_bits == 8 else "lut4"
        bias = Factor(0, "u1", table=-self.cross_) if l2 else None
        return Query(scan, tables=out, scale=-1.0 if l2 else -0.5, bias=bias, constant=constant)  # weights are -2 entries

    def _tables(self, num_threads: int | None) -> _Tables:
        """What the search needs, made when first asked for and kept as long as the codebooks are the same."""
        codebooks = self.codebooks_  # once: another thread may fit meanwhile
        made_of, kept = self.__dict__.get("_kept_tables", (None, None))
        if made_of is not codebooks:
            kept = _tables_of(codebooks, self.parts, num_threads)
            self.__dict__["_kept_tables"] = codebooks, kept
        return kept

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()  # in one step: another thread may be making the tables
        state.pop("_kept_tables", None)
        return state

    @classmethod
    def examples(cls) -> list[Codec]:
        four_bits = [cls(5, 4, metric="l2"), cls(6, 4, parts=3, metric="l2")]  # an odd m: half a byte is unused
        return [cls(4), cls(3, beam=3, metric="l2"), cls(4, beam=1, metric="cos", seed=1), cls(6, parts=2, beam=2), *four_bits]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """8 and 16 codebooks."""
        return [cls(m, metric=metric) for m in (8, 16)]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        """A codebook a byte, up to 32."""
        return [cls(m, metric=metric)] if 1 <= (m := code_size - (metric == "l2")) <= MOST else []

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """A codebook a byte, up to 16: beyond, learning takes minutes."""
        return [cls(m, metric=metric, seed=seed)] if 1 <= (m := code_size - (metric == "l2")) <= MOST // 2 else []


class _Tables(NamedTuple):
    """centre : float32[d]; entries : float32[m, ks, dsub], each part's first codebook less the centre; steps : of each part."""

    centre: np.ndarray
    entries: np.ndarray
    steps: list[list[Step]]


def _tables_of(codebooks: np.ndarray, parts: int, num_threads: int | None) -> _Tables:
    entries, ks = codebooks.copy(), codebooks.shape[1]
    centres = []
    for first in entries[:: len(codebooks) // parts]:
        total = ops.label_sums(first, np.zeros(ks, np.int32), 1, num_threads=num_threads)[0]  # in a fixed order
        centres.append((total / ks).astype(np.float32))
        first -= centres[-1]
    return _Tables(np.concatenate(centres), entries, [search_steps(books, num_threads) for books in np.split(entries, parts)])
