"""Changes of an index beyond adding and removing: upsert and merge, by a dictionary; errors change nothing; locks and threads."""

import threading

import numpy as np
import pytest
from helpers import assert_results, brute_force, whole_numbers

import vecpress as vp
from vecpress import contents

DIM = 8


def raw(metric="ip"):
    return vp.Raw(metric=metric).fit(whole_numbers(0, 1))


def filled(n=200, ids=None, seed=1):
    index = vp.Index(raw())
    index.add(whole_numbers(seed, n), ids=ids)
    return index


def held(index):
    ids = index.ids
    return dict(zip(ids.tolist(), map(bytes, index.codes(ids)), strict=True))


def as_held(ids, x):
    return dict(zip(np.asarray(ids).tolist(), map(bytes, x), strict=True))


class TestUpsert:
    @pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 300])
    def test_replaces_and_appends(self, n):
        index, x = filled(100), whole_numbers(5, n)
        ids = np.random.default_rng(n).permutation(400)[:n]
        index.upsert(x, ids)
        assert held(index) == as_held(range(100), whole_numbers(1, 100)) | as_held(ids, x)
        expected = [*range(100), *(i for i in ids.tolist() if i >= 100)]
        assert index.ids.tolist() == expected  # known ids keep their rows
        model = held(index)
        stored = np.array([np.frombuffer(model[i], np.float32) for i in expected])
        q = whole_numbers(2, 3)
        assert_results(index.search(q, 9), brute_force(q, stored, np.array(expected), 9, "ip"))
        index.add(x[:1])
        assert n == 0 or index.ids[-1] == max(expected) + 1

    def test_of_known_ids_takes_no_memory_when_it_is_done(self):
        index = filled(6400)
        index.upsert(whole_numbers(2, 6400), np.arange(6400))
        assert index.nbytes <= 1.13 * 6400 * 4 * DIM
        assert held(index) == as_held(range(6400), whole_numbers(2, 6400))

    def test_one_by_one(self):
        index, x = vp.Index(raw()), whole_numbers(3, 500)
        for i, row in enumerate(x):
            index.upsert(row, i % 300)
        assert held(index) == as_held(range(300), np.concatenate((x[300:], x[200:300])))
        assert index.nbytes <= 2 * 300 * 4 * DIM

    def test_searches_see_all_or_nothing_of_it(self):
        """Every vector is worth the same at any time: its version."""
        n, d = 3000, 256  # read and moved for long enough to meet
        index, ids = vp.Index(vp.Raw().fit(np.ones((1, d)))), np.arange(0, 3 * n, 3)
        ones = np.ones((n, d), np.float32)
        index.add(ones, ids)
        stop, failures = threading.Event(), []

        def search():
            try:
                while not stop.is_set():
                    scores, found = index.search(ones[:1], n)
                    assert len(np.unique(scores)) == 1 and len(np.unique(found)) == n
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for version in range(2, 60):
                index.upsert(ones * version, np.roll(ids, version))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.add(whole_numbers(5, 3)), lambda i: i.upsert(whole_numbers(5, 3), [1, 2, 900]), lambda i: i.remove([1, 2]),
        lambda i: i.merge(filled(3), renumber=True),
    ],
)  # fmt: skip
def test_nobody_reads_while_a_change_ends(change):
    """The step that ends a change runs while no search can enter: the moment is too short to be met by chance."""
    index, entered = filled(), []

    class Watched:
        def __init__(self, table):
            self.table = table

        def __getattr__(self, name):
            if name not in ("append", "upsert", "remove"):
                return getattr(self.table, name)

            def step(*arguments):
                reader = threading.Thread(target=lambda: entered.append(len(index.ids)), daemon=True)
                reader.start()
                reader.join(0.2)
                assert reader.is_alive() and not entered, "a search came in"
                readers.append(reader)
                return getattr(self.table, name)(*arguments)

            return step

        def __len__(self):
            return len(self.table)

    readers = []
    index._contents.ids = Watched(index._contents.ids)
    change(index)
    readers[0].join(30)
    assert entered == [len(index)]


