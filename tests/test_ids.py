"""The compiled table of ids and rows against a dictionary, and ids as callers hand them in."""

import numpy as np
import pytest

from vecpress import native
from vecpress.ids import as_ids, first_repeated
from vecpress.ops import Blocks

SIZE, HEAD, GROUP = 7, 1, 2


def code_of(rows):
    """A code for every id, so that a code that lies in another's row is found: uint8[r, SIZE]."""
    return (np.asarray(rows, np.int64)[:, None] * 37 + np.arange(SIZE) * 11).astype(np.uint8)


@pytest.mark.parametrize("stride", [1, 16, 1 << 40], ids=["dense", "strided", "far"])
@pytest.mark.parametrize("universe", [20, 200, 3000])
@pytest.mark.parametrize("seed", range(6))
def test_against_a_dictionary(seed, universe, stride):
    rng = np.random.default_rng((seed, universe))
    table, model, next_id = native.id_table(), {}, 0
    blocks = Blocks(np.zeros((400, SIZE * 64), np.uint8), 0, SIZE, HEAD, GROUP)
    for _ in range(60):
        kind = rng.integers(4)
        if kind == 0:
            new = rng.integers(0, universe, int(rng.integers(0, 40))) * stride
            new = np.unique(new) if rng.random() < 0.5 else new
            seen, clash = set(model), -1
            for place, one in enumerate(new.tolist()):
                if one in seen:
                    clash = place
                    break
                seen.add(one)
            assert table.clash(new) == clash
            if clash >= 0:
                before = table.ids, len(table), table.next_id
                with pytest.raises(ValueError, match="an id"):
                    table.append(len(new), new)
                assert (table.ids is None) == (before[0] is None) and (len(table), table.next_id) == before[1:]
                continue
            table.append(len(new), new)
            next_id = max([next_id, *(new + 1).tolist()])
        elif kind == 1:
            new = next_id + np.arange(int(rng.integers(0, 10)))
            table.append(len(new), None)
            next_id += len(new)
        else:
            share = rng.choice([0.05, 0.5, 1.0], p=[0.6, 0.3, 0.1])
            gone = np.sort(rng.permutation(len(model))[: int(share * len(model))]).astype(np.int64)
            ids = table.ids if table.ids is not None else np.arange(len(table))
            for one in ids[gone].tolist():
                del model[one]
            assert table.remove(rng.permutation(ids[gone]), [(blocks.data, SIZE, HEAD, GROUP)])
            blocks.n = len(table)
            model = {one: row for row, one in enumerate((table.ids if table.ids is not None else np.arange(len(table))).tolist())}
            new = np.zeros(0, np.int64)
        blocks.put(blocks.n, code_of(new))
        model.update({one: blocks.n + place for place, one in enumerate(new.tolist())})
        blocks.n = len(table)
        assert (len(table), table.next_id) == (len(model), next_id)
        everything = np.concatenate((np.arange(-1, universe + 1) * stride, list(model) or [0])).astype(np.int64)
        assert table.rows(everything).tolist() == [model.get(one, -1) for one in everything.tolist()]
        held = np.array(list(model), np.int64)
        np.testing.assert_array_equal(blocks.rows(table.rows(held)), code_of(held))


