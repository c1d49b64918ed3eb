"""The figures: planted answers, worked by hand or by a peer."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress.bench import measures


def figures(q, x, found, wide, metric="ip"):
    scores, _ = vp.exact(q, x, 10, metric)
    bars = -scores if metric == "l2" else scores
    near, near_wide = (measures.nearness(q, x, ids, metric) for ids in (found, wide))
    return measures.recalls(near, near_wide, bars)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_recall_of_the_truth_and_of_a_planted_part_of_it(base, queries, metric):
    _, ids = vp.exact(queries, base, 120, metric)
    found, wide = ids[:, :10].copy(), ids[:, :100].copy()
    exact = figures(queries, base, found, wide, metric)
    assert (exact.recall, exact.recall_1, exact.recall_wide) == (1, 1, 1) and (exact.hits == 10).all()
    found[:, 7:] = ids[:, 110:113]  # three of ten are wrong
    found[0, 0] = -1  # and one query does not find the nearest
    wide[:, :10] = ids[:, 100:110]
    wide[:, 50] = ids[:, 4]
    part = figures(queries, base, found, wide, metric)
    assert part.hits.tolist() == [6] + [7] * 6
    assert part.recall == 48 / 70 and part.recall_1 == 6 / 7 and part.recall_wide == 7 / 70


def test_ties_count_as_found():
    x = np.repeat(np.eye(8, dtype=np.float32), 30, axis=0)  # thirty equal vectors of each kind
    found = np.arange(20, 30)[None]  # none of the ten with the lowest ids
    assert figures(x[:1], x, found, np.arange(20, 120)[None]).hits.tolist() == [10]
    found = np.array([[0, 1, 30, 31, 60, 61, 90, 91, 120, 121]])
    result = figures(x[:1], x, found, found)
    assert result.hits.tolist() == [2] and result.recall_1 == 1


def test_a_base_of_fewer_than_ten():
    x = np.eye(4, dtype=np.float32)
    result = figures(x, x, vp.exact(x, x, 4)[1], vp.exact(x, x, 4)[1])
    assert result.recall == 1 and result.hits.tolist() == [4] * 4


@pytest.mark.parametrize(
    "found, words",
    [
        (np.zeros((2, 3)), "float64"),
        (np.zeros((2, 2), int), r"shape \(2, 3\).*\(2, 2\)"),
        (np.array([[0, 1, 2], [3, 4, 9]]), "below 9.*got 9 for query 1"),
        (np.array([[0, 1, 2], [3, -2, 5]]), "got -2 for query 1"),
        (np.array([[0, 1, 2], [3, 5, 3]]), "twice for query 1"),
    ],
)
def test_wrong_answers_are_errors(found, words):
    with pytest.raises(ValueError, match=words):
        measures.check_found(found, 2, 3, 9)


def test_missing_answers_are_none():
    np.testing.assert_array_equal(measures.check_found([[4, -1, -1]], 1, 3, 9), [[4, -1, -1]])


def test_digits():
    hits = np.array([0, 3, 10, 9])
    assert measures.to_digits(hits) == "03a9"


def test_ndcg_and_success_by_hand():
    found = np.arange(10)[None].repeat(3, axis=0)
    relevant = [np.array([2, 50]), np.array([], int), np.array([77])]
    ideal = 1 + 1 / np.log2(3)
    assert measures.ndcg(found, relevant) == pytest.approx((0.5 / ideal + 0) / 2)  # the query without labels is left out
    assert measures.success(found, relevant) == 0.5
    assert measures.ndcg(found, [np.array([], int)] * 3) is None


def test_ndcg_is_that_of_scikit_learn():
    ndcg_score = pytest.importorskip("sklearn.metrics").ndcg_score
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((40, 60))
    labels = rng.random((40, 60)) < 0.2
    labels[:, 0] = True
    found = np.argsort(-scores, axis=1)[:, :10]
    ours = measures.ndcg(found, [np.flatnonzero(row) for row in labels])
    assert ours == pytest.approx(ndcg_score(labels.astype(int), scores, k=10), rel=1e-12)


def test_limit_is_seen_by_its_pairs():
    pairs = [np.array([a, b]) for a in range(12) for b in range(a)]
    assert measures.is_limit(pairs)
    assert not measures.is_limit(pairs[:20])
    assert not measures.is_limit([np.array([i]) for i in range(50)])
    assert not measures.is_limit([np.arange(30)])  # one query with many answers joins all pairs, and says nothing


def test_distortion_of_the_mean_is_one():
    x = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    assert measures.distortion(x, np.broadcast_to(x.mean(axis=0), x.shape)) == pytest.approx(1)
    assert measures.distortion(x, x) == 0
    assert measures.distortion(np.ones((3, 2), np.float32), np.ones((3, 2))) == 0


def test_paired_intervals():
    rng = np.random.default_rng(0)
    easy = rng.integers(0, 8, 400) / 10
    gain, low, high = measures.paired_interval(easy + 0.2, easy)
    assert (gain, low, high) == pytest.approx((0.2, 0.2, 0.2))  # paired: how hard a query is does not matter
    gain, low, high = measures.paired_interval(easy + rng.integers(0, 3, 400) / 10, easy + 0.1)
    assert low < gain < high and low < 0 < high and high - low < 0.04
    assert measures.paired_interval(easy, easy[::-1]) == measures.paired_interval(easy, easy[::-1])
    with pytest.raises(ValueError, match="same queries"):
        measures.paired_interval(easy, easy[1:])


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        a, b = rng.binomial(10, 0.8, 200) / 10, rng.binomial(10, 0.75, 200) / 10
        _, low, high = measures.paired_interval(a, b)
        covered += low <= 0.05 <= high
    assert covered >= 86


def test_summaries():
    assert measures.summary([0.5, None, 0.7]) == measures.Summary(0.6, 0.5, 2)
    assert measures.summary([3.0, 1.0], larger_is_better=False) == measures.Summary(2.0, 3.0, 2)
    assert measures.summary([None]) is None