class TestMerge:
    @pytest.mark.parametrize("piece", [1, 64, 1 << 16])
    @pytest.mark.parametrize("renumber", [False, True])
    def test_moves_the_codes(self, renumber, piece, monkeypatch):
        monkeypatch.setattr(contents, "MERGED", piece)
        one, two = filled(70), filled(130, ids=np.random.default_rng(0).permutation(1000)[:130] + 100, seed=3)
        before = held(two)
        one.merge(two, renumber=renumber)
        ids = np.arange(70, 200) if renumber else two.ids
        assert held(one) == as_held(range(70), whole_numbers(1, 70)) | as_held(ids, whole_numbers(3, 130))
        assert one.ids[70:].tolist() == ids.tolist() and held(two) == before
        one.add(whole_numbers(4, 1))
        assert one.ids[-1] == (200 if renumber else two.ids.max() + 1)

    def test_numbering_on_costs_no_ids(self):
        one, two = filled(70), filled(130)
        one.merge(two, renumber=True)
        empty = vp.Index(raw())
        empty.merge(one)
        assert one._contents.ids.ids is None and empty._contents.ids.ids is None and held(empty) == held(one)

    def test_a_mapped_index_can_be_merged_from(self, tmp_path):
        filled(70).save(tmp_path / "i.vpz")
        index = vp.Index(raw())
        index.merge(vp.load(tmp_path / "i.vpz", mmap=True))
        assert held(index) == held(filled(70))
        with pytest.raises(ValueError, match="merge: the index is mapped"):
            vp.load(tmp_path / "i.vpz", mmap=True).merge(filled(3, ids=[100, 101, 102]))

    def test_locks_are_taken_in_one_order(self):
        """Whichever index is merged into which: else two merges can wait for each other for ever."""
        one, two, taken = filled(3), filled(3, ids=[10, 11, 12]), []

        class Side:
            def __init__(self, lock):
                self.lock = lock

            def __enter__(self):
                taken.append(id(self.lock))
                return self.lock.__enter__()

            def __exit__(self, *error):
                return self.lock.__exit__(*error)

        for index in (one, two):
            index._contents.lock.changing = Side(index._contents.lock.changing)
        one.merge(two)
        with pytest.raises(ValueError, match="there already"):
            two.merge(one)
        assert len(taken) == 4 and taken[:2] == taken[2:] and taken[0] != taken[1]

    def test_two_at_once_in_both_directions(self):
        for _ in range(20):
            one, two = filled(50), filled(50, ids=np.arange(50, 100), seed=2)
            errors = []

            def merge(a, b, errors=errors):
                try:
                    a.merge(b)
                except ValueError as error:  # who comes second finds its own ids
                    errors.append(error)

            threads = [threading.Thread(target=merge, args=pair, daemon=True) for pair in ((one, two), (two, one))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()
            assert len(errors) == 1 and sorted((len(one), len(two))) == [50, 100]

    def test_stores_come_along(self, tmp_path):
        x = whole_numbers(1, 200)
        codec, finer = vp.Sign().fit(x), raw()
        one, two = (vp.Index(codec, store=finer) for _ in range(2))
        one.add(x[:90])
        two.add(x[90:], ids=np.arange(90, 200))
        one.merge(two)
        np.testing.assert_array_equal(one.vectors(np.arange(200), store=True), x)
        array = vp.Index(codec, store=x)
        array.add(ids=np.arange(90))
        array.merge(vp.Index(codec, store=x))
        for other in (two, vp.Index(codec, store=raw("ip"))):
            with pytest.raises(ValueError, match="merge: other expected an index with an equal codec as its store"):
                array.merge(other)
        plain = vp.Index(codec)
        plain.add(x[:3], ids=[198, 199, 200])
        with pytest.raises(ValueError, match="ids expected rows of the store, 0 to 199, got 200"):
            array.merge(plain)
        with pytest.raises(ValueError, match="renumber"):
            array.merge(plain, renumber=True)
        assert len(array) == 90


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "upsert: ids expected different ids, 900 is there twice", lambda i, x: i.upsert(x, [900, 3, 900])),
        (ValueError, "upsert: ids expected different ids, 3 is there twice", lambda i, x: i.upsert(x, [3, 3, 900])),
        (ValueError, "upsert: ids expected one id for each of 3 vectors, got 2", lambda i, x: i.upsert(x, [1, 2])),
        (ValueError, "upsert: ids .* -1", lambda i, x: i.upsert(x, [1, 2, -1])),
        (TypeError, "upsert: ids expected int64 ids", lambda i, x: i.upsert(x)),
        (ValueError, "upsert: x .*row 2", lambda i, x: i.upsert(x * [[1], [1], [np.nan]], [1, 2, 900])),
        (ValueError, "upsert: x expected d=8", lambda i, x: i.upsert(x[:, :7], [1, 2, 3])),
        (ValueError, "num_threads", lambda i, x: i.upsert(x, [1, 2, 3], num_threads=0)),
        (TypeError, "merge: other expected an Index, got list", lambda i, x: i.merge([])),
        (ValueError, "merge: other expected another index", lambda i, x: i.merge(i)),
        (ValueError, "merge: other expected an index of an equal codec", lambda i, x: i.merge(vp.Index(raw("l2")))),
        (ValueError, "merge: ids expected new and .* 19 is there already", lambda i, x: i.merge(filled(3, ids=[30, 19, 4]))),
        (ValueError, "vectors: ids expected ids that the index holds, 900 is unknown", lambda i, x: i.vectors([1, 900])),
    ],
)
def test_errors_change_nothing(error, message, call):
    index = filled(20)
    before, nbytes = held(index), index.nbytes
    with pytest.raises(error, match=message):
        call(index, whole_numbers(5, 3))
    assert held(index) == before and index.nbytes == nbytes
    index.add(whole_numbers(5, 1))
    assert index.ids.tolist() == list(range(21))


def test_a_bad_row_behind_good_blocks_of_an_upsert(monkeypatch):
    monkeypatch.setattr(vp.arrays, "BLOCK_BYTES", 10 * 4 * DIM)
    index, x = filled(100), whole_numbers(5, 95)
    x[94, 2] = np.inf
    before, nbytes = held(index), index.nbytes
    with pytest.raises(ValueError, match=r"upsert: x .*row 94"):
        index.upsert(x, np.arange(50, 145))
    assert held(index) == before and index.nbytes == nbytes


@pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")
def test_vectors_are_decoded(base):
    codec = vp.PQ(4, n_bits=4).fit(base)
    index = vp.Index(codec)
    index.add(base)
    np.testing.assert_array_equal(index.vectors([5, 1, 5]), codec.decode(codec.encode(base[[5, 1, 5]])))
    assert index.vectors(7).shape == (1, 24) and index.vectors([]).shape == (0, 24)
