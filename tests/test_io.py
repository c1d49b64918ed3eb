"""Files: what is saved is loaded, what is damaged is refused with a reason, what is there is never lost."""

import errno
import json
import os
import shutil
import threading
import time
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from helpers import bits, runnable

import vecpress as vp
from vecpress import container, io

pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")

GOLDEN = Path(__file__).parent / "golden"
CODECS = [c for cls in vp.codecs() for c in cls.examples()]


def equal(a, b, q):
    """Whether two loaded things are the same, to the bit, as far as their users can see."""
    if type(a) is not type(b):
        return False
    if isinstance(a, vp.Codec):
        return a == b
    if not (a.codec == b.codec and len(a) == len(b) and np.array_equal(a.ids, b.ids)):
        return False
    if a._contents.ids.next_id != b._contents.ids.next_id:
        return False
    return bits(a.codes(a.ids)) == bits(b.codes(b.ids)) and same_results(a, b, q)


def same_results(a, b, q, k=15, **kwargs):
    return all(bits(one) == bits(two) for one, two in zip(a.search(q, k, **kwargs), b.search(q, k, **kwargs), strict=True))


def shuffled(n):
    return np.random.default_rng(0).permutation(10 * n)[:n]


@pytest.fixture(scope="module")
def pq(base):
    return vp.PQ(4, n_bits=4).fit(base)


@pytest.fixture
def index(pq, base):
    """150 vectors with shuffled ids, after a removal: every part of a file is there."""
    index = vp.Index(pq)
    index.add(base[:160], ids=shuffled(160))
    index.remove(index.ids[5:15])
    return index


@pytest.fixture
def saved(index, tmp_path):
    path = tmp_path / "index.vpz"
    index.save(path)
    return path


