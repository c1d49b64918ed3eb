"""Bits, small numbers and what they stand for on the device: what the references give, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import FINITE, values
from tensors import same

from vecpress import ops

SHAPES = [(0, 5), (5, 0), (1, 1), (31, 33), (33, 257), (130, 8), (2, 1000)]


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
@pytest.mark.parametrize("n, d", SHAPES)
def test_pack_bits(modules, put, n, d, dtype):
    x, thresholds = put(values(n, n, d), dtype), values(d + 1, d)
    thresholds[::3] = 0
    same(modules.pack_bits.pack_bits(x, put(thresholds)), ops.pack_bits(x.float().cpu().numpy(), thresholds))


def test_pack_bits_of_hard_values(modules, put):
    """Every number against every other: equal ones give 0, as do NaN and a number below infinity."""
    hard = np.concatenate((FINITE, np.array([np.nan, np.inf, -np.inf], np.float32)))
    x = np.repeat(hard[:, None], len(hard), axis=1)
    same(modules.pack_bits.pack_bits(put(x), put(hard)), np.packbits(x > hard, axis=1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 5.0000005, -6])
@pytest.mark.parametrize("places", [[], [(0, 0)], [(32, 299)], [(20, 7), (19, 260), (3, 3)]])
def test_pack_bits_within(modules, put, places, bad):
    x, thresholds = np.clip(values(0, 33, 300), -5, 5), np.zeros(300, np.float32)
    for place in places:
        x[place] = bad
    bits, first = modules.pack_bits.pack_bits_within(put(x), put(thresholds), 5.0)
    wanted, row = ops.pack_bits_within(x, thresholds, 5.0)
    same(bits, wanted)
    assert first.tolist() == [row]


@pytest.mark.parametrize("n_bits", range(1, 9))
@pytest.mark.parametrize("n, d", [(0, 5), (1, 1), (31, 33), (2, 257)])
def test_pack_and_unpack_codes(modules, put, n, d, n_bits):
    labels = np.random.default_rng(d).integers(0, 256, (n, d), dtype=np.uint8)  # more bits than are packed
    codes = ops.pack_codes(labels, n_bits)
    same(modules.pack_codes.pack_codes(put(labels), n_bits), codes)
    same(modules.pack_codes.unpack_codes(put(codes), d, n_bits), labels & np.uint8(2**n_bits - 1))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    "n_bits, dtype", [*((b, "float32") for b in range(1, 9)), (1, "float16"), (4, "float16"), (2, "bfloat16")]
)
@pytest.mark.parametrize("n, d", [(0, 5), (31, 33), (3, 257)])
def test_decode_codes(modules, put, n, d, n_bits, own, dtype):
    """Rows that stand apart: behind a head of 3 bytes."""
    import torch

    labels = np.random.default_rng(d).integers(0, 2**n_bits, (n, d), dtype=np.uint8)
    levels = values(n_bits, *((d, 2**n_bits) if own else (2**n_bits,)))
    if dtype == "bfloat16":  # rounded before, for the interpreter truncates where devices round
        levels = put(levels, dtype).float().cpu().numpy()
    codes = put(np.hstack((np.full((n, 3), 255, np.uint8), ops.pack_codes(labels, n_bits))))
    got = modules.decode_codes.decode_codes(codes[:, 3:], d, n_bits, put(levels), dtype=getattr(torch, dtype))
    wanted = np.take_along_axis(levels, labels.T.astype(int), axis=1).T if own else levels[labels]
    same(got.float(), put(wanted, dtype).float().cpu().numpy())
    assert got.dtype == getattr(torch, dtype)


def test_what_is_decoded_is_what_a_codec_decodes(modules, put, base):
    import vecpress as vp

    codec = vp.Sign().fit(base)
    codes, levels = codec.encode(base), np.stack(codec._levels(), axis=1)
    same(modules.decode_codes.decode_codes(put(codes), codec.dim, 1, put(levels)), codec.decode(codes))


def test_bad_arguments(modules, put):
    import torch

    x, d = put(np.zeros((4, 6), np.float32)), put(np.zeros(6, np.float32))
    labels = put(np.zeros((4, 6), np.uint8))
    for error, message, call in (
        (TypeError, "pack_bits: x expected a float32 or float16 or bfloat16 tensor, got ndarray",
         lambda: modules.pack_bits.pack_bits(np.zeros((4, 6), np.float32), d)),
        (TypeError, "pack_bits: x expected a .* tensor, got float64", lambda: modules.pack_bits.pack_bits(x.double(), d)),
        (ValueError, r"pack_bits: x expected shape \(any, any\), got \(6,\)", lambda: modules.pack_bits.pack_bits(d, d)),
        (ValueError, r"pack_bits: thresholds expected shape \(6\), got \(4,\)", lambda: modules.pack_bits.pack_bits(x, x[:, 0])),
        (TypeError, "pack_codes: labels expected a uint8 tensor, got float32", lambda: modules.pack_codes.pack_codes(x, 2)),
        (ValueError, "pack_codes: n_bits expected", lambda: modules.pack_codes.pack_codes(labels, 9)),
        (ValueError, r"unpack_codes: codes expected shape \(any, 3\), got \(4, 6\)",
         lambda: modules.pack_codes.unpack_codes(labels, 12, 2)),
        (ValueError, r"decode_codes: levels expected shape \(4\), got \(6,\)",
         lambda: modules.decode_codes.decode_codes(labels, 24, 2, d)),
        (ValueError, r"decode_codes: levels expected shape \(24, 4\), got \(4, 6\)",
         lambda: modules.decode_codes.decode_codes(labels, 24, 2, x)),
        (TypeError, "decode_codes: dtype expected float32, float16 or bfloat16, got torch.int8",
         lambda: modules.decode_codes.decode_codes(labels, 24, 2, d[:4], dtype=torch.int8)),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            call()


def test_a_tensor_that_is_elsewhere(modules, put):
    import torch

    x = put(np.zeros((4, 6), np.float32))
    elsewhere = torch.zeros(6, device="meta")
    with pytest.raises(ValueError, match=r"pack_bits: thresholds expected a tensor on .*, got one on meta"):
        modules.pack_bits.pack_bits(x, elsewhere)


def test_rows_that_are_not_contiguous(modules, put):
    x = values(1, 40, 33)
    same(modules.pack_bits.pack_bits(put(x.T.copy()).T, put(np.zeros(33, np.float32))), np.packbits(x > 0, axis=1))
    labels = np.random.default_rng(1).integers(0, 4, (20, 30), dtype=np.uint8)
    same(modules.pack_codes.pack_codes(put(labels)[::2, ::3], 2), ops.pack_codes(np.ascontiguousarray(labels[::2, ::3]), 2))
