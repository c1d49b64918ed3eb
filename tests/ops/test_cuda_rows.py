"""Row operations on a device where screens are misled: near ties, rows of any length, numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest
from calls import some_paths
from test_equality import same_bits

import vecpress as vp
from vecpress import ops
from vecpress.ops.encode_trellis import WINDOWS, steps_of
from vecpress.ops.trellis_levels import TABLES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(vp.backends()["cuda"] != "ok", reason="there is no device, nor a library that does without"),
]


def check(call) -> None:
    with vp.use("reference"):
        wanted = call()
    with vp.use("cuda"):
        got = call()
    for a, b in zip(got if isinstance(got, tuple) else (got,), wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        assert same_bits(a, b), np.argwhere(a != b)[:5]


def near_ties(rng: np.random.Generator, n: int, k: int, d: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Centroids in small groups that differ by `apart` of their length; rows near groups' middles."""
    groups = rng.standard_normal((-(-k // 6), d))
    centroids = np.repeat(groups, 6, axis=0)[:k]
    centroids = centroids * (1 + apart * rng.standard_normal(centroids.shape))
    rows = groups[rng.integers(0, len(groups), n)] * (1 + apart * rng.standard_normal((n, d)))
    return rows.astype(np.float32), rng.permutation(centroids).astype(np.float32)


APART = (0.0, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("k, d", [(9, 3), (40, 33), (300, 70), (530, 16)])
def test_assign_finds_the_nearest_of_near_ones(k, d, apart):
    x, centroids = near_ties(np.random.default_rng(k), 150, k, d, apart)
    check(lambda: ops.assign(x, centroids))


@pytest.mark.parametrize("apart", [1e-5, 0.1])
def test_assign_in_several_pieces(apart):
    """More rows than a screen takes at once."""
    x, centroids = near_ties(np.random.default_rng(8), 1500, 40, 9, apart)
    check(lambda: ops.assign(x, centroids))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_assign_of_rows_of_any_length(scale):
    rng = np.random.default_rng(1)
    x, centroids = near_ties(rng, 140, 50, 20, 0.1)
    x *= (10.0 ** rng.integers(-8, 9, (140, 1))).astype(np.float32)
    x[:, ::3] *= np.float32(1e-6)
    x[7], x[20, 3], x[21, 0] = 0, np.inf, np.nan
    for c in (centroids, np.abs(centroids), centroids * np.float32(0), np.where(centroids > 2, np.float32(np.inf), centroids)):
        check(lambda c=c: ops.assign(x, c))
        check(lambda c=c: ops.assign(x * np.float32(scale), c * np.float32(scale)))


@pytest.mark.parametrize("apart", APART)
@pytest.mark.parametrize("m, dsub", [(5, 8), (17, 4), (2, 13), (3, 16), (2, 29), (1, 45), (1, 46)])
def test_labels_of_near_centroids(m, dsub, apart):
    rng = np.random.default_rng(m)
    parts = [near_ties(rng, 70, 256, dsub, apart) for _ in range(m)]
    x, books = np.concatenate([p[0] for p in parts], axis=1), np.stack([p[1] for p in parts])
    check(lambda: ops.encode_pq(x, books))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e18])
def test_labels_of_rows_of_any_length(scale):
    rng = np.random.default_rng(2)
    x, book = near_ties(rng, 100, 256, 8, 0.1)
    x *= (10.0 ** rng.integers(-8, 9, (100, 1))).astype(np.float32)
    x[7], x[20, 3], x[21, 0] = 0, np.inf, np.nan
    x, books = np.tile(x, 4), np.stack([book, book * np.float32(0), np.where(book > 2, np.float32(np.inf), book), book[::-1]])
    check(lambda: ops.encode_pq(x, books))
    check(lambda: ops.encode_pq(x * np.float32(scale), books * np.float32(scale)))


@pytest.mark.parametrize("ks", [256, 255, 128, 9])  # of the last all are kept
@pytest.mark.parametrize("keep", [1, 9, 32, 33, 200, 256])
def test_beams_of_totals_that_are_equal_or_none(ks, keep):
    """Whatever reaches the bar has a place: all of a group at once."""
    rng = np.random.default_rng(keep)
    paths = some_paths(keep, 6, 7, 3, ks)
    costs, pairs = np.zeros((6, ks), np.float32), np.zeros((3 * ks, ks), np.float32)
    scores = np.array([0.0, -0.0, np.inf, np.nan, -np.inf, -1.0, 1.0], np.float32)[None].repeat(6, axis=0)
    check(lambda: ops.beam_step(costs, pairs, paths, np.zeros_like(scores), keep))
    check(lambda: ops.beam_step(costs * np.float32(-1), pairs * np.float32(-1), paths, scores, keep))
    costs, scores = rng.integers(-2, 3, costs.shape).astype(np.float32), rng.integers(-1, 2, scores.shape).astype(np.float32)
    check(lambda: ops.beam_step(costs, pairs, paths, scores, keep))


@pytest.mark.parametrize("labels", [31, 32, 33, 63])
def test_beams_of_long_paths(labels):
    rng = np.random.default_rng(labels)
    paths = some_paths(labels, 40, 6, labels, 20)
    paths[:, 3:5] = paths[:, 1:2]
    paths[:, 4, -1] = 7  # parts from its like at the end
    costs, pairs = rng.standard_normal((40, 20)), rng.standard_normal((labels * 20, 20))
    scores = rng.standard_normal((40, 6))
    check(lambda: ops.beam_step(*(a.astype(np.float32) for a in (costs, pairs)), paths, scores.astype(np.float32), 5))


def searched(rng: np.random.Generator, n: int, d: int, depth: int, first: int, b: int, spread: float) -> dict[str, np.ndarray]:
    """Operands of search_labels: numbers of few values where `spread` is small, so that totals tie."""
    steps = depth - first

    def make(*shape: int) -> np.ndarray:
        return np.rint(spread * rng.standard_normal(shape)).astype(np.float32)

    return {
        "y": make(n, d), "books": make(depth, 256, d),
        "entries": (128 + np.rint(spread * rng.standard_normal((steps, -(-d // 4), 256, 4)))).astype(np.uint8),
        "factors": np.tile(np.array([[-2 / 63, 0.5]], np.float32), (steps, 1)), "squares": make(steps, 256),
        "pairs": np.rint(spread * rng.standard_normal((sum(range(first, depth)), 256, 256))).astype(np.int8),
        "paths": some_paths(b, n, b, first, 256), "scores": make(n, b),
    }  # fmt: skip


@pytest.mark.parametrize("beam, last", [(1, 1), (4, 1), (16, 16), (3, 7)])
@pytest.mark.parametrize("d", [0, 1, 6, 8, 1030, 2052])  # the last two: a row's bytes in pieces, words that are not all there
def test_labels_of_totals_that_are_equal_or_none(d, beam, last):
    rng = np.random.default_rng(d)
    operand = searched(rng, 9, d, 4, 1, 5, 0.3)
    check(lambda: ops.search_labels(**operand, beam=beam, last=last))
    none = np.zeros_like(operand["squares"])
    zeros = operand | {"squares": none, "entries": np.full_like(operand["entries"], 128), "pairs": operand["pairs"] * np.int8(0)}
    scores = np.array([0.0, -0.0, np.inf, np.nan, -np.inf], np.float32)
    for some in (scores, scores[::-1], scores[2:4].repeat(3)[:5], scores[:2].repeat(3)[:5], scores[[2, 2, 2, 2, 0]]):
        check(lambda some=some: ops.search_labels(**(zeros | {"scores": np.tile(some, (9, 1))}), beam=beam, last=last))
    twos = np.tile(rng.permutation(256).astype(np.float32) // 2, (3, 1))  # few that tie
    check(lambda: ops.search_labels(**(zeros | {"squares": twos}), beam=beam, last=last))
    for value in (np.inf, -np.inf, np.nan, 3e38, -0.0):
        squares = operand["squares"].copy()
        squares[1, rng.random(256) < 0.98] = value
        check(lambda squares=squares: ops.search_labels(**(operand | {"squares": squares}), beam=beam, last=last))


LEAST = np.float32(2.0**-100)  # that a row's largest component counts from


@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf, 3e38, 1e-38, LEAST, np.nextafter(LEAST, np.float32(0))])
def test_labels_of_rows_of_numbers_that_are_none_or_tiny(value):
    rng = np.random.default_rng(4)
    operand = searched(rng, 40, 7, 3, 0, 2, 20.0)
    operand["y"][::3] *= np.float32(1e-36)
    operand["y"][::2, 3] = value
    operand["books"][0, 5:9, 2] = value
    check(lambda: ops.search_labels(**operand, beam=4, last=2))
    operand["y"] = np.zeros_like(operand["y"])
    operand["y"][:, 0] = value
    check(lambda: ops.search_labels(**operand, beam=4, last=2))
    for column in (0, 1):
        factors = operand["factors"].copy()
        factors[1:, column] = value
        check(lambda factors=factors: ops.search_labels(**(operand | {"factors": factors}), beam=4, last=2))


@pytest.mark.parametrize("most", [LEAST, np.nextafter(LEAST, np.float32(0)), np.nextafter(LEAST, np.float32(1))])
def test_labels_of_rows_about_as_small_as_count(most):
    rng = np.random.default_rng(5)
    operand = searched(rng, 40, 7, 2, 0, 1, 20.0)
    for name in ("books", "squares", "scores"):
        operand[name] *= np.float32(0)
    operand["y"] = (most * rng.choice([-1, 1, 0.5], (40, 7))).astype(np.float32)
    check(lambda: ops.search_labels(**operand, beam=4, last=4))


@pytest.mark.parametrize("depth, first", [(3, 2), (33, 31), (34, 33), (64, 62)])
def test_labels_behind_long_paths(depth, first):
    """Differences of all labels, of the largest that there are, one way and the other."""
    rng = np.random.default_rng(depth)
    operand = searched(rng, 70, 5, depth, first, 16, 9.0)
    operand["pairs"][:, ::2], operand["pairs"][:, 1::2] = 127, -128
    operand["paths"][:, 0] = 0
    operand["paths"][:, 1:4] |= np.uint8(1)
    operand["paths"][1::2] ^= np.uint8(1)
    check(lambda: ops.search_labels(**operand, beam=16, last=16))


def test_labels_of_rows_on_the_device():
    from vecpress.cuda import rows
    from vecpress.cuda.memory import DeviceArray

    operand = searched(np.random.default_rng(7), 33, 10, 3, 0, 1, 30.0)
    operand["paths"] = operand["scores"] = None
    y = DeviceArray.of(operand["y"], 0)
    for got, wanted in zip(
        rows.search_labels(**(operand | {"y": y}), beam=4, last=2), ops.search_labels(**operand, beam=4, last=2), strict=True
    ):
        assert same_bits(got.numpy(), wanted)
    assert same_bits(y.numpy(), operand["y"])
    for change, error in (
        ({"books": operand["books"][:, :9]}, r"search_labels: books expected shape \(any, 256, 10\), got"),
        ({"squares": operand["squares"].repeat(2, axis=0)}, "search_labels: expected 1 to 64 books of at most 262144 dim"),
        ({"entries": operand["entries"][:2]}, r"search_labels: entries expected shape \(3, 3, 256, 4\), got"),
        ({"pairs": operand["pairs"][:2]}, r"search_labels: pairs expected shape \(3, 256, 256\), got"),
        ({"paths": np.zeros((33, 17, 0), np.uint8)}, r"search_labels: paths expected 1 to 16 a row, got shape \(33, 17, 0\)"),
        ({"scores": np.zeros((33, 2), np.float32)}, r"search_labels: scores expected shape \(33, 1\), got"),
        ({"beam": 17}, "search_labels: beam expected 1 to 16, got 17"),
        ({"last": 0}, "search_labels: last expected 1 to 16, got 0"),
    ):
        with pytest.raises(ValueError, match=error):
            rows.search_labels(**(operand | {"beam": 4} | change))
    there = DeviceArray.of(np.zeros(768 + 4, np.int8), 0)
    with pytest.raises(ValueError, match="search_labels: squares expected memory at a multiple of 16 bytes, got 0x"):
        rows.search_labels(**(operand | {"squares": Shifted(there, (3, 256), 4)}), beam=4)


class Shifted:
    """float32 numbers on the device that begin some bytes behind where an array does."""

    def __init__(self, array, shape: tuple[int, ...], by: int):
        self.array = array  # whose memory it is
        self.__cuda_array_interface__ = {"shape": shape, "typestr": "<f4", "data": (array.pointer + by, False), "version": 3}


def test_search_labels_refuses_what_it_cannot_do():
    """By the C interface: 11 arrays, n, d, depth, steps, b, beam, last. A count or a pointer at a time."""
    from vecpress.cuda import library
    from vecpress.cuda.memory import DeviceArray

    room = DeviceArray.of(np.zeros(1 << 18, np.uint8), 0)
    good = [*[room.pointer] * 11, 1, 4, 2, 1, 1, 4, 1, None]
    function = library.load().vp_cuda_search_labels
    with library.on(0):
        bad = [(i, None) for i in range(11)] + [(place, room.pointer + 8) for place in (5, 7, 8)]
        bad += [(11, -1), (12, -1), (12, (1 << 18) + 1), (13, 0), (13, 65), (14, 0), (14, 3)]
        bad += [(place, value) for place in (15, 16, 17) for value in (-1, 0, 17)]
        for place, value in bad:
            assert function(*good[:place], value, *good[place + 1 :]) == 1, (place, value)
        assert function(*[None] * 11, 0, *good[12:]) == 0


@pytest.mark.parametrize("window", WINDOWS)
def test_more_words_than_a_launch_takes(window):
    rng = np.random.default_rng(5)
    words = np.stack((rng.integers(1, 3, 450), rng.choice([3, 4], 450)), axis=1).astype(np.uint8)
    y = (40 * rng.standard_normal((35, int(steps_of(words).sum())))).astype(np.float32)
    check(lambda: ops.encode_trellis(y, words, TABLES[window].levels))


def test_trellis_codes_of_rows_on_the_device():
    from vecpress.cuda import rows
    from vecpress.cuda.memory import DeviceArray

    rng, levels = np.random.default_rng(6), TABLES[6].levels
    words = np.array([[8, 1], [5, 3]], np.uint8)
    y = (40 * rng.standard_normal((33, 77))).astype(np.float32)
    codes, values = rows.encode_trellis(DeviceArray.of(y, 0), words, levels)
    for got, wanted in zip((codes.numpy(), values.numpy()), ops.encode_trellis(y, words, levels), strict=True):
        assert same_bits(got, wanted)
    with pytest.raises(ValueError, match="encode_trellis: words expected 1 to 8 bytes"):
        rows.encode_trellis(y, words + np.uint8(4), levels)
    with pytest.raises(ValueError, match=r"encode_trellis: levels expected shape \(4, 64\) or \(4, 256\), got \(4, 32\)"):
        rows.encode_trellis(y, words, levels[:, :32])


def test_arrays_on_the_device_stay_there():
    from vecpress.cuda import rows
    from vecpress.cuda.memory import DeviceArray

    rng = np.random.default_rng(3)
    x, matrix = rng.standard_normal((40, 12)).astype(np.float32), rng.standard_normal((12, 8)).astype(np.float32)
    books = rng.standard_normal((2, 256, 4)).astype(np.float32)
    projected = rows.project(DeviceArray.of(x, 0), matrix)
    assert isinstance(projected, DeviceArray)
    codes = rows.encode_pq(projected, books, False)
    assert np.array_equal(codes.numpy(), ops.encode_pq(ops.project(x, matrix), books))
    labels, distances = rows.assign(projected, books[0].reshape(-1, 8)[:30])
    assert (labels.shape, distances.shape) == ((40,), (40,))
    with pytest.raises(ValueError, match="project: matrix expected shape"):
        rows.project(x, matrix[:5])
    with pytest.raises(TypeError, match="project: x expected a float32 array"):
        rows.project(x.astype(np.float64), matrix)