class TestRoundTrip:
    @pytest.mark.parametrize("codec", CODECS, ids=repr)
    def test_every_codec(self, codec, base, queries, on_base, tmp_path):
        path, codec = tmp_path / "c.vpz", on_base(codec)
        codec.save(path)
        loaded = vp.load(path)
        assert loaded == codec and type(loaded) is type(codec) and loaded.dim == codec.dim
        assert bits(loaded.encode(base)) == bits(codec.encode(base))
        assert vp.load(path, mmap=True, verify=True) == codec
        index = vp.Index(codec)
        index.add(base[:130])
        index.save(path)
        for loaded in (vp.load(path), vp.load(path, mmap=True), vp.load(path, verify=False)):
            assert equal(index, loaded, queries)
            assert same_results(index, loaded, queries, symmetric=True)

    @pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
    @pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 128])
    def test_every_size(self, n, explicit, pq, base, queries, tmp_path):
        index = vp.Index(pq)
        index.add(base[:n], ids=shuffled(n) if explicit else None)
        index.save(tmp_path / "i.vpz")
        for mmap in (False, True):
            loaded = vp.load(tmp_path / "i.vpz", mmap=mmap)
            assert loaded.nbytes == -(-n // 64) * 64 * pq.code_size + 8 * n * explicit  # no map before it is needed
            assert equal(index, loaded, queries)
            assert (loaded._contents.ids.ids is None) == (not explicit or n == 0)
        assert io.inspect(tmp_path / "i.vpz")["arrays"][0]["shape"] == [-(-n // 64), 64 * pq.code_size]

    def test_goes_on_where_it_was(self, index, saved, base):
        loaded = vp.load(saved)
        for one in (index, loaded):
            one.add(base[:3])
            one.remove(one.ids[7])
            one.add(base[3:80], ids=np.arange(5000, 5077))
        assert equal(index, loaded, base[:5])

    def test_a_numbering_that_ran_ahead_is_kept(self, pq, base, tmp_path):
        index = vp.Index(pq)
        index.add(base[:3])
        index.remove([0, 1, 2])
        index.save(tmp_path / "i.vpz")
        loaded = vp.load(tmp_path / "i.vpz")
        loaded.add(base[:1])
        assert loaded.ids.tolist() == [3]

    def test_same_index_same_bytes_and_nothing_of_what_was_removed(self, index, base, saved, tmp_path):
        again = tmp_path / "again.vpz"
        vp.load(saved).save(again)
        assert again.read_bytes() == saved.read_bytes()
        short = vp.Index(vp.Raw().fit(base))
        short.add(base[:100])
        gone = base[99].tobytes()
        short.remove(99)
        short.save(again)
        assert all(gone[i : i + 4] not in again.read_bytes()[4096:] for i in range(0, len(gone), 4))

    def test_paths_of_every_kind(self, pq, tmp_path, monkeypatch):
        for path in (tmp_path / "a.vpz", str(tmp_path / "b.vpz"), os.fsencode(tmp_path / "c.vpz")):
            pq.save(path)
            assert vp.load(path) == pq
            assert io.inspect(path)["path"] == os.fsdecode(path)
        monkeypatch.chdir(tmp_path)
        pq.save("d.vpz")
        assert vp.load("d.vpz") == pq


class TestFormat:
    def test_the_official_reader_reads_it(self, index, saved):
        safetensors = pytest.importorskip("safetensors")
        arrays = pytest.importorskip("safetensors.numpy").load_file(saved)
        assert sorted(arrays) == ["blocks", "codec.codebooks_", "ids"]
        np.testing.assert_array_equal(arrays["ids"], index.ids)
        np.testing.assert_array_equal(arrays["codec.codebooks_"], index.codec.codebooks_)
        np.testing.assert_array_equal(arrays["blocks"], vp.load(saved)._contents.columns[0].data)
        with safetensors.safe_open(saved, "numpy") as file:
            metadata = file.metadata()
        assert metadata["format"] == "vecpress" and metadata["format_version"] == "1"
        assert json.loads(metadata["codec"]) == {"name": "PQ", "config": index.codec.config()}

    def test_inspect_says_what_is_there(self, index, saved):
        about = io.inspect(saved)
        json.dumps(about)
        assert about["kind"] == "index" and about["n"] == 150 and about["next_id"] == index._contents.ids.next_id
        assert about["codec"] == {"name": "PQ", "config": index.codec.config()} and about["dim"] == index.codec.dim
        assert about["layout"] == {"version": 1, "block": 64, "head": 0, "group": 1, "code_size": 2}
        assert about["file_nbytes"] == saved.stat().st_size and about["header_nbytes"] % 4096 == 0
        raw = saved.read_bytes()
        at = about["header_nbytes"]
        for array in about["arrays"]:
            assert array["offset"] == at and at % np.dtype(array["dtype"]).itemsize == 0
            at += array["nbytes"]
            assert array["checksum"] == f"crc32:{zlib.crc32(raw[array['offset'] : at]):08x}"
        assert at == len(raw)
        assert [array["name"] for array in about["arrays"]] == ["blocks", "ids", "codec.codebooks_"]

    def test_inspect_of_a_codec(self, pq, tmp_path):
        pq.save(tmp_path / "c.vpz")
        about = io.inspect(tmp_path / "c.vpz")
        assert about["kind"] == "codec" and about["metric"] == "ip" and "n" not in about
        assert [array["shape"] for array in about["arrays"]] == [[4, 16, 6]]

    @pytest.mark.parametrize("backend", runnable())
    @pytest.mark.parametrize("folder", sorted(GOLDEN.glob("v*")), ids=lambda folder: folder.name)
    def test_golden_files_of_every_version(self, folder, backend):
        """Every kernel, today's and tomorrow's, finds in old files what was found when they were written, to the bit."""
        expected = json.loads((folder / "expected.json").read_text())
        q = np.frombuffer(bytes.fromhex(expected["queries"]), "<f4").reshape(3, -1)
        x = np.frombuffer(bytes.fromhex(expected["vectors"]), "<f4").reshape(-1, q.shape[1])
        assert expected["files"]
        with vp.use(backend):
            for name, about in expected["files"].items():
                codec = vp.load(folder / f"{name}.codec.vpz")
                assert codec.encode(x).tobytes().hex() == about["codes"]
                for mmap in (False, True):
                    store = x.astype(np.float16) if name == "vectors" else None
                    index = vp.load(folder / f"{name}.index.vpz", mmap=mmap, verify=True, store=store)
                    if isinstance(index, vp.KeyedIndex):
                        assert index.keys == about["index"]["keys"]
                        index = index._index
                    assert index.codec == codec and repr(codec) == about["index"]["repr"]
                    assert index.ids.tolist() == about["index"]["ids"]
                    assert index.codes(index.ids).tobytes().hex() == about["index"]["codes"]
                    if "store_codes" in about["index"]:
                        assert index.codes(index.ids, store=True).tobytes().hex() == about["index"]["store_codes"]
                    for kind in {"adc", "sdc", "rerank"} & set(about["index"]):
                        rerank = 3 * expected["k"] if kind == "rerank" else None
                        scores, ids = index.search(q, expected["k"], symmetric=kind == "sdc", rerank=rerank)
                        assert ids.tolist() == about["index"][kind]["ids"]
                        assert scores.astype("<f4").tobytes().hex() == about["index"][kind]["scores"]


class TestMapped:
    def test_read_only_with_a_way_out(self, saved, base, queries):
        mapped = vp.load(saved, mmap=True)
        before = mapped.ids, mapped.search(queries)
        for change in (
            lambda: mapped.add(base[:1]),
            lambda: mapped.add_codes(np.zeros((1, 2), np.uint8), ids=[9999]),
            lambda: mapped.remove(mapped.ids[0]),
        ):
            with pytest.raises(ValueError, match=r"read-only.*mmap=True"):
                change()
        np.testing.assert_array_equal(mapped.ids, before[0])
        assert bits(mapped.search(queries)[0]) == bits(before[1][0])

    def test_searches_like_the_one_in_memory(self, saved, queries):
        mapped, loaded = vp.load(saved, mmap=True), vp.load(saved)
        assert same_results(mapped, loaded, queries)
        some = loaded.ids[20:60]
        assert same_results(mapped, loaded, queries, allow=some)
        assert same_results(mapped, loaded, queries, allow=np.isin(loaded.ids, some), symmetric=True)
        np.testing.assert_array_equal(mapped.codes(some), loaded.codes(some))

    def test_saving_over_a_mapped_file_leaves_the_mapping(self, saved, index, base, queries):
        mapped = vp.load(saved, mmap=True)
        before = mapped.search(queries)
        mapped.save(saved)
        assert equal(vp.load(saved), index, queries)
        index.remove(index.ids[:100])
        index.save(saved)
        assert len(vp.load(saved)) == 50
        assert len(mapped) == 150 and bits(mapped.search(queries)[1]) == bits(before[1])

    def test_opens_without_reading_the_codes(self, saved, tmp_path):
        """A hundred million codes, which the file system need not store: no time for more than the header."""
        n, path = 100_000_000, tmp_path / "large.vpz"
        codec = vp.PQ.restore({"m": 64}, 64, {"codebooks_": np.zeros((64, 256, 1), np.float32)})
        empty = vp.Index(codec)
        empty.save(path)
        nbytes = -(-n // 64) * 64 * 64

        def grow(header):
            header["__metadata__"]["n"] = header["__metadata__"]["next_id"] = str(n)
            header["blocks"].update(shape=[-(-n // 64), 4096], data_offsets=[0, nbytes])
            header["codec.codebooks_"]["data_offsets"] = [nbytes, nbytes + 65536]

        raw = path.read_bytes()
        start = new_header(raw, grow)
        with open(path, "wb") as file:
            file.write(start)
            file.seek(len(start) + nbytes)
            file.write(raw[-65536:])
        seconds = []
        for _ in range(7):
            begin = time.perf_counter()
            index = vp.load(path, mmap=True)
            seconds.append(time.perf_counter() - begin)
        assert len(index) == n and min(seconds) < 0.05
        assert index.codes([n - 1]).tolist() == [[0] * 64]
        path.unlink()

    def test_flags_are_bools(self, saved):
        for flags in ({"mmap": 1}, {"mmap": None}, {"verify": "yes"}):
            with pytest.raises(TypeError, match="expected a bool"):
                vp.load(saved, **flags)


def new_header(raw, change):
    """The file's first bytes after change(header), with a header checksum that fits."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    change(header)
    header["__metadata__"]["header_checksum"] = "crc32:00000000"
    text = json.dumps(header, separators=(",", ":")).encode()
    return sealed(text + b" " * (-(8 + len(text)) % 4096))


def sealed(text):
    raw = len(text).to_bytes(8, "little") + text
    place = raw.index(container.MARKER) + len(container.MARKER)
    return raw[:place] + b"%08x" % zlib.crc32(raw) + raw[place + 8 :]


def tampered(path, change=None, data=None):
    """Rewrites the file as who knows the format would: change(header), data(bytearray), fitting checksums."""
    raw = path.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    body = bytearray(raw[begin:])
    if data:
        data(body)

    def both(header):
        if data:
            sums = {
                name: f"crc32:{zlib.crc32(body[slice(*entry['data_offsets'])]):08x}"
                for name, entry in header.items()
                if name != "__metadata__"
            }
            header["__metadata__"]["checksums"] = json.dumps(sums)
        if change:
            change(header)

    path.write_bytes(new_header(raw, both) + body)


def metadata(**values):
    def change(header):
        for key, value in values.items():
            if value is None:
                del header["__metadata__"][key]
            else:
                header["__metadata__"][key] = value

    return change


def nested(key, **values):
    def change(header):
        inner = json.loads(header["__metadata__"][key])
        inner.update(values)
        header["__metadata__"][key] = json.dumps(inner)

    return change


def config(**values):
    def change(header):
        codec = json.loads(header["__metadata__"]["codec"])
        codec["config"].update(values)
        header["__metadata__"]["codec"] = json.dumps(codec)

    return change


def entry(name, **values):
    return lambda header: header[name].update(values)


def shift(header):
    """A hole of 8 bytes between ids and codebooks."""
    header["codec.codebooks_"]["data_offsets"] = [v + 8 for v in header["codec.codebooks_"]["data_offsets"]]


def rename(header):
    header["other"] = header.pop("ids")
    sums = json.loads(header["__metadata__"]["checksums"])
    sums["other"] = sums.pop("ids")
    header["__metadata__"]["checksums"] = json.dumps(sums)


IDS = 3 * 128  # where the ids of the saved index begin, behind three blocks of 128 bytes


def put(at, raw):
    def data(body):
        body[at : at + len(raw)] = raw

    return data


class TestDamage:
    def test_cut_anywhere(self, saved, pq, tmp_path):
        pq.save(tmp_path / "c.vpz")
        for path in (saved, tmp_path / "c.vpz"):
            size, header = path.stat().st_size, io.inspect(path)["header_nbytes"]
            for length in [size - 1, *reversed(range(header, size, 64)), *reversed(range(header))]:
                os.truncate(path, length)
                for mmap in (False, True):
                    try:
                        vp.load(path, mmap=mmap)
                    except vp.CorruptFileError as error:
                        assert str(error).startswith(f"{path}: ")
                    else:
                        pytest.fail(f"cut to {length} bytes, and loaded")

    def test_a_byte_too_many(self, saved):
        saved.write_bytes(saved.read_bytes() + b"\0")
        with pytest.raises(vp.CorruptFileError, match="expected a file of"):
            vp.load(saved)

    def test_a_flipped_bit_anywhere_is_found(self, saved, tmp_path):
        raw, flipped = saved.read_bytes(), tmp_path / "flipped.vpz"
        text = len(raw[:4096].rstrip())
        rng = np.random.default_rng(0)
        places = [
            *rng.integers(0, text, 300),
            *rng.integers(text, 4096, 30),
            *rng.integers(4096, len(raw), 200),
        ]
        for place in places:
            changed = bytearray(raw)
            changed[place] ^= 1 << int(rng.integers(8))
            flipped.write_bytes(changed)
            with pytest.raises(vp.CorruptFileError, match=r"flipped.vpz: "):
                vp.load(flipped)
            with pytest.raises(vp.CorruptFileError):
                io.verify(flipped)

    def test_a_mapped_index_with_flipped_bits_never_crashes(self, saved, queries, tmp_path):
        raw, flipped = saved.read_bytes(), tmp_path / "flipped.vpz"
        rng = np.random.default_rng(1)
        results = set()
        for _ in range(300):
            place = int(rng.integers(4096, len(raw)))
            changed = bytearray(raw)
            changed[place] ^= 1 << int(rng.integers(8))
            flipped.write_bytes(changed)
            try:
                index = vp.load(flipped, mmap=True)
                scores, ids = index.search(queries, 200)
                assert scores.shape == ids.shape == (len(queries), 200)
                index.search(queries, 5, symmetric=True)
                index.codes(index.ids[:3])
                index.search(queries, 5, allow=np.arange(150) % 2 == 0)
                results.add("searched")
            except vp.CorruptFileError:
                assert place >= 4096 + 3 * 128  # ids or codebooks
                results.add("refused")
        assert results == {"searched", "refused"}

    def test_a_repeated_id_in_a_mapped_file_is_found_when_ids_are_looked_up(self, saved, index):
        tampered(saved, data=put(IDS, index.ids[1:2].tobytes()))
        mapped = vp.load(saved, mmap=True)
        with pytest.raises(vp.CorruptFileError, match=rf"index.vpz: array 'ids' has {index.ids[1]} twice"):
            mapped.codes([5])

    TAMPERED: ClassVar = {
        "kind": (metadata(kind="shard"), None, "metadata: kind"),
        "unknown key": (metadata(colour="red"), None, "colour"),
        "missing key": (metadata(dim=None), None, "dim"),
        "missing n": (metadata(n=None), None, "n"),
        "codec as index": (metadata(kind="codec"), None, "metadata"),
        "newer version": (metadata(format_version="3"), None, "3 is newer than 2"),
        "version": (metadata(format_version="one"), None, "format_version"),
        "version 0": (metadata(format_version="0"), None, "format_version"),
        "format": (metadata(format="pt"), None, "not a vecpress file"),
        "metadata's values": (lambda h: h["__metadata__"].update(n=150), None, "strings"),
        "codec's name": (nested("codec", name="PQX"), None, "there is no codec 'PQX'"),
        "codec's name's kind": (nested("codec", name=3), None, "metadata: codec"),
        "codec's keys": (nested("codec", more=1), None, "metadata: codec"),
        "config's kind": (nested("codec", config=[1]), None, "metadata: codec"),
        "codec's JSON": (metadata(codec='{"name": "PQ", "config": {}'), None, "metadata: codec: not valid"),
        "codec's repeated key": (metadata(codec='{"name":"PQ","name":"PQ","config":{}}'), None, "repeated"),
        "codec's NaN": (metadata(codec='{"name":"PQ","config":{"m":NaN}}'), None, "NaN"),
        "deep JSON": (metadata(codec="[" * 100_000), None, "metadata: codec"),
        "a list for JSON": (metadata(layout="[]"), None, "layout"),
        "m": (config(m=3), None, "codec"),
        "m's kind": (config(m="4"), None, "codec"),
        "huge m": (config(m=10**40), None, "codec"),
        "n_bits": (config(n_bits=8), None, "codec"),
        "other option": (config(colour="red"), None, "codec"),
        "metric": (config(metric="l2"), None, "metadata: metric"),
        "metric's kind": (config(metric=["ip"]), None, "codec"),
        "dim": (metadata(dim="48"), None, "codec"),
        "dim 0": (metadata(dim="0"), None, "codec"),
        "dim's sign": (metadata(dim="-24"), None, "metadata: dim"),
        "dim's digits": (metadata(dim="\u0662\u0664"), None, "metadata: dim"),
        "large dim": (metadata(dim=str(2**40)), None, "metadata: dim"),
        "n": (metadata(n="214"), None, "array 'blocks'"),
        "fewer n": (metadata(n="149"), None, "array 'ids'"),
        "huge n": (metadata(n="9" * 5000), None, "metadata: n"),
        "n's space": (metadata(n=" 150"), None, "metadata: n"),
        "next_id": (metadata(next_id="3"), None, "array 'ids'"),
        "layout's version": (nested("layout", version=2), None, "metadata: layout"),
        "layout's block": (nested("layout", block=32), None, "metadata: layout"),
        "layout's head": (nested("layout", head=1), None, "metadata: layout"),
        "layout's group": (nested("layout", group=2), None, "metadata: layout"),
        "layout's code_size": (nested("layout", code_size=4), None, "metadata: layout"),
        "dtype": (entry("blocks", dtype="I8"), None, "array 'blocks'"),
        "unknown dtype": (entry("blocks", dtype="U9"), None, "dtype"),
        "dtype's kind": (entry("blocks", dtype=["U8"]), None, "dtype"),
        "shape": (entry("blocks", shape=[128, 3]), None, "array 'blocks'"),
        "shape's size": (entry("blocks", shape=[4, 128]), None, "data_offsets"),
        "shape's sign": (entry("blocks", shape=[-3, -128]), None, "shape"),
        "shape's kind": (entry("blocks", shape=[3.0, 128]), None, "shape"),
        "shape's bool": (entry("blocks", shape=[3, 128, True]), None, "shape"),
        "huge shape": (entry("blocks", shape=[2**62, 2**62, 0], data_offsets=[0, 0]), None, "shape"),
        "offsets": (entry("blocks", data_offsets=[0, 1 << 62]), None, "data_offsets"),
        "offsets' order": (entry("blocks", data_offsets=[384, 0]), None, "data_offsets"),
        "offsets' count": (entry("blocks", data_offsets=[384]), None, "data_offsets"),
        "overlap": (entry("ids", data_offsets=[376, 1576]), None, "array 'ids'"),
        "hole": (shift, None, "codec.codebooks_"),
        "entry's keys": (entry("ids", more=1), None, "array 'ids'"),
        "entry's kind": (lambda h: h.update(ids=3), None, "array 'ids'"),
        "missing array": (lambda h: h.pop("ids"), None, "checksums"),
        "unknown array": (rename, None, "'other'"),
        "checksum": (nested("checksums", ids="crc32:00000000"), None, "array 'ids': checksum"),
        "checksums' kind": (nested("checksums", ids=0), None, "checksums"),
        "rows past the last": (None, put(2 * 128 + 64 + 22, b"\1"), "zeros past row 149"),
        "repeated id": (None, put(IDS, np.array([7, 7]).tobytes()), "different ids, 7"),
        "negative id": (None, put(IDS, np.array([-1]).tobytes()), "array 'ids'"),
        "large id": (None, put(IDS, np.array([1600]).tobytes()), "array 'ids'"),
        "infinite codebook": (None, put(IDS + 150 * 8, np.array([np.inf], "f4").tobytes()), "finite"),
    }  # fmt: skip

    @pytest.mark.parametrize("how", TAMPERED)
    def test_tampered_with_valid_checksums(self, how, saved):
        change, data, message = self.TAMPERED[how]
        tampered(saved, change, data)
        for call in (vp.load, io.verify):
            with pytest.raises(vp.CorruptFileError, match=f"(?s)index.vpz: .*{message}"):
                call(saved)

    @pytest.mark.parametrize("mmap", [False, True], ids=["loaded", "mapped"])
    @pytest.mark.parametrize("next_id", [99, 101])
    def test_a_numbering_that_does_not_fit_rows_without_ids(self, next_id, mmap, pq, base, tmp_path):
        index = vp.Index(pq)
        index.add(base[:100])
        index.save(tmp_path / "index.vpz")
        tampered(tmp_path / "index.vpz", metadata(next_id=str(next_id)))
        with pytest.raises(vp.CorruptFileError, match=r"index.vpz: metadata: next_id: expected 100"):
            vp.load(tmp_path / "index.vpz", mmap=mmap)

    def test_tampering_without_change_loads(self, saved, index, queries):
        tampered(saved, metadata(), lambda body: None)
        assert equal(vp.load(saved), index, queries)

    @pytest.mark.parametrize("seed", range(8))
    def test_random_tampering_loads_or_is_refused(self, seed, saved, queries, tmp_path):
        """Bytes of the header replaced at random, with a fitting checksum: the other checks must do."""
        raw, path, rng = saved.read_bytes(), tmp_path / "t.vpz", np.random.default_rng(seed)
        text = raw[8:4096].rstrip()
        marker = text.index(container.MARKER)
        reference = vp.load(saved)
        for _ in range(100):
            changed = bytearray(text)
            for _ in range(int(rng.integers(1, 4))):
                place = int(rng.integers(len(text)))
                if marker <= place < marker + 40:
                    continue
                changed[place] = int(rng.choice(np.frombuffer(b'0123456789"{}[],:-.eE truefalsn\\u\x00\xff', np.uint8)))
            changed[marker + len(container.MARKER) : marker + len(container.MARKER) + 8] = b"00000000"
            path.write_bytes(sealed(bytes(changed).ljust(4088)) + raw[4096:])
            for mmap in (False, True):
                try:
                    index = vp.load(path, mmap=mmap)
                except vp.CorruptFileError as error:
                    assert str(error).startswith(str(path))
                else:  # a changed seed, created_by or next_id
                    assert same_results(index, reference, queries)

    def test_what_is_no_vecpress_file(self, tmp_path):
        path = tmp_path / "x.vpz"
        numpy = pytest.importorskip("safetensors.numpy")
        numpy.save_file({"a": np.zeros(3)}, path)
        contents = {
            "empty": b"", "short": b"\x80", "text": b"hello, this is text\n" * 10, "zeros": bytes(5000),
            "header": b"\x02" + bytes(7) + b"{}", "not an object": b"\x02" + bytes(7) + b"[]",
            "utf-16": b"\x04" + bytes(7) + "{}".encode("utf-16-le"), "zip": b"PK\3\4" + bytes(100),
            "npy": b"\x93NUMPY\x01\x00" + bytes(120), "safetensors": path.read_bytes(),
        }  # fmt: skip
        for name, content in contents.items():
            path.write_bytes(content)
            for call in (vp.load, io.inspect, io.verify):
                with pytest.raises(vp.CorruptFileError, match=r"x.vpz: .*not a vecpress file|x.vpz: header"):
                    call(path)
                    pytest.fail(name)

    def test_what_is_no_file(self, tmp_path):
        for call in (vp.load, io.inspect, io.verify):
            with pytest.raises(FileNotFoundError):
                call(tmp_path / "missing.vpz")
            with pytest.raises(OSError):
                call(tmp_path)
            with pytest.raises(TypeError):
                call(3)

    def test_inspect_reads_files_of_codecs_that_are_not_here(self, saved):
        tampered(saved, nested("codec", name="Later"))
        assert io.inspect(saved)["codec"]["name"] == "Later"


class TestSaving:
    @pytest.mark.parametrize("step", ["fsync", "replace", "write"])
    def test_a_failure_leaves_the_old_file_and_nothing_else(self, step, index, saved, base, monkeypatch):
        before = saved.read_bytes()
        index.add(base[:40])

        def fail(*args):
            raise OSError("no space left")

        if step == "write":
            monkeypatch.setattr(container, "_write_part", fail)
        else:
            monkeypatch.setattr(os, step, fail)
        with pytest.raises(OSError, match="no space left"):
            index.save(saved)
        assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]

    def test_a_failure_leaves_no_file_where_there_was_none(self, index, tmp_path):
        with pytest.raises(FileNotFoundError):
            index.save(tmp_path / "no folder" / "i.vpz")
        (tmp_path / "folder").mkdir()
        with pytest.raises(OSError):
            index.save(tmp_path / "folder")
        assert os.listdir(tmp_path) == ["folder"] and os.listdir(tmp_path / "folder") == []

    def test_errors_name_the_file_that_was_asked_for(self, index, tmp_path):
        """Not the temporary one."""
        for path, error in ((tmp_path / "none" / "i.vpz", FileNotFoundError), (tmp_path, IsADirectoryError)):
            with pytest.raises(error) as caught:
                index.save(path)
            assert caught.value.filename == str(path) and ".tmp" not in str(caught.value)

    def test_a_full_disk_names_the_file_that_was_asked_for(self, index, saved, monkeypatch):
        def full(*args):
            raise OSError(errno.ENOSPC, "No space left on device")  # as `write` raises it: without a name

        monkeypatch.setattr(container, "_write_part", full)
        with pytest.raises(OSError, match=f"No space left on device: '{saved}'"):
            index.save(os.fsencode(saved))

    def test_an_error_about_another_file_stays_what_it_is(self, saved, tmp_path):
        with pytest.raises(FileNotFoundError) as caught, container.replacing(saved):
            open(tmp_path / "input.npy")
        assert caught.value.filename == str(tmp_path / "input.npy")

    def test_names_as_long_as_the_file_system_allows(self, pq, tmp_path):
        for name in ("x" * 251 + ".vpz", "\N{OLD ITALIC LETTER A}" * 62 + ".vpz"):  # 255 and 252 bytes
            pq.save(tmp_path / name)
            assert vp.load(tmp_path / name) == pq
        assert len(os.listdir(tmp_path)) == 2

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
    def test_a_device_is_not_replaced_by_a_file(self, index):
        with pytest.raises(OSError, match="regular file: '/dev/full'"):
            index.save("/dev/full")

    @pytest.mark.parametrize("call", [vp.load, io.verify, io.inspect, lambda path: vp.Raw().fit(np.ones((1, 2))).save(path)])
    @pytest.mark.parametrize("path", [None, 3, ["a.vpz"]])
    def test_what_is_no_path(self, call, path):
        with pytest.raises(TypeError, match=r"(load|verify|inspect|save): path expected str, bytes or os.PathLike, got \w+"):
            call(path)

    def test_complete_before_it_is_seen(self, index, tmp_path, monkeypatch):
        """At the moment of the rename the new file is whole and has been flushed to disk."""
        path, steps = tmp_path / "i.vpz", []
        fsync, replace = os.fsync, os.replace
        monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), fsync(fd)))

        def checked(source, target):
            assert steps == ["fsync"]
            io.verify(source)
            steps.append("replace")
            replace(source, target)

        monkeypatch.setattr(os, "replace", checked)
        index.save(path)
        assert steps == ["fsync", "replace", "fsync"]  # the last: the folder
        io.verify(path)

    @pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
    def test_permissions_and_links_stay(self, index, saved, tmp_path):
        os.umask(mask := os.umask(0))
        assert saved.stat().st_mode & 0o777 == 0o666 & ~mask
        saved.chmod(0o600)
        link = tmp_path / "link.vpz"
        link.symlink_to(saved.name)
        index.save(link)
        assert link.is_symlink() and saved.stat().st_mode & 0o777 == 0o600

    def test_not_fitted(self, tmp_path):
        with pytest.raises(vp.NotFittedError):
            vp.PQ(4).save(tmp_path / "c.vpz")
        assert os.listdir(tmp_path) == []

    def test_while_another_thread_changes_the_index(self, index, base, tmp_path):
        """Every file holds the index between two changes."""
        stop, failures = threading.Event(), []

        def change():
            try:
                while not stop.is_set():
                    index.add(base[:7])
                    index.remove(index.ids[-7:])
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            for i in range(20):
                index.save(tmp_path / f"{i}.vpz")
        finally:
            stop.set()
            thread.join()
        assert not failures, failures[0]
        for i in range(20):
            assert len(vp.load(tmp_path / f"{i}.vpz")) in (150, 157)

    def test_a_moved_file_is_all_there_is_to_it(self, index, saved, queries, tmp_path):
        shutil.move(saved, tmp_path / "elsewhere.bin")
        assert equal(vp.load(tmp_path / "elsewhere.bin"), index, queries)
