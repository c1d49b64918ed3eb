"""The compiled map from ids to rows against a dictionary, and ids as callers hand them in."""

import numpy as np
import pytest

from vecpress import native
from vecpress.idmap import as_ids, first_repeated


@pytest.mark.parametrize("stride", [1, 16, 1 << 40], ids=["dense", "strided", "far"])
@pytest.mark.parametrize("universe", [20, 200, 3000])
@pytest.mark.parametrize("seed", range(6))
def test_against_a_dictionary(seed, universe, stride):
    rng = np.random.default_rng((seed, universe))
    ids_map, model = native.id_map(), {}

    def draw(most):
        return rng.integers(0, universe, int(rng.integers(0, most))) * stride

    for _ in range(60):
        kind = rng.integers(4)
        if kind < 2:
            ids, first = draw(40) if kind else np.unique(draw(400)), int(rng.integers(1 << 40))
            seen, known = set(model), -1
            for place, one in enumerate(ids.tolist()):
                if one in seen:
                    known = place
                    break
                seen.add(one)
            assert ids_map.insert(ids, first) == known
            if known < 0:
                model.update({one: first + place for place, one in enumerate(ids.tolist())})
        elif kind == 2:
            ids = draw(30)
            ids_map.erase(ids)
            for one in ids.tolist():
                model.pop(one, None)
        else:
            ids = draw(10)
            ids_map.set_rows(ids, np.arange(len(ids)) + 7)
            model.update({one: row + 7 for row, one in enumerate(ids.tolist()) if one in model})
        everything = np.arange(-1, universe + 1) * stride
        assert ids_map.rows(everything).tolist() == [model.get(one, -1) for one in everything.tolist()]
        assert len(ids_map) == len(model)


def test_memory_per_id_and_given_back():
    ids_map = native.id_map()
    assert ids_map.nbytes == 0 and ids_map.rows(np.array([1])).tolist() == [-1]
    ids = np.arange(100_000)
    ids_map.insert(ids, 0)
    assert 21 * len(ids) <= ids_map.nbytes <= 43 * len(ids)
    ids_map.erase(ids[10:])
    assert ids_map.nbytes < 1000 and ids_map.rows(ids[:11]).tolist() == [*range(10), -1]


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros(3, np.int32), [1, 2], np.zeros((2, 2), np.int64)], ids=repr)
def test_the_map_takes_vectors_of_int64_only(bad):
    for call in (lambda m: m.insert(bad, 0), lambda m: m.rows(bad), lambda m: m.erase(bad)):
        with pytest.raises((TypeError, ValueError)):
            call(native.id_map())


def test_negative_rows_are_refused():
    with pytest.raises(ValueError, match="first_row"):
        native.id_map().insert(np.array([1]), -1)
    with pytest.raises(ValueError, match="rows"):
        native.id_map().set_rows(np.array([1]), np.array([-1]))


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        (3, [3]),
        ([], []),
        ((2, 1), [2, 1]),
        (np.uint64(2**63 - 1), [2**63 - 1]),
        (np.array([1, 0], ">i2"), [1, 0]),
        (range(2), [0, 1]),
    ],
    ids=repr,
)
def test_ids_of_any_kind(values, ids):
    got = as_ids(values, "call: ids")
    assert got.dtype == np.int64 and got.tolist() == ids


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (None, TypeError, "got"), ("12", TypeError, "got"), ([1.5], TypeError, "float64"),
        ([True], TypeError, "bool"), ([1, 2**80], TypeError, "object"),
        (np.zeros(0, bool), TypeError, "bool"), ([[1]], ValueError, r"\(1, 1\)"),
        ([4, -3, -5], ValueError, "-3"), (np.array([2**63], np.uint64), ValueError, str(2**63)),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_id(values, error, message):
    with pytest.raises(error, match="call: ids.*" + message):
        as_ids(values, "call: ids")


@pytest.mark.parametrize(
    ("ids", "first"),
    [([], None), ([5], None), ([3, 1, 2], None), ([1, 2, 1], 1), ([4, 7, 2, 2, 7, 7], 2), ([0, 0], 0)],
)
def test_first_repeated(ids, first):
    assert first_repeated(np.array(ids, np.int64)) == first


@pytest.mark.parametrize("seed", range(20))
def test_first_repeated_of_many(seed):
    ids = np.random.default_rng(seed).integers(0, 2000, 300)
    seen, expected = set(), None
    for one in ids.tolist():
        if one in seen:
            expected = one
            break
        seen.add(one)
    assert first_repeated(ids) == expected
