"""An index on a device gives what one on the processor gives, bit for bit, whatever is done to it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

pytestmark = pytest.mark.gpu
D = 32


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return clustered(3, 1500, D)


@pytest.fixture(scope="module")
def q() -> np.ndarray:
    return clustered(3, 40, D, draw=1)


class Pair:
    """The same index on the processor and on a device."""

    def __init__(self, codec: vp.Codec, device: str, store=None):
        self.both = vp.Index(codec, store), vp.Index(codec, store, device=device)

    def do(self, call) -> None:
        for index in self.both:
            call(index)

    def check(self, q: np.ndarray, **options) -> None:
        here, there = (index.search(q, **options) for index in self.both)
        for a, b in zip(here, there, strict=True):
            np.testing.assert_array_equal(a, b)
        ids = self.both[0].ids
        np.testing.assert_array_equal(ids, self.both[1].ids)
        np.testing.assert_array_equal(self.both[0].codes(ids), self.both[1].codes(ids))


def changes(pair: Pair, x: np.ndarray, q: np.ndarray, **options) -> None:
    pair.check(q, **options)
    pair.do(lambda index: index.add(x[:700]))
    pair.check(q, **options)
    pair.do(lambda index: index.add(x[700:], ids=np.arange(800)[::-1] + 5000))
    pair.check(q, k=33, **options)
    pair.do(lambda index: index.remove([3, 699, 5000, 5799, 5400]))
    pair.check(q, **options)
    pair.do(lambda index: index.upsert(x[:60], ids=np.r_[np.arange(100, 130), np.arange(9000, 9030)]))
    pair.check(q, allow=pair.both[0].ids[::7], **options)
    pair.check(q[:3], k=2000, **options)
    pair.do(lambda index: index.remove(index.ids))
    pair.check(q, **options)


@pytest.mark.parametrize("codec", [vp.Sign()], ids=repr)
def test_coded_queries_while_it_changes(codec, device, x, q):
    changes(Pair(codec.fit(x), device), x, q, symmetric=True)


@pytest.mark.parametrize(
    "codec", [example for codec in vp.codecs() for example in codec.examples()], ids=lambda codec: repr(codec)[:80]
)
def test_every_codec(codec, device, x, q):
    """Float and coded queries, filters; codes that the device makes, where it has the codec's operations."""
    pair = Pair(codec.fit(x[:600, :24]), device)
    pair.do(lambda index: index.add(x[:600, :24]))
    pair.do(lambda index: index.remove([5, 77]))
    for symmetric in (False, True):
        pair.check(q[:20, :24], symmetric=symmetric)
        pair.check(q[:3, :24], symmetric=symmetric, k=40, allow=np.arange(100, 300, 3))


def test_layers_are_scanned_in_place_and_cut(device, x, q):
    codec = vp.TransformCodec(16, progressive=[8]).fit(x)
    pair = Pair(codec, device)
    pair.do(lambda index: index.add(x))
    pair.check(q, rerank=40)
    short = [index.truncate(8) for index in pair.both]
    assert short[1].device == "cuda:0"
    for a, b in zip(*(index.search(q) for index in short), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [12, 21, 30])
def test_codes_of_windows_of_8_bits(device, x, q, size):
    """Words are searched from their middle, too. Of 21 and 30 bytes, one of 7 or 5 at rate 3 has a rest of 2 bits or 1."""
    pair = Pair(vp.TransformCodec(size, window=8).fit(x), device)
    with vp.use("cuda"):  # makes the codes of one of the two
        pair.both[1].add(x)
    pair.both[0].add(x)
    pair.check(q)


def test_a_range_and_queries_with_filters_of_their_own(device, x, q):
    pair = Pair(vp.PQ(m=8, n_bits=4).fit(x), device)
    pair.do(lambda index: index.add(x))
    bound = float(np.median(pair.both[0].search(q, 30)[0][:, -1]))
    for a, b in zip(*(index.search_radius(q, bound) for index in pair.both), strict=True):
        np.testing.assert_array_equal(a, b)
    pair.check(q[:3], allow=[np.arange(50), None, [7]])


def test_moves_in_several_pieces(device, x, q, monkeypatch):
    monkeypatch.setattr("vecpress.devicecolumn.MOVED", 7)
    changes(Pair(vp.Sign().fit(x), device), x, q, symmetric=True)


