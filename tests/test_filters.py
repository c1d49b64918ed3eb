"""A filter for each query: what each alone would find, in any form, and scanned together where filters are equal."""

import numpy as np
import pytest
from helpers import assert_results, brute_force, whole_numbers

import vecpress as vp
from vecpress.filters import QUERIES

DIM = 8


def filled(n=200, ids=None):
    index = vp.Index(vp.Raw().fit(whole_numbers(0, 1)))
    index.add(whole_numbers(1, n), ids=ids)
    return index


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
@pytest.mark.parametrize("nq", [1, 5, 2 * QUERIES + 3])
def test_each_query_has_its_own(nq, explicit):
    n, rng = 200, np.random.default_rng(nq)
    ids = rng.permutation(2000)[:n] if explicit else np.arange(n)
    index, q, x = filled(n, ids if explicit else None), whole_numbers(2, nq), whole_numbers(1, n)
    masks = rng.random((nq, n)) < rng.choice([0, 0.01, 0.3, 1], (nq, 1))
    found = [brute_force(q[i : i + 1], x[m], ids[m], 9, "ip") for i, m in enumerate(masks)]
    expected = tuple(np.concatenate([one[j] for one in found]) for j in (0, 1))
    lists = [ids[m] for m in masks]
    for allow in (
        masks, list(masks), tuple(masks), lists, [one.tolist() for one in lists],
        [m if i % 2 else one for i, (m, one) in enumerate(zip(masks, lists, strict=True))],
    ):  # fmt: skip
        assert_results(index.search(q, 9, allow=allow), expected)


def test_none_among_them_allows_all_and_a_matrix_of_ids_is_a_row_a_query():
    index, q = filled(), whole_numbers(2, 3)
    alone = index.search(q, 4)
    scores, ids = index.search(q, 4, allow=[None, [5, 7], None])
    assert_results((scores[[0, 2]], ids[[0, 2]]), (alone[0][[0, 2]], alone[1][[0, 2]]))
    assert set(ids[1].tolist()) == {5, 7, -1}
    assert np.sort(index.search(q, 2, allow=np.array([[1, 2], [3, 4], [2, 1]]))[1]).tolist() == [[1, 2], [3, 4], [1, 2]]
    torch = pytest.importorskip("torch")
    mask = torch.zeros((3, 200), dtype=torch.bool)
    mask[torch.arange(3), torch.arange(3)] = True
    assert index.search(q, 1, allow=mask)[1].tolist() == [[0], [1], [2]]


def test_equal_filters_are_scanned_together(monkeypatch):
    index, q = filled(), whole_numbers(2, 90)
    expected = index.search(q, 4, allow=[3, 5, 8])
    calls = []
    search = vp.Query.search
    monkeypatch.setattr(vp.Query, "search", lambda self, *args: calls.append(len(self.rows)) or search(self, *args))
    for shared in ([[3, 5, 8]] * 90, [[3, 5, 8] for _ in range(90)], [np.array([3, 5, 8]) for _ in range(90)]):
        calls.clear()
        assert_results(index.search(q, 4, allow=shared), expected)
        assert calls == [QUERIES, 90 - QUERIES]
    calls.clear()
    index.search(q, 4, allow=[[i % 3] for i in range(90)])
    assert calls == [30, 30, 30]


def test_with_reranking():
    x = whole_numbers(1, 200)
    index = vp.Index(vp.Sign().fit(x), store=vp.Raw().fit(x))
    index.add(x)
    q = whole_numbers(2, 6)
    allow = [np.arange(i, 200, 7) for i in range(6)]
    got = index.search(q, 3, rerank=20, allow=allow)
    for i in range(6):
        assert_results((got[0][i : i + 1], got[1][i : i + 1]), index.search(q[i], 3, rerank=20, allow=allow[i]))


@pytest.mark.parametrize(
    ("error", "message", "allow"),
    [
        (ValueError, "allow expected one filter for each of 3 queries, got 2", [[1], [2]]),
        (ValueError, r"allow\[1\] expected ids that the index holds, 900 is unknown", [[1], [900], [2]]),
        (ValueError, r"allow\[2\] expected a mask of shape \(200,\), got \(3,\)", [None, [1], [True, False, True]]),
        (ValueError, r"allow\[0\] expected a mask of shape", np.ones((3, 3), bool)),
        (TypeError, r"allow\[1\] expected int64 ids", [[1], [0.5], [2]]),
        (TypeError, r"allow\[1\] expected int64 ids", [[1], "ab", [2]]),
        (TypeError, "allow expected int64 ids", [1, [2], [3]]),
        (ValueError, "allow expected one id or a vector", np.zeros((1, 1, 1), int)),
    ],
)
def test_errors(error, message, allow):
    with pytest.raises(error, match=f"search: {message}"):
        filled().search(whole_numbers(2, 3), allow=allow)
