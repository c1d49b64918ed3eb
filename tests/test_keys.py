"""Text keys: found, changed and saved in place of ids, in step with the index whatever happens in between."""

import copy
import itertools
import pickle
import threading

import numpy as np
import pytest
from helpers import whole_numbers
from test_interrupts import run_until

import vecpress as vp

DIM = 8


def raw(metric="ip"):
    return vp.Raw(metric=metric).fit(whole_numbers(0, 1))


def names(start, stop):
    return [f"key {i} \N{SNOWMAN}" for i in range(start, stop)]


def filled(n=100, store=None, seed=1):
    index = vp.KeyedIndex(raw(), store)
    index.add(whole_numbers(seed, n), names(0, n))
    return index


def held(index):
    keys = index.keys
    assert len(set(keys)) == len(keys) == len(index)
    return dict(zip(keys, map(bytes, index.codes(keys)), strict=True))


def as_held(keys, x):
    return dict(zip(keys, map(bytes, x), strict=True))


class TestSearch:
    def test_gives_keys_in_place_of_ids(self):
        index, q = filled(), whole_numbers(2, 5)
        plain = vp.Index(raw())
        plain.add(whole_numbers(1, 100))
        scores, ids = plain.search(q, 7)
        got = index.search(q, 7)
        np.testing.assert_array_equal(got[0], scores)
        assert got[1].dtype == object and got[1].tolist() == [[f"key {i} \N{SNOWMAN}" for i in row] for row in ids.tolist()]
        offsets, scores, ids = plain.search_radius(q, 10)
        got = index.search_radius(q, 10)
        assert got[0].tolist() == offsets.tolist() and got[2].tolist() == [f"key {i} \N{SNOWMAN}" for i in ids.tolist()]

    def test_none_where_nothing_was_found(self):
        scores, keys = filled(2).search(whole_numbers(2, 1), 4)
        assert set(keys[0, :2]) == set(names(0, 2)) and keys[0, 2:].tolist() == [None, None] and np.isnan(scores[0, 2:]).all()
        assert vp.KeyedIndex(raw()).search(whole_numbers(2, 3), 2)[1].tolist() == [[None, None]] * 3

    def test_filters(self):
        index, q = filled(), whole_numbers(2, 2)
        some = names(10, 14)
        for allow in (some, tuple(some), np.array(some), np.array(some, object), np.arange(100) // 4 * 4 == 12):
            found = set(index.search(q, 4, allow=allow)[1].ravel())
            assert found == (set(some) if not isinstance(allow, np.ndarray) or allow.dtype != bool else set(names(12, 16)))
        keys = index.search(q, 3, allow=[some[:1], None])[1]
        assert keys[0].tolist() == [some[0], None, None] and keys[1].tolist() == index.search(q[1], 3)[1][0].tolist()
        assert index.search(q, 1, allow=[])[1].tolist() == [[None], [None]]
        with pytest.raises(ValueError, match=r"search: allow: keys .*'no' is unknown"):
            index.search(q, allow=["no"])

    def test_reranking_and_vectors(self):
        x = whole_numbers(1, 100)
        index = vp.KeyedIndex(vp.Sign().fit(x), store=raw())
        index.add(x, names(0, 100))
        np.testing.assert_array_equal(index.vectors(names(5, 9), store=True), x[5:9])
        np.testing.assert_array_equal(index.vectors("key 5 \N{SNOWMAN}"), index.codec.decode(index.codec.encode(x[5:6])))
        keys = index.search(x[:3], 100, rerank=100)[1]
        assert keys.tolist() == [[f"key {i} \N{SNOWMAN}" for i in row] for row in vp.exact(x[:3], x, 100)[1].tolist()]
        by_row = vp.KeyedIndex(vp.Sign().fit(x), store=x)
        by_row.add(keys=names(0, 100))
        assert by_row.search(x[:3], 9, rerank=100)[1].tolist() == keys[:, :9].tolist()
        assert isinstance(index.store, vp.Raw) and by_row.store is x and by_row.store_nbytes == x.nbytes


@pytest.mark.parametrize("seed", range(8))
def test_random_changes_against_a_dictionary(seed, tmp_path):
    rng, index, model = np.random.default_rng(seed), vp.KeyedIndex(raw()), {}
    for step in range(40):
        x, kind = whole_numbers((seed, step), int(rng.integers(0, 60))), rng.integers(4)
        if kind == 0:
            keys = [f"{i}" for i in rng.permutation(2000).tolist() if f"{i}" not in model][: len(x)]
            index.add(x, keys) if step % 2 else index.add_codes(index.codec.encode(x), keys)
            model |= as_held(keys, x)
        elif kind == 1:
            keys = [f"{i}" for i in rng.permutation(2000)[: len(x)]]
            index.upsert(x, keys)
            model |= as_held(keys, x)
        elif kind == 2 and model:
            keys = [str(k) for k in rng.permutation(list(model))[: int(rng.integers(1, len(model) + 1))]]
            index.remove(keys)
            model = {k: v for k, v in model.items() if k not in keys}
        elif kind == 3:
            index.save(tmp_path / "i.vpz")
            index = vp.load(tmp_path / "i.vpz")
        assert held(index) == model
        assert len(index._ids) == len(index._keys) == len(model)
    assert "1" in index or "1" not in model


class TestErrorsChangeNothing:
    @pytest.mark.parametrize(
        ("error", "message", "call"),
        [
            (ValueError, "add: keys expected new .* 'key 3 .' is there already", lambda i, x: i.add(x, ["a", *names(3, 5)])),
            (ValueError, "add: keys expected different keys, 'a' is there twice", lambda i, x: i.add(x, ["a", "b", "a"])),
            (ValueError, "add: keys expected one key for each of 3 vectors, got 2", lambda i, x: i.add(x, ["a", "b"])),
            (TypeError, "add: keys expected a list of str, got NoneType", lambda i, x: i.add(x)),
            (TypeError, "add: keys expected str, got int at 1", lambda i, x: i.add(x, ["a", 1, "b"])),
            (ValueError, "add: keys expected text that UTF-8 can say, got '.udc80'", lambda i, x: i.add(x, ["a", "b", "\udc80"])),
            (ValueError, "add: x .*row 1", lambda i, x: i.add(x * [[1], [np.nan], [1]], ["a", "b", "c"])),
            (ValueError, "add_codes: codes expected code_size=32", lambda i, x: i.add_codes(np.zeros((1, 3), np.uint8), ["a"])),
            (ValueError, "upsert: keys expected different keys, 'a' is there twice", lambda i, x: i.upsert(x, ["a", "b", "a"])),
            (ValueError, "upsert: x .*row 1", lambda i, x: i.upsert(x * [[1], [np.nan], [1]], ["a", *names(3, 5)])),
            (ValueError, "upsert: keys expected one key", lambda i, x: i.upsert(x, ["a"])),
            (ValueError, "remove: keys .*'a' is unknown", lambda i, x: i.remove([*names(0, 2), "a"])),
            (ValueError, "remove: keys expected different keys, 'key 1", lambda i, x: i.remove([*names(0, 2), *names(1, 2)])),
            (TypeError, "remove: keys expected a list of str, got int", lambda i, x: i.remove(3)),
            (ValueError, "codes: keys .*'a' is unknown", lambda i, x: i.codes("a")),
            (ValueError, "vectors: keys .*'a' is unknown", lambda i, x: i.vectors(["a"])),
            (TypeError, "merge: other expected a KeyedIndex, got Index", lambda i, x: i.merge(vp.Index(raw()))),
            (ValueError, "merge: other expected another", lambda i, x: i.merge(i)),
            (ValueError, "merge: keys expected new .* 'key 0 \N{SNOWMAN}' is there already", lambda i, x: i.merge(filled(3))),
            (ValueError, "merge: other expected an index of an equal codec", lambda i, x: i.merge(vp.KeyedIndex(raw("l2")))),
        ],
    )  # fmt: skip
    def test_unchanged(self, error, message, call):
        index = filled(20)
        before, nbytes = held(index), index._index.nbytes
        with pytest.raises(error, match=message):
            call(index, whole_numbers(5, 3))
        assert held(index) == before and (index._index.nbytes, len(index._ids), len(index._keys)) == (nbytes, 20, 20)
        index.add(whole_numbers(5, 3), ["a", "b", "c"])
        assert held(index) == before | as_held("abc", whole_numbers(5, 3))

    @pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_no_copies(self, how):
        with pytest.raises(TypeError, match="save"):
            how(filled(3))

    def test_construction_and_repr(self):
        with pytest.raises(TypeError, match="codec"):
            vp.KeyedIndex("PQ")
        assert repr(filled(3)).startswith("<KeyedIndex of 3 vectors, Raw(")


class TestChanges:
    def test_merge_brings_the_keys(self):
        one, two = filled(20), vp.KeyedIndex(raw())
        two.add(whole_numbers(5, 30), [f"b{i}" for i in range(30)])
        two.remove("b3")
        before = held(two)
        one.merge(two)
        assert held(one) == as_held(names(0, 20), whole_numbers(1, 20)) | before and held(two) == before

    def test_a_key_that_was_removed_is_new(self):
        index = filled(20)
        index.remove(names(3, 5))
        assert names(3, 4)[0] not in index and names(5, 6)[0] in index and 5 not in index
        index.add(whole_numbers(5, 1), names(3, 4))
        assert index.codes(names(3, 4)).tobytes() == whole_numbers(5, 1).tobytes()

    def test_what_an_interrupted_add_left_means_nothing(self):
        """A name that got an id that the index then gave to another."""
        index = filled(20)
        index._learn(["ghost", "other"], [20, 21])
        assert "ghost" not in index
        index.add(whole_numbers(5, 1), ["real"])
        assert "ghost" not in index and "other" not in index and index.keys[-1] == "real"
        for call in (index.remove, index.codes):
            with pytest.raises(ValueError, match="'ghost' is unknown"):
                call("ghost")
        index.upsert(whole_numbers(6, 2), ["ghost", "real"])
        expected = as_held(names(0, 20), whole_numbers(1, 20)) | as_held(["ghost", "real"], whole_numbers(6, 2))
        assert held(index) == expected

    def test_text_of_every_kind(self, tmp_path):
        keys = ["", " ", "a" * 10_000, "\0", "\N{GRINNING FACE}", "\u00e9", "e\u0301", "1", "-1", np.str_("numpy")]
        index = vp.KeyedIndex(raw())
        index.add(whole_numbers(1, len(keys)), keys)
        index.save(tmp_path / "i.vpz")
        for one in (index, vp.load(tmp_path / "i.vpz"), vp.load(tmp_path / "i.vpz", mmap=True)):
            assert one.keys == keys and type(one.keys[-1]) is str
            np.testing.assert_array_equal(one.vectors(keys), whole_numbers(1, len(keys)))

    def test_memory_is_counted(self):
        index = filled(1000)
        assert index.nbytes > 1000 * 4 * DIM + 1000 * (100 + len(names(0, 1)[0]))
        nbytes = index.nbytes
        index.remove(index.keys[10:])
        index.upsert(whole_numbers(1, 10), index.keys)
        assert index.nbytes < nbytes

    CHANGES = {  # noqa: RUF012
        "add": lambda i: i.add(whole_numbers(5, 30), names(200, 230)),
        "upsert": lambda i: i.upsert(whole_numbers(5, 30), names(90, 120)),
        "remove": lambda i: i.remove(names(10, 40)),
        "merge": lambda i: i.merge(other()),
    }

    @pytest.mark.parametrize("change", CHANGES)
    def test_ctrl_c_at_every_line(self, change, tmp_path):
        index, q = filled(), whole_numbers(2, 2)
        before = held(index)
        self.CHANGES[change](index)
        after = held(index)
        assert before != after
        for place in itertools.count():
            index = filled()
            finished = run_until(place, self.CHANGES[change], index)
            state = held(index)
            assert state in (before, after), f"interrupted at line {place}"
            assert set(index.search(q, 300)[1].ravel()) - {None} == set(state)
            for key in (set(before) | set(after)) - set(state):
                assert key not in index
            if place % 10 == 0 or finished:  # as new: what an interrupted call left has no meaning
                index.upsert(whole_numbers(7, 60), names(5, 65))
                index.add(whole_numbers(8, 3), ["x", "y", "z"])
                expected = state | as_held(names(5, 65), whole_numbers(7, 60)) | as_held("xyz", whole_numbers(8, 3))
                assert held(index) == expected
                index.save(tmp_path / "i.vpz")
                assert held(vp.load(tmp_path / "i.vpz")) == expected
            if finished:
                break
        assert place > 20

    def test_searches_find_keys_while_they_come_and_go(self):
        index, stop, failures, q = filled(50), threading.Event(), [], whole_numbers(2, 3)

        def search():
            try:
                while not stop.is_set():
                    found = [key for key in index.search(q, 200)[1][0] if key is not None]
                    assert len(set(found)) == len(found) and len(found) % 5 == 0
                    assert len(index.keys) % 5 == 0
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for i in range(0, 500, 5):
                index.add(whole_numbers(i, 5), names(1000 + i, 1005 + i))
                index.remove(index.keys[:5] if i % 2 else names(1000 + i, 1005 + i))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[0]


def other():
    index = vp.KeyedIndex(raw())
    index.add(whole_numbers(6, 20), [f"other {i}" for i in range(20)])
    return index
