"""Product quantizers, products and norms on the device: what the references give, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values
from tensors import same

import vecpress as vp
from vecpress import ops


def pq_case(n, m, ks, dsub, ties=False):
    x, codebooks = values(n, n, m * dsub), values(m, m, ks, dsub)
    if ties:
        codebooks[:, ks // 2 :] = codebooks[:, : ks // 2]
        x = np.rint(x)
    return x, codebooks


PQ_CASES = [(0, 3, 16, 2), (1, 1, 16, 1), (33, 35, 16, 3), (130, 4, 16, 8), (31, 17, 256, 2), (33, 3, 256, 9), (2, 1, 256, 1),
            (3, 2, 16, 0)]  # fmt: skip


@pytest.mark.parametrize("n, m, ks, dsub, ties, dtype", [
    *((*case, ties, None) for case in PQ_CASES for ties in (False, True)),
    *((31, 3, ks, 5, False, dtype) for ks in (16, 256) for dtype in ("float16", "bfloat16")),
])  # fmt: skip
def test_encode_pq(modules, put, n, m, ks, dsub, ties, dtype):
    x, codebooks = pq_case(n, m, ks, dsub, ties)
    rows = put(x, dtype)
    wanted = ops.encode_pq(rows.float().cpu().numpy(), codebooks)
    same(modules.encode_pq.encode_pq(rows, put(codebooks)), wanted)
    if dtype is None:
        turned = put(np.ascontiguousarray(codebooks.transpose(0, 2, 1)))
        same(modules.encode_pq.encode_pq(rows, turned, by_column=True), wanted)


def test_encode_pq_of_centroids_equally_far(modules, put):
    """But for rounding: pairs of centroids on two sides of a row. Which is nearer hangs on every rounding of the sums."""
    rng = np.random.default_rng(4)
    n, dsub = 48, 5
    rows = rng.standard_normal((n, dsub)).astype(np.float32)
    half = rows[:, None, :] + 0.1 * rng.standard_normal((n, 8, dsub)).astype(np.float32)
    codebooks = np.concatenate((half, 2 * rows[:, None, :] - half), axis=1).astype(np.float32)
    x = np.tile(rows, (1, n))  # row i meets its own pairs in sub-vector i
    same(modules.encode_pq.encode_pq(put(x), put(codebooks)), ops.encode_pq(x, codebooks))


@pytest.mark.parametrize("ks", [16, 256])
def test_encode_pq_of_what_is_not_finite(modules, put, ks):
    x, codebooks = pq_case(40, 3, ks, 4)
    x[1, 3], x[2, 5], x[4], x[6] = np.nan, np.inf, 3e38, -3e38
    codebooks[0, 3, 1], codebooks[1, 7, 0], codebooks[2, 9] = np.inf, np.nan, 3e38
    with np.errstate(all="ignore"), vp.use("reference"):
        wanted = ops.encode_pq(x, codebooks)
        same(modules.encode_pq.encode_pq(put(x), put(codebooks)), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("n, m, ks, dsub", [(0, 3, 16, 2), (1, 1, 16, 1), (33, 35, 16, 3), (130, 4, 256, 8), (17, 17, 256, 9)])
def test_decode_pq(modules, put, n, m, ks, dsub, dtype):
    """Rows that stand apart."""
    import torch

    _, codebooks = pq_case(n, m, ks, dsub)
    if dtype == "bfloat16":  # rounded before, for the interpreter truncates where devices round
        codebooks = put(codebooks, dtype).float().cpu().numpy()
    labels = np.random.default_rng(n).integers(0, ks, (n, m), dtype=np.uint8)
    codes = labels if ks == 256 else ops.pack_codes(labels, 4)
    apart = put(np.hstack((codes, np.full((n, 5), 255, np.uint8))))[:, : codes.shape[1]]
    got = modules.decode_pq.decode_pq(apart, put(codebooks), dtype=getattr(torch, dtype))
    wanted = codebooks[np.arange(m), labels].reshape(n, m * dsub)
    same(got.float(), put(wanted, dtype).float().cpu().numpy())
    assert got.dtype == getattr(torch, dtype)


@pytest.mark.filterwarnings("ignore::vecpress.errors.SmallTrainingSetWarning")
@pytest.mark.parametrize("n_bits", [4, 8])
def test_codes_of_the_codec(modules, put, base, n_bits):
    codec = vp.PQ(m=8, n_bits=n_bits).fit(base)
    codes = modules.encode_pq.encode_pq(put(base), put(codec.codebooks_))
    same(codes, codec.encode(base))
    same(modules.decode_pq.decode_pq(codes, put(codec.codebooks_)), codec.decode(codec.encode(base)))


@pytest.mark.parametrize("offset", [False, True])
@pytest.mark.parametrize("n, d, p", [(0, 4, 3), (1, 1, 1), (31, 33, 16), (33, 9, 17), (130, 7, 130), (65, 20, 2), (3, 0, 5)])
def test_project(modules, put, n, d, p, offset):
    x, matrix, added = values(n, n, d), values(p + 9, d, p), values(p, p) if offset else None
    added = None if added is None else np.where(np.arange(p) % 3 == 0, np.float32(-0.0), added)
    same(modules.project.project(put(x), put(matrix), None if added is None else put(added)), ops.project(x, matrix, added))


@pytest.mark.parametrize("n, d", [(0, 4), (1, 1), (31, 33), (65, 8), (130, 97), (3, 0)])
@pytest.mark.parametrize("scale", [1, 1e-30, 1e30])
def test_norms(modules, put, n, d, scale):
    x = values(n, n, d) * np.float32(scale)
    same(modules.norms.norms(put(x)), ops.norms(x))


def test_bad_arguments(modules, put):
    x = put(np.zeros((4, 6), np.float32))
    books, codes = put(np.zeros((3, 16, 2), np.float32)), put(np.zeros((4, 3), np.uint8))
    for error, message, call in (
        (ValueError, r"encode_pq: codebooks expected 16 or 256 on axis 1, got shape \(3, 15, 2\)",
         lambda: modules.encode_pq.encode_pq(x, books[:, :15])),
        (ValueError, r"encode_pq: x expected shape \(any, 6\), got \(4, 5\)",
         lambda: modules.encode_pq.encode_pq(x[:, :5], books)),
        (ValueError, r"decode_pq: codes expected shape \(any, 2\), got \(4, 3\)",
         lambda: modules.decode_pq.decode_pq(codes, books)),
        (TypeError, "decode_pq: codebooks expected a float32 tensor, got uint8",
         lambda: modules.decode_pq.decode_pq(codes, codes)),
        (ValueError, r"project: matrix expected shape \(6, any\), got \(4, 6\)", lambda: modules.project.project(x, x)),
        (ValueError, r"project: offset expected shape \(4\), got \(6,\)", lambda: modules.project.project(x, x.T, x[0])),
        (ValueError, "assign: centroids expected at least 1 row, got 0", lambda: modules.assign.assign(x, x[:0])),
        (ValueError, "assign: precision expected", lambda: modules.assign.assign(x, x, precision="fp16")),
        (ValueError, "label_sums: k expected", lambda: modules.label_sums.label_sums(x, codes[:, 0].int(), 0)),
        (TypeError, "label_sums: labels expected a int32 tensor, got uint8",
         lambda: modules.label_sums.label_sums(x, codes[:, 0], 3)),
        (TypeError, "encode_grid: y expected a float32 tensor, got uint8", lambda: modules.encode_grid.encode_grid(codes, 2)),
        (ValueError, "encode_grid: y expected at least 1 column", lambda: modules.encode_grid.encode_grid(x[:, :0], 2)),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            call()