@pytest.mark.parametrize("change", [lambda i, x: i.remove([3, 4]), lambda i, x: i.upsert(x[:2], ids=[3, 4])])
def test_no_memory_for_a_change_changes_nothing(change, device, x, q, monkeypatch):
    pair = Pair(vp.Sign().fit(x), device)
    pair.do(lambda index: index.add(x[:100]))

    def none(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("vecpress.devicecolumn.DeviceColumn.staging", none)
        with pytest.raises(MemoryError):
            change(pair.both[1], x)
    pair.check(q, symmetric=True)


def test_files_are_the_same(device, x, q, tmp_path):
    pair = Pair(vp.Sign().fit(x), device)
    pair.do(lambda index: index.add(x))
    pair.do(lambda index: index.remove([0, 17]))
    paths = [tmp_path / "here.vpz", tmp_path / "there.vpz"]
    for index, path in zip(pair.both, paths, strict=True):
        index.save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = vp.load(paths[1]).to(device)
    assert again.device == "cuda:0" and "on cuda:0" in repr(again)
    back = again.to("cpu")
    assert back.device == "cpu"
    for index in (again, back):
        for a, b in zip(index.search(q, symmetric=True), pair.both[0].search(q, symmetric=True), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_store_is_kept(device, x, q):
    pair = Pair(vp.Sign().fit(x), device, vp.SQ(8).fit(x))
    pair.do(lambda index: index.add(x))
    pair.check(q, symmetric=True, rerank=50)
    moved = pair.both[1].to("cpu")
    for a, b in zip(*(i.search(q, symmetric=True, rerank=50) for i in (moved, pair.both[0])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keys(device, x, q):
    index = vp.KeyedIndex(vp.Sign().fit(x), device=device)
    index.add(x[:100], keys=[f"k{i}" for i in range(100)])
    here = index.to("cpu")
    assert (index.device, here.device) == ("cuda:0", "cpu")
    np.testing.assert_array_equal(index.search(q, symmetric=True)[1], here.search(q, symmetric=True)[1])


def test_room_is_counted_and_given_back(device, x):
    index = vp.Index(vp.Sign().fit(x), device=device)
    assert index.nbytes == 0
    index.add(x)
    most = index.nbytes
    assert most >= len(x) * index.codec.code_size
    index.remove(index.ids[10:])
    assert index.nbytes < most + 1500 * 40  # the map of ids, but not the codes


def test_a_failed_change_changes_nothing(device, x, q):
    index = vp.Index(vp.Sign().fit(x), device=device)
    index.add(x[:100])
    before = index.search(q, symmetric=True)
    with pytest.raises(ValueError):
        index.add(x[:5], ids=[1, 2, 3, 4, 5])
    with pytest.raises(ValueError):
        index.remove([1000])
    with pytest.raises(ValueError):
        index.upsert(x[:2], ids=[7, 7])
    assert len(index) == 100
    for a, b in zip(before, index.search(q, symmetric=True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_threads_search_while_a_third_changes(device, x, q):
    codec = vp.Sign().fit(x)
    index, want = vp.Index(codec, device=device), vp.Index(codec)
    index.add(x[:1000])
    want.add(x[:1000])
    expected = want.search(q, 20, symmetric=True, allow=np.arange(500))
    wrong: list[int] = []

    def search() -> None:
        for _ in range(5):
            got = index.search(q, 20, symmetric=True, allow=np.arange(500))
            wrong.extend(1 for a, b in zip(got, expected, strict=True) if not np.array_equal(a, b))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(5):
        index.add(x[1000:1100], ids=np.arange(100) + 2000 + 100 * i)
        index.remove(np.arange(600 + 10 * i, 605 + 10 * i))
    for thread in threads:
        thread.join()
    assert not wrong


class Handed:
    """An array on the device as other frameworks hand it over: by one protocol alone."""

    def __init__(self, array, protocol: str):
        from vecpress.cuda.memory import DeviceArray

        self.array = DeviceArray.of(array, 0)
        names = {"cai": ["__cuda_array_interface__"], "dlpack": ["__dlpack__", "__dlpack_device__"]}[protocol]
        kind = type("Handed", (), {name: property(lambda self, n=name: getattr(self.array, n)) for name in names})
        self.view = kind()
        self.view.array = self.array


@pytest.mark.parametrize("protocol", ["cai", "dlpack"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8"])
def test_queries_on_the_device_give_results_there(device, x, q, protocol, dtype):
    codec = vp.Sign().fit(x)
    index = vp.Index(codec, device=device)
    index.add(x)
    queries = (q * 8 + 100).astype(dtype) if dtype == "uint8" else q.astype(dtype)
    scores, found = index.search(Handed(queries, protocol).view, symmetric=True)
    assert scores.__cuda_array_interface__["shape"] == (40, 10) and found.dtype == np.int64
    want = index.search(queries, symmetric=True)
    np.testing.assert_array_equal(np.asarray(scores), want[0])
    np.testing.assert_array_equal(found.numpy(), want[1])
    codes = codec.encode(Handed(queries, protocol).view)
    np.testing.assert_array_equal(codes.numpy(), codec.encode(queries))


def test_dlpack_there_and_back(device):
    from vecpress.cuda import dlpack
    from vecpress.cuda.memory import DeviceArray, as_device_array

    array = np.arange(60, dtype=np.int64).reshape(3, 4, 5)
    there = DeviceArray.of(array, 0)
    taken = as_device_array(type("X", (), {"__dlpack__": there.__dlpack__, "__dlpack_device__": there.__dlpack_device__})(), "x")
    del there  # the view keeps it
    assert (taken.shape, taken.dtype) == ((3, 4, 5), np.int64)
    np.testing.assert_array_equal(taken.numpy(), array)
    assert len(dlpack._handed_out) == 1
    del taken
    assert not dlpack._handed_out


def test_what_is_no_device(x):
    codec = vp.Sign().fit(x)
    for bad in ("gpu", "cuda:", "cuda:x", "cuda0", ""):
        with pytest.raises(ValueError, match="Index: device expected 'cpu', 'cuda' or 'cuda:N', got"):
            vp.Index(codec, device=bad)
    with pytest.raises(TypeError, match="Index: device expected a str, got int"):
        vp.Index(codec, device=0)
    with pytest.raises(vp.BackendError, match=r"Index: device 'cuda:99' is not there: \d+ device"):
        vp.Index(codec, device="cuda:99")