def test_removal_keeps_what_is_not_removed():
    """By a dictionary that forgets ids only: the test above takes the order of rows from the table itself."""
    table, blocks = native.id_table(), Blocks(np.zeros((20, SIZE * 64), np.uint8), 0, SIZE, HEAD, GROUP)
    table.append(1000, None)
    blocks.put(0, code_of(np.arange(1000)))
    gone = np.flatnonzero(np.random.default_rng(0).random(1000) < 0.3)
    assert table.remove(gone, [(blocks.data, SIZE, HEAD, GROUP)])
    stays = np.setdiff1d(np.arange(1000), gone)
    assert sorted(table.ids.tolist()) == stays.tolist() and (table.rows(gone) == -1).all()
    blocks.n = len(table)
    np.testing.assert_array_equal(blocks.rows(table.rows(stays)), code_of(stays))


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
@pytest.mark.parametrize("seed", range(8))
def test_upsert_gives_ids_the_codes_behind_the_last_row(seed, explicit):
    """In two columns, one in blocks, one row by row, against a dictionary."""
    rng = np.random.default_rng((seed, 5))
    table, model = native.id_table(), {}
    blocks, plain = Blocks(np.zeros((40, SIZE * 64), np.uint8), 0, SIZE, HEAD, GROUP), np.zeros((2560, 5), np.uint8)
    columns = [(blocks.data, SIZE, HEAD, GROUP), (plain, 5, 0, 1)]
    for step in range(20):
        ids = rng.permutation(300 + 2000 * explicit)[: int(rng.integers(0, 120))]
        codes = rng.integers(0, 256, (len(ids), SIZE), np.uint8)
        blocks.put(len(table), codes)
        plain[len(table) : len(table) + len(ids)] = codes[:, :5]
        next_id = max([table.next_id, *(ids + 1).tolist()])
        order = (np.arange(len(table)) if table.ids is None else table.ids).tolist()
        table.upsert(ids, columns)
        new = [i for i in ids.tolist() if i not in model]
        model.update(zip(ids.tolist(), codes, strict=True))
        held = np.array(order + new, np.int64)  # known ids keep their rows, new ones follow in their order
        assert (np.arange(len(table)) if table.ids is None else table.ids).tolist() == held.tolist()
        assert table.next_id == next_id and table.rows(held).tolist() == list(range(len(held)))
        blocks.n = len(table)
        expected = np.array([model[i] for i in held.tolist()], np.uint8).reshape(-1, SIZE)
        np.testing.assert_array_equal(blocks.rows(np.arange(len(held))), expected)
        np.testing.assert_array_equal(plain[: len(held)], expected[:, :5])
        if step % 4 == 3:
            assert table.remove(rng.permutation(held)[:20], columns)
            blocks.n = len(table)
            model = {i: model[i] for i in table.ids.tolist()}
            np.testing.assert_array_equal(plain[: len(table)], blocks.rows(np.arange(len(table)))[:, :5])


def test_ids_that_number_on_cost_nothing():
    table, columns = native.id_table(), [(np.zeros((2, 64), np.uint8), 1, 0, 1)]
    table.append(2, np.array([0, 1]))
    table.upsert(np.array([1, 2, 3]), columns)
    table.append(1, np.array([4]))
    assert table.ids is None and len(table) == table.next_id == 5
    table.append(2, np.array([6, 5]))
    assert table.ids.tolist() == [0, 1, 2, 3, 4, 6, 5] and table.rows(np.array([5, 6, 7])).tolist() == [6, 5, -1]


def test_memory_per_id_and_given_back():
    table, ids = native.id_table(), np.random.default_rng(0).permutation(100_000)
    assert table.nbytes == 0 and table.rows(np.array([1])).tolist() == [-1]
    table.append(len(ids), ids)
    assert (8 + 21) * len(ids) <= table.nbytes <= (8 + 43) * len(ids)
    assert table.remove(ids[10:], [(np.zeros((1563, 64), np.uint8), 1, 0, 1)])
    assert table.nbytes < 1000 and table.rows(ids[:11]).tolist() == [*range(10), -1]


def test_arrays_of_a_file_are_never_written_to():
    ids = np.array([5, 3, 9])
    ids.setflags(write=False)
    table = native.id_table(3, ids, 12)
    table.append(1, None)
    assert table.remove(np.array([5]), [(np.zeros((1, 64), np.uint8), 1, 0, 1)])
    assert ids.tolist() == [5, 3, 9] and table.ids.tolist() == [12, 3, 9]


