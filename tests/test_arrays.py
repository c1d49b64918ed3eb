"""Rows: what callers hand in becomes checked float32 blocks, read no sooner and no more than asked for."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hard_values import DTYPES, FINITE, HUGE, SIZES, WRONG_DTYPES, values
from helpers import bits

from vecpress.arrays import Rows, is_torch, like, unit_rows


class Counting:
    """A memory-mapped file's stand-in that counts the rows read; an ndarray subclass, so that nothing copies it whole."""

    def __new__(cls, x, seen):
        class Array(np.ndarray):
            def __getitem__(self, key):
                out = np.asarray(self)[key]
                seen.append(len(out))
                return out

        return x.view(Array)


@pytest.mark.parametrize("n", SIZES)
def test_blocks_cover_every_row_once(n):
    x = values(n, n, 5)
    for rows in (1, 2, 7, 64, 1000, None):
        blocks = list(Rows(x, "x").blocks(rows))
        starts = [start for start, _ in blocks]
        assert starts == list(range(0, n, rows or max(n, 1)))
        assert all(block.dtype == np.float32 and block.flags.c_contiguous for _, block in blocks)
        assert bits(np.concatenate([x[:0], *(block for _, block in blocks)])) == bits(x)
    assert bits(Rows(x, "x").all()) == bits(x)
    assert len(Rows(x, "x")) == Rows(x, "x").n == n and Rows(x, "x").dim == 5


def test_a_block_is_a_few_megabytes(monkeypatch):
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 1000)
    assert [len(block) for _, block in Rows(np.zeros((30, 25), np.float32), "x").blocks()] == [10, 10, 10]
    assert [len(block) for _, block in Rows(np.zeros((2, 2500), np.float32), "x").blocks()] == [1, 1]


def test_take_gives_the_rows_asked_for_and_reads_no_others():
    x = values(0, 97, 8).astype(np.float16)
    seen = []
    rows = Rows(Counting(x, seen), "x")
    assert seen == []
    which = np.array([96, 0, 5, 5])
    assert bits(rows.take(which)) == bits(x[which].astype(np.float32))
    assert seen == [4]
    for _ in rows.blocks(10):
        pass
    assert seen == [4] + 9 * [10] + [7]


def test_blocks_are_aligned_whatever_they_come_from():
    raw = np.zeros(4 * 35 + 1, np.uint8)
    for offset in range(4):
        x = np.frombuffer(raw.data, np.float32, 33, offset=offset).reshape(11, 3)
        assert Rows(x, "x").all().flags.aligned
        assert all(block.flags.aligned for _, block in Rows(x, "x").blocks(2))


def test_float32_is_not_copied():
    x = values(0, 33, 7)
    assert np.shares_memory(Rows(x, "x").all(), x)
    assert all(np.shares_memory(block, x) for _, block in Rows(x, "x").blocks(5))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_rounded_to_float32(dtype):
    x = np.arange(90).reshape(9, 10).astype(dtype)
    got = Rows(x, "x").all()
    assert got.dtype == np.float32 and bits(got) == bits(np.arange(90, dtype=np.float32).reshape(9, 10))


def test_float64_is_rounded_to_nearest():
    x = np.array([[1 + 2.0**-24, 1 + 3 * 2.0**-24, 1e-50, HUGE * (1 + 2.0**-26)]])
    assert Rows(x, "x").all().tolist() == [[1.0, 1 + 2.0**-22, 0.0, HUGE]]


def test_every_finite_float32_passes_unchanged():
    assert bits(Rows(FINITE[None], "x").all()) == bits(FINITE[None])


@pytest.mark.parametrize("value", [2**24, -(2**24), 2**24 + 2, 2**40, -(2**63), 3 * 2**60, 2**63, 2**64 - 2**40])
def test_large_integers_that_float32_holds_pass(value):
    x = np.zeros((2, 2), np.uint64 if value >= 2**63 else np.int64)
    x[1, 1] = value
    assert int(Rows(x, "x").all()[1, 1]) == value


@pytest.mark.parametrize("value", [2**24 + 1, -(2**24) - 1, 2**25 + 2, 2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63) + 1])
def test_integers_that_float32_does_not_hold_are_refused(value):
    x = np.zeros((3, 2), np.uint64 if value >= 2**63 else np.int64)
    x[2, 1] = value
    with pytest.raises(ValueError, match=f"^here expected integers that float32 holds exactly, row 2 has {value}$"):
        Rows(x, "here").all()


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
def test_other_dtypes_are_refused_before_anything_is_read(dtype):
    with pytest.raises(TypeError, match=r"^here expected real numbers, got dtype"):
        Rows(np.zeros((2, 2)).astype(dtype), "here")


