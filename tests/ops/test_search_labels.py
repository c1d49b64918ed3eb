"""What search_labels promises: nearest entries, planted sums, ties, what is left, the same alone and in a batch."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress import dispatch, ops
from vecpress.ops.search_labels import MOST_DIMENSIONS
from vecpress.residual import best_labels, search_steps, sums, whole_steps

F = np.float32


@pytest.fixture(params=dispatch.operations()["search_labels"])
def backend(request, need_backend):
    need_backend(request.param)
    with vp.use(request.param):
        yield


def some_books(depth, d, seed=0):
    """Each a quarter as long as the one before."""
    books = np.random.default_rng(seed).standard_normal((depth, 256, d))
    return (books / 4.0 ** np.arange(depth)[:, None, None]).astype(F)


def test_by_hand(backend):
    """Entries -128 .. 127 in one dimension: 63 is its own number, 63 - 63 is nothing, of 62 and 64 the lower label is first."""
    entries = np.zeros((1, 1, 256, 4), np.uint8)
    entries[0, 0, :, 0] = np.arange(256)
    values = np.arange(-128, 128, dtype=F)
    books, factors, squares = values.reshape(1, 256, 1), np.array([[-2 / 63, 0.5]], F), np.square(values)[None]
    y, none = np.array([[63]], F), np.zeros((0, 256, 256), np.int8)
    paths, scores, rest = ops.search_labels(y, books, entries, factors, squares, none, 4, last=4)
    assert paths[0, :, 0].tolist() == [191, 190, 192, 189] and rest.tolist() == [[0]]
    np.testing.assert_allclose(scores[0], [0, 1, 1, 4], atol=1e-3)
    # another step from paths 191, which leaves 0, and 190: half of pairs' differences, and scores
    pairs = np.zeros((1, 256, 256), np.int8)
    pairs[0, 190, 7], pairs[0, 191, 7] = -100, 20
    paths, scores, rest = ops.search_labels(
        y, np.repeat(books, 2, axis=0), entries, factors, np.full((1, 256), 9, F), pairs, 4, last=2,
        paths=np.array([[[191], [190]]], np.uint8), scores=np.array([[1, 2]], F),
    )  # fmt: skip
    assert paths.tolist() == [[[190, 7], [191, 0]]] and scores.tolist() == [[0, 60 - 1]] and rest.tolist() == [[63 - 62 + 121]]


def test_planted_sums_are_found(backend):
    books = some_books(4, 40)
    labels = np.random.default_rng(1).integers(0, 256, (100, 4), dtype=np.uint8)
    y = sums(books, labels)
    paths, _, rest = ops.search_labels(y, *whole_steps(books, 1), 8)
    assert (paths[:, 0] == labels).all() and np.abs(rest).max() < 1e-5


def test_errors_are_about_those_of_a_search_in_float32():
    books, y = some_books(3, 64), np.random.default_rng(1).standard_normal((500, 64), dtype=F)
    paths, scores, rest = ops.search_labels(y, *whole_steps(books, 1), 4, last=4)
    error = np.square(rest).sum(axis=1)
    expected = np.square(y - sums(books, best_labels(y, search_steps(books, 1), 4, 1))).sum(axis=1)
    assert error.mean() < 1.002 * expected.mean()
    others = np.square(y - sums(books, paths[:, 3])).sum(axis=1)
    assert not scores[:, 0].any()
    np.testing.assert_allclose(scores[:, 3], others - error, atol=0.01 * np.square(y).sum(axis=1).max())
    np.testing.assert_allclose(rest, y - sums(books, paths[:, 0]), atol=1e-5)


def test_what_a_strong_axis_leaves_is_searched_as_finely(backend):
    """Of a component a thousand times the others the first label takes all; the others decide the second."""
    rng = np.random.default_rng(3)
    books = np.zeros((2, 256, 9), F)
    books[0, :, 0] = 1000 * (np.arange(256) % 8)
    books[1, :, 1:] = rng.standard_normal((256, 8))
    labels = rng.integers(0, 8, (50, 2), dtype=np.uint8)
    labels[:, 1] += rng.integers(0, 248, 50).astype(np.uint8)
    assert (ops.search_labels(sums(books, labels), *whole_steps(books, 1), 1)[0][:, 0] == labels).all()


def test_one_dimension_is_searched_nearly_as_well_as_by_float32():
    """256 entries side by side, but 127 steps either way: an entry beside the nearest is the worst."""
    books = np.linspace(-1, 1, 256, dtype=F).reshape(1, 256, 1)
    y = np.random.default_rng(0).uniform(-1, 1, (500, 1)).astype(F)
    assert np.abs(ops.search_labels(y, *whole_steps(books, 1), 1)[2]).max() < 2 * 2 / 255


def test_of_equals_the_earlier_path_then_the_lower_label(backend):
    steps = whole_steps(np.zeros((2, 256, 3), F), 1, 1)
    paths = np.array([[[5], [3], [9]]], np.uint8)
    found, scores, _ = ops.search_labels(np.ones((1, 3), F), *steps, 4, last=16, paths=paths, scores=np.zeros((1, 3), F))
    assert found[0].tolist() == [[5, label] for label in range(16)] and not scores.any()
    scores = np.array([[1, 1, 0]], F)
    assert ops.search_labels(np.ones((1, 3), F), *steps, 4, paths=paths, scores=scores)[0].tolist() == [[[9, 0]]]


def test_rows_are_found_alone_as_in_a_batch(backend):
    books, y = some_books(5, 13), np.random.default_rng(2).standard_normal((131, 13), dtype=F)
    steps = whole_steps(books, 1)
    together = ops.search_labels(y, *steps, 4, last=2)
    for i in (0, 1, 95, 96, 130):
        for whole, alone in zip(together, ops.search_labels(y[i : i + 1], *steps, 4, last=2), strict=True):
            assert (whole[i] == alone[0]).all()


def test_a_search_goes_on_where_another_stopped(backend):
    books, y = some_books(4, 20), np.random.default_rng(2).standard_normal((60, 20), dtype=F)
    paths, scores, _ = ops.search_labels(y, *whole_steps(books[:2], 1), 4, last=4)
    parts = ops.search_labels(y, *whole_steps(books, 1, 2), 4, paths=paths, scores=scores)
    for one, other in zip(parts, ops.search_labels(y, *whole_steps(books, 1), 4), strict=True):
        assert (one == other).all()


def test_no_rows(backend):
    paths, scores, rest = ops.search_labels(np.zeros((0, 3), F), *whole_steps(some_books(2, 3), 1), 4, last=3)
    assert paths.shape == (0, 3, 2) and scores.shape == (0, 3) and rest.shape == (0, 3)


@pytest.mark.parametrize("unit", [np.inf, -np.inf, np.nan, 0.0])
def test_pairs_worth_any_number(unit, backend):
    """Also of path 0, which has none: 0 times no number is none, and counts as infinity."""
    books = some_books(3, 20)
    operand = [np.random.default_rng(1).standard_normal((70, 20), dtype=F), *whole_steps(books, 1)]
    operand[3] = operand[3].copy()
    operand[3][1:, 1] = unit
    found = ops.search_labels(*operand, 3, last=3)
    with vp.use("reference"):
        for got, expected in zip(found, ops.search_labels(*operand, 3, last=3), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_columns_are_bounded():
    d = MOST_DIMENSIONS + 1
    with pytest.raises(ValueError, match=f"y expected at most {d - 1} columns, got {d}"):
        ops.search_labels(np.zeros((0, d), F), np.zeros((1, 256, 0), F), *[np.zeros(0)] * 4, 1)
