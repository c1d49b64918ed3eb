"""The symmetric scan by hand, against plain whole numbers, and beside the scans that it equals."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.pack_codes import pack_codes, packed_size
from vecpress.ops.sdc import FORMS

BACKENDS = dispatch.operations()["sdc"]
WAYS = (None, *FORMS)
# 291 numbers of 4 bits and 7,281 of 2 are what 16 bits hold the sums of; blocks of planes, tables and products end at others
DIMS = (1, 2, 3, 5, 8, 63, 65, 96, 125, 130, 145, 249, 288, 290, 291, 292, 383, 582, 1024, 3640, 3641, 7280, 7282, 8191, 8192)


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    with dispatch.use(request.param):
        yield request.param


def random_labels(seed: int, n: int, dim: int, n_bits: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**n_bits, (n, dim), dtype=np.uint8)


def by_row(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The scores of all rows in the order of the rows."""
    out = np.empty_like(scores)
    np.put_along_axis(out, ids, scores, 1)
    return out


def plain_sums(queries: np.ndarray, rows: np.ndarray, n_bits: int) -> np.ndarray:
    most = 2**n_bits - 1
    a, c = (2 * labels.astype(np.int64) - most for labels in (queries, rows))
    return np.array([[int((x * y).sum()) for y in c] for x in a])


def scan(queries: np.ndarray, rows: np.ndarray, n_bits: int, k: int | None = None, **options):
    blocks = Blocks.pack(pack_codes(rows, n_bits))
    codes = pack_codes(queries, n_bits)
    return ops.sdc(blocks, codes, len(rows) if k is None else k, dim=rows.shape[1], n_bits=n_bits, **options)


