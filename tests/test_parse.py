"""Files of indexes with a store and keys: what is saved is loaded, what is damaged or does not fit is refused with a reason."""

import json
from typing import ClassVar

import numpy as np
import pytest
from helpers import bits
from test_io import metadata, nested, same_results, tampered

import vecpress as vp
from vecpress import io

pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")

N = 150
KEYS = [f"\N{SNOWMAN}{i}" for i in range(N)]


@pytest.fixture
def codec(base):
    return vp.Sign().fit(base)


@pytest.fixture
def finer(base):
    return vp.PQ(4, n_bits=4).fit(base)


def shuffled(n):
    return np.random.default_rng(0).permutation(10 * n)[:n]


@pytest.fixture
def keyed(codec, finer, base, tmp_path):
    """The file of an index with everything: ids, a store with learned arrays, keys."""
    index = vp.KeyedIndex(codec, store=finer)
    index.add(base[:N], KEYS)
    index.remove(KEYS[5:15])
    index.save(tmp_path / "index.vpz")
    return tmp_path / "index.vpz"


def header(path):
    return {a["name"]: a for a in io.inspect(path)["arrays"]}


class TestStoreOfCodes:
    @pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
    @pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 128])
    @pytest.mark.parametrize("finer", [vp.Raw("float16"), vp.PQ(4, n_bits=4), vp.Sign()], ids=repr)
    def test_round_trip(self, finer, n, explicit, codec, base, queries, tmp_path):
        index = vp.Index(codec, store=finer.fit(base))
        index.add(base[:n], ids=shuffled(n) if explicit else None)
        index.save(tmp_path / "i.vpz")
        for mmap in (False, True):
            loaded = vp.load(tmp_path / "i.vpz", mmap=mmap)
            assert loaded.codec == codec and loaded.store == finer
            assert bits(loaded.codes(index.ids, store=True)) == bits(index.codes(index.ids, store=True))
            assert same_results(loaded, index, queries, rerank=40) and same_results(loaded, index, queries)
            assert loaded.store_nbytes == (n if mmap else -(-n // 64) * 64) * finer.code_size
            if mmap:
                with pytest.raises(ValueError, match="read-only"):
                    loaded.upsert(base[:1], [0])
        loaded = vp.load(tmp_path / "i.vpz")
        for one in (index, loaded):  # goes on where it was
            one.add(base[:70])
            one.remove(one.ids[:3])
            one.upsert(base[70:80], one.ids[5:15])
        assert same_results(loaded, index, queries, rerank=40)
        assert bits(loaded.codes(index.ids, store=True)) == bits(index.codes(index.ids, store=True))

    def test_arrays_in_their_order(self, keyed, finer, codec):
        arrays = header(keyed)
        assert list(arrays) == [
            "blocks", "ids", "keys.offsets", "codec.level_", "codec.mean_", "store_codec.codebooks_", "keys.bytes", "store.codes",
        ]  # fmt: skip
        assert all(a["offset"] % np.dtype(a["dtype"]).itemsize == 0 for a in arrays.values())
        index = vp.load(keyed)
        codes = np.fromfile(keyed, np.uint8, offset=arrays["store.codes"]["offset"]).reshape(140, 2)
        np.testing.assert_array_equal(codes, index.codes(index.keys, store=True))
        about = io.inspect(keyed)
        assert about["format_version"] == 2 and about["keys"] is True
        assert about["store"] == {"kind": "codec", "name": "PQ", "config": finer.config()}
        json.dumps(about)
        assert pytest.importorskip("safetensors.numpy").load_file(keyed)["keys.bytes"].dtype == np.uint8

    def test_same_index_same_bytes(self, keyed, tmp_path):
        vp.load(keyed, mmap=True).save(tmp_path / "again.vpz")
        assert (tmp_path / "again.vpz").read_bytes() == keyed.read_bytes()

    def test_files_without_these_stay_version_1(self, codec, base, tmp_path):
        index = vp.Index(codec)
        index.add(base)
        index.save(tmp_path / "i.vpz")
        codec.save(tmp_path / "c.vpz")
        assert [io.inspect(tmp_path / name)["format_version"] for name in ("i.vpz", "c.vpz")] == [1, 1]
        assert io.inspect(tmp_path / "i.vpz")["store"] is None

    def test_has_no_place_for_another(self, keyed, base):
        with pytest.raises(ValueError, match=r"load: store expected None: .*index.vpz holds the codes of PQ"):
            vp.load(keyed, store=base)


class TestStoreOfVectors:
    @pytest.fixture
    def saved(self, codec, base, tmp_path):
        np.save(tmp_path / "base.npy", base)
        index = vp.Index(codec, store=tmp_path / "base.npy")
        index.add(ids=np.arange(0, 400, 3))
        index.save(tmp_path / "i.vpz")
        return tmp_path / "i.vpz"

    def test_given_again(self, saved, base, queries, tmp_path):
        wanted = vp.load(saved, store=base).search(queries, 5, rerank=50)
        for mmap in (False, True):
            for store in (tmp_path / "base.npy", np.load(tmp_path / "base.npy", mmap_mode="r"), base, base.astype(np.float64)):
                index = vp.load(saved, store=store, mmap=mmap)
                got = index.search(queries, 5, rerank=50)
                assert bits(got[0]) == bits(wanted[0]) and bits(got[1]) == bits(wanted[1])
        assert saved.stat().st_size < base.nbytes

    def test_is_not_opened_unasked_but_named(self, saved, queries, base, tmp_path):
        index = vp.load(saved)
        assert index.store is None and index.store_nbytes == base.nbytes and len(index.search(queries, 5)[1]) == 7
        message = r"store expected its vectors \(float32 400 x 24 in .*base.npy\), which .* load\(path, store="
        for call in (lambda: index.search(queries, 5, rerank=50), lambda: index.vectors([3], store=True), index.add):
            with pytest.raises(ValueError, match=message):
                call()
        with pytest.raises(ValueError, match="rows of the store, 0 to 399, got 400"):
            index.add(base[:1], [400])
        index.add(base[1:2], [1])
        index.save(saved)
        assert io.inspect(saved)["store"] == {
            "kind": "vectors", "path": str(tmp_path / "base.npy"), "shape": [400, 24], "dtype": "float32",
        }  # fmt: skip

    def test_an_index_without_a_store_can_get_one(self, codec, base, queries, tmp_path):
        index = vp.Index(codec)
        index.add(base)
        index.save(tmp_path / "i.vpz")
        got = vp.load(tmp_path / "i.vpz", store=base).search(queries, 5, rerank=400)
        assert bits(got[1]) == bits(vp.exact(queries, base, 5)[1])

    @pytest.mark.parametrize(
        ("error", "message", "store"),
        [
            (ValueError, "load: store expected rows for ids up to 399, got 399", lambda x, c: x[:399]),
            (ValueError, "load: store expected d=24", lambda x, c: x[:, :23]),
            (TypeError, r"load: store expected an array or the path of a .npy file, got the codec Sign", lambda x, c: c),
            (TypeError, "load: store expected a fitted codec", lambda x, c: 3),
            (FileNotFoundError, "none.npy", lambda x, c: "none.npy"),
        ],
    )
    def test_what_does_not_fit(self, error, message, store, saved, base, codec):
        with pytest.raises(error, match=message):
            vp.load(saved, store=store(base, codec))

    def test_ids_of_an_unchecked_file_are_checked_where_they_are_used(self, saved, base, queries):
        index = vp.load(saved, store=base[:300], mmap=True)
        with pytest.raises(ValueError, match="search: ids expected rows of the store, 0 to 299, got"):
            index.search(queries, 5, rerank=134)

    def test_a_codec_has_none(self, codec, base, tmp_path):
        codec.save(tmp_path / "c.vpz")
        with pytest.raises(ValueError, match="load: store expected None for a codec"):
            vp.load(tmp_path / "c.vpz", store=base)

    def test_a_path_that_is_no_text(self, codec, base, tmp_path):
        path = tmp_path / "b\udc80.npy"
        try:
            np.save(path, base)
        except (OSError, UnicodeError):
            pytest.skip("this file system wants UTF-8")
        vp.Index(codec, store=path).save(tmp_path / "i.vpz")
        assert vp.load(tmp_path / "i.vpz")._store.path == str(tmp_path / "b\ufffd.npy")


class TestDamage:
    """The same care as for the rest of a file (tests/test_io.py)."""

    def test_a_flipped_bit_anywhere_is_found(self, keyed, tmp_path):
        raw, flipped = keyed.read_bytes(), tmp_path / "flipped.vpz"
        rng = np.random.default_rng(0)
        for place in rng.integers(4096, len(raw), 300):
            changed = bytearray(raw)
            changed[place] ^= 1 << int(rng.integers(8))
            flipped.write_bytes(changed)
            with pytest.raises(vp.CorruptFileError, match=r"flipped.vpz: "):
                vp.load(flipped)
            with pytest.raises(vp.CorruptFileError):
                io.verify(flipped)

    def test_a_mapped_index_with_flipped_bits_never_crashes(self, keyed, queries, tmp_path):
        raw, flipped, rng, results = keyed.read_bytes(), tmp_path / "flipped.vpz", np.random.default_rng(1), set()
        for _ in range(200):
            changed = bytearray(raw)
            changed[int(rng.integers(4096, len(raw)))] ^= 1 << int(rng.integers(8))
            flipped.write_bytes(changed)
            try:
                index = vp.load(flipped, mmap=True)
                index.search(queries, 20, rerank=100)
                index.vectors(index.keys[:5], store=True)
                results.add("searched")
            except vp.CorruptFileError:
                results.add("refused")
            except KeyError:
                pytest.fail("an id without a key")
        assert results == {"searched", "refused"}

    def at(name, raw):
        def data(body, path):
            begin = header(path)[name]["offset"] - io.inspect(path)["header_nbytes"]
            body[begin : begin + len(raw)] = raw

        return data

    TAMPERED: ClassVar = {
        "store's kind": (nested("store", kind="other"), None, "metadata: store"),
        "store's kind's kind": (nested("store", kind=["codec"]), None, "metadata: store"),
        "store's keys": (nested("store", more=1), None, "metadata: store"),
        "store's codec": (nested("store", name="PQX"), None, "there is no codec 'PQX'"),
        "store's name": (nested("store", name=3), None, "metadata: store"),
        "store's config": (nested("store", config=3), None, "metadata: store"),
        "store's metric": (nested("store", config={"m": 4, "n_bits": 4, "metric": "l2", "seed": 0}), None, "metric"),
        "store's m": (nested("store", config={"m": 8, "n_bits": 4, "metric": "ip", "seed": 0}), None, "store_codec"),
        "no dim": (
            metadata(dim=None, store='{"kind":"vectors","path":null,"shape":[900,24],"dtype":"uint8"}'), None, "unknown: dim",
        ),
        "no store": (metadata(store=None), None, "'store_codec.codebooks_': is not known here"),
        "version 1": (metadata(format_version="1"), None, "store"),
        "vectors": (
            metadata(store='{"kind":"vectors","path":null,"shape":[900,24],"dtype":"uint8"}'), None, "'store_codec.codebooks_'",
        ),
        "codes' width": (lambda h: h["store.codes"].update(shape=[280, 1]), None, "array 'store.codes'"),
        "offsets' dtype": (lambda h: h["keys.offsets"].update(dtype="F64"), None, "array 'keys.offsets'"),
        "bytes' axes": (lambda h: h["keys.bytes"].update(shape=[1, *h["keys.bytes"]["shape"]]), None, "array 'keys.bytes'"),
        "offsets' start": (None, at("keys.offsets", np.array([1]).tobytes()), "ascending places from 0"),
        "offsets' order": (None, at("keys.offsets", np.array([0, 9, 4]).tobytes()), "ascending places"),
        "offsets far": (None, at("keys.offsets", np.array([0, 2**62]).tobytes()), "ascending places"),
        "no UTF-8": (None, at("keys.bytes", b"\xff"), "UTF-8"),
        "keys twice": (None, at("keys.bytes", "\N{SNOWMAN}1".encode()), "different keys"),
    }  # fmt: skip

    @pytest.mark.parametrize("how", TAMPERED)
    def test_tampered_with_valid_checksums(self, how, keyed):
        change, data, message = self.TAMPERED[how]
        tampered(keyed, change, None if data is None else lambda body: data(body, keyed))
        for call in (vp.load, io.verify):
            with pytest.raises(vp.CorruptFileError, match=f"(?s)index.vpz: .*{message}"):
                call(keyed)

    VECTORS: ClassVar = {
        "path": {"path": 3}, "dtype": {"dtype": "U1"}, "dtype's kind": {"dtype": ["uint8"]}, "shape": {"shape": [400]},
        "shape's kind": {"shape": 3}, "shape's sign": {"shape": [-1, 24]}, "columns": {"shape": [400, 23]},
        "rows": {"shape": [149, 24]},
        "bool": {"shape": [True, 24]}, "huge": {"shape": [2**80, 24]},
    }  # fmt: skip

    @pytest.mark.parametrize("how", VECTORS)
    def test_a_bad_description_of_vectors(self, how, codec, base, tmp_path):
        index, path = vp.Index(codec, store=base), tmp_path / "index.vpz"
        index.add(base[:N])
        index.save(path)
        tampered(path, nested("store", **self.VECTORS[how]))
        with pytest.raises(vp.CorruptFileError, match=r"index.vpz: metadata: store"):
            vp.load(path)