def test_bad_rows_are_named_by_their_place_in_the_whole():
    x = values(0, 50, 4)
    x[37, 2] = np.nan
    rows = Rows(x, "here")
    with pytest.raises(ValueError, match=r"^here expected finite values, row 37 has NaN or infinity$"):
        list(rows.blocks(10))
    with pytest.raises(ValueError, match="row 37 "):
        rows.take(np.array([1, 37]))
    with pytest.raises(ValueError, match="row 37 "):
        rows.all()
    with pytest.raises(ValueError, match="row 37 "):
        rows.check()
    assert len(rows.take(np.array([1, 36]))) == 2


def test_a_sum_that_overflows_is_no_error():
    x = np.full((9, 9), HUGE, np.float32)
    assert bits(Rows(x, "x").all()) == bits(x)


def test_long_doubles_beyond_float64_are_named_as_such():
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        pytest.skip("long double is float64 here")
    x = np.full((1, 2), np.longdouble("1e400"))
    with pytest.raises(ValueError, match=r"row 0 has a value beyond float32's range$"):
        Rows(x, "x").all()


def test_the_largest_value_is_enforced_after_scaling():
    x = np.array([[3.0, -4.0], [30.0, 40.0]], np.float32)
    Rows(x, "x", largest=40.0).check()
    with pytest.raises(ValueError, match=r"^x expected absolute values up to 39.5, row 1 has 40$"):
        Rows(x, "x", largest=39.5).check()
    with pytest.raises(ValueError, match=r"^x expected absolute values up to 3.5, row 0 has -4$"):
        Rows(x, "x", largest=3.5).check()
    Rows(x, "x", unit=True, largest=1.0).check()


@pytest.mark.parametrize("n", [1, 100], ids=["few", "many"])
@pytest.mark.parametrize("largest", [2.0**50, 65504.0, 39.7, 1e-17, 1e30])
def test_one_number_beyond_the_largest_is_found(largest, n):
    x, edge = np.zeros((n, 64), np.float32), np.float32(largest)
    if edge > largest:
        edge = np.nextafter(edge, np.float32(0))
    x[-1, 7] = -edge
    Rows(x, "x", largest=largest).check()
    beyond = -np.nextafter(edge, np.float32(np.inf))
    for bad, message in ((beyond, "absolute values up to"), (np.inf, "finite"), (np.nan, "finite")):
        x[-1, 7] = bad
        with pytest.raises(ValueError, match=f"x expected {message}.* row {n - 1} has"):
            Rows(x, "x", largest=largest).check()


def test_unit_rows_have_length_one_whatever_their_length():
    x = np.array([[3, 4], [0, 0], [3e38, 3e38], [1e-45, 1e-45], [-1e-30, 0], [1e-45, 3e38], [5, 0]], np.float32)
    half = np.float32(np.sqrt(0.5))
    expected = [[0.6, 0.8], [0, 0], [half, half], [half, half], [-1, 0], [0, 1], [1, 0]]
    np.testing.assert_array_max_ulp(unit_rows(x), np.array(expected, np.float32), maxulp=1)
    assert bits(np.concatenate([unit_rows(row[None]) for row in x])) == bits(unit_rows(x))
    y = values(3, 65, 33)
    np.testing.assert_allclose(np.linalg.norm(unit_rows(y).astype(np.float64), axis=1), 1, rtol=1e-6)
    assert bits(Rows(y, "x", unit=True).all()) == bits(unit_rows(y))


def test_torch_is_not_imported_to_look_for_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    x = values(0, 3, 3)
    assert not is_torch(x) and like(x, x) is x and like(x, x, x) == (x, x)
    assert "torch" not in sys.modules


def test_torch_rows():
    torch = pytest.importorskip("torch")
    x = values(0, 33, 5)
    x[np.abs(x) > 100] = 1
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        tensor = torch.from_numpy(x).to(dtype)
        assert bits(Rows(tensor, "x").all()) == bits(tensor.float().numpy())
        assert bits(Rows(tensor, "x").take(np.array([7, 7, 0]))) == bits(tensor[[7, 7, 0]].float().numpy())
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        assert Rows(torch.ones((2, 3), dtype=dtype), "x").all().tolist() == [[1.0] * 3] * 2
    assert is_torch(like(torch.zeros(1), x)) and [is_torch(y) for y in like(torch.zeros(1), x, x)] == [True, True]
    with pytest.raises(TypeError, match="real numbers"):
        Rows(torch.ones((2, 3), dtype=torch.bool), "x")