@pytest.mark.parametrize("form", WAYS)
def test_by_hand(form, backend):
    """2 bits: numbers 0 to 3 stand for -3, -1, 1 and 3."""
    rows = np.array([[0, 0, 0], [3, 3, 3], [3, 0, 1], [1, 2, 2], [3, 0, 1]], np.uint8)
    scores, ids = scan(np.array([[3, 0, 1], [2, 2, 2]], np.uint8), rows, 2, form=form)
    assert scores.tolist() == [[19, 19, 3, -3, -7], [9, 1, -1, -1, -9]]
    assert ids.tolist() == [[2, 4, 0, 1, 3], [1, 3, 2, 4, 0]]


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("n_bits, dim, table, largest", [
    (1, 4, lambda a, c: 4 - np.bitwise_count(a ^ c).astype(int), 4),
    (2, 2, lambda a, c: 9 + ((2 * (a >> 2) - 3) * (2 * (c >> 2) - 3) + (2 * (a & 3) - 3) * (2 * (c & 3) - 3)) // 2, 18),
    (4, 1, lambda a, c: ((2 * a - 15) * (2 * c - 15) + 225) // 2, 225),
])  # fmt: skip
def test_every_pair_of_nibbles_adds_what_the_published_table_says(n_bits, dim, table, largest, form, backend):
    """2 T less its middle is the sum, for every pair of nibbles, in either half of a byte; T is from 0 to 4, 18 and 225."""
    nibbles = np.arange(16)
    wanted = table(nibbles[:, None], nibbles[None, :])
    assert wanted.min() == 0 and wanted.max() == largest
    place = 0 if n_bits == 4 else 4  # where the first dimensions are
    codes = (nibbles << place).astype(np.uint8)[:, None]
    scores, ids = ops.sdc(Blocks.pack(codes), codes, 16, dim=dim, n_bits=n_bits, form=form)
    np.testing.assert_array_equal(by_row(scores, ids), 2 * wanted - largest)
    both = np.array([[a << 4 | a] for a in range(16)], np.uint8)  # in both halves
    scores, ids = ops.sdc(Blocks.pack(both), both, 16, dim=2 * dim, n_bits=n_bits, form=form)
    np.testing.assert_array_equal(by_row(scores, ids), 2 * (2 * wanted - largest))


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_sums_are_exact(n_bits, form, backend):
    """Any codes and the extreme ones, of which no accumulator may overflow, for dimensions on either side of what they hold."""
    most = 2**n_bits - 1
    for dim in DIMS:
        rows = random_labels(dim, 70, dim, n_bits)
        rows[:4] = np.array([[0], [most], [0], [most]])
        rows[2:4, ::2] = most - rows[2:4, ::2]
        queries = np.concatenate([rows[:4], random_labels(dim + 1, 3, dim, n_bits)])
        wanted = plain_sums(queries, rows, n_bits)
        np.testing.assert_array_equal(by_row(*scan(queries, rows, n_bits, form=form)), wanted, err_msg=f"dim {dim}")
        assert abs(wanted[:4]).max() == dim * most**2 <= 2**24
        scores, ids = scan(queries[4:5], rows, n_bits, form=form)  # one query alone
        np.testing.assert_array_equal(by_row(scores, ids), wanted[4:5])


@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_sums_are_exact_in_many_blocks(n_bits, backend):
    """Several blocks for several queries and one, the last of them in part, with the k best only."""
    for n in (1, 63, 64, 65, 127, 192, 700):
        rows, queries = random_labels(n, n, 41, n_bits), random_labels(n + 1, 6, 41, n_bits)
        wanted = plain_sums(queries, rows, n_bits)
        for form in WAYS:
            for some in (slice(0, 6), slice(2, 3)):
                scores, ids = scan(queries[some], rows, n_bits, min(n, 5), form=form)
                best = np.argsort(-wanted[some], axis=1, kind="stable")[:, :5]
                assert ids.tolist() == best.tolist()
                np.testing.assert_array_equal(scores, np.take_along_axis(wanted[some], best, 1))


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("n_bits, dim", [(1, 9), (1, 15), (2, 1), (2, 6), (2, 13), (2, 23), (4, 1), (4, 7), (4, 291)])
def test_what_lies_behind_the_last_dimension_does_not_count(n_bits, dim, form, backend):
    """Whatever it is, in codes and queries alike."""
    rows, queries = random_labels(1, 80, dim, n_bits), random_labels(2, 5, dim, n_bits)
    packed, asked = pack_codes(rows, n_bits), pack_codes(queries, n_bits)
    used = pack_codes(np.full((1, dim), 15, np.uint8), n_bits)[0]
    rng = np.random.default_rng(3)
    dirty = packed | rng.integers(0, 256, packed.shape, dtype=np.uint8) & ~used
    dirty_asked = asked | rng.integers(0, 256, asked.shape, dtype=np.uint8) & ~used
    assert (dirty != packed).any() and (dirty_asked != asked).any()
    for q in (slice(None), slice(1, 2)):
        scores = by_row(*ops.sdc(Blocks.pack(dirty), dirty_asked[q], 80, dim=dim, n_bits=n_bits, form=form))
        np.testing.assert_array_equal(scores, plain_sums(queries[q], rows, n_bits))


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("n_bits", [1, 2, 4])
@pytest.mark.parametrize("kind", ["f2", "f4"])
def test_factors_meet_the_sums_of_their_own_rows(kind, n_bits, form, backend):
    """A published kernel multiplies sums, in the order of its registers, with norms in the order of the rows."""
    n, dim = 200, 48
    rows, queries = random_labels(5, n, dim, n_bits), random_labels(6, 3, dim, n_bits)
    factors = (1 + np.arange(n)[:, None] / 256).astype(f"<{kind}")
    codes = np.hstack([factors.view(np.uint8), pack_codes(rows, n_bits)])
    head = factors.itemsize
    scores, ids = ops.sdc(
        Blocks.pack(codes, head), pack_codes(queries, n_bits), n, dim=dim, n_bits=n_bits, form=form, scale=Factor(0, kind)
    )
    wanted = plain_sums(queries, rows, n_bits).astype(np.float32) * factors[:, 0].astype(np.float32)
    np.testing.assert_array_equal(by_row(scores, ids), wanted)


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("scale, constant", [(0.25, 3.0), (1e-3, -7.0), (-0.5, 1.0), (0.0, 2.0)])
def test_scores_are_an_affine_map_of_sums(scale, constant, form, backend):
    rows, queries = random_labels(7, 300, 24, 4), random_labels(8, 3, 24, 4)
    constants = np.array([constant, 0, -constant], np.float32)
    sums = plain_sums(queries, rows, 4).astype(np.float32)
    wanted = sums * np.float32(scale) + constants[:, None]
    for k in (1, 7, 300):
        scores, ids = scan(queries, rows, 4, k, form=form, scale=scale, constant=constants)
        best = np.argsort(-wanted, axis=1, kind="stable")[:, :k]
        assert ids.tolist() == best.tolist()
        np.testing.assert_array_equal(scores, np.take_along_axis(wanted, best, 1))


@pytest.mark.parametrize("dim", [8, 384, 1000])
def test_one_bit_is_the_hamming_distance(dim, backend):
    rows, queries = random_labels(9, 500, dim, 1), random_labels(10, 4, dim, 1)
    blocks, bits = Blocks.pack(pack_codes(rows, 1)), pack_codes(queries, 1)
    scores, ids = scan(queries, rows, 1, 20)
    near = ops.hamming(blocks, bits, 20, scale=-2.0, constant=np.full(4, dim, np.float32))
    np.testing.assert_array_equal(ids, near[1])
    np.testing.assert_array_equal(scores, near[0])


@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_equals_dot_with_the_levels_of_the_query(n_bits, backend):
    dim, u = 256, n_bits - 1
    rows, queries = random_labels(11, 400, dim, n_bits), random_labels(12, 4, dim, n_bits)
    levels = ((2 * np.arange(2**n_bits) - (2**n_bits - 1)) / 2**u).astype(np.float32)
    scores, ids = scan(queries, rows, n_bits, 30, scale=4.0**-u)
    wanted = ops.dot(Blocks.pack(pack_codes(rows, n_bits)), levels[queries], 30, n_bits=n_bits, levels=levels)
    np.testing.assert_array_equal(ids, wanted[1])
    np.testing.assert_array_equal(scores, wanted[0])


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize(
    "scale, constant", [(1, np.nan), (np.inf, 0), (-np.inf, np.inf), (1, np.inf), (np.inf, -np.inf), (np.nan, 1)]
)
def test_scores_that_are_not_numbers(scale, constant, form, backend):
    """They count as -inf, infinities tie, and of all ties the lowest ids are the best, wherever their rows stand."""
    codes = np.random.default_rng(0).integers(0, 256, (300, 4), dtype=np.uint8)
    bits = np.full((1, 4), 0x5A, np.uint8)
    options = {"ids": np.arange(300)[::-1].copy(), "scale": scale, "constant": np.array([constant], np.float32)}
    scores, ids = ops.sdc(Blocks.pack(codes), bits, 3, dim=16, n_bits=2, form=form, **options)
    with dispatch.use("reference"):
        wanted = ops.sdc(Blocks.pack(codes), bits, 3, dim=16, n_bits=2, **options)
    np.testing.assert_array_equal(ids, wanted[1])
    np.testing.assert_array_equal(scores, wanted[0])
    assert np.isinf(scores).all()


@functools.cache
def in_memory(n_bits: int) -> tuple[Blocks, np.ndarray, np.ndarray, np.ndarray]:
    """Codes too many for the caches, some rows of them only allowed, five queries, and what the baseline finds."""
    rng = np.random.default_rng(n_bits)
    blocks = Blocks.pack(rng.integers(0, 256, (47_001, 370), dtype=np.uint8), head=2)
    queries = rng.integers(0, 256, (5, 368), dtype=np.uint8)
    allow = rng.integers(0, 2**64, 735, dtype=np.uint64) * (rng.random(735) < 0.9).astype(np.uint64)
    with dispatch.use("scalar"):
        _, ids = ops.sdc(blocks, queries, 20, dim=368 * 8 // n_bits - 1, n_bits=n_bits, allow=allow)
    return blocks, queries, allow, ids


@pytest.mark.parametrize("form", WAYS)
@pytest.mark.parametrize("n_bits", [1, 2, 4])
def test_codes_in_memory(n_bits, form, backend):
    """They are asked for ahead, and may be summed in another form."""
    if backend in ("reference", "scalar"):
        pytest.skip("the baseline itself")
    blocks, queries, allow, wanted = in_memory(n_bits)
    for asked in (queries, queries[:1]):
        _, ids = ops.sdc(blocks, asked, 20, dim=368 * 8 // n_bits - 1, n_bits=n_bits, form=form, allow=allow)
        np.testing.assert_array_equal(ids, wanted[: len(asked)])


def test_no_dimensions_and_no_rows(backend):
    scores, ids = ops.sdc(Blocks.pack(np.zeros((5, 0), np.uint8)), np.zeros((2, 0), np.uint8), 2, dim=0, n_bits=4)
    assert scores.tolist() == [[0, 0]] * 2 and ids.tolist() == [[0, 1]] * 2
    scores, ids = ops.sdc(Blocks.pack(np.zeros((0, 3), np.uint8)), np.zeros((1, 3), np.uint8), 1, dim=6, n_bits=4)
    assert np.isnan(scores).all() and ids.tolist() == [[-1]]


def test_the_largest_dimension():
    size = packed_size(8193, 4)
    codes = np.zeros((1, size), np.uint8)
    with pytest.raises(ValueError, match="sdc: dim expected 0 to 8192, got 8193"):
        ops.sdc(Blocks.pack(codes), codes, 1, dim=8193, n_bits=4)