@pytest.mark.parametrize("gone", [[5], [-1], [3, 3], [0, 4, 3, 0], [1, 2, 2**63 - 1], [2, -(2**63)]])
@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
def test_what_cannot_be_removed_changes_nothing(explicit, gone):
    data = np.arange(64, dtype=np.uint8)[None]
    table = native.id_table(5, np.array([3, 1, 4, 0, 2]) if explicit else None, 5)
    before = table.rows(np.arange(-1, 6)).tolist(), data.tolist(), len(table)
    assert not table.remove(np.array(gone), [(data, 1, 0, 1)])
    assert (table.rows(np.arange(-1, 6)).tolist(), data.tolist(), len(table)) == before and (table.ids is None) != explicit
    assert table.remove(np.array([], np.int64), [(data, 1, 0, 1)]) and len(table) == 5


def test_ids_that_stand_twice_in_a_file():
    table = native.id_table(4, np.array([5, 3, 5, 3]), 6)
    assert table.map_rows() == 5 and not table.remove(np.array([3]), [(DATA, 1, 0, 1)]) and len(table) == 4
    for call in (lambda: table.rows(np.array([3])), lambda: table.append(1, None), lambda: table.clash(np.array([3]))):
        with pytest.raises(ValueError, match="stands twice"):
            call()


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros(3, np.int32), [1, 2], np.zeros((2, 2), np.int64)], ids=repr)
def test_the_table_takes_vectors_of_int64_only(bad):
    for call in (
        lambda t: t.append(2, bad), lambda t: t.rows(bad), lambda t: t.clash(bad), lambda t: native.id_table(2, bad, 5),
        lambda t: t.remove(bad, [(np.zeros((1, 64), np.uint8), 1, 0, 1)]),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            call(native.id_table(5, None, 5))


DATA = np.zeros((1, 64), np.uint8)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.append(2, np.array([7])),
        lambda t: t.append(-1, None),
        lambda t: t.append(1, np.array([-1])),
        lambda t: t.append(2**63 - 4, None),
        lambda t: t.remove(np.array([3]), [(DATA[:0], 1, 0, 1)]),
        lambda t: t.remove(np.array([3]), [(DATA, 2, 0, 1)]),
        lambda t: t.remove(np.array([3]), [(DATA, 1, 2, 1)]),
        lambda t: t.remove(np.array([3]), [(DATA, 1, 0, 1), (DATA[:, :3].repeat(4, 0), 3, 0, 1)]),
        lambda t: t.upsert(np.array([3, 3]), [(DATA, 1, 0, 1)]),
        lambda t: t.upsert(np.array([7, 7]), [(DATA, 1, 0, 1)]),
        lambda t: t.upsert(np.array([3, -1]), [(DATA, 1, 0, 1)]),
        lambda t: t.upsert(np.arange(60), [(DATA, 1, 0, 1)]),
        lambda t: t.upsert(np.arange(2), [(np.zeros((6, 3), np.uint8), 3, 0, 1)]),
        lambda t: t.upsert(np.array([2**63 - 1]), [(np.zeros((1, 64), np.uint8).T.copy().T, 2, 0, 1)]),
        lambda t: native.id_table(-1, None, 0),
        lambda t: native.id_table(2, np.array([1]), 5),
        lambda t: native.id_table(0, None, 2**63 + 1),
    ],
)
def test_what_would_lead_outside_is_refused(call):
    table = native.id_table(5, None, 5)
    with pytest.raises((ValueError, OverflowError)):
        call(table)
    assert len(table) == 5 and table.next_id == 5 and table.ids is None


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
        ([True], TypeError, "bool"), ([1, 2**80], ValueError, str(2**80)),
        ([-(2**70), 1], ValueError, str(-(2**70))), (2**80, ValueError, str(2**80)),
        ([2**63, 2000], ValueError, str(2**63)), ([2**63, 1.5], TypeError, "float64"), ([2**80, "1"], TypeError, "got"),
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
