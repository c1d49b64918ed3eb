"""RecurrentBinary: a few signs for each of m learned directions, found round by round, each from what the last left over."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_choice, check_int
from ..codec import METRICS, SQUARES_FIT, Array, Codec, Metric, Query
from ..labels import label_query
from ..ops.factors import Factor
from ..ops.pack_codes import packed_size
from ..ops.sdc import BITS as SDC_BITS
from ..pca import ENOUGH_ROWS, MOST_COLUMNS, SAMPLE_ROWS, check_columns
from ..query import SMALLEST
from ..recurrent import MOST_ROUNDS, Network, grid_levels, network_state, on_grid
from ..recurrentfit import RECIPES, learn, split
from ..scales import SHORT, scale_factor, scales_of, square_factor, store_scales, store_squares, stored_scales
from .pq import MAX_SEED

MOST_DIRECTIONS = 8192  # sums of coded queries are exact up to here
SQUARE_BYTES = 2
LIMIT = 2.0**60  # of factors, so that their products stay finite
LONGEST = 4  # times a vector's length: where its code is nearly at right angles to it, no scale makes up for that


class RecurrentBinary(Codec):
    """x_hat = mean_ + t axis_ + s D^T v, where v are m sums of u + 1 signs, v = r_0 + r_1 / 2 + ... + r_u / 2^u.

    The signs come from a network (`vecpress.recurrent.Network`): the first from the vector, each later one from what a
    reconstruction by those before it leaves over. With f the vector's part that is coded, scaled to length 1, and D = decoder_:

    | recipe | f | s | what is learned |
    |---|---|---|---|
    | "rotation" | y = x - mean_ without its part t along axis_ | |y|^2 / <y, D^T v> | principal directions, turned so that the
      signs lose least: one affine map. Needs NumPy alone |
    | "improved" | the same | the same | from there on all blocks and D together, so that scores rank as the float scores do |
    | "bebr" | x | 1 / |v| | the published method: blocks of one hidden layer, a contrastive loss on the cosine of v |

    Code layout, code_size = head + ceil-to-bytes of m numbers of u + 1 bits:

    | bytes | content |
    |---|---|
    | for l2, 0 and 1 | |x_hat - mean_| / unit_ as `ops.factors.to_u2` rounds it, little-endian |
    | for ip and cos but with "bebr", 0 | the level of means_ nearest to t |
    | next one, but with "bebr" and u = 0 | the level of scales_ nearest to s, by ratio |
    | then | (v 2^u + 2^(u+1) - 1) / 2 as `ops.pack_codes` packs them: the first sign is the highest bit |

    s is 4 |y| / |D^T v| at most: what is nearly at right angles to its code, no scale makes up for.

    axis_ is the mean's direction, t = <x - mean_, axis_>: that is where queries are long, so it has a byte of its own, and D has
    nothing along it. For l2 and "bebr" there is none.

    Scores of float queries are those of the query with x_hat, up to float32 rounding, and for l2 that of the stored length.
    With `symmetric=True` the query is coded too and the numbers of the two codes are multiplied as whole numbers (`ops.sdc`):

    | metric | score of codes a and b |
    |---|---|
    | ip, cos | norm(mean_)^2 + norm(mean_) t_a + (norm(mean_) + t_a) t_b + gram_ s_a s_b <v_a, v_b> |
    | ip, cos with "bebr" | the cosine of v_a and v_b, 1 / |v| as the byte has it |
    | l2, and u = 2 but with "bebr" | that of decode(encode(q)) |

    gram_ makes it <x_hat_a, x_hat_b> but for what the directions are not orthogonal and equally long.

    Parameters
    ----------
    m : directions, 1 to 8192; with "rotation" and "improved" most recall for given bytes mostly at u = 1 or 2 and fewer than d
    u : rounds after the first, 0 to 3; u + 1 bits a direction
    recipe : "improved", "rotation" or "bebr"; "improved" and "bebr" need torch in `fit`, and nothing but NumPy afterwards
    hidden : hidden columns of every block; None: 4 m with "bebr", 0 with "improved". 0: affine blocks
    distill : after training, try one affine map instead of the network, keep it where it loses less than 0.5 points of recall on
        rows that were held out
    metric : "ip", "l2" or "cos"; "bebr" compares directions, so not "l2"
    seed : of sample, rotation and training, 0 .. 2^63 - 1

    Learned: the blocks, see `vecpress.recurrent.network_state`; form_ int64[2], their rounds, u or 0 where one affine map finds
    all bits, and their hidden columns; mean_ and axis_ float32[d]; decoder_ float32[m, d]; scales_ and means_ float32[256]; unit_
    and gram_ float32[1]. How training can be steered: `vecpress.train.fit`. Values beyond 2^50 are a ValueError.

    Cost: fit see `vecpress.train.fit`, "rotation" d^2 multiply-adds a row and 9 d^3; encode (2 u + 1) d m multiply-adds (hidden
    columns: (2 u + 1)(d + m) h), d m for s; a query d m, and a scan of m (u + 1) / 8 bytes a code.
    Source: Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD 2023; Shan et al., "Recurrent Binary Embedding for
    GPU-Enabled Exhaustive Retrieval from Billion-Scale Semantic Vectors", KDD 2018.
    """

    form_: np.ndarray
    mean_: np.ndarray
    axis_: np.ndarray
    decoder_: np.ndarray
    scales_: np.ndarray
    means_: np.ndarray
    unit_: np.ndarray
    gram_: np.ndarray

    def __init__(
        self, m: int, u: int = 1, *, recipe: str = "improved", hidden: int | None = None, distill: bool = False,
        metric: Metric = "ip", seed: int = 0,
    ):  # fmt: skip
        self.m = check_int("RecurrentBinary", "m", m, 1, MOST_DIRECTIONS)
        self.u = check_int("RecurrentBinary", "u", u, 0, MOST_ROUNDS)
        self.recipe = check_choice("RecurrentBinary", "recipe", recipe, RECIPES)
        self.hidden = None if hidden is None else check_int("RecurrentBinary", "hidden", hidden, 0, MOST_DIRECTIONS)
        if not isinstance(distill, (bool, np.bool_)):
            raise TypeError(f"RecurrentBinary: distill expected a bool, got {type(distill).__name__}")
        self.distill = bool(distill)
        self.metric = check_choice("RecurrentBinary", "metric", metric, METRICS)
        self.seed = check_int("RecurrentBinary", "seed", seed, 0, MAX_SEED)
        if self.recipe == "bebr" and self.metric == "l2":
            raise ValueError("RecurrentBinary: metric expected 'ip' or 'cos' with recipe='bebr', got 'l2'")
        if self.recipe == "rotation" and self.hidden:
            raise ValueError(f"RecurrentBinary: hidden expected None or 0 with recipe='rotation', got {hidden}")
        self.largest = SQUARES_FIT

    # ---- sizes and layout

    @property
    def hidden_columns(self) -> int:
        """Hidden columns of every block; after `fit` 0 where affine maps do."""
        if "form_" in self.__dict__:
            return int(self.form_[1])
        if self.hidden is None:
            return 4 * self.m if self.recipe == "bebr" else 0
        return self.hidden

    @property
    def rounds(self) -> int:
        """Pairs of blocks after the first; after `fit` 0 where one affine map finds all bits."""
        if "form_" in self.__dict__:
            return int(self.form_[0])
        return 0 if self.recipe == "rotation" else self.u

    @property
    def rounds_and_one(self) -> int:
        return self.rounds + 1

    @property
    def skipped_dim(self) -> int:
        """Rows of the affine maps beside hidden columns: d, or 0 where there are none, as the published blocks have it."""
        return 0 if self.recipe == "bebr" and self.hidden_columns else self.dim

    @property
    def skipped_m(self) -> int:
        return 0 if self.recipe == "bebr" and self.hidden_columns else self.m

    @property
    def state(self) -> dict[str, Array]:  # type: ignore[override]
        own = {
            "form_": Array("int64", (2,)), "mean_": Array("float32", ("dim",)), "axis_": Array("float32", ("dim",)),
            "decoder_": Array("float32", ("m", "dim")), "scales_": Array("float32", (256,)), "means_": Array("float32", (256,)),
            "unit_": Array("float32", (1,)), "gram_": Array("float32", (1,)),
        }  # fmt: skip
        return own | network_state()

    @property
    def network(self) -> Network:
        """The blocks; of no more than one affine map, `labels` searches the grid. Raises NotFittedError before `fit`."""
        arrays = [getattr(self, name) for name in network_state()]
        return Network(tuple(arrays[:5]), tuple(arrays[5:]), unit=self.recipe == "bebr")

    @property
    def _square_bytes(self) -> int:
        return SQUARE_BYTES if self.metric == "l2" else 0

    @property
    def _mean_bytes(self) -> int:
        return 0 if self.metric == "l2" or self.recipe == "bebr" else 1

    @property
    def _scale_bytes(self) -> int:
        return 0 if self.recipe == "bebr" and self.u == 0 else 1

    @property
    def head(self) -> int:  # type: ignore[override]
        return self._square_bytes + self._mean_bytes + self._scale_bytes

    @property
    def code_size(self) -> int:
        return self.head + packed_size(self.m, self.u + 1)

    @property
    def enough_rows(self) -> int:
        return ENOUGH_ROWS * self.dim

    def _check_dim(self, dim: int) -> None:
        check_columns("RecurrentBinary", dim)

    # ---- learning

    def _fit(self, x: Rows, queries: Rows | None, num_threads: int | None) -> None:
        asked = None if queries is None else queries.sample(SAMPLE_ROWS, self.seed)
        if self.recipe == "rotation":
            learn(self, x.sample(SAMPLE_ROWS, self.seed), num_threads)
            return
        from .. import train

        train.fit_in_place(self, x.sample(SAMPLE_ROWS, self.seed), asked, num_threads=num_threads)

    def _freeze(self) -> None:
        super()._freeze()
        if self.rounds not in (0, self.u):
            raise ValueError(f"RecurrentBinary.form_: expected 0 or u={self.u} rounds, got {self.rounds}")
        for name in ("gram_", "unit_"):
            if not 1 / LIMIT <= (value := float(getattr(self, name)[0])) <= LIMIT:
                raise ValueError(f"RecurrentBinary.{name}: expected 2^-60 to 2^60, got {value}")
        for name, low in (("scales_", 0.0), ("means_", -LIMIT)):
            table = getattr(self, name)
            if not (low <= table[0] and table[-1] <= LIMIT and (np.diff(table) >= 0).all()):
                raise ValueError(f"RecurrentBinary.{name}: expected ascending numbers of {low:.3g} to 2^60")

    # ---- codes

    def _encode(self, x: np.ndarray, num_threads: int | None) -> np.ndarray:
        t, y, f = split(x, self, num_threads)
        labels = self.labels(f, num_threads)
        packed = ops.pack_codes(labels, self.u + 1, num_threads=num_threads)
        head = []
        v = self.levels_of(labels)
        scales = self._scales(y, v, num_threads)
        stored = store_scales(scales, self.scales_, 1)
        if self._square_bytes:
            away = ops.project(v, self.decoder_, num_threads=num_threads) * stored_scales(stored, self.scales_)[:, None]
            head.append(store_squares(ops.norms(away, num_threads=num_threads), self.unit_, SQUARE_BYTES))
        if self._mean_bytes:
            levels = self.means_.astype(np.float64)
            head.append(np.searchsorted((levels[1:] + levels[:-1]) / 2, t).astype(np.uint8)[:, None])
        if self._scale_bytes:
            head.append(stored)
        return np.hstack((*head, packed))

    def levels_of(self, labels: np.ndarray) -> np.ndarray:
        """float32[n, m]: v of labels uint8[n, m]."""
        return on_grid(labels, self.u)

    def labels(self, f: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        """uint8[n, m]: the numbers of u + 1 bits of vectors' coded parts, float32[n, d] of length 1."""
        if self.rounds == self.u:
            return self.network.labels(f, num_threads)
        z = ops.project(f, self.maps_skip_[0], self.maps_bias_[0], num_threads=num_threads)
        return ops.encode_grid(z, self.u + 1, num_threads=num_threads)[0]

    def _scales(self, y: np.ndarray, v: np.ndarray, num_threads: int | None) -> np.ndarray:
        """float64[n]: s."""
        if self.recipe == "bebr":
            return 1 / np.sqrt(np.square(v, dtype=np.float64).sum(axis=1))
        away = ops.project(v, self.decoder_, num_threads=num_threads)
        lengths, coded = (ops.norms(a, num_threads=num_threads).astype(np.float64) for a in (y, away))
        return np.minimum(scales_of(y, away, 0, num_threads), LONGEST * lengths / np.maximum(coded, SHORT))

    def _parts(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t float32[n], s float32[n] and labels uint8[n, m]."""
        at = self._square_bytes
        t = self.means_[codes[:, at]] if self._mean_bytes else np.zeros(len(codes), np.float32)
        at += self._mean_bytes
        constant = np.full(len(codes), np.float32(1 / np.sqrt(self.m)), np.float32)
        s = stored_scales(codes[:, at : at + 1], self.scales_) if self._scale_bytes else constant
        return t, s, ops.unpack_codes(np.ascontiguousarray(codes[:, self.head :]), self.m, self.u + 1, num_threads=1)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        t, s, labels = self._parts(codes)
        x = ops.project(self.levels_of(labels) * s[:, None], self.decoder_, num_threads=1)
        x += t[:, None] * self.axis_
        x += self.mean_
        return x

    # ---- scores

    def _scale_factor(self) -> Factor | float:
        at = self._square_bytes + self._mean_bytes
        return scale_factor(at, self.scales_, 1) if self._scale_bytes else float(np.float32(1 / np.sqrt(self.m)))

    def _query(self, q: np.ndarray, num_threads: int | None) -> Query:
        weighed: dict[str, Any] = {}
        with np.errstate(over="ignore", invalid="ignore"):  # a query too far away for float32 scores -inf
            if self.metric == "l2":
                away = q - self.mean_
                rows = ops.project(away * np.float32(2), self._back, num_threads=num_threads)
                constant = -np.square(ops.norms(away, num_threads=num_threads))
                weighed["bias"] = square_factor(0, self.unit_, SQUARE_BYTES)
            else:
                rows = ops.project(q, self._back, num_threads=num_threads)
                means = ops.project(q, np.stack((self.mean_, self.axis_), axis=1), num_threads=num_threads)
                constant = np.ascontiguousarray(means[:, 0])
                if self._mean_bytes:
                    weighed = {"bias": Factor(0, "u1", table=self.means_), "bias_weights": np.ascontiguousarray(means[:, 1])}
        query = label_query(rows, self.u + 1, grid_levels(self.u), scale=self._scale_factor(), constant=constant)
        return query._replace(**weighed)

    @property
    def _back(self) -> np.ndarray:
        return np.ascontiguousarray(self.decoder_.T)

    def _symmetric_query(self, q: np.ndarray, num_threads: int | None) -> Query:
        codes = self._encode(q, num_threads)
        packs = self.u + 1 in SDC_BITS
        if self.metric == "l2" or not (packs or self.recipe == "bebr"):
            return self._query(self._decode(codes), num_threads)
        t, s, labels = self._parts(codes)
        weights = np.maximum(s * self.gram_ / np.float32(4**self.u), SMALLEST)
        if packs:
            own = np.ascontiguousarray(codes[:, self.head :])
            options = {"dim": self.m, "n_bits": self.u + 1}
            query = Query("sdc", rows=own, scale=self._scale_factor(), sum_weights=weights, options=options)
        else:
            query = label_query(self.levels_of(labels) * s[:, None], self.u + 1, grid_levels(self.u), scale=self._scale_factor())
        if not self._mean_bytes:
            return query
        mean = ops.norms(self.mean_[None], num_threads=1)[0]
        bias = Factor(0, "u1", table=self.means_)
        return query._replace(bias=bias, bias_weights=mean + t, constant=mean * mean + mean * t)

    # ---- instances

    @classmethod
    def examples(cls) -> list[Codec]:
        rest: list[Codec] = [cls(13, 0, recipe="rotation", metric="l2"), cls(40, 3, recipe="rotation", metric="cos", seed=1)]
        return [cls(16, 1, recipe="rotation"), *rest, cls(8, 2, recipe="rotation")]

    @classmethod
    def offers(cls, dim: int, code_size: int, metric: Metric, seed: int = 0) -> list[Codec]:
        """The closed form, with the bits that ask for most nearly 5 directions for 8 columns."""
        fits = [codec for codec in cls.sized(dim, code_size, metric) if isinstance(codec, cls)] if dim <= MOST_COLUMNS else []
        best = min(fits, key=lambda codec: abs(math.log(codec.m / (0.625 * dim))), default=None)
        return [] if best is None else [cls(best.m, best.u, recipe="rotation", metric=metric, seed=seed)]

    @classmethod
    def sized(cls, dim: int, code_size: int, metric: Metric) -> list[Codec]:
        """The closed form, of 1 to 4 bits a direction: as many directions as fit, at most one each column."""
        found: list[Codec] = []
        for u in range(MOST_ROUNDS + 1):
            head = cls(1, u, recipe="rotation", metric=metric).head
            m = min(8 * (code_size - head) // (u + 1), MOST_DIRECTIONS)
            while m > 0 and head + packed_size(m, u + 1) > code_size:
                m -= 1  # of 3 bits, which are stored as planes
            if 0 < m and m * 3 // 4 <= dim:
                found.append(cls(min(m, dim), u, recipe="rotation", metric=metric))
        return found
