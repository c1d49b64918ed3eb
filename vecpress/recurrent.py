"""Recurrent binarisation in NumPy: folded networks that turn vectors into signs, round by round, and what the signs stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from . import ops
from .codec import Array

BLOCK_NBYTES = 1 << 19  # of a block's widest activation: what passes from product to product stays in L2
MOST_ROUNDS = 3
# of u + 1 bits for a normal number of variance 1: the largest level of the even grid of least squared error, which
# is (2**(u + 1) - 1) / 2 steps of 1.596, .9957, .5860, .3352 (Max, "Quantizing for minimum distortion", 1960, table II)
REACH = (0.798, 1.4936, 2.051, 2.514)


def grid_levels(u: int) -> np.ndarray:
    """float32[2**(u + 1)]: v(c) = (2 c - M) / 2**u, M = 2**(u + 1) - 1: what u + 1 signs, the first one highest, add up to."""
    count = 2 ** (u + 1)
    return ((2 * np.arange(count) - (count - 1)) / 2**u).astype(np.float32)


def on_grid(labels: np.ndarray, u: int) -> np.ndarray:
    """float32: grid_levels(u)[labels] of uint8 labels; every step is exact, and less than half the time of looking up."""
    v = labels.astype(np.float32)
    v *= np.float32(2.0 ** (1 - u))
    v -= np.float32((2 ** (u + 1) - 1) / 2**u)
    return v


@dataclass(frozen=True)
class Network:
    """One binarisation and `rounds` pairs of a reconstruction and a residual block, as the recurrence has them:

        b_0     = sign(W(f))
        f_i     = B_i(b_i), scaled to length 1 if `unit`      b_{i+1} = b_i + 2^-(i+1) sign(R_i(f - f_i))

    A block is x @ skip + bias + relu(x @ inward + inward_bias) @ outward; without hidden columns the affine map alone. sign is
    1 where its argument is above 0, else -1. Batch normalisation is folded in.

    maps : W and R_0, R_1, ...: skip float32[rounds + 1, d, m], bias float32[rounds + 1, m], inward float32[rounds + 1, d, h],
        inward_bias float32[rounds + 1, h], outward float32[rounds + 1, h, m]
    backs : B_0, B_1, ...: the same with rounds blocks of d and m exchanged
    unit : whether reconstructions are scaled to length 1

    Source: Gan et al., "Binary Embedding-based Retrieval at Tencent", KDD 2023, section 3.2; the published code's
    vfp/models/binary_head.py. There blocks have no skip.
    """

    maps: tuple[np.ndarray, ...]
    backs: tuple[np.ndarray, ...]
    unit: bool = False

    @property
    def rounds(self) -> int:
        return len(self.backs[1])

    def labels(self, f: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        """uint8[n, m]: the numbers c of rounds + 1 bits, the first sign highest, of rows f float32[n, d].

        The same alone and in a batch: products are summed in the order of `ops.project`. Cost: 2 rounds + 1 blocks a row.
        """
        m = self.maps[1].shape[1]
        widest = max(a.shape[-1] for a in (*self.maps, *self.backs))
        out = np.empty((len(f), m), np.uint8)
        step = max(64, BLOCK_NBYTES // (4 * widest)) if num_threads == 1 else max(256, 4 * BLOCK_NBYTES // (4 * widest))
        for start in range(0, len(f), step):
            rows = f[start : start + step]
            labels = (_block(rows, self.maps, 0, num_threads) > 0).view(np.uint8)
            for i in range(self.rounds):
                back = _block(on_grid(labels, i), self.backs, i, num_threads)
                if self.unit:
                    back /= np.maximum(ops.norms(back, num_threads=num_threads), np.float32(1e-12))[:, None]
                above = _block(rows - back, self.maps, i + 1, num_threads) > 0
                labels = labels << np.uint8(1) | above.view(np.uint8)
            out[start : start + step] = labels
        return out

    def first(self) -> Network:
        """The binarisation alone."""
        none = tuple(a[:0] for a in self.backs)
        return replace(self, maps=tuple(a[:1] for a in self.maps), backs=none)


def _block(x: np.ndarray, block: tuple[np.ndarray, ...], i: int, num_threads: int | None) -> np.ndarray:
    skip, bias, inward, inward_bias, outward = (a[i] for a in block)
    if not inward.shape[1]:
        return ops.project(x, skip, bias, num_threads=num_threads)
    hidden = ops.project(x, inward, inward_bias, num_threads=num_threads)
    np.maximum(hidden, np.float32(0), out=hidden)
    out = ops.project(hidden, outward, bias, num_threads=num_threads)
    if skip.shape[0]:
        out += ops.project(x, skip, num_threads=num_threads)
    return out


def network_state() -> dict[str, Array]:
    """The learned arrays of a network, in the order of `Network`; their sizes are attributes of the codec."""
    return {
        "maps_skip_": Array("float32", ("rounds_and_one", "skipped_dim", "m")),
        "maps_bias_": Array("float32", ("rounds_and_one", "m")),
        "maps_in_": Array("float32", ("rounds_and_one", "dim", "hidden_columns")),
        "maps_in_bias_": Array("float32", ("rounds_and_one", "hidden_columns")),
        "maps_out_": Array("float32", ("rounds_and_one", "hidden_columns", "m")),
        "backs_skip_": Array("float32", ("rounds", "skipped_m", "dim")),
        "backs_bias_": Array("float32", ("rounds", "dim")),
        "backs_in_": Array("float32", ("rounds", "m", "hidden_columns")),
        "backs_in_bias_": Array("float32", ("rounds", "hidden_columns")),
        "backs_out_": Array("float32", ("rounds", "hidden_columns", "dim")),
    }


def linear_network(first: np.ndarray, back: np.ndarray, u: int, rounds: int) -> Network:
    """The network of an even grid: of z = f @ first the numbers nearest on the grid of u + 1 bits, whatever `rounds` is.

    first : float32[d, m], whose products are in units of the grid's levels; back : float32[m, d], which takes levels back
    rounds : u, or 0, where labels are found from z itself

    Where `back` is the inverse of `first` on its range, round i sees 2^(i+1) (z - b_i).
    """
    d, m = first.shape
    scales = 2.0 ** np.arange(rounds + 1)[:, None, None]
    maps = (first * scales, np.zeros((rounds + 1, m)), *_nothing_hidden(rounds + 1, d, m))
    backs = (np.broadcast_to(back, (rounds, m, d)), np.zeros((rounds, d)), *_nothing_hidden(rounds, m, d))
    return Network(*(tuple(a.astype(np.float32) for a in arrays) for arrays in (maps, backs)))  # type: ignore[arg-type]


def _nothing_hidden(count: int, p: int, r: int) -> tuple[np.ndarray, ...]:
    return np.zeros((count, p, 0)), np.zeros((count, 0)), np.zeros((count, 0, r))


def grid_unit(values: np.ndarray, u: int) -> float:
    """What to divide normal numbers like these by so that the grid of u + 1 bits fits: its largest level is REACH deviations."""
    deviation = math.sqrt(float(np.square(values, dtype=np.float64).mean()))
    return deviation * REACH[u] / float(grid_levels(u)[-1]) if deviation > 0 else 1.0
