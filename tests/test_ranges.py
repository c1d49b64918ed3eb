"""Range search: everything within the radius and nothing else, best first, by brute force."""

import numpy as np
import pytest
from helpers import whole_numbers

import vecpress as vp
from vecpress import ranges

DIM = 8


def filled(n=200, metric="ip", ids=None):
    index = vp.Index(vp.Raw(metric=metric).fit(whole_numbers(0, 1)))
    index.add(whole_numbers(1, n), ids=ids)
    return index


def expected(q, x, ids, radius, metric):
    """The definition, in float64."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    all_scores = ((q[:, None] - x) ** 2).sum(axis=2) if metric == "l2" else q @ x.T
    offsets, scores, found = [0], [], []
    for row, bound in zip(all_scores, np.broadcast_to(radius, len(q)), strict=True):
        key = row if metric == "l2" else -row
        order = [i for i in np.lexsort((ids, key)) if key[i] <= (bound if metric == "l2" else -bound)]
        scores += row[order].tolist()
        found += ids[order].tolist()
        offsets.append(len(found))
    return offsets, scores, found


def assert_same(got, wanted):
    offsets, scores, ids = got
    assert (offsets.dtype, scores.dtype, ids.dtype) == (np.int64, np.float32, np.int64)
    assert (offsets.tolist(), scores.tolist(), ids.tolist()) == wanted


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("n", [0, 1, 64, 500])
@pytest.mark.parametrize("first", [1, 3, 128])
def test_equals_brute_force(first, n, metric, explicit, monkeypatch):
    monkeypatch.setattr(ranges, "FIRST", first)
    monkeypatch.setattr(ranges, "GROWTH", 2)
    ids = np.random.default_rng(0).permutation(10 * n)[:n] if explicit else np.arange(n)
    index, q, x = filled(n, metric, ids if explicit else None), whole_numbers(2, 70), whole_numbers(1, n)
    for radius in (-1000, -3, 0, 20.0, 21, 60.5, 1e9, np.inf, -np.inf):
        assert_same(index.search_radius(q, radius), expected(q, x, ids, radius, metric))
    each = np.random.default_rng(1).integers(-30, 90, 70)
    assert_same(index.search_radius(q, each), expected(q, x, ids, each, metric))
    allowed = np.random.default_rng(2).random(n) < 0.4
    assert_same(index.search_radius(q, 5, allow=ids[allowed]), expected(q, x[allowed], ids[allowed], 5, metric))
    mask = np.random.default_rng(3).random((70, n)) < 0.5
    got = index.search_radius(q, 5, allow=mask)
    parts = [expected(q[i : i + 1], x[mask[i]], ids[mask[i]], 5, metric) for i in range(70)]
    assert got[2].tolist() == [i for part in parts for i in part[2]]
    assert np.diff(got[0]).tolist() == [part[0][1] for part in parts]


@pytest.mark.parametrize("symmetric", [False, True], ids=["adc", "sdc"])
@pytest.mark.parametrize("codec", [c for cls in vp.codecs() for c in cls.examples()], ids=repr)
@pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")
def test_is_the_head_of_a_search_for_every_codec(codec, symmetric, base, queries, on_base):
    index = vp.Index(on_base(codec))
    index.add(base)
    scores, ids = index.search(queries, len(base), symmetric=symmetric)
    for place in (0, 40, 399):
        radius = scores[:, place]
        offsets, near, found = index.search_radius(queries, radius, symmetric=symmetric)
        for i in range(len(queries)):
            inside = scores[i] <= radius[i] if codec.metric == "l2" else scores[i] >= radius[i]
            assert inside.sum() > place or codec.metric != "l2"
            part = slice(offsets[i], offsets[i + 1])
            assert found[part].tolist() == ids[i, inside].tolist() and near[part].tolist() == scores[i, inside].tolist()


def test_the_bound_is_not_rounded():
    """A score of float32 0.1 is more than 0.1, one of float32 0.3 more than 0.3 too; both by a rounding."""
    x = np.array([[0.1], [0.3]], np.float32)
    index = vp.Index(vp.Raw().fit(x))
    index.add(x)
    one = np.ones((1, 1))
    for value, there in ((0.1, 2), (float(np.float32(0.1)), 2), (np.nextafter(float(np.float32(0.1)), 1), 1), (0.3, 1)):
        assert len(index.search_radius(one, value)[2]) == there, value


def test_tables_stay_small(monkeypatch):
    """However much is found, no more than so many results are looked for at a time."""
    monkeypatch.setattr(ranges, "TABLE_NBYTES", 12 * 1000)
    sizes = []
    search = vp.Query.search

    def watched(self, blocks, k, *args):
        out = search(self, blocks, k, *args)
        sizes.append(out[0].size)
        return out

    monkeypatch.setattr(vp.Query, "search", watched)
    index, q = filled(3000), whole_numbers(2, 20)
    q[7] = 0  # every vector is within
    offsets, _, ids = index.search_radius(q, 0)
    assert max(sizes[:-1]) <= 3000 and np.diff(offsets)[7] == 3000
    assert sorted(ids[offsets[7] : offsets[8]].tolist()) == list(range(3000))


def test_one_query_none_and_torch():
    index = filled()
    assert index.search_radius(whole_numbers(2, 1)[0], 3)[0].shape == (2,)
    offsets, scores, ids = index.search_radius(np.zeros((0, DIM)), 3)
    assert offsets.tolist() == [0] and scores.shape == ids.shape == (0,)
    torch = pytest.importorskip("torch")
    got = index.search_radius(torch.from_numpy(whole_numbers(2, 3)), 3)
    for one, two in zip(got, index.search_radius(whole_numbers(2, 3), 3), strict=True):
        np.testing.assert_array_equal(one.numpy(), two)


def test_a_distance_of_zero_has_no_sign():
    scores = filled(20, "l2").search_radius(whole_numbers(1, 3), 0)[1]
    assert len(scores) >= 3 and (scores == 0).all() and not np.signbit(scores).any()


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (TypeError, "radius expected a number", ("3",)),
        (TypeError, "radius expected a number", (None,)),
        (TypeError, "radius expected a number", (True,)),
        (ValueError, "radius expected numbers, got nan", (np.nan,)),
        (ValueError, "one for each of 4 queries, got shape", ([1.0, 2.0],)),
        (ValueError, "search_radius: allow .* 900 is unknown", (3, [900])),
    ],
)
def test_errors(error, message, arguments):
    radius, *allow = arguments
    with pytest.raises(error, match=message):
        filled().search_radius(whole_numbers(2, 4), radius, allow=allow[0] if allow else None)
    with pytest.raises(ValueError, match=r"search_radius: q .*row 1"):
        filled().search_radius(np.where(np.arange(32).reshape(4, 8) == 9, np.nan, 1), 3)
