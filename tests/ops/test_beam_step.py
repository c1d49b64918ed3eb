"""What beam_step promises: totals by hand, their order, ties, what is no number, and the best of all sums where nothing is dropped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from calls import some_paths

import vecpress as vp
from vecpress import dispatch, ops

F = np.float32


@pytest.fixture(params=dispatch.operations()["beam_step"])
def backend(request, need_backend):
    need_backend(request.param)
    with vp.use(request.param):
        yield


def step(costs, pairs, paths, scores, keep):
    """One row; lists back."""
    ks = len(costs)
    grown, best = ops.beam_step(
        np.array([costs], F), np.array(pairs, F).reshape(-1, ks), np.array([paths], np.uint8), np.array([scores], F), keep
    )
    return grown[0].tolist(), best[0].tolist()


def test_by_hand(backend):
    pairs = [[0, 10, 20], [1, 11, 21], [2, 12, 22]]  # of labels 0, 1, 2 with the new ones
    # path [2]: 5 + 2 - 4, 6 + 12 - 4, 7 + 22 - 4; path [0]: 5 + 0 + 0, 6 + 10, 7 + 20
    assert step([5, 6, 7], pairs, [[2], [0]], [-4, 0], 3) == ([[2, 0], [0, 0], [2, 1]], [3, 5, 14])
    assert step([5, 6, 7], [], [[]], [1], 2) == ([[0], [1]], [6, 7])


def test_few_continuations_are_all_kept(backend):
    assert step([2, 1], [], [[]], [0], 256) == ([[1], [0]], [1, 2])


def test_of_equals_the_earlier_path_then_the_lower_label(backend):
    paths = [[2], [1], [0]]
    expected = [[path[0], label] for path in paths for label in range(3)]
    for keep in range(1, 10):
        assert step([0.5] * 3, np.zeros((3, 3)), paths, [1] * 3, keep) == (expected[:keep], [1.5] * keep)
    # zeros of either sign are equal, and keep their sign
    grown, best = step([0.0, -0.0], [], [[]], [-0.0], 2)
    assert grown == [[0], [1]] and np.signbit(best).tolist() == [False, True]


def test_additions_are_in_order(backend):
    """cost + pairs of label 0 + pairs of label 1 + score: 2^24 swallows a 1 that is added to it."""
    huge = float(2**24)
    for costs, first, second, score, total in ((huge, 1, -huge, 0, 0), (1, huge, -huge, 0, 0), (huge, -huge, 1, 0, 1), (1, 0, 0, huge, huge)):
        assert step([costs], [[first], [second]], [[0, 0]], [score], 1) == ([[0, 0, 0]], [total])


def test_what_is_no_number_is_last(backend):
    nan, inf = np.nan, np.inf
    grown, best = step([nan, 3, inf, -inf, 2], [], [[]], [0], 5)
    assert grown == [[3], [4], [1], [0], [2]] and best == [-inf, 2, 3, inf, inf]
    costs = np.full(40, nan)
    costs[33] = 1
    assert step(costs, [], [[]], [0], 4) == ([[33], [0], [1], [2]], [1, inf, inf, inf])


def test_no_rows(backend):
    grown, best = ops.beam_step(np.zeros((0, 4), F), np.zeros((8, 4), F), np.zeros((0, 5, 2), np.uint8), np.zeros((0, 5), F), 3)
    assert grown.shape == (0, 3, 3) and best.shape == (0, 3)


def test_a_beam_of_everything_finds_the_least_of_all_sums(backend):
    """Three codebooks of four entries: every path is kept, so the first is the vector's best sum."""
    rng = np.random.default_rng(0)
    books, x = rng.integers(-9, 10, (3, 4, 6)).astype(F), rng.integers(-9, 10, (20, 6)).astype(F)
    paths, scores = np.zeros((20, 1, 0), np.uint8), np.zeros((20, 1), F)
    for j, book in enumerate(books):
        costs = np.square(book).sum(axis=1) - 2 * x @ book.T
        pairs = 2 * books[:j].reshape(-1, 6) @ book.T
        paths, scores = ops.beam_step(costs, pairs, paths, scores, 256)
    assert paths.shape == (20, 64, 3)
    errors = {labels: np.square(x - sum(books[j, labels[j]] for j in range(3))).sum(axis=1) for labels in itertools.product(range(4), repeat=3)}
    least = np.min(list(errors.values()), axis=0)
    assert (scores[:, 0] == least - np.square(x).sum(axis=1)).all()
    assert all(errors[tuple(path[0])][i] == least[i] for i, path in enumerate(paths.tolist()))
    assert (np.diff(scores, axis=1) >= 0).all()
    assert all(len({tuple(path) for path in row}) == 64 for row in paths.tolist())


@pytest.mark.parametrize("labels", [1, 7, 8, 9, 16, 23, 62, 63])
def test_paths_that_begin_alike_have_the_totals_that_each_has_alone(labels, backend):
    rng = np.random.default_rng(labels)
    costs, pairs = rng.standard_normal((1, 21)).astype(F), rng.standard_normal((labels * 21, 21)).astype(F)
    paths, scores = some_paths(labels, 1, 12, labels, 21), rng.standard_normal((1, 12)).astype(F)
    grown, best = ops.beam_step(costs, pairs, paths, scores, 252)
    alone = [ops.beam_step(costs, pairs, paths[:, [p]].copy(), scores[:, [p]].copy(), 21)[1][0] for p in range(12)]
    assert best.tobytes() == np.sort(np.concatenate(alone))[None].tobytes()
    assert grown.shape == (1, 252, labels + 1)
