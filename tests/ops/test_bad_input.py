"""Every operation refuses what it cannot serve, and the message names the operation and the argument."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.trellis_levels import LEVELS

F = np.float32


def f(*shape: int) -> np.ndarray:
    return np.zeros(shape, F)


def i64(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.int64)


def i(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.int32)


def u(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.uint8)


codes = Blocks.pack(u(5, 3))  # three payload bytes
headed = Blocks.pack(u(5, 7), head=4)
rows = Blocks.pack(u(5, 8), group=4)


def hamming(**options):
    arguments = {"blocks": codes, "bits": u(2, 3), "k": 1} | options
    return ops.hamming(**arguments)


word = np.array([[1, 1]], np.uint8)


def trellis(**options):
    arguments = {"blocks": Blocks.pack(u(5, 1)), "rows": f(1, 8), "k": 1, "words": word, "levels": LEVELS} | options
    return ops.trellis(**arguments)


def search_labels(**options):
    arguments = {
        "y": f(2, 5), "books": f(3, 256, 5), "entries": u(2, 2, 256, 4), "factors": f(2, 2), "squares": f(2, 256),
        "pairs": np.zeros((3, 256, 256), np.int8), "beam": 4, "paths": u(2, 6, 1), "scores": f(2, 6),
    } | options  # fmt: skip
    return ops.search_labels(**arguments)


def beam_step(**options):
    arguments = {"costs": f(2, 4), "pairs": f(8, 4), "paths": u(2, 5, 2) + np.uint8(3), "scores": f(2, 5), "keep": 3} | options
    return ops.beam_step(**arguments)


def sdc(**options):
    return ops.sdc(**{"blocks": codes, "codes": u(2, 3), "k": 1, "dim": 6, "n_bits": 4} | options)


BAD = [
    ("project", lambda: ops.project([[1.0]], f(1, 1)), TypeError, "project: x expected a float32 array, got list"),
    ("project", lambda: ops.project(f(2, 3).astype(float), f(3, 1)), TypeError, "project: x expected a float32 array"),
    ("project", lambda: ops.project(f(3), f(3, 1)), ValueError, r"project: x expected shape \(any, any\), got \(3,\)"),
    ("project", lambda: ops.project(f(2, 3), f(4, 1)), ValueError, r"project: matrix expected shape \(3, any\), got \(4, 1\)"),
    ("project", lambda: ops.project(f(2, 3), f(3, 1), f(2)), ValueError, r"project: offset expected shape \(1\), got \(2,\)"),
    ("project", lambda: ops.project(f(2, 3), f(3, 1), num_threads=0), ValueError, "num_threads expected 1 to 1024, got 0"),
    ("project", lambda: ops.project(f(2, 3), f(3, 1), num_threads=1.5), TypeError, "num_threads expected an int or None"),
    ("project", lambda: ops.project(f(2, 3), f(3, 1), num_threads=True), TypeError, "expected an int or None, got bool"),
    ("assign", lambda: ops.assign(u(2, 3), f(1, 3)), TypeError, "assign: x expected a float32 array, got uint8"),
    ("assign", lambda: ops.assign(f(2, 3), f(1, 4)), ValueError, r"assign: centroids expected shape \(any, 3\)"),
    ("assign", lambda: ops.assign(f(2, 3), f(0, 3)), ValueError, "assign: centroids expected at least 1 row, got 0"),
    ("search_labels", lambda: search_labels(y=f(2, 4)), ValueError, r"books expected shape \(any, 256, 4\), got"),
    ("search_labels", lambda: search_labels(squares=f(4, 256)), ValueError, "1 or more of them, got 3 and 4"),
    ("search_labels", lambda: search_labels(books=f(65, 256, 5)), ValueError, "books expected 1 to 64, .*, got 65 and 2"),
    ("search_labels", lambda: search_labels(entries=u(2, 1, 256, 4)), ValueError, r"expected shape \(2, 2, 256, 4\), got"),
    ("search_labels", lambda: search_labels(factors=f(2, 1)), ValueError, r"factors expected shape \(2, 2\), got"),
    ("search_labels", lambda: search_labels(pairs=f(3, 256, 256)), TypeError, "pairs expected a int8 array, got float32"),
    ("search_labels", lambda: search_labels(paths=None), ValueError, r"paths expected shape \(2, any, 1\), got"),
    ("search_labels", lambda: search_labels(paths=u(2, 17, 1)), ValueError, "paths expected 1 to 16 a row, got"),
    ("search_labels", lambda: search_labels(scores=f(2, 5)), ValueError, r"scores expected shape \(2, 6\), got"),
    ("search_labels", lambda: search_labels(beam=17), ValueError, "beam expected 1 to 16, got 17"),
    ("search_labels", lambda: search_labels(last=0), ValueError, "last expected 1 to 16, got 0"),
    ("beam_step", lambda: beam_step(costs=f(2, 257)), ValueError, r"beam_step: costs expected 1 to 256 columns, got"),
    ("beam_step", lambda: beam_step(costs=f(2, 3)), ValueError, "beam_step: paths expected labels below 3, .*, got 3"),
    ("beam_step", lambda: beam_step(costs=f(3, 4)), ValueError, r"beam_step: paths expected shape \(3, any, any\), got"),
    ("beam_step", lambda: beam_step(paths=u(2, 0, 2)), ValueError, r"paths expected 1 to 256 a row .* got shape \(2, 0, 2\)"),
    ("beam_step", lambda: beam_step(paths=u(2, 5, 64)), ValueError, r"at most 63 labels, got shape \(2, 5, 64\)"),
    ("beam_step", lambda: beam_step(scores=f(2, 4)), ValueError, r"beam_step: scores expected shape \(2, 5\), got \(2, 4\)"),
    ("beam_step", lambda: beam_step(pairs=f(4, 4)), ValueError, r"beam_step: pairs expected shape \(8, 4\), got \(4, 4\)"),
    ("beam_step", lambda: beam_step(keep=0), ValueError, "beam_step: keep expected 1 to 256, got 0"),
    ("encode_grid", lambda: ops.encode_grid(u(2, 3), 4), TypeError, "encode_grid: y expected a float32 array, got uint8"),
    ("encode_grid", lambda: ops.encode_grid(f(3), 4), ValueError, "encode_grid: y expected shape"),
    ("encode_grid", lambda: ops.encode_grid(f(2, 3), 9), ValueError, "encode_grid: n_bits expected one of 1, .*, 8, got 9"),
    ("encode_grid", lambda: ops.encode_grid(f(2, 3), 4, f(2)), ValueError, r"encode_grid: along expected shape \(3\), got"),
    ("encode_grid", lambda: ops.encode_grid(f(2, 0), 4), ValueError, "encode_grid: y expected at least 1 column"),
    ("encode_trellis", lambda: ops.encode_trellis(f(2, 7), word, LEVELS), ValueError, "encode_trellis: y expected 8 columns"),
    ("encode_trellis", lambda: ops.encode_trellis(u(2, 8), word, LEVELS), TypeError, "encode_trellis: y expected a float32"),
    ("encode_trellis", lambda: ops.encode_trellis(f(2, 8), word + 8, LEVELS), ValueError, "encode_trellis: words expected 1"),
    ("encode_pq", lambda: ops.encode_pq(f(2, 6), f(3, 17, 2)), ValueError, "encode_pq: codebooks expected 16 or 256 on axis 1"),
    ("encode_pq", lambda: ops.encode_pq(f(2, 6), f(3, 16, 2), by_column=True), ValueError, "expected 16 or 256 on axis 2"),
    ("encode_pq", lambda: ops.encode_pq(f(2, 7), f(3, 16, 2)), ValueError, r"encode_pq: x expected shape \(any, 6\)"),
    ("encode_pq", lambda: ops.encode_pq(f(2, 6), f(3, 16)), ValueError, "encode_pq: codebooks expected shape"),
    ("tables", lambda: ops.tables(f(2, 7), f(3, 16, 2)), ValueError, r"tables: q expected shape \(any, 6\), got \(2, 7\)"),
    ("tables", lambda: ops.tables(f(2, 6), f(3, 2, 15), by_column=True), ValueError, "expected a multiple of 16 columns"),
    ("tables", lambda: ops.tables(f(2, 6), u(3, 16, 2)), TypeError, "tables: codebooks expected a float32 array, got uint8"),
    ("encode_sq", lambda: ops.encode_sq(u(2, 3), f(3), f(3), 4), TypeError, "encode_sq: x expected a float32 array"),
    ("encode_sq", lambda: ops.encode_sq(f(2, 3), f(2), f(3), 4), ValueError, r"encode_sq: low expected shape \(3"),
    ("encode_sq", lambda: ops.encode_sq(f(2, 3), f(3), f(3), 5), ValueError, "encode_sq: n_bits expected one of 4, 8, got 5"),
    ("label_sums", lambda: ops.label_sums(f(2, 3), u(2), 4), TypeError, "label_sums: labels expected a int32 array, got uint8"),
    ("label_sums", lambda: ops.label_sums(f(2, 3), i(3), 4), ValueError, r"label_sums: labels expected shape \(2\), got \(3,?\)"),
    ("label_sums", lambda: ops.label_sums(f(2, 3), i(2) + 4, 4), ValueError, "label_sums: labels expected 0 to 3, got 4 to 4"),
    ("label_sums", lambda: ops.label_sums(f(2, 3), i(2), 0), ValueError, "label_sums: k expected"),
    ("norms", lambda: ops.norms(f(3)), ValueError, "norms: x expected shape"),
    ("norms", lambda: ops.norms(f(3, 2).astype(np.float16)), TypeError, "norms: x expected a float32 array, got float16"),
    ("pack_bits", lambda: ops.pack_bits(f(2, 3), f(2)), ValueError, r"pack_bits: thresholds expected shape \(3\), got \(2,\)"),
    ("pack_bits", lambda: ops.pack_bits(f(2, 3), u(3)), TypeError, "pack_bits: thresholds expected a float32 array, got uint8"),
    ("pack_codes", lambda: ops.pack_codes(f(2, 3), 4), TypeError, "pack_codes: labels expected a uint8 array, got float32"),
    ("pack_codes", lambda: ops.pack_codes(u(2, 3), 9), ValueError, "pack_codes: n_bits expected one of 1, .*, 8, got 9"),
    ("unpack_codes", lambda: ops.unpack_codes(u(2, 3), 4, 4), ValueError, r"codes expected shape \(any, 2\), got \(2, 3\)"),
    ("unpack_codes", lambda: ops.unpack_codes(f(2, 2), 4, 4), TypeError, "unpack_codes: codes expected a uint8 array"),
    ("quantize", lambda: ops.quantize(f(3), f(1)), ValueError, "quantize: x expected shape"),
    ("quantize", lambda: ops.quantize(f(2, 3), f(0)), ValueError, "quantize: thresholds expected 1 to 255 numbers, got 0"),
    ("quantize", lambda: ops.quantize(f(2, 3), f(256)), ValueError, "quantize: thresholds expected 1 to 255 numbers, got 256"),
    ("quantize", lambda: ops.quantize(f(2, 3), f(3) * F("nan")), ValueError, "expected ascending numbers, got nan at 0"),
    ("quantize", lambda: ops.quantize(f(2, 3), np.arange(0, -3, -1, F)), ValueError, "expected ascending numbers, got -1.0 at 1"),
    ("quantize", lambda: ops.quantize(f(2, 3), u(3)), TypeError, "quantize: thresholds expected a float32 array, got uint8"),
    ("rotate", lambda: ops.rotate(f(2, 9), u(4, 1)), ValueError, r"rotate: signs expected shape \(4, 2\), got \(4, 1\)"),
    ("rotate", lambda: ops.rotate(f(2, 9), u(3, 2)), ValueError, r"rotate: signs expected shape \(4, 2\), got \(3, 2\)"),
    ("rotate", lambda: ops.rotate(f(2, 9), f(4, 2)), TypeError, "rotate: signs expected a uint8 array, got float32"),
    ("rotate", lambda: ops.rotate(u(2, 9), u(4, 2)), TypeError, "rotate: x expected a float32 array, got uint8"),
    ("rotate", lambda: ops.rotate(f(2, 0), u(4, 0)), ValueError, r"rotate: x expected at least 1 column, got shape \(2, 0\)"),
    ("put_rows", lambda: Blocks.pack(f(2, 3)), TypeError, "blocks: codes expected a uint8 array, got float32"),
    ("put_rows", lambda: Blocks.pack(u(2, 3), head=4), ValueError, "blocks: head expected 0..3"),
    ("put_rows", lambda: Blocks.pack(u(2, 3), head=-1), ValueError, "blocks: head expected 0..3"),
    ("put_rows", lambda: Blocks.pack(u(2, 3), group=0), ValueError, "group at least 1"),
    ("put_rows", lambda: Blocks.pack(u(2, 3), group=2), ValueError, "blocks: group expected a divisor of 3, got 2"),
    ("put_rows", lambda: codes.put(60, u(5, 3)), ValueError, "blocks: start expected rows inside 0..64, got 60..65"),
    ("put_rows", lambda: codes.put(-1, u(5, 3)), ValueError, "blocks: start expected rows inside 0..64, got -1..4"),
    ("put_rows", lambda: codes.put(0, u(5, 4)), ValueError, r"blocks: codes expected shape \(any, 3\), got \(5, 4\)"),
    ("put_rows", lambda: Blocks(u(1, 100), 5, 3).put(0, u(1, 3)), ValueError, r"blocks: data expected \(1 or more, 192\)"),
    ("get_rows", lambda: codes.rows(np.array([5])), ValueError, "blocks: rows expected values in 0..4, got 5..5"),
    ("get_rows", lambda: codes.rows(np.array([-1])), ValueError, "blocks: rows expected values in 0..4, got -1..-1"),
    ("get_rows", lambda: codes.rows(np.array([1], np.int32)), TypeError, "blocks: rows expected a int64 array, got int32"),
    ("get_rows", lambda: codes.rows([1]), TypeError, "blocks: rows expected a int64 array, got list"),
    ("get_rows", lambda: Blocks(u(2, 192)[:, ::-1], 5, 3).rows(np.array([1])), TypeError, "blocks: data expected a C-contiguous"),
    ("hamming", lambda: hamming(bits=u(2, 4)), ValueError, r"hamming: bits expected shape \(any, 3\), got \(2, 4\)"),
    ("hamming", lambda: hamming(bits=f(2, 3)), TypeError, "hamming: bits expected a uint8 array, got float32"),
    ("hamming", lambda: hamming(blocks=rows, bits=u(2, 8)), ValueError, "hamming: blocks expected group 1, got 4"),
    ("hamming", lambda: hamming(k=0), ValueError, "hamming: k expected 1 to 2147483647, got 0"),
    ("hamming", lambda: hamming(k=2**31), ValueError, "hamming: k expected 1 to 2147483647, got 2147483648"),
    ("hamming", lambda: hamming(num_threads=1025), ValueError, "num_threads expected 1 to 1024, got 1025"),
    ("hamming", lambda: hamming(k=1.0), TypeError, "hamming: k expected an int, got float"),
    ("hamming", lambda: hamming(k=True), TypeError, "hamming: k expected an int, got bool"),
    ("hamming", lambda: hamming(ids=np.arange(4)), ValueError, r"hamming: ids expected shape \(5\), got \(4,\)"),
    ("hamming", lambda: hamming(ids=np.arange(5, dtype=np.int32)), TypeError, "hamming: ids expected a int64 array, got int32"),
    ("hamming", lambda: hamming(allow=np.zeros(2, np.uint64)), ValueError, r"hamming: allow expected shape \(1\), got \(2,\)"),
    ("hamming", lambda: hamming(allow=np.zeros(1, bool)), TypeError, "hamming: allow expected a uint64 array, got bool"),
    ("hamming", lambda: hamming(constant=f(3)), ValueError, r"hamming: constant expected shape \(2\), got \(3,\)"),
    ("hamming", lambda: hamming(scale=Factor(2, "f2")), ValueError, "hamming: scale expected bytes inside the code's first 3"),
    ("hamming", lambda: hamming(blocks=headed, scale=Factor(5, "f4")), ValueError, "scale expected bytes inside"),
    ("flat", lambda: ops.flat(rows, f(1, 2), 1, scale=Factor(0, "f2")), ValueError, "inside the code's first 0, got offset 0"),
    ("get_rows", lambda: rows.prefix(4, 0), ValueError, "blocks: prefix expected codes of group 1, got 4"),
    ("get_rows", lambda: headed.prefix(99, 0), ValueError, "blocks: prefix expected at most"),
    ("get_rows", lambda: headed.prefix(3, 1).rows(np.zeros(1, np.int64)), ValueError, "blocks: expected whole codes"),
    ("hamming", lambda: hamming(blocks=headed, bias=Factor(0, "f8")), ValueError, "bias expected kind f2, .*, got 'f8'"),
    ("hamming", lambda: hamming(blocks=headed, bias=Factor(0, "u1", f(255))), ValueError, "hamming: bias.table expected shape"),
    ("hamming", lambda: hamming(blocks=headed, bias=Factor(0, "u1")), TypeError, "hamming: bias.table expected a float32 array"),
    ("hamming", lambda: hamming(num_threads=-1), ValueError, "num_threads expected 1 to 1024, got -1"),
    ("lut4", lambda: ops.lut4(codes, f(1, 4, 16), 1), ValueError, "lut4: tables expected 6 or 5 on axis 1"),
    ("lut4", lambda: ops.lut4(codes, f(1, 6, 256), 1), ValueError, "lut4: tables expected shape"),
    ("lut4", lambda: ops.lut4(rows, f(1, 16, 16), 1), ValueError, "lut4: blocks expected group 1, got 4"),
    ("dot", lambda: ops.dot(codes, f(1, 6), 1, n_bits=9), ValueError, "dot: n_bits expected"),
    ("dot", lambda: ops.dot(codes, f(1, 99), 1, n_bits=4), ValueError, "dot: rows expected columns whose numbers of 4 bits fill"),
    ("dot", lambda: ops.dot(rows, f(1, 16), 1, n_bits=4), ValueError, "dot: blocks expected group 1, got 4"),
    ("dot", lambda: ops.dot(codes, f(1, 6), 1, n_bits=4, levels=f(15)), ValueError, "dot: levels expected shape"),
    ("dot", lambda: ops.dot(codes, f(1, 6), 1, n_bits=4, l2=True, bias=Factor(0, "u1")), ValueError, "dot: bias expected None"),
    ("trellis", lambda: trellis(rows=f(1, 7)), ValueError, r"trellis: rows expected shape \(any, 8\), got \(1, 7\)"),
    ("trellis", lambda: trellis(tables=f(1, 1, 256)), ValueError, "trellis: blocks expected a payload of 2 bytes, .*, got 1"),
    ("trellis", lambda: trellis(blocks=rows), ValueError, "trellis: blocks expected group 1, got 4"),
    ("sdc", lambda: sdc(n_bits=3), ValueError, "sdc: n_bits expected one of 1, 2, 4, got 3"),
    ("sdc", lambda: sdc(n_bits=4.0), TypeError, "sdc: n_bits expected one of 1, 2, 4, got float"),
    ("sdc", lambda: sdc(dim=4), ValueError, "sdc: dim expected as many numbers of 4 bits as fill the codes' 3 bytes, got 4"),
    ("sdc", lambda: sdc(dim=8193), ValueError, "sdc: dim expected 0 to 8192, got 8193"),
    ("sdc", lambda: sdc(dim=6.0), TypeError, "sdc: dim expected an int, got float"),
    ("sdc", lambda: sdc(codes=u(2, 4)), ValueError, r"sdc: codes expected shape \(any, 3\), got \(2, 4\)"),
    ("sdc", lambda: sdc(codes=f(2, 3)), TypeError, "sdc: codes expected a uint8 array, got float32"),
    ("sdc", lambda: sdc(form="fast"), ValueError, "sdc: form expected one of 'tables', 'products', 'planes', got 'fast'"),
    ("sdc", lambda: sdc(weights=f(3)), ValueError, r"sdc: weights expected shape \(2\), got \(3,\)"),
    ("sdc", lambda: sdc(weights=-f(2) - 1), ValueError, r"sdc: weights expected finite numbers above 0, got -.* for query 0"),
    ("sdc", lambda: sdc(form=1), TypeError, "sdc: form expected one of 'tables', 'products', 'planes', got int"),
    ("sdc", lambda: sdc(blocks=rows, codes=u(2, 8), dim=16), ValueError, "sdc: blocks expected group 1, got 4"),
    ("lut8", lambda: ops.lut8(codes, f(1, 4, 256), 1), ValueError, "lut8: tables expected shape"),
    ("lut8", lambda: ops.lut8(rows, f(1, 8, 256), 1), ValueError, "lut8: blocks expected group 1, got 4"),
    ("flat", lambda: ops.flat(codes, f(1, 3), 1), ValueError, r"flat: blocks expected group 4 \(float32\) or 2"),
    ("flat", lambda: ops.flat(rows, f(1, 3), 1), ValueError, r"flat: rows expected shape \(any, 2\), got \(1, 3\)"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, message", [pytest.param(*c[1:], id=f"{c[0]}-{i}") for i, c in enumerate(BAD)])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_every_operation_is_covered():
    assert {case[0] for case in BAD} == set(dispatch.operations())


def crashes():
    """Calls of compiled kernels, past the checks of vecpress/ops, that would read or write outside an array."""
    rows = np.array([64])
    yield "put_rows", (u(1, 192), u(1, 3), 64, 0, 1, 1)
    yield "put_rows", (u(1, 192), u(1, 3), -1, 0, 1, 1)
    yield "put_rows", (u(1, 192), u(65, 3), 0, 0, 1, 1)
    yield "put_rows", (u(1, 192), u(1, 4), 0, 0, 1, 1)
    yield "put_rows", (u(1, 192), u(1, 3), 0, 4, 1, 1)
    yield "put_rows", (u(1, 192), u(1, 3), 0, 0, 2, 1)
    yield "put_rows", (u(1, 192), u(1, 3), 0, 0, 0, 1)
    yield "get_rows", (u(1, 3), u(1, 192), rows, 0, 1, 1)
    yield "get_rows", (u(1, 3), u(1, 192), -rows, 0, 1, 1)
    yield "get_rows", (u(2, 3), u(1, 192), rows - 1, 0, 1, 1)
    yield "get_rows", (u(1, 3), u(1, 192), rows - 1, 0, 5, 1)
    yield "project", (f(2, 2), f(2, 3), f(4, 2), f(2), 1)
    yield "project", (f(1, 2), f(2, 3), f(3, 2), f(2), 1)
    yield "assign", (np.zeros(1, np.int32), f(2), f(2, 3), f(4, 3), 1)
    yield "assign", (np.zeros(2, np.int32), f(2), f(2, 3), f(0, 3), 1)
    yield "encode_grid", (u(2, 3), np.zeros((2, 5)), f(2, 4), f(4), 4, 1)
    yield "encode_grid", (u(2, 3), np.zeros((1, 5)), f(2, 3), f(3), 4, 1)
    yield "encode_grid", (u(2, 3), np.zeros((2, 4)), f(2, 3), f(3), 4, 1)
    yield "encode_grid", (u(2, 3), np.zeros((2, 5)), f(2, 3), f(3), 9, 1)
    yield "encode_grid", (u(2, 3), np.zeros((2, 5)), f(2, 3), f(3), 0, 1)
    yield "encode_grid", (u(2, 3), np.zeros((2, 5)), f(2, 3), f(2), 4, 1)
    i8 = np.zeros((2, 8), np.int8)
    step = (u(2, 3, 3), f(2, 3), f(2, 4), f(8, 4), u(2, 5, 2), f(2, 5))
    for place, wrong in (
        (0, u(2, 3, 2)), (0, u(2, 2, 3)), (0, u(1, 3, 3)), (1, f(2, 0)), (1, f(1, 3)), (1, f(2, 21)), (2, f(2, 3)), (2, f(1, 4)),
        (3, f(7, 4)), (3, f(8, 5)), (4, u(2, 4, 2)), (4, u(1, 5, 2)), (4, u(2, 5, 2) + np.uint8(4)), (5, f(2, 4)), (5, f(1, 5)),
    ):  # fmt: skip
        yield "beam_step", (*step[:place], wrong, *step[place + 1 :], 1)
    yield "beam_step", (u(1, 300, 1), f(1, 300), f(1, 4), f(0, 4), u(1, 300, 0), f(1, 300), 1)
    yield "beam_step", (u(1, 1, 65), f(1, 1), f(1, 1), f(64, 1), u(1, 1, 64), f(1, 1), 1)
    pairs = np.zeros((3, 256, 256), np.int8)
    search = [u(2, 4, 3), f(2, 4), f(2, 5), f(2, 5), f(3, 256, 5), u(2, 2, 256, 4), f(2, 2), f(2, 256), pairs]
    search += [u(2, 6, 1), f(2, 6), 4]
    for place, wrong in (
        (0, u(2, 4, 2)), (0, u(1, 4, 3)), (0, u(2, 17, 3)), (1, f(2, 3)), (2, f(2, 4)), (3, f(1, 5)), (3, f(2, 4)),
        (4, f(4, 256, 5)), (4, f(3, 255, 5)), (5, u(2, 1, 256, 4)), (5, u(1, 2, 256, 4)), (6, f(2, 3)), (7, f(4, 256)),
        (7, f(0, 256)),
        (8, pairs[:2]), (9, u(2, 17, 1)), (9, u(1, 6, 1)), (9, u(2, 6, 2)), (10, f(2, 5)),
        (11, 0), (11, 17),
    ):  # fmt: skip
        yield "search_labels", (*search[:place], wrong, *search[place + 1 :], 1)
    yield "encode_trellis", (u(2, 1), i8, f(2, 7), word, LEVELS, 1)
    yield "encode_trellis", (u(2, 2), i8, f(2, 8), word, LEVELS, 1)
    yield "encode_trellis", (u(1, 1), i8, f(2, 8), word, LEVELS, 1)
    yield "encode_trellis", (u(2, 1), i8[:1], f(2, 8), word, LEVELS, 1)
    yield "encode_trellis", (u(2, 1), i8, f(2, 8), word, LEVELS[:3], 1)
    for wrong in ([[9, 1]], [[0, 1]], [[1, 5]], [[1, 0]], [[1, 1, 1]]):
        yield "encode_trellis", (u(2, 1), i8, f(2, 8), np.array(wrong, np.uint8), LEVELS, 1)
    yield "encode_pq", (u(2, 3), f(2, 6), f(3, 16, 2), False, 1)
    yield "encode_pq", (u(2, 3), f(2, 6), f(3, 32, 2), False, 1)
    yield "encode_pq", (u(2, 2), f(2, 6), f(3, 16, 2), True, 1)
    yield "encode_pq", (u(2, 2), f(2, 6), f(3, 2, 32), True, 1)
    yield "tables", (f(2, 3, 16), f(2, 7), f(3, 16, 2), False, False, 1)
    yield "tables", (f(2, 3, 15), f(2, 6), f(3, 2, 15), False, True, 1)
    yield "tables", (f(2, 3, 16), f(2, 6), f(3, 16, 2), False, True, 1)
    yield "encode_sq", (u(2, 3), i64(1), f(2, 3), f(2), f(3), 8, 1.0, 1)
    yield "encode_sq", (u(2, 3), i64(1), f(2, 3), f(3), f(3), 5, 1.0, 1)
    yield "encode_sq", (u(2, 3), i64(1), f(2, 3), f(3), f(3), 4, 1.0, 1)
    yield "encode_sq", (u(1, 3), i64(1), f(2, 3), f(3), f(3), 8, 1.0, 1)
    yield "encode_sq", (u(2, 3), i64(0), f(2, 3), f(3), f(3), 8, 1.0, 1)
    yield "label_sums", (np.zeros((2, 3)), f(2, 3), i(2) + 2, 1)
    yield "label_sums", (np.zeros((2, 3)), f(2, 3), i(2) - 1, 1)
    yield "label_sums", (np.zeros((2, 4)), f(2, 3), i(2), 1)
    yield "label_sums", (np.zeros((2, 3)), f(2, 3), i(3), 1)
    yield "norms", (f(1), f(2, 3), 1)
    yield "pack_bits", (u(2, 1), i64(1), f(2, 9), f(9), 1.0, 1)
    yield "pack_bits", (u(2, 2), i64(0), f(2, 9), f(9), 1.0, 1)
    yield "rotate", (f(2, 8), f(2, 9), u(4, 2), False, 1)
    yield "rotate", (f(2, 9), f(2, 9), u(4, 1), False, 1)
    yield "rotate", (f(2, 0), f(2, 0), u(4, 0), False, 1)
    layout = (5, 3, 0, 3)
    one, half = (0, 0, 1.0, None), (1, 2, 1.0, None)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), (5, 3, 0, 2), u(1, 3), None, None, one, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), (5, 3, 0, 65), u(1, 3), None, None, one, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), (65, 3, 0, 3), u(1, 3), None, None, one, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, u(1, 4), None, None, one, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, u(1, 3), np.arange(4), None, one, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, u(1, 3), None, None, half, one, f(1), 1)
    yield "hamming", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, u(1, 3), None, None, one, one, f(2), 1)
    yield "lut4", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, f(1, 7, 16), None, None, one, one, f(1), 1)
    for d, levels, n_bits in ((4, None, 4), (7, None, 4), (6, f(15), 4), (6, None, 9), (6, None, 0), (3, f(255), 8)):
        operand = f(1, d), levels, n_bits, False
        yield "dot", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, *operand, None, None, one, one, f(1), 1)
    distances = f(1, 6), None, 4, True, None, None
    yield "dot", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, *distances, half, one, f(1), 1)
    yield "dot", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), (5, 3, 1, 3), *distances, one, half, f(1), 1)
    three = np.array([[3, 2]], np.uint8)
    for operand in (
        (f(1, 11), three, LEVELS, None), (f(1, 8), three - 1, LEVELS, None), (f(1, 12), three, LEVELS[:2], None),
        (f(1, 12), three, LEVELS, f(1, 1, 256)), (f(1, 12), three, LEVELS, f(1, 0, 255)), (f(1, 12), three, LEVELS, f(2, 0, 256)),
        (f(1, 12), three, LEVELS * 0 - np.int8(127) - np.int8(1), None), (f(1, 0), three + 8, LEVELS, None),
        (f(2, 12), three, LEVELS, None),
    ):  # fmt: skip
        yield "trellis", (f(1, 1), i64(1, 1), u(1, 192), layout, *operand, None, None, one, one, f(1), 1)
    for operand in (
        (u(1, 4), 6, 4, 0), (u(1, 3), 7, 4, 0), (u(1, 3), 4, 4, 0), (u(1, 3), 8, 3, 0), (u(1, 3), 6, 4, 4), (u(1, 3), 6, 4, -1),
        (u(1, 3), -6, 4, 0), (u(2, 3), 6, 4, 0),
    ):  # fmt: skip
        yield "sdc", (f(1, 1), i64(1, 1), u(1, 192), layout, *operand, f(1) + 1, None, None, one, one, f(1), 1)
    yield "sdc", (f(1, 1), i64(1, 1), u(1, 192), layout, u(1, 3), 6, 4, 0, f(2) + 1, None, None, one, one, f(1), 1)
    yield "sdc", (f(1, 1), i64(1, 1), u(1, 192), layout, u(1, 3), 6, 4, 0, f(1) * 0, None, None, one, one, f(1), 1)
    wide = (5, 8193, 0, 8193)
    yield "sdc", (f(1, 1), i64(1, 1), u(70, 64), wide, u(1, 8193), 16386, 4, 0, f(1) + 1, None, None, one, one, f(1), 1)
    yield "lut8", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, f(1, 2, 256), None, None, one, one, f(1), 1)
    yield "flat", (f(1, 1), np.zeros((1, 1), np.int64), u(1, 192), layout, f(1, 3), 4, False, None, None, one, one, f(1), 1)


@pytest.mark.parametrize("op, arguments", [pytest.param(*c, id=f"{c[0]}-{i}") for i, c in enumerate(crashes())])
def test_bindings_check_what_could_crash(op, arguments):
    from vecpress import _native

    with pytest.raises(ValueError):
        getattr(_native, op)(0, *arguments)


def test_bindings_refuse_other_dtypes_and_order():
    from vecpress import _native

    with pytest.raises(TypeError):
        _native.norms(0, f(2), np.zeros((2, 3)), 1)
    with pytest.raises(TypeError):
        _native.norms(0, f(2), np.asfortranarray(f(2, 3)), 1)
    with pytest.raises(ValueError, match="unknown instruction set number 99"):
        _native.norms(99, f(2), f(2, 3), 1)
