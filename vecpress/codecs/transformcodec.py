"""Transform coding: query-weighted axes, a few labels, bits by reverse water-filling, and a trellis code; any number of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..allocation import word_sizes
from ..arrays import Rows, like
from ..axes import CENTROIDS, AxesCode
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..heldout import LEAST_ROWS
from ..layers import check_layers, kept_layers
from ..level_tables import QUANTIZERS
from ..ops.encode_trellis import RATES, WINDOWS
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, SAMPLE_ROWS, check_columns
from ..scales import RULES, STRETCHES, scale_factor, square_factor, store_scales, store_squares, stored_scales, stored_squares
from ..transformfit import FEWEST_BYTES, LEAST_LABEL_ROWS, Form, Plan, TransformCode, choose, learn
from ..transformloss import Drift, bounds, measure, share_lost
from ..weighting import Transform

MAX_SEED = 2**63 - 1
MOST_LABELS, USUAL_LABELS = 32, 23
HELD_OUT, LEAST_HELD_OUT = 16, 4096  # one of so many rows is not learned from, where there are so many


class TransformCodec(Codec):
    """x_hat = mean_ + s back_ (sum of centroids_[v, label v] + sum of units_[t] value[t] along axis component_[t]).

    z = (x - mean_) @ forward_ is x in axes in which components are independent and queries weigh errors alike
    (`vecpress.weighting`). Labels name a centroid each, of what the others leave (`vecpress.residual`). What is left is coded
    component by component in words of a trellis code, `ops.encode_trellis`, whose rates follow the components' variances
    (`vecpress.allocation`): some have no bits, the strongest are coded twice. Axes of one strength that share words are
    mixed by a rotation, and units_ fitted to rows. One scale a vector makes up for what is lost.

    Code layout, with t the point that labels and values name; of a progressive code, of every layer, one after the other:

    | bytes | content |
    |---|---|
    | 1 | the place of the scale s in scales_; or 2, for lengths far apart in 5 bytes up: s / scales_[0] by `factors.to_u2` |
    | for l2 1, 2 or 4 more | |x_hat - mean_|^2: its place in squares_; |x_hat - mean_| / squares_[0] as by `to_u2`; or float32 |
    | n_labels, in the first layer | labels |
    | then | the words as `ops.encode_trellis` writes them |

    s = (|z|^2 / <z, t>)^(1 - a) (<z, t> / |t|^2)^a, between the unbiased scale and that of least squares, or 0 where <z, t> is
    not positive. Scores are those of the query with x_hat, up to float32 rounding and, for l2, that of squared lengths.

    `fit` chooses by held-out recall on its sample: how much queries weigh, how many labels there are, the scale's a. Give it
    sample queries where you have them: without, it takes rows for queries. It takes the usual choice, and no labels, where it has
    fewer than 512 rows; labels take 4,096 rows or more, without queries 4,352. Of fewer rows than twice the columns others are
    taken to differ more.

    Parameters
    ----------
    code_size : bytes a vector, at least 4; more than the factors and one byte a dimension are of no use
    metric : "ip", "l2" or "cos"
    quantizer : "trellis", or "scalar" for components coded each by itself: 1 to 1.9 dB more error, a sixth to a third of a bit
    window : bits that name a level, 6 or 8. 8 -> a little less error, at 4 bits a dimension an eighth; the trellis takes three to
        five times as long to encode, a query of codes in the cache a third more, with AVX2 three quarters
    progressive : True for layers that end at a quarter and half of code_size, or where each is to end; `truncate`. An index scans
        the first layer alone where `search(rerank=...)` asks for candidates. Every layer has factors of its own and leaves a bit
        more error, so a code of one layer is better than one of several in as many bytes
    labels : 0 to 32, the most labels there may be; where the first layer is beyond 24 bytes there are 8 at most. Each takes a
        kilobyte a dimension of state, and time in `fit`, `encode` and searches
    scale : "unbiased" for a = 0, "least_squares" for 1, "between" for 1/2; "auto" for that of the most recall
    seed : of the centroids and of what is held out

    Learned: mean_; forward_ and back_ float32[d, d]; centroids_ float32[n_labels, 256, d]; words_ uint8[n_words, 2], bytes and
    rate; passes_ int64[n_passes, 2], the layer of words that code what those before them leave, and how many; component_
    int32[m], the axis of each component, -1 for none; units_ float32[m]; levels_ int8[4, 2^window]; scales_ and squares_
    float32[n_layers, 256]; errors_ float32[n_layers, d], root mean squares of z / s - t; loss_ float32[n_layers, 3],
    `vecpress.transformloss`; form_ int64[7], `Form`.

    Raises ValueError for d beyond 4096, and in `encode` for values beyond `largest`.
    Cost: fit about 40 d^3 and, for 20,000 rows of 384 columns, 14 seconds on one core, 8 on two, 40 with 23 labels; encode d^2
    multiply-adds and 200 for each component, and for labels what `RQ` with a beam of 4 takes; a query d^2 and 256 d for each
    label, then one multiply-add for each component of a code and a look-up for each label.
    Source: Marcellin and Fischer 1990 (trellis); Huang and Schultheiss, "Block quantization of correlated Gaussian random
    variables", 1963 (transform and rates); Gao and Long, "RaBitQ", 2024 (unbiased scale).
    """

    state = {  # noqa: RUF012  ClassVar in Codec
        "form_": Array("int64", (len(Form._fields),)),
        "words_": Array("uint8", ("n_words", 2)),
        "passes_": Array("int64", ("n_passes", 2)),
        "component_": Array("int32", ("n_components",)),
        "units_": Array("float32", ("n_components",)),
        "levels_": Array("int8", (len(RATES), "n_levels")),
        "mean_": Array("float32", ("dim",)),
        "forward_": Array("float32", ("dim", "dim")),
        "back_": Array("float32", ("dim", "dim")),
        "centroids_": Array("float32", ("n_labels", CENTROIDS, "dim")),
        "scales_": Array("float32", ("n_layers", 256)),
        "squares_": Array("float32", ("n_layers", 256)),
        "errors_": Array("float32", ("n_layers", "dim")),
        "loss_": Array("float32", ("n_layers", 3)),
    }
    form_: np.ndarray
    words_: np.ndarray
    passes_: np.ndarray
    component_: np.ndarray
    units_: np.ndarray
    levels_: np.ndarray
    mean_: np.ndarray
    forward_: np.ndarray
    back_: np.ndarray
    centroids_: np.ndarray
    scales_: np.ndarray
    squares_: np.ndarray
    errors_: np.ndarray
    loss_: np.ndarray

    def __init__(
        self, code_size: int, *, metric: Metric = "ip", quantizer: str = "trellis", window: int = WINDOWS[0],
        progressive: bool | Sequence[int] = False, labels: int = USUAL_LABELS, scale: str = "auto", seed: int = 0,
    ):  # fmt: skip
        self.metric = check_choice("TransformCodec", "metric", metric, METRICS)
        self._code_size = check_int("TransformCodec", "code_size", code_size, FEWEST_BYTES)
        self.quantizer = check_choice("TransformCodec", "quantizer", quantizer, tuple(QUANTIZERS))
        self.window = check_choice("TransformCodec", "window", window, WINDOWS)
        self._layers = check_layers("TransformCodec", progressive, self._code_size)
        self.progressive = list(self._layers[:-1]) if isinstance(progressive, Sequence) else bool(progressive)
        self.labels = check_int("TransformCodec", "labels", labels, 0, MOST_LABELS)
        self.scale = check_choice("TransformCodec", "scale", scale, tuple(RULES))
        self.seed = check_int("TransformCodec", "seed", seed, 0, MAX_SEED)

    @property
    def code_size(self) -> int:
        return self._code_size

    @property
    def layers(self) -> tuple[int, ...]:
        return self._layers

    @property
    def _plan(self) -> Plan:
        return Plan(self.metric, self.layers, self.labels, QUANTIZERS[self.quantizer](self.window), self.seed, RULES[self.scale])

    @property
    def _form(self) -> Form:
        """form_, or what is likely before `fit`."""
        if "form_" in self.__dict__:
            return Form(*self.form_.tolist())
        square_bytes = int(self.metric == "l2")
        labels = self._plan.most_labels(1 + square_bytes)
        if self._planned_rows is not None and self._planned_rows < 2 * LEAST_LABEL_ROWS:  # half are tried on the others
            labels = 0
        left = [size - before - 1 - square_bytes for size, before in zip(self.layers, (0, *self.layers), strict=False)]
        words = sum(len(word_sizes(nbytes)) for nbytes in (left[0] - labels, *left[1:]))
        return Form(1, square_bytes, labels, words, len(left), RULES[self.scale][0], 0)

    @property
    def n_labels(self) -> int:
        return self._form.labels

    @property
    def n_words(self) -> int:
        return self._form.words

    @property
    def n_passes(self) -> int:
        return self._form.passes

    @property
    def n_levels(self) -> int:
        return 2**self.window

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    @property
    def n_components(self) -> int:
        """Values of all words; before `fit` as many as there would be at 2 bits."""
        if "words_" not in self.__dict__:
            return 4 * (self.code_size - self.n_layers * self._form.factors - self.n_labels)
        return int((8 * self.words_[:, 0].astype(np.int64) // np.maximum(self.words_[:, 1], 1)).sum())

    @property
    def head(self) -> int:  # type: ignore[override]
        return self._form.factors

    @property
    def largest(self) -> float:  # type: ignore[override]
        return SQUARES_FIT

    @property
    def enough_rows(self) -> int:
        return max(ENOUGH_ROWS * self.dim, LEAST_ROWS)

    def _check_dim(self, dim: int) -> None:
        check_columns("TransformCodec", dim)

    # ---- learning

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        sample = x.sample(SAMPLE_ROWS, self.seed)
        # in any order, so that its first rows are a sample
        sample = sample[np.random.Generator(np.random.PCG64(self.seed)).permutation(len(sample))]
        asked = None if queries is None else queries.sample(SAMPLE_ROWS, self.seed)
        exponent, labels, stretch = choose(sample, asked, self._plan, num_threads)
        held_out = len(sample) // HELD_OUT if len(sample) >= LEAST_HELD_OUT else 0  # tell what is lost
        learned, others = np.split(sample, [len(sample) - held_out])
        made = learn(learned, asked, self._plan, exponent, labels, num_threads)[0].sorted()
        code = made.code
        self.mean_, self.forward_, self.back_ = made.transform[:3]
        for name, array in code.named.items():
            setattr(self, name, array)
        counts = len(code.centroids), len(code.words), len(code.passes)
        self.form_ = np.array(Form(made.scale_bytes, made.square_bytes, *counts, stretch, made.uneven), np.int64)
        loss = measure(made, others if held_out else sample, asked, self.metric, stretch, num_threads)
        self.scales_, self.squares_, self.errors_, self.loss_ = loss

    def _freeze(self) -> None:
        super()._freeze()
        form, (layer, words) = self._form, self.passes_.T
        scales = self.scales_[:, :1] > 0 if form.scale_bytes == 2 else np.diff(self.scales_) >= 0
        squares = self.squares_[:, :1] > 0 if form.square_bytes == 2 else np.diff(self.squares_) >= 0
        good = (
            form.scale_bytes in (1, 2) and form.square_bytes in ((1, 2, 4) if self.metric == "l2" else (0,))
            and form.stretch in STRETCHES and form.uneven in (0, 1)
            and ((self.words_ >= 1) & (self.words_ <= (8, 4))).all() and (self.levels_ > -128).all()
            and (self.component_ >= -1).all() and (self.component_ < self.dim).all()
            and ((words > 0) & (words <= form.words)).all() and words.sum() == form.words and (np.diff(layer) >= 0).all()
            and ((layer >= 0) & (layer < self.n_layers)).all() and scales.all() and squares.all()
            and all((array >= 0).all() for array in (self.scales_, self.squares_, self.errors_, self.loss_))
        )  # fmt: skip
        if good:  # every layer ends where it is said to
            nbytes = np.bincount(np.repeat(layer, words), self.words_[:, 0], minlength=self.n_layers).astype(np.int64)
            nbytes[0] += form.labels
            good = (np.cumsum(nbytes + form.factors) == self.layers).all()
        if not good:
            raise ValueError(f"TransformCodec: the learned arrays do not belong together, or not to code_size={self.code_size}")

    @property
    def _coder(self) -> TransformCode:
        """Made when first asked for and kept as long as the arrays are the same: it makes tables of its own."""
        names = ("mean_", "forward_", "back_", "centroids_", "words_", "passes_", "component_", "units_", "levels_")
        parts, form = [getattr(self, name) for name in names], self._form
        made_of, kept = self.__dict__.get("_kept_coder", ((), None))
        if kept is None or len(made_of) != len(parts) or any(a is not b for a, b in zip(made_of, parts, strict=True)):
            mean, forward, back, *others = parts
            transform = Transform(mean, forward, back, np.empty(0))
            kept = TransformCode(transform, AxesCode(*others), bool(form.uneven), form.scale_bytes, form.square_bytes)
            self.__dict__["_kept_coder"] = parts, kept
        return kept

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()  # in one step: another thread may be making the coder
        state.pop("_kept_coder", None)
        return state

    def truncate(self, code_size: int) -> TransformCodec:
        count = kept_layers(self, code_size)
        code, form = self._coder.code.first_layers(count), self._form
        arrays = self.arrays() | code.named
        arrays |= {name: arrays[name][:count] for name in ("scales_", "squares_", "errors_", "loss_")}
        arrays["form_"] = np.array(form._replace(words=len(code.words), passes=len(code.passes)), np.int64)
        config = self.config() | {"code_size": code_size, "progressive": list(self.layers[: count - 1]) or False}
        return type(self).restore(config, self.dim, arrays)

    # ---- coding

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        form, coder = self._form, self._coder
        parts: list[np.ndarray] = []
        z, lengths = coder.rows(x, num_threads)
        for layer, (codes, t) in enumerate(coder.code.encode(z, num_threads)):
            stored = store_scales(coder.scales(z, lengths, t, form.stretch, num_threads), self.scales_[layer], form.scale_bytes)
            parts.append(stored)
            if form.square_bytes:
                away = coder.lengths(t, stored_scales(stored, self.scales_[layer]), num_threads)
                parts.append(store_squares(away, self.squares_[layer], form.square_bytes))
            parts.append(codes)
        return np.hstack(parts)

    @property
    def _last(self) -> int:
        return (0, *self.layers)[-2]  # where the last layer begins, whose factors are those of the code

    def _parts(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The scale float32[n] of codes, and t float32[n, d]."""
        form = self._form
        own = np.concatenate([np.arange(a + form.factors, b) for a, b in pairwise((0, *self.layers))])
        scale = stored_scales(codes[:, self._last : self._last + form.scale_bytes], self.scales_[-1])
        return scale, self._coder.code.decode(np.ascontiguousarray(codes[:, own]))

    def _decode(self, codes: np.ndarray, num_threads: int | None = 1) -> np.ndarray:
        scale, t = self._parts(codes)
        return self._coder.points(t, scale, num_threads, self.mean_)

    def _turned(self, q: np.ndarray, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Queries in the axes, float32[nq, d], whose products with s t are scores but for these numbers a query, float32[nq]."""
        if self.metric == "l2":
            q = q - self.mean_
            constant = -np.square(ops.norms(q, num_threads=num_threads))
            return ops.project(q * np.float32(2), self.back_, num_threads=num_threads), constant
        constant = ops.project(q, self.mean_[:, None], num_threads=num_threads)[:, 0]
        return ops.project(q, self.back_, num_threads=num_threads), constant

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        form, code = self._form, self._coder.code
        scale, bias = scale_factor(self._last, self.scales_[-1], form.scale_bytes), None
        if form.square_bytes:
            bias = square_factor(self._last + form.scale_bytes, self.squares_[-1], form.square_bytes)
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            turned, constant = self._turned(q, num_threads)
            scanned = code.with_gaps(form.factors)  # to the scan, other layers' factors are words of nothing
            rows, tables = scanned.rows(turned), code.tables(turned, num_threads)
        if not len(scanned.words):  # labels alone are what a quicker scan is for
            return Query("lut8", tables=tables, scale=scale, bias=bias, constant=constant)
        options = {"words": scanned.words, "levels": self.levels_}
        return Query("trellis", tables=tables, rows=rows, scale=scale, bias=bias, constant=constant, options=options)

    # ---- what to expect

    def estimate(self, codes: Any, q: Any, *, num_threads: int | None = None) -> tuple[Any, Any]:
        """Scores float32[nq, n], squared distances not negated, and how far 99 % of them are off at most, float32[nq, n].

        codes : uint8[n, code_size]; q : [nq, d]
        With q' the query in the axes and e = errors_ the bound is k s sqrt(sum of (q'_i e_i)^2), and for l2
        k s sqrt(4 sum of (q'_i e_i)^2 + (s v)^2), v the root mean square of (|x - mean_|^2 - |x_hat - mean_|^2) / s^2. It holds
        for 99 % of the pairs of rows and queries like those of `fit`; `drift` says whether rows are. Of a query too far away for
        float32, scores and bounds may be infinite or NaN.

        Raises NotFittedError before `fit`; TypeError or ValueError for bad input.
        Cost: nq n d multiply-adds in float32, and decoding.
        """
        self.check_fitted()
        array = self.check_codes(codes, "estimate: codes")
        rows, last = self._query_rows(q, "estimate: q", self.dim, num_threads).all(), self._last
        scale, t = self._parts(array)
        with np.errstate(over="ignore", invalid="ignore"):
            turned, constant = self._turned(rows, num_threads)
            points = np.ascontiguousarray((t * scale[:, None]).T)
            scores = ops.project(turned, points, num_threads=num_threads) + constant[:, None]
            if self.metric == "l2":
                stored = array[:, last + self._form.scale_bytes : last + self._form.factors]
                scores = stored_squares(stored, self.squares_[-1]) - scores
            # a scale of 0 says nothing of what was coded
            scale = np.where(scale > 0, scale, self.scales_[-1].max()).astype(np.float64)
            off = (scale * bounds(turned, scale, self.errors_[-1], *self.loss_[-1, 1:].tolist())).astype(np.float32)
        return like(q, scores), like(q, off)

    def drift(self, x: Any, *, num_threads: int | None = None) -> Drift:
        """How much worse rows [n, d] are coded than those that were learned from.

        Raises as `encode` does, and ValueError where there are no rows. Cost: as `encode`.
        """
        self.check_fitted()
        lost, own = 0.0, 0.0
        for _, block in self._source(x, "drift: x", self.dim, num_threads).blocks():
            z, _ = self._coder.rows(block, num_threads)
            *_, (_, t) = self._coder.code.encode(z, num_threads)
            relative = self._coder.scales(z, np.ones(len(z)), t, self._form.stretch, num_threads)
            some = share_lost(z, relative, t)
            lost, own = lost + some[0], own + some[1]
        if own == 0:
            raise ValueError("drift: x expected rows other than the mean of those that were learned from, got none")
        return Drift(float(self.loss_[-1, 0]), lost / own)

    @classmethod
    def examples(cls) -> list[Codec]:
        return [
            cls(8), cls(13, metric="l2"), cls(6, metric="cos", labels=1), cls(24, labels=0, scale="unbiased", seed=1),
            cls(26, progressive=[9], metric="l2"), cls(24, progressive=True), cls(9, quantizer="scalar"), cls(20, window=8),
        ]  # fmt: skip

    @classmethod
    def candidates(cls, dim: int, metric: Metric) -> list[Codec]:
        """1/2, 1, 2 and 4 bits a dimension."""
        sizes = dict.fromkeys(max(dim * bits // 16, FEWEST_BYTES) for bits in (1, 2, 4, 8))
        return [cls(size, metric=metric) for size in sizes] if dim <= MOST_COLUMNS else []

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        return cls.offers(dim, code_size, metric)

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """All the bytes there are, up to 8 bits a dimension."""
        size = min(code_size, FEWEST_BYTES + (metric == "l2") + dim)
        return [cls(size, metric=metric, seed=seed)] if dim <= MOST_COLUMNS and size >= FEWEST_BYTES else []
