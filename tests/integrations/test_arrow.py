"""Codes as an Arrow column: round trips, what DuckDB and polars see, and how large a file is."""

from __future__ import annotations

import base64
import subprocess
import sys

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as parquet

from vecpress.integrations.arrow import CodesType, codes_from_arrow, codes_to_arrow, read_parquet, write_parquet
from vecpress.integrations.codec_bytes import to_bytes


@pytest.fixture(scope="module")
def x():
    return clustered(0, 500, 24)


@pytest.fixture(scope="module")
def codec(x):
    return vp.PQ(6, 4).fit(x)


@pytest.fixture(scope="module")
def codes(codec, x):
    return codec.encode(x)


@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
def test_every_codec_comes_back(cls, x, tmp_path):
    codec = cls.examples()[0].fit(x)
    codes = codec.encode(x)
    write_parquet(tmp_path / "codes.parquet", codec, codes, {"id": np.arange(500)})
    again, back, rest = read_parquet(tmp_path / "codes.parquet")
    assert again == codec and rest.column_names == ["id"]
    np.testing.assert_array_equal(back, codes)


def test_nothing_is_copied(codec, codes):
    array = codes_to_arrow(codec, codes)
    assert array.type.storage_type == pa.binary(3) and array.type.extension_name == "vecpress.codes"
    assert array.storage.buffers()[1].address == codes.ctypes.data
    again, back = codes_from_arrow(array)
    assert again == codec and back.ctypes.data == codes.ctypes.data and not back.flags.writeable
    assert codes.flags.writeable  # what was handed in stays as it was
    part = codes_from_arrow(array[7:100])[1]
    np.testing.assert_array_equal(part, codes[7:100])
    assert part.ctypes.data == codes.ctypes.data + 7 * 3
    chunked = pa.chunked_array([array[:100], array[100:100], array[100:]])
    np.testing.assert_array_equal(codes_from_arrow(chunked)[1], codes)
    assert codes_from_arrow(pa.chunked_array([array]))[1].ctypes.data == codes.ctypes.data
    np.testing.assert_array_equal(codes_from_arrow(array.storage, codec)[1], codes)
    for nothing in (array[:0], pa.chunked_array([], array.type)):
        assert codes_from_arrow(nothing)[1].shape == (0, 3)
    np.testing.assert_array_equal(codes_from_arrow(codes_to_arrow(codec, codes[::2]))[1], codes[::2])


