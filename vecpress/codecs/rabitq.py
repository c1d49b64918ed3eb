"""RaBitQ: a random rotation, the grid point that points most nearly in the vector's direction, and a bound of the error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arrays import Rows, like
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..dispatch import empty
from ..labels import label_query
from ..ops.dot import even_levels
from ..ops.factors import U2_LARGEST, Factor, from_u2, to_u2
from ..ops.pack_codes import packed_size

MAX_SEED = 2**63 - 1
SHORT = 2.0**-100  # vectors so near to the mean count as it
ROUNDING = 2.0**-11  # of a 2-byte float, relative
ESTIMATE_BYTES = 16 << 20  # of labels as float32 at a time
DIGITS = {1: 8, 2: 4, 3: 2, 4: 2, 5: 1, 6: 1, 7: 0, 8: 1}  # labels of what a vector lacks along the mean


class RaBitQ(Codec):
    """x_hat = mean_ + s (R^-1 g + a v), where g is a point of a grid of n_bits a dimension, and s and a are two numbers a vector.

    R is `ops.rotate` with signs_, v the direction of mean_. With y = R (x - mean_), g is the grid point of largest cosine with y,
    a component of it c - (2^n_bits - 1) / 2 for a label c (`ops.encode_grid`), and

        s = |y|^2 / <y, g>                 for ip and cos: <q, x_hat> is an unbiased estimate of <q, x> over rotations
        s = <y, g> / |g|^2                 for l2: the scale of least squared error
        e = |y| tan(angle between y and g): how far s g (that of ip) is from y
        a = <y, R v> / s - <g, R v>        for ip and cos: what g lacks in the direction of the mean; 0 for l2

    The error of an estimate is that of a random direction: `estimate` gives unbiased estimates, for l2 too, and bounds. The
    direction of the mean is the one that inner products with real queries weigh most, so the error in it is coded as well: a
    is about normal of variance 0.1 whatever n_bits, and is coded as m = 8, 4, 2, 2, 1, 1, 0, 1 more labels for 1, 2, ...
    8 bits, the digits of floor(a / u) + 2^(m n_bits - 1) from the lowest on, u = 4 / 2^(m n_bits): a multiple of u and a half.
    (At 7 bits it would cost three bytes, and is 0.) With m > 0 and factors "u2", e = s |g| times the sine of the angle between
    y and g, and the sine is coded as m labels too: the digits of the largest b with 2^(-b (n_bits + 3) / 2^(m n_bits)) not
    below it.

    Code layout, code_size = head + `packed_size(d + more, n_bits)`:

    | bytes, factors "u2" | bytes, factors "f4" | content |
    |---|---|---|
    | 0, 1 | 0 .. 3 | s; "u2": s / unit_ as `ops.factors.to_u2` rounds it |
    | 2, 3 for l2 and 7 bits | 4 .. 7 | e; "u2": e / error_unit as `to_u2` rounds it |
    | then | then | as `ops.pack_codes` packs them: the d labels of g, the m of a, with "u2" the m of the sine; m = 0 for l2 |

    All little-endian; "f4" is IEEE 754 binary32; error_unit = unit_ 2^(n_bits - 1 + ceil(log2(d) / 2)). So what a vector costs
    beside g is 4 bytes with "u2", but for the last byte's rest. A vector nearer to the mean than 2^-100 has s = e = 0.
    Scores are those of the query with x_hat, up to float32 rounding: for ip and cos they are the unbiased estimates. For l2
    they are not, as no vector has all of these for its squared distances; they order vectors about alike. No norm is stored
    for it: the scan has it of the labels (`ops.dot`), and with 1 bit it follows from s.

    Parameters
    ----------
    n_bits : 1 to 8 a dimension
    metric : "ip", "l2" or "cos"
    factors : "u2", 2 bytes for s, and e in 2 bytes or as labels, or "f4", 4 bytes for each
    seed : of the rotation

    Learned: mean_ float32[d], over every row; signs_, drawn from the seed; unit_ float32[1], a power of two that brings the
    training rows' s near 1 or below, so that 2-byte factors keep 11 bits; 1 with "f4".

    Raises ValueError, naming the row, in `fit` for values beyond 2^50, in `encode` for values so large that s might be beyond
    2^33 unit_.
    Cost: fit two passes over x; encode a rotation and `ops.encode_grid`; a query a rotation and d n_bits / 4 look-ups a code,
    from 3 bits on, for l2 from 2, d multiply-adds.

    Source: Gao and Long, "RaBitQ", SIGMOD 2024; Gao et al., "Practical and asymptotically optimal quantization of
    high-dimensional vectors in Euclidean space for approximate nearest neighbor search", SIGMOD 2025.
    """

    state = {  # noqa: RUF012  ClassVar in Codec
        "mean_": Array("float32", ("dim",)),
        "signs_": Array("uint8", (4, "sign_bytes")),
        "unit_": Array("float32", (1,)),
    }
    mean_: np.ndarray
    signs_: np.ndarray
    unit_: np.ndarray

    def __init__(self, n_bits: int = 1, *, metric: Metric = "ip", factors: str = "u2", seed: int = 0):
        self.n_bits = check_int("RaBitQ", "n_bits", n_bits, 1, 8)
        self.metric = check_choice("RaBitQ", "metric", metric, METRICS)
        self.factors = check_choice("RaBitQ", "factors", factors, ("u2", "f4"))
        self.seed = check_int("RaBitQ", "seed", seed, 0, MAX_SEED)
        self.head = self._width * (1 if self._sines else 2)

    @property
    def _width(self) -> int:
        """Bytes of one factor."""
        return 2 if self.factors == "u2" else 4

    @property
    def code_size(self) -> int:
        return self.head + packed_size(self.dim + self._digits + self._sines, self.n_bits)

    @property
    def _digits(self) -> int:
        """Labels of a vector's part along the mean."""
        return 0 if self.metric == "l2" else DIGITS[self.n_bits]

    @property
    def _sines(self) -> int:
        """Labels of the angle between a vector and its point; 0 where e itself is stored."""
        return self._digits if self.factors == "u2" else 0

    def _steps(self) -> np.ndarray:
        """float32[2**(n_bits _sines)], falling from 1: the sines that there are."""
        count = 2 ** (self.n_bits * self._sines)
        return (2.0 ** (-(self.n_bits + 3) / count * np.arange(count))).astype(np.float32)

    def _weights(self) -> np.ndarray:
        """float32[_digits]: what a step of each of these labels is."""
        places = self.n_bits * np.arange(self._digits)
        return (4 * 2.0 ** (places - self._digits * self.n_bits)).astype(np.float32)

    def _along(self, num_threads: int | None) -> np.ndarray:
        """float32[d], the direction of the mean; zeros where it has none, and for l2, which codes nothing along it."""
        length = ops.norms(self.mean_[None], num_threads=num_threads)[0]
        if self.metric == "l2" or length < SHORT:
            return np.zeros(self.dim, np.float32)
        return self.mean_ / length

    @property
    def sign_bytes(self) -> int:
        """Bytes of one round of the rotation's signs."""
        return -(-self.dim // 8)

    @property
    def enough_rows(self) -> int:
        return 30  # the mean is all that is learned

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        rng = np.random.Generator(np.random.PCG64(self.seed))
        self.signs_ = rng.integers(0, 256, (4, self.sign_bytes), np.uint8)
        total = np.zeros(x.dim)
        for _, block in x.blocks():
            total += block.sum(axis=0, dtype=np.float64)
        self.mean_ = (total / x.n).astype(np.float32)
        self.unit_ = np.ones(1, np.float32)
        if self.factors == "f4":
            return
        longest = max(float(ops.norms(block - self.mean_, num_threads=num_threads).max()) for _, block in x.blocks())
        most = longest / (2.0 ** (self.n_bits - 1) * math.sqrt(x.dim))
        # what `largest` allows is to hold the mean four times
        most = max(most, 10 * math.sqrt(x.dim) * float(np.abs(self.mean_).max()) / U2_LARGEST)
        if most > 0:
            self.unit_[0] = 2.0 ** min(max(math.ceil(math.log2(most)), -105), 90)

    @property
    def largest(self) -> float:  # type: ignore[override]
        """Once the unit is known, the largest absolute value that surely has no factor beyond U2_LARGEST.

        s is 2 |y| at most, as <y, g> is at least |y| / 2 and |g| at least 1 / 2; e is |y| sqrt(d) at most, as the cosine is at
        least 1 / sqrt(d); and |y| is at most sqrt(d) (largest + |mean|), but for rounding.
        """
        if not self.is_fitted or self.factors == "f4":
            return SQUARES_FIT
        held = U2_LARGEST * float(self.unit_[0]) / (2.1 * math.sqrt(self.dim))
        return min(SQUARES_FIT, held - float(np.abs(self.mean_).max()))

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        y = ops.rotate(x - self.mean_, self.signs_, num_threads=num_threads)
        along = ops.rotate(self._along(num_threads)[None], self.signs_, num_threads=num_threads)[0]
        labels, sums = ops.encode_grid(y, self.n_bits, along, num_threads=num_threads)
        own, product, own_along, point_along, square = sums.T
        there = own >= SHORT**2
        product = np.where(there, product, 1.0)
        scale = np.where(there, product / square if self.metric == "l2" else own / product, 0.0)
        missed = np.maximum(own * square - product * product, 0.0)
        scale_unit, error_unit = self._units
        head = [_stored(scale / scale_unit, self.factors)]
        if not self._sines:
            error = np.where(there, np.sqrt(missed * own) / product, 0.0)
            head.append(_stored(error / error_unit, self.factors))
        if self._digits:
            kept = self._factor(head[0], scale_unit).astype(np.float64)
            lacks = np.where(kept > 0, own_along / np.where(kept > 0, kept, 1.0) - point_along, 0.0)
            count = 2 ** (self._digits * self.n_bits)
            steps = np.clip(np.floor(lacks * (count / 4)) + count // 2, 0, count - 1)
            labels = np.hstack([labels, self._digits_of(steps)])
        if self._sines:
            sine = missed / np.where(there, own * square, 1.0)
            squares = np.square(self._steps().astype(np.float64))
            labels = np.hstack([labels, self._digits_of(np.searchsorted(-squares, -sine, side="right") - 1)])
        return np.hstack([*head, ops.pack_codes(labels, self.n_bits, num_threads=num_threads)])

    def _digits_of(self, numbers: np.ndarray) -> np.ndarray:
        """uint8[n, _digits]: of whole numbers [n], the digits of n_bits, the lowest first."""
        places = self.n_bits * np.arange(self._digits)
        return (numbers.astype(np.int64)[:, None] >> places & (2**self.n_bits - 1)).astype(np.uint8)

    @property
    def _units(self) -> tuple[float, float]:
        """What stored s and e are multiples of."""
        unit = float(self.unit_[0])
        if self.factors == "f4":
            return unit, unit
        return unit, unit * 2.0 ** (self.n_bits - 1 + math.ceil(math.log2(self.dim) / 2))

    def _factor(self, stored: np.ndarray, unit: float) -> np.ndarray:
        """float32[n]: what stored bytes uint8[n, width] stand for."""
        numbers = np.ascontiguousarray(stored).view("<" + self.factors)[:, 0]
        return from_u2(numbers) * np.float32(unit) if self.factors == "u2" else numbers.astype(np.float32)

    def _labels(self, codes: np.ndarray) -> np.ndarray:
        """uint8[n, d + _digits + _sines]."""
        count = self.dim + self._digits + self._sines
        return ops.unpack_codes(np.ascontiguousarray(codes[:, self.head :]), count, self.n_bits, num_threads=1)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        points = even_levels(self.n_bits)[self._labels(codes)]
        points *= self._factor(codes[:, : self._width], self._units[0])[:, None]
        y = ops.rotate(np.ascontiguousarray(points[:, : self.dim]), self.signs_, inverse=True, num_threads=1)
        y += self.mean_
        along = np.zeros(len(y), np.float32)
        for j, weight in enumerate(self._weights()):
            along += points[:, self.dim + j] * weight
        if self._digits:
            y += along[:, None] * self._along(1)
        return y

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        scale = Factor(0, self.factors, times=self._units[0])
        if self.metric == "l2":
            with np.errstate(over="ignore"):
                return label_query(self._from_mean(q, num_threads), self.n_bits, l2=True, scale=scale, num_threads=num_threads)
        rows, constant = self._turned(q, num_threads)
        return label_query(rows, self.n_bits, scale=scale, constant=constant)

    def _from_mean(self, q: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float32[nq, d]: rotated from the mean."""
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            return ops.rotate(q - self.mean_, self.signs_, num_threads=num_threads)

    def _turned(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Queries as rows float32[nq, labels] that labels' points are multiplied with; and float32[nq], <q, mean_>.

        For l2, rotated from the mean, and their squared lengths.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.metric == "l2":
                y = self._from_mean(q, num_threads)
                return y, np.square(ops.norms(y, num_threads=num_threads))
            both = ops.project(q, np.stack([self.mean_, self._along(num_threads)], axis=1), num_threads=num_threads)
            y = ops.rotate(q, self.signs_, num_threads=num_threads)
            nothing = np.zeros((len(q), self._sines), np.float32)
            return np.hstack([y, both[:, 1:] * self._weights(), nothing]), np.ascontiguousarray(both[:, 0])

    def estimate(self, codes: Any, q: Any, *, epsilon: float = 1.9, num_threads: int | None = None) -> tuple[Any, Any]:
        """Unbiased estimates float32[nq, n] of what the metric compares, and how far they are off at most, float32[nq, n].

        codes : uint8[n, code_size]
        q : [nq, d]
        epsilon : standard errors that the bound is wide

        The estimate is of the inner product, the cosine, or the squared distance, which is not negated here, and may be below 0.
        With y, g and e as in the class, and q' = R q, for l2 R (q - mean_):

            ip, cos   <q, mean_> + |y|^2 / <y, g> <q', g> + s a <q, v>     standard error  |q' - <q, v> R v| e / sqrt(d - 1)
            l2        |q'|^2 + |y|^2 - 2 |y|^2 / <y, g> <q', g>            standard error  2 |q'| e / sqrt(d - 1)

        to which that of the rounded a comes, s u |<q, v>| / sqrt(12), as the root of the sum of squares. The bound is epsilon of
        it, and what the rounding of 2-byte factors may change, 2^-11 of each. Over rotations errors spread about as
        normal numbers do, or less, so a bound holds with a probability of about erf(epsilon / sqrt(2)) or more: 94.3 % with 1.9,
        the papers' value; 99.7 % with 3.

        Raises NotFittedError before `fit`; TypeError or ValueError for bad input.
        Cost: nq n d multiply-adds in float32, in a fixed order, and an unpacking of the codes.
        """
        self.check_fitted()
        codes_array = self.check_codes(codes, "estimate: codes")
        epsilon = _check_epsilon(epsilon)
        rows, constant = self._turned(self._query_rows(q, "estimate: q", self.dim, num_threads).all(), num_threads)
        n = len(codes_array)
        estimates, bounds = (empty((len(rows), n), np.float32) for _ in range(2))
        length, along = self._lengths(rows, num_threads)
        length /= math.sqrt(max(self.dim - 1, 1))
        step = max(1, ESTIMATE_BYTES // (4 * self.dim))
        for start in range(0, n, step):
            block = codes_array[start : start + step]
            labels = self._labels(block)
            points = even_levels(self.n_bits)[labels]
            product = ops.project(rows, np.ascontiguousarray(points.T), num_threads=num_threads).astype(np.float64)
            lengths = np.square(points[:, : self.dim], dtype=np.float64).sum(axis=1)
            error = self._errors(block, labels, lengths)
            value, rounding, error, scale = self._estimate(block, lengths, error, product, constant.astype(np.float64)[:, None])
            estimates[:, start : start + step] = value
            bounds[:, start : start + step] = epsilon * np.hypot(length * error, along * scale) + rounding
        return like(q, estimates), like(q, bounds)

    def _lengths(self, rows: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """float64[nq, 1] of queries: the length that meets the error of g, and the standard error of a times what it weighs."""
        turned = np.ascontiguousarray(rows[:, : self.dim])
        whole = ops.norms(turned, num_threads=num_threads)[:, None].astype(np.float64)
        if not self._digits:
            return whole, np.zeros_like(whole)
        step = np.abs(rows[:, self.dim :][:, :1].astype(np.float64))  # <q, v> times u
        along = step / float(self._weights()[0])
        return np.sqrt(np.maximum(whole * whole - along * along, 0.0)), step / math.sqrt(12)

    def _errors(self, codes: np.ndarray, labels: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """float64[n]: e. lengths: |g|^2."""
        width, units = self._width, self._units
        if not self._sines:
            return self._factor(codes[:, width : 2 * width], units[1]).astype(np.float64)
        digits = labels[:, self.dim + self._digits :].astype(np.int64)
        sine = self._steps()[(digits << self.n_bits * np.arange(self._sines)).sum(axis=1)]
        return self._factor(codes[:, :width], units[0]).astype(np.float64) * np.sqrt(lengths) * sine

    def _estimate(
        self, codes: np.ndarray, lengths: np.ndarray, error: np.ndarray, product: np.ndarray, constant: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """float64: estimates [nq, n], what rounded factors change [nq, n], the error of a unit query [n], and s [n]."""
        scale = self._factor(codes[:, : self._width], self._units[0]).astype(np.float64)
        rounding = ROUNDING if self.factors == "u2" else 0.0
        product *= scale
        if self.metric != "l2":
            return constant + product, rounding * np.abs(product), error, scale
        # s is that of least error here, s |g| = |y| cos; with it and e = |y| tan, tan^2 = w is a root of (e / s |g|)^2 = w + w^2
        short = np.square(scale) * lengths
        ratio = np.square(error) / np.where(short > 0, short, 1.0)
        w = 2 * ratio / (1 + np.sqrt(1 + 4 * ratio))
        part = short - 2 * product
        value = (1 + w) * part
        # the derivative by the logarithm of e, and that by the logarithm of s
        by_error = 2 * w * (1 + w) / (1 + 2 * w) * part
        by_scale = 2 * (1 + w) * (short - product) - by_error
        return constant + value, rounding * (np.abs(by_error) + np.abs(by_scale)), 2 * error, scale

    @classmethod
    def examples(cls) -> list[Codec]:
        l2 = [cls(1, metric="l2", seed=1), cls(4, metric="l2", factors="f4"), cls(7, metric="l2")]
        return [cls(), cls(4), cls(8), cls(2, metric="cos"), cls(3, metric="cos", factors="f4"), cls(2, factors="f4"), *l2]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """1, 2 and 4 bits a dimension."""
        return [cls(n_bits, metric=metric) for n_bits in (1, 2, 4)]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """As many bits a dimension as fit."""
        sizes = (cls(n_bits, metric=metric, seed=seed) for n_bits in range(8, 0, -1))
        fitting: list[Codec] = [codec for codec in sizes if codec.planned(dim)[0] <= code_size]
        return fitting[:1]


def _stored(numbers: np.ndarray, kind: str) -> np.ndarray:
    """float64[n] as bytes uint8[n, width]."""
    single = numbers.astype(np.float32)
    return (to_u2(single) if kind == "u2" else single.astype("<f4"))[:, None].view(np.uint8)


def _check_epsilon(epsilon: Any) -> float:
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.integer, np.floating)):
        raise TypeError(f"estimate: epsilon expected a number, got {type(epsilon).__name__}")
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"estimate: epsilon expected a number of 0 or more, got {epsilon}")
    return float(epsilon)
