"""Success and nDCG: worked by hand, against scikit-learn where it is there, and what is refused."""

import math

import numpy as np
import pytest

import vecpress as vp

IDS = np.array([[4, 7, 1, 9], [0, 2, 3, 5], [8, 6, -1, -1], [1, 2, 3, 4]])
RELEVANT = [[7, 9, 30], [11], [], [1]]


def test_success_by_hand():
    assert vp.success(IDS, RELEVANT, 4) == pytest.approx(2 / 3)  # the third query has no label
    assert vp.success(IDS, RELEVANT, 1) == pytest.approx(1 / 3)
    np.testing.assert_array_equal(vp.success(IDS, RELEVANT, 2, each=True), [1, 0, np.nan, 1])


def test_ndcg_by_hand():
    first = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))  # ranks 2 and 4 of 3 relevant
    np.testing.assert_allclose(vp.ndcg(IDS, RELEVANT, 4, each=True), [first, 0, np.nan, 1])
    assert vp.ndcg(IDS, RELEVANT, 4) == pytest.approx((first + 1) / 3)
    # the best that k = 2 can hold is two of the three
    assert vp.ndcg(IDS[:1], RELEVANT[:1], 2) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))


def test_a_perfect_search_has_one_and_its_reverse_less():
    relevant = [np.arange(3), np.arange(30)]
    best = np.tile(np.arange(10), (2, 1))
    assert vp.ndcg(best, relevant) == 1 and vp.success(best, relevant) == 1
    assert vp.ndcg(best[:, ::-1], relevant, each=True)[0] < 1


def test_repeats_count_once():
    assert vp.ndcg([[5, 5, 5]], [[5, 5]], 3) == 1
    assert vp.ndcg([[1, 5, 5]], [[5, 6]], 3) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))


def test_nothing_found_counts_nothing():
    assert vp.ndcg([[-1, -1]], [[0]], 2) == 0 and vp.success([[-1, -1]], [[0]], 2) == 0


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((40, 25)), rng.random((40, 25)) < 0.2
    labels[:, 0] = True
    ids = np.argsort(-scores, axis=1)
    relevant = [np.flatnonzero(row) for row in labels]
    for k in (1, 3, 10, 25):
        assert vp.ndcg(ids, relevant, k) == pytest.approx(metrics.ndcg_score(labels, scores, k=k))


@pytest.mark.parametrize("call", [vp.success, vp.ndcg])
def test_bad_input(call):
    name = call.__name__
    with pytest.raises(ValueError, match=f"{name}: relevant expected ids for each of 4 queries, got 3"):
        call(IDS, RELEVANT[:3], 4)
    with pytest.raises(TypeError, match=f"{name}: relevant expected int64 ids for each query, got float64 of shape .* query 1"):
        call(IDS, [[1], [0.5], [2], [3]], 4)
    with pytest.raises(TypeError, match=f"{name}: relevant expected int64 ids for each query, got .* query 0"):
        call(IDS, [3, [1], [1], [1]], 4)
    with pytest.raises(TypeError, match=f"{name}: relevant expected int64 ids .* query 2"):
        call(IDS, [[1], [1], "1", [1]], 4)
    with pytest.raises(ValueError, match=rf"{name}: relevant expected ids of 0 to 2\^63 - 1, got -1 to "):
        call(IDS, [[-1], [1], [1], [1]], 4)
    with pytest.raises(ValueError, match=f"{name}: relevant expected at least one id, got none"):
        call(IDS, [[]] * 4, 4)
    with pytest.raises(TypeError, match=f"{name}: relevant expected a list of ids for each query, got int"):
        call(IDS, 3, 4)
    with pytest.raises(ValueError, match=f"{name}: ids expected a matrix of 10 or more columns"):
        call(IDS, RELEVANT)
    with pytest.raises(TypeError, match=f"{name}: ids expected int64 ids"):
        call(IDS.astype(float), RELEVANT, 4)
    with pytest.raises(ValueError, match=f"{name}: k expected"):
        call(IDS, RELEVANT, 0)
