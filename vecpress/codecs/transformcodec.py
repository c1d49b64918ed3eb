"""Transform coding: query-weighted axes, a few labels, bits by reverse water-filling, and a trellis code; any number of bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import ops
from ..allocation import word_sizes
from ..arrays import Rows
from ..axes import CENTROIDS, LABEL_ROWS, AxesCode, power_of_two
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..ops.factors import Factor, from_u2, to_u2
from ..ops.trellis_levels import LEVELS
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, SAMPLE_ROWS, check_columns
from ..weighting import Transform, moments, weighted_transform

MAX_SEED = 2**63 - 1
LEAST_BYTES = 4
MOST_LABELS, USUAL_LABELS = 32, 23
ALL_LABELS = 24  # bytes up to which the usual code has as many labels as it may, and
SOME_LABELS = 8  # beyond
LEAST_LABEL_ROWS = 8 * CENTROIDS  # without which there are no labels
LEARNED_ROWS, JUDGED_ROWS, JUDGES = 8192, 24576, 256  # with which options are chosen
LEAST_SEARCH_ROWS, LEAST_SEARCH_QUERIES = 512, 16
# options, and by how much recall they must be better than the usual ones: so much is chance
EXPONENTS = {0.5: 0.0, 0.3: 0.002, 0.0: 0.005}
STRETCHES = {1: 0.0, 0: 0.002, 2: 0.003}  # 2 a
UNUSUAL_LABELS = 0.01
NEIGHBOURS = 10
BLOCK_ROWS = 8192  # mapped at a time
UNEVEN = 0.2  # spread of norms from which rows are coded at one length
SHORT = 2.0**-100  # vectors so near to the mean count as it


class TransformCodec(Codec):
    """x_hat = mean_ + s back_ (sum of centroids_[v, label v] + sum of units_[t] value[t] along axis component_[t]).

    z = (x - mean_) @ forward_ is x in axes in which components are independent and queries weigh errors alike
    (`vecpress.weighting`). Labels name a centroid each, of what the others leave (`vecpress.residual`). What is left is coded
    component by component in words of a trellis code, `ops.encode_trellis`, whose rates follow the components' variances
    (`vecpress.allocation`): some have no bits, the strongest are coded twice. One scale a vector makes up for what is lost.

    Code layout, with t the point that labels and values name:

    | bytes | content |
    |---|---|
    | 0 | the place of the scale s in scales_; or 0, 1, where lengths lie far apart: s / scales_[0] as by `ops.factors.to_u2` |
    | four more for l2 | |x_hat - mean_|^2, float32, little-endian |
    | n_labels | labels |
    | then | the words as `ops.encode_trellis` writes them |

    s = (|z|^2 / <z, t>)^(1 - a) (<z, t> / |t|^2)^a, between the unbiased scale and that of least squares, or 0 where <z, t> is
    not positive. Scores are those of the query with x_hat, up to float32 rounding.

    `fit` chooses by held-out recall on its sample: how much queries weigh, how many labels there are, the scale's a. Give it
    sample queries where you have them: without, it takes rows for queries. It takes the usual choice, and no labels, where it has
    fewer than 512 rows; labels take 4,096 rows or more.

    Parameters
    ----------
    code_size : bytes a vector, at least 4 and four more for l2; more than the factors and one byte a dimension are of no use
    metric : "ip", "l2" or "cos"
    labels : 0 to 32, the most labels there may be; beyond 24 bytes a vector there are 8 at most. Each takes a kilobyte a
        dimension of state, and time in `fit`, `encode` and searches
    seed : of the centroids and of what is held out

    Learned: mean_; forward_ and back_ float32[d, d]; centroids_ float32[n_labels, 256, d]; words_ uint8[n_words, 2], bytes and
    rate; component_ int32[m], the axis of each component, -1 for none; units_ float32[m]; levels_ int8[4, 64]; scales_
    float32[256]; form_ int64[6]: bytes of the scale, labels, words, words of the first layer, 2 a, and 1 where rows are coded at
    one length.

    Raises ValueError for d beyond 4096, and in `encode` for values beyond `largest`.
    Cost: fit about 40 d^3 and, for 20,000 rows of 384 columns, 7 to 10 seconds on one core, 30 with 23 labels; encode d^2
    multiply-adds and 200 for each component, and for labels what `RQ` with a beam of 4 takes; a query d^2 and 256 d for each
    label, then one multiply-add for each component of a code and a look-up for each label.
    Source: Marcellin and Fischer 1990 (trellis); Huang and Schultheiss, "Block quantization of correlated Gaussian random
    variables", 1963 (transform and rates); Gao and Long, "RaBitQ", 2024 (unbiased scale).
    """

    state = {  # noqa: RUF012  ClassVar in Codec
        "form_": Array("int64", (6,)),
        "words_": Array("uint8", ("n_words", 2)),
        "component_": Array("int32", ("n_components",)),
        "units_": Array("float32", ("n_components",)),
        "levels_": Array("int8", LEVELS.shape),
        "mean_": Array("float32", ("dim",)),
        "forward_": Array("float32", ("dim", "dim")),
        "back_": Array("float32", ("dim", "dim")),
        "centroids_": Array("float32", ("n_labels", CENTROIDS, "dim")),
        "scales_": Array("float32", (256,)),
    }
    form_: np.ndarray
    words_: np.ndarray
    component_: np.ndarray
    units_: np.ndarray
    levels_: np.ndarray
    mean_: np.ndarray
    forward_: np.ndarray
    back_: np.ndarray
    centroids_: np.ndarray
    scales_: np.ndarray

    def __init__(self, code_size: int, *, metric: Metric = "ip", labels: int = USUAL_LABELS, seed: int = 0):
        self.metric = check_choice("TransformCodec", "metric", metric, METRICS)
        self._code_size = check_int("TransformCodec", "code_size", code_size, LEAST_BYTES + self._norm_bytes)
        self.labels = check_int("TransformCodec", "labels", labels, 0, MOST_LABELS)
        self.seed = check_int("TransformCodec", "seed", seed, 0, MAX_SEED)

    @property
    def code_size(self) -> int:
        return self._code_size

    @property
    def _form(self) -> list[int]:
        """form_, or what is likely before `fit`."""
        if "form_" in self.__dict__:
            return self.form_.tolist()
        left = self.code_size - 1 - self._norm_bytes
        labels = min(self.labels, left if self.code_size <= ALL_LABELS else SOME_LABELS)
        words = len(word_sizes(left - labels))
        return [1, labels, words, words, next(iter(STRETCHES)), 0]

    @property
    def scale_bytes(self) -> int:
        return self._form[0]

    @property
    def n_labels(self) -> int:
        return self._form[1]

    @property
    def n_words(self) -> int:
        return self._form[2]

    @property
    def n_components(self) -> int:
        """Values of all words; before `fit` as many as there would be at 2 bits."""
        if "words_" not in self.__dict__:
            return 4 * (self.code_size - self.head - self.n_labels)
        return int((8 * self.words_[:, 0].astype(np.int64) // np.maximum(self.words_[:, 1], 1)).sum())

    @property
    def _norm_bytes(self) -> int:
        return 4 if self.metric == "l2" else 0

    @property
    def head(self) -> int:  # type: ignore[override]
        return self.scale_bytes + self._norm_bytes

    @property
    def largest(self) -> float:  # type: ignore[override]
        return SQUARES_FIT

    @property
    def enough_rows(self) -> int:
        return max(ENOUGH_ROWS * self.dim, LEAST_SEARCH_ROWS)

    def _check_dim(self, dim: int) -> None:
        check_columns("TransformCodec", dim)

    # ---- learning

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(SAMPLE_ROWS, self.seed)
        asked = None if queries is None else queries.sample(SAMPLE_ROWS, self.seed)
        exponent, labels, stretch = self._choose(sample, asked, num_threads)
        self._learn(sample, asked, exponent, labels, num_threads)
        self._set_form(stretch=stretch)
        blocks = ((z, self._code.encode(self._evened(z), num_threads)[1]) for z in self._blocks(sample, num_threads))
        self._learn_scales(np.concatenate([self._scale(z, t, num_threads) for z, t in blocks]))

    def _learn(
        self, x: np.ndarray, queries: np.ndarray | None, exponent: float, labels: int, num_threads: int | None,
        centroids: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Axes and code for rows x; queries None means rows as queries. centroids : of the labels and more, if they are known."""
        transform = self._axes(x, queries, exponent)
        self.mean_, self.forward_, self.back_ = transform.mean, transform.forward, transform.back
        self.scales_, self.levels_ = np.ones(256, np.float32), LEVELS
        self.form_ = np.array([1, 0, 0, 0, 0, 0])
        z = np.concatenate(list(self._blocks(x[:LABEL_ROWS], num_threads)))
        norms = ops.norms(z, num_threads=num_threads).astype(np.float64)
        # two bytes must be reckoned with before it is known that scales need them
        uneven = float(norms.std()) > UNEVEN * float(norms.mean())
        self.form_ = np.array([2 if uneven else 1, 0, 0, 0, 0, int(uneven)])
        nbytes = self.code_size - self.head
        variances = transform.variances
        if uneven:
            z = self._evened(z)
            variances = np.square(z, dtype=np.float64).mean(axis=0)
        labels = min(labels, nbytes)
        code = AxesCode.learn(z, variances, nbytes, labels, self.seed, num_threads, centroids)
        self.centroids_, self.words_, self.component_, self.units_ = code.centroids, code.words, code.component, code.units
        self._set_form(labels=labels, words=len(code.words), layers=code.layers)

    def _axes(self, x: np.ndarray, queries: np.ndarray | None, exponent: float) -> Transform:
        mean, covariance = moments(x, centred=True)
        of_queries = covariance if self.metric == "l2" else covariance + np.outer(mean, mean)  # rows as queries
        if queries is not None and len(queries):
            given = moments(queries - mean if self.metric == "l2" else queries, centred=False)[1]
            # a few queries say little of d^2 numbers: they are believed as half as many rows as columns would be
            share = len(queries) / (len(queries) + x.shape[1] / 2)
            level = np.trace(given) / max(float(np.trace(of_queries)), 1e-300)
            of_queries = share * given + (1 - share) * level * of_queries
        return weighted_transform(mean, covariance, of_queries, exponent)

    def _choose(self, x: np.ndarray, queries: np.ndarray | None, num_threads: int | None) -> tuple[float, int, int]:
        """exponent, labels and 2 a by the recall of rows and for queries that were not learned from."""
        usual = next(iter(EXPONENTS)), 0, next(iter(STRETCHES))
        if len(x) < LEAST_SEARCH_ROWS or (queries is not None and len(queries) < LEAST_SEARCH_QUERIES):
            return usual
        rng = np.random.Generator(np.random.PCG64(self.seed))
        x = x[rng.permutation(len(x))]
        if queries is None:
            half = min(len(x) // 4, JUDGES)
            judges, x, known = x[:half], x[half:], None
        else:
            queries = queries[rng.permutation(len(queries))]
            half = min(len(queries) // 2, JUDGES)
            judges, known = queries[:half], queries[half:]
        half = min(len(x) // 2, LEARNED_ROWS)
        learned, base = x[:half], x[half : half + JUDGED_ROWS]
        true = _best(_scores(judges @ base.T, np.square(base).sum(axis=1), self.metric))
        tried: dict[tuple[float, int, int], float] = {}
        most = min(self.labels, self.code_size - self._norm_bytes - 1 if self.code_size <= ALL_LABELS else SOME_LABELS)
        usual_labels = most = most if len(learned) >= LEAST_LABEL_ROWS else 0

        def judge(exponent: float, labels: int, centroids: np.ndarray | None = None) -> None:
            self._learn(learned, known, exponent, labels, num_threads, centroids)
            z = np.concatenate(list(self._blocks(base, num_threads)))
            t = self._code.encode(self._evened(z), num_threads)[1]
            products = (judges - self.mean_ if self.metric == "l2" else judges) @ self.back_ @ t.T
            own = np.square(t @ self.back_.T).sum(axis=1) if self.metric == "l2" else np.zeros(len(t), np.float32)
            for stretch, price in STRETCHES.items():
                self._set_form(stretch=stretch)
                scale = self._scale(z, t, num_threads).astype(np.float32)
                found = _best(_scores(products * scale, own * scale**2, self.metric))
                recall = float((found[:, :, None] == true[:, None, :]).any(axis=2).mean())
                price += EXPONENTS[exponent] + UNUSUAL_LABELS * (labels != usual_labels)
                tried[exponent, labels, stretch] = recall - price

        for exponent in EXPONENTS:
            judge(exponent, 0)
        exponent = max(tried, key=lambda option: tried[option])[0]
        centroids = None
        for labels in sorted({most, min(most, SOME_LABELS), most // 2} - {0}, reverse=True):
            judge(exponent, labels, centroids)
            centroids = self.centroids_ if labels == most else centroids  # the others' are the first of these
        return max(tried, key=lambda option: tried[option])

    def _learn_scales(self, scales: np.ndarray) -> None:
        positive = scales[scales > 0]
        low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
        if self.scale_bytes == 2:
            self.scales_ = np.full(256, power_of_two(high), np.float32)
            return
        low, high = max(low * 0.9, high / 1e3), high * 1.1  # what lies outside counts as the nearest
        self.scales_ = np.concatenate(([0.0], np.geomspace(low, high, 255))).astype(np.float32)

    def _set_form(self, **changes: int) -> None:
        names = ("scale_bytes", "labels", "words", "layers", "stretch", "uneven")
        self.form_ = np.array([changes.get(name, int(old)) for name, old in zip(names, self.form_, strict=True)])

    def _freeze(self) -> None:
        super()._freeze()
        scale_bytes, labels, words, layers, stretch, uneven = self.form_.tolist()
        sizes = self.words_[:, 0].astype(np.int64)
        if not (
            scale_bytes in (1, 2) and 0 <= layers <= words and stretch in STRETCHES and uneven in (0, 1)
            and ((self.words_ >= 1) & (self.words_ <= (8, 4))).all() and self.head + labels + sizes.sum() == self.code_size
            and (self.component_ >= -1).all() and (self.component_ < self.dim).all() and (self.levels_ > -128).all()
            and (self.scales_ >= 0).all() and (self.scales_[0] > 0 if scale_bytes == 2 else (np.diff(self.scales_) >= 0).all())
        ):  # fmt: skip
            raise ValueError(f"TransformCodec: the learned arrays do not belong together, or not to code_size={self.code_size}")

    @property
    def _code(self) -> AxesCode:
        """Made when first asked for and kept as long as the arrays are the same: it makes tables of its own."""
        form, parts = self.form_, (self.centroids_, self.words_, self.component_, self.units_, self.levels_)
        made_of, kept = self.__dict__.get("_kept_code", ((), None))
        if kept is None or len(made_of) != len(parts) or any(a is not b for a, b in zip(made_of, parts, strict=True)):
            centroids, words, *others = parts
            kept = AxesCode(centroids, words, int(form[3]), *others)
            self.__dict__["_kept_code"] = parts, kept
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept_code"}

    # ---- coding

    def _blocks(self, x: np.ndarray, num_threads: int | None) -> Iterator[np.ndarray]:
        for start in range(0, max(len(x), 1), BLOCK_ROWS):
            yield ops.project(x[start : start + BLOCK_ROWS] - self.mean_, self.forward_, num_threads=num_threads)

    def _evened(self, z: np.ndarray) -> np.ndarray:
        """Rows at one length, where that is what is coded."""
        if not self.form_[5]:
            return z
        norms, length = ops.norms(z, num_threads=1), np.float32(math.sqrt(z.shape[1]))
        return z * np.where(norms >= SHORT, length / np.maximum(norms, np.float32(SHORT)), np.float32(0))[:, None]

    def _scale(self, z: np.ndarray, t: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float64[n]: s, from norms, whose order of summing is fixed."""
        length: np.ndarray | float = 1.0
        if self.form_[5]:  # t is near to a row of one length, and so must z be: sums of squares would cancel
            length = ops.norms(z, num_threads=num_threads).astype(np.float64) / math.sqrt(z.shape[1])
            z = self._evened(z)
        own, coded, apart = (np.square(ops.norms(a, num_threads=num_threads), dtype=np.float64) for a in (z, t, z - t))
        product = (own + coded - apart) / 2
        good = (product > 2.0**-20 * own) & (own > 0)
        product = np.where(good, product, 1.0)
        unbiased, least = np.where(good, own, 0.0) / product, product / np.where(good, coded, 1.0)
        stretch = int(self.form_[4])
        found = unbiased if stretch == 0 else least if stretch == 2 else np.sqrt(unbiased * least)
        return np.where(good, found, 0.0) * length

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        z = ops.project(x - self.mean_, self.forward_, num_threads=num_threads)
        codes, t = self._code.encode(self._evened(z), num_threads)
        scale = self._scale(z, t, num_threads)
        if self.scale_bytes == 1:
            scales = self.scales_.astype(np.float64)
            stored = np.searchsorted(np.sqrt(scales[1:] * scales[:-1]), scale).astype(np.uint8)[:, None]
        else:
            stored = to_u2((scale / self.scales_[0]).astype(np.float32))[:, None].view(np.uint8)
        parts = [stored]
        if self.metric == "l2":
            scale = self._scales_of(stored)
            point = ops.project(t * scale[:, None], np.ascontiguousarray(self.back_.T), num_threads=num_threads)
            parts.append(np.square(ops.norms(point, num_threads=num_threads)).astype("<f4")[:, None].view(np.uint8))
        return np.hstack([*parts, codes])

    def _scales_of(self, stored: np.ndarray) -> np.ndarray:
        """float32[n]: scales from their bytes."""
        if self.scale_bytes == 1:
            return self.scales_[stored[:, 0]]
        return from_u2(np.ascontiguousarray(stored).view("<u2")[:, 0]) * self.scales_[0]

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        t = self._code.decode(np.ascontiguousarray(codes[:, self.head :]))
        scale = self._scales_of(codes[:, : self.scale_bytes])
        return ops.project(t * scale[:, None], np.ascontiguousarray(self.back_.T), self.mean_, num_threads=1)

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        code, bias = self._code, None
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            if self.metric == "l2":
                away = q - self.mean_
                constant = -np.square(ops.norms(away, num_threads=num_threads))
                turned = ops.project(away * np.float32(2), self.back_, num_threads=num_threads)
                bias = Factor(self.scale_bytes, "f4", times=-1.0)
            else:
                constant = ops.project(q, self.mean_[:, None], num_threads=num_threads)[:, 0]
                turned = ops.project(q, self.back_, num_threads=num_threads)
            rows, tables = code.rows(turned), code.tables(turned, num_threads)
        scale = Factor(0, "u1", table=self.scales_) if self.scale_bytes == 1 else Factor(0, "u2", times=float(self.scales_[0]))
        if not len(self.words_):  # labels alone are what a quicker scan is for
            return Query("lut8", tables=tables, scale=scale, bias=bias, constant=constant)
        options = {"words": self.words_, "levels": self.levels_}
        return Query("trellis", tables=tables, rows=rows, scale=scale, bias=bias, constant=constant, options=options)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [cls(8), cls(13, metric="l2"), cls(6, metric="cos", labels=1), cls(24, labels=0, seed=1)]

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """1/2, 1, 2 and 4 bits a dimension."""
        least = LEAST_BYTES + (4 if metric == "l2" else 0)
        sizes = dict.fromkeys(max(dim * bits // 16, least) for bits in (1, 2, 4, 8))
        return [cls(size, metric=metric) for size in sizes] if dim <= MOST_COLUMNS else []

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        return cls.offers(dim, code_size, metric)

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """All the bytes there are, up to 8 bits a dimension."""
        factors = 5 if metric == "l2" else 1
        size = min(code_size, factors + max(dim, LEAST_BYTES))
        least = LEAST_BYTES + factors - 1
        return [cls(size, metric=metric, seed=seed)] if dim <= MOST_COLUMNS and size >= least else []


def _scores(products: np.ndarray, own: np.ndarray, metric: Metric) -> np.ndarray:  # but for what all rows of a query share
    return 2 * products - own if metric == "l2" else products


def _best(scores: np.ndarray) -> np.ndarray:
    """int64[nq, 10]: the places of the highest scores, in any order."""
    count = min(NEIGHBOURS, scores.shape[1])
    return np.argpartition(-scores, count - 1, axis=1)[:, :count]
