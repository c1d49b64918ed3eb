"""Rows and queries that are held out, and what they judge."""

from __future__ import annotations

import numpy as np

from vecpress.heldout import JUDGES, LEAST_QUERIES, LEAST_ROWS, Judge, hold_out


def numbered(n: int, d: int = 3) -> np.ndarray:
    return np.repeat(np.arange(n, dtype=np.float32)[:, None], d, axis=1)


def test_queries_are_split_in_halves_and_rows_are_all_there():
    x, queries = numbered(600), numbered(40)
    parts = hold_out(x, queries, 0)
    assert len(parts.judges) == len(parts.known) == 20
    assert sorted([*parts.judges[:, 0], *parts.known[:, 0]]) == list(range(40))
    assert sorted(parts.rows[:, 0]) == list(range(600)) != parts.rows[:, 0].tolist()


def test_without_queries_rows_judge_that_are_then_no_rows():
    parts = hold_out(numbered(600), None, 0)
    assert parts.known is None and len(parts.judges) == 150
    assert sorted([*parts.judges[:, 0], *parts.rows[:, 0]]) == list(range(600))
    assert len(hold_out(numbered(9000), None, 0).judges) == JUDGES


def test_too_few_judge_nothing():
    assert hold_out(numbered(LEAST_ROWS - 1), None, 0) is None
    assert hold_out(numbered(LEAST_ROWS), numbered(LEAST_QUERIES - 1), 0) is None
    assert hold_out(numbered(LEAST_ROWS), numbered(LEAST_QUERIES), 0) is not None


def test_each_seed_draws_its_own():
    one, again, other = (hold_out(numbered(600), numbered(40), seed) for seed in (0, 0, 1))
    assert (one.judges == again.judges).all() and (one.rows == again.rows).all() and (one.judges != other.judges).any()


def test_recall_counts_those_of_the_ten_best_that_are_found():
    rng = np.random.default_rng(0)
    rows, queries = rng.standard_normal((2, 200, 8)).astype(np.float32)
    products, squares = queries @ rows.T, np.square(rows).sum(axis=1)
    for metric in ("ip", "l2"):
        judge = Judge(rows, queries, metric)
        assert judge.recall(products, squares) == 1
        assert judge.recall(-products, -squares) == 0
        scores = 2 * products - squares if metric == "l2" else products
        worst = np.argsort(-scores, axis=1)[:, 5:10]  # of the ten best, five are put last
        moved = products.copy()
        np.put_along_axis(moved, worst, -1e3, axis=1)
        assert judge.recall(moved, squares) == 0.5