def test_streams_and_files_keep_the_codec(codec, codes, tmp_path):
    table = pa.table({"codes": codes_to_arrow(codec, codes)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    again, back = codes_from_arrow(pa.ipc.open_stream(sink.getvalue()).read_all()["codes"])
    assert again == codec
    np.testing.assert_array_equal(back, codes)
    parquet.write_table(table, tmp_path / "plain.parquet")  # by pyarrow alone, with its own settings
    assert read_parquet(tmp_path / "plain.parquet")[0] == codec


def test_a_program_without_vecpress_reads_the_bytes(codec, codes, tmp_path):
    write_parquet(tmp_path / "c.parquet", codec, codes)
    program = (
        "import sys, pyarrow.parquet as p; t = p.read_table(sys.argv[1]); f = t.schema.field('codes');"
        "assert 'vecpress' not in sys.modules and f.metadata[b'ARROW:extension:name'] == b'vecpress.codes';"
        "print(f.type, t['codes'][3].as_py().hex())"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "c.parquet"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fixed_size_binary[3]", codes[3].tobytes().hex()]


def test_the_file_is_as_large_as_the_codes(x, tmp_path):
    codec = vp.Sign().fit(np.tile(x, 16))
    codes = np.random.default_rng(0).integers(0, 256, (20_000, codec.code_size), np.uint8)
    write_parquet(tmp_path / "codes.parquet", codec, codes)
    size = (tmp_path / "codes.parquet").stat().st_size
    assert codes.nbytes < size < 1.02 * codes.nbytes
    # a larger codec counts as 16/9 of its own file: base64 here, and Parquet's writer once more
    large = vp.PQ(48).fit(np.tile(x, 16))
    codes = large.encode(np.tile(x, 16))
    write_parquet(tmp_path / "large.parquet", large, codes)
    size = (tmp_path / "large.parquet").stat().st_size
    assert size < 1.02 * (codes.nbytes + len(to_bytes(large)) * 16 / 9)


def test_hamming_in_duckdb(x, tmp_path, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    codec = vp.Sign().fit(x)
    codes = codec.encode(x)
    write_parquet("codes.parquet", codec, codes, {"id": np.arange(500) + 1000})
    passages = pa.table({"id": np.arange(500) + 1000, "codes": codes_to_arrow(codec, codes)})
    index = vp.Index(codec)
    index.add_codes(codes, np.arange(500) + 1000)
    for source in ("'codes.parquet'", "passages"):
        for row in (0, 123, 499):
            found = duckdb.execute(
                f"SELECT id, bit_count(xor(codes::BIT, $q::BLOB::BIT)) AS hamming FROM {source} ORDER BY hamming, id LIMIT 20",
                {"q": codes[row].tobytes()},
            ).fetchall()
            assert [i for i, _ in found] == index.search(x[row], 20, symmetric=True)[1][0].tolist()
            assert [h for _, h in found] == [np.unpackbits(codes[i - 1000] ^ codes[row]).sum() for i, _ in found]
    arrow = duckdb.sql("SELECT codes FROM passages").arrow()
    arrow = arrow if isinstance(arrow, pa.Table) else arrow.read_all()
    np.testing.assert_array_equal(codes_from_arrow(arrow["codes"], codec)[1], codes)
    del passages


def test_polars(codec, codes, tmp_path):
    polars = pytest.importorskip("polars")
    write_parquet(tmp_path / "codes.parquet", codec, codes, {"id": np.arange(500)})
    frame = polars.read_parquet(tmp_path / "codes.parquet")
    assert frame.columns == ["id", "codes"]
    storage = frame["codes"].ext.storage() if hasattr(frame["codes"], "ext") else frame["codes"]
    assert storage.to_list() == [code.tobytes() for code in codes]
    np.testing.assert_array_equal(codes_from_arrow(storage.to_arrow(), codec)[1], codes)


def test_bad_input(codec, codes, x, tmp_path):
    with pytest.raises(TypeError, match="codes_to_arrow: codec expected a Codec, got str"):
        codes_to_arrow("pq", codes)
    with pytest.raises(ValueError, match="PQ is not fitted"):
        codes_to_arrow(vp.PQ(6, 4), codes)
    with pytest.raises(ValueError, match=r"codes expected code_size=3 columns, got shape \(500, 2\)"):
        codes_to_arrow(codec, codes[:, :2])
    with pytest.raises(TypeError, match="expected a pyarrow Array or ChunkedArray, got ndarray"):
        codes_from_arrow(codes)
    with pytest.raises(TypeError, match=r"expected type vecpress\.codes or fixed_size_binary, got int64"):
        codes_from_arrow(pa.array([1]))
    array = codes_to_arrow(codec, codes)
    with pytest.raises(ValueError, match="codec expected a Codec for an array without the metadata"):
        codes_from_arrow(array.storage)
    with pytest.raises(ValueError, match=r"codec expected that of the column, PQ\(m=6.*, got Sign"):
        codes_from_arrow(array, vp.Sign().fit(x))
    with pytest.raises(ValueError, match=r"array expected code_size=3 columns, got shape \(1, 4\)"):
        codes_from_arrow(pa.array([b"1234"], pa.binary(4)), codec)
    with pytest.raises(ValueError, match="array expected values of code_size=3 bytes"):
        codes_from_arrow(pa.array([b"1234"]), codec)
    with pytest.raises(ValueError, match="codec expected a Codec"):
        codes_from_arrow(pa.array([b"123"]))
    with pytest.raises(ValueError, match="without null values, got 1 of these"):
        codes_from_arrow(pa.array([b"123", None], pa.binary(3)), codec)
    with pytest.raises(ValueError, match="columns expected none of the name of the codes, got 'codes'"):
        write_parquet(tmp_path / "c", codec, codes, {"codes": codes})
    with pytest.raises(ValueError, match="columns expected 500 values as there are codes, got 3 in 'id'"):
        write_parquet(tmp_path / "c", codec, codes, {"id": [1, 2, 3]})
    with pytest.raises(TypeError, match="path expected str"):
        write_parquet(3, codec, codes)
    assert not list(tmp_path.iterdir())
    write_parquet(tmp_path / "c", codec, codes, name="x")
    with pytest.raises(ValueError, match="expected a column 'codes', got x"):
        read_parquet(tmp_path / "c")
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:100])
    with pytest.raises(vp.CorruptFileError, match="Parquet"):
        read_parquet(tmp_path / "c")
    with pytest.raises(FileNotFoundError):
        read_parquet(tmp_path / "d")


def test_metadata_are_not_trusted(codec, codes, x, tmp_path):
    storage = codes_to_arrow(codec, codes).storage
    good = to_bytes(codec)
    index = vp.Index(codec)
    index.save(tmp_path / "i.vpz")
    wrong = {
        "the metadata are not base64": b"?",
        "vecpress.codes: .*header": base64.b64encode(good[:100]),
        "vecpress.codes: .*checksum": base64.b64encode(good[:-1] + bytes([good[-1] ^ 1])),
        "expected a codec, got an Index": base64.b64encode((tmp_path / "i.vpz").read_bytes()),
        "expected codes of code_size=24 bytes, got a column of 3": base64.b64encode(to_bytes(vp.SQ().fit(x))),
    }
    for message, text in wrong.items():
        array = pa.ExtensionArray.from_storage(CodesType(3, text), storage)
        with pytest.raises(vp.CorruptFileError, match=message):
            codes_from_arrow(array)
