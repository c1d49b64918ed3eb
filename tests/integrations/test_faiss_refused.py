"""What is refused of faiss's indexes and files: codes that are none of ours, contradictions, damage; and how that is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import cli
from vecpress.integrations import faiss as exchange
from vecpress.integrations import faiss_parts

faiss = pytest.importorskip("faiss")

X = clustered(5, 400, 16)


def indexed(codec: vp.Codec) -> vp.Index:
    index = vp.Index(codec.fit(X))
    index.add(X)
    return index


OWN = [
    vp.RaBitQ(1),
    vp.RaBitQ(1, metric="l2"),
    vp.RaBitQ(4),
    vp.RaBitQ(8, factors="f4"),
    vp.LloydMax(1),
    vp.LloydMax(2, metric="l2"),
]


@pytest.mark.parametrize("codec", OWN, ids=str)
@pytest.mark.parametrize("shift", [0, 30])
def test_rows_that_faiss_added_itself_are_refused(codec, shift, tmp_path):
    """Their factors are not those that codes of ours have, which would decode to something else."""
    x = X + np.float32(shift)
    known = vp.Index(codec.fit(x))
    known.add(x)
    index = exchange.to_faiss(known)
    index.add(x[:3])
    words = r"codes: row 400 expected the factors of a code that vecpress exported, got .*; faiss added it itself"
    for known in (codec, None):
        with pytest.raises(exchange.NoFaissForm, match=words):
            exchange.from_faiss(index, known)
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    with pytest.raises(exchange.NoFaissForm, match=r"index\.faiss: " + words):
        exchange.read(tmp_path / "index.faiss", codec)


@pytest.mark.parametrize("codec", [vp.RaBitQ(1), vp.RaBitQ(4, metric="l2"), vp.LloydMax(2)], ids=str)
def test_codes_of_another_width_than_their_index_has(codec):
    index = exchange.to_faiss(indexed(codec))
    body = faiss.downcast_index(index.index)
    width = body.code_size
    body.code_size = width - 2
    body.codes.resize(400 * (width - 2))
    for known in (codec, None):
        with pytest.raises(ValueError, match=f"bytes of a code expected {width}, got {width - 2}"):
            exchange.from_faiss(index, known)


def test_a_scale_of_another_kind_is_another_index():
    index = exchange.to_faiss(indexed(vp.LloydMax(2)))
    faiss.downcast_index(index.index).scale_type = 0
    with pytest.raises(ValueError, match="got other arrays in 'eden'"):
        exchange.from_faiss(index, indexed(vp.LloydMax(2)).codec)
    with pytest.raises(exchange.NoFaissForm, match="IndexEDEN expected the transforms that vecpress exports"):
        exchange.from_faiss(index)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numbers_that_are_not_finite_are_named(dtype, value, monkeypatch):
    monkeypatch.setattr(exchange, "BLOCK_NBYTES", 3000)  # several blocks
    index = exchange.to_faiss(indexed(vp.Raw(dtype)))
    codes = faiss.vector_to_array(index.codes)
    codes.view(dtype).reshape(400, 16)[[377, 380], 5] = value
    faiss.copy_array_to_vector(codes, index.codes)
    with pytest.raises(ValueError, match="codes expected finite values, row 377 has NaN or infinity"):
        exchange.from_faiss(index)


def test_fast_scan_codes_are_unpacked_in_blocks(monkeypatch):
    index = indexed(vp.PQ(8, 4))
    monkeypatch.setattr(faiss_parts, "BLOCK_NBYTES", 300)
    np.testing.assert_array_equal(exchange.from_faiss(exchange.to_faiss(index, "pqfs")).codes(index.ids), index.codes(index.ids))


def test_a_file_that_contradicts_itself_is_corrupt_and_a_mismatch_is_not(tmp_path, monkeypatch):
    path = tmp_path / "index.faiss"
    index = exchange.to_faiss(indexed(vp.PQ(4)))
    faiss.copy_array_to_vector(np.full(4 * 256 * 4, np.nan, np.float32), index.pq.centroids)
    faiss.write_index(index, str(path))
    with pytest.raises(vp.CorruptFileError, match=r"index\.faiss: .*codebooks_: expected finite values"):
        exchange.read(path)
    outer = faiss.IndexIDMap2(faiss.IndexFlatL2(16))
    outer.add_with_ids(X[:3], np.array([0, 1, 1]))
    faiss.write_index(outer, str(path))
    with pytest.raises(vp.CorruptFileError, match=r"index\.faiss: "):
        exchange.read(path)
    exchange.write(indexed(vp.PQ(4)), path)
    for arguments, words in (
        ({"codec": vp.SQ().fit(X)}, "codec expected one of an index of kind 'pq'"),
        ({"codec": vp.PQ(4, seed=1).fit(X)}, "got other arrays in 'pq'"),
        ({"codec": vp.PQ(4)}, "fit"),
        ({"metric": "cos"}, "metric expected 'ip' as in the index, got 'cos'"),
        ({"metric": "l3"}, "read: metric expected one of"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            exchange.read(path, **arguments)
        assert not isinstance(caught.value, vp.CorruptFileError)

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(faiss, "read_index", fail)
    with pytest.raises(vp.CorruptFileError, match="faiss cannot read it: MemoryError"):
        exchange.read(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such names")
def test_a_path_of_any_bytes(tmp_path):
    index, path = indexed(vp.Raw()), os.fsencode(tmp_path) + b"/\xff\xc3\xa9.faiss"
    exchange.write(index, path)
    np.testing.assert_array_equal(exchange.read(path).codes(index.ids), index.codes(index.ids))


def test_a_damaged_index_is_not_exported(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    indexed(vp.Raw()).save("index.vpz")
    raw = bytearray(Path("index.vpz").read_bytes())
    raw[len(raw) // 2] ^= 1  # of a code: most of the file is codes
    Path("index.vpz").write_bytes(raw)
    assert cli.main(["export", "index.vpz", "-o", "out.faiss"]) == cli.CORRUPT
    assert "index.vpz" in capsys.readouterr().err and not Path("out.faiss").exists()
