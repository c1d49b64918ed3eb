"""Codes in the forms of databases: golden vectors, the databases' own clients, LanceDB and PostgreSQL for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress.integrations import formats

CODES = np.array([[0x00, 0xFF], [0x80, 0x01], [0x6A, 0xC0]], np.uint8)
BIN = ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"]


@pytest.fixture(scope="module")
def x():
    return clustered(0, 200, 21)  # 21 bits: 3 of the last byte are not used


@pytest.fixture(scope="module")
def sign(x):
    return vp.Sign().fit(x)


@pytest.fixture(scope="module")
def codes(sign, x):
    return sign.encode(x)


@pytest.fixture(scope="module")
def nearest(sign, codes, x):
    """Ids of the ten nearest rows to row `i` by their bits, as our scan of coded queries finds them."""
    index = vp.Index(sign)
    index.add_codes(codes)
    return lambda i: index.search(x[i], 10, symmetric=True)[1][0].tolist()


# ---- golden vectors


def test_golden_vectors():
    assert formats.pgvector_text(CODES) == ["0000000011111111", "1000000000000001", "0110101011000000"]
    assert formats.pgvector_text(CODES[2:], 10) == ["0110101011"]
    assert formats.pgvector_binary(CODES[1:2]) == [b"\x00\x00\x00\x10\x80\x01"]
    assert formats.pgvector_binary(CODES[2:], 10) == [b"\x00\x00\x00\x0a\x6a\xc0"]
    assert formats.pgvector_copy([7, 258], CODES[1:], 16) == (
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"
        b"\x00\x02\x00\x00\x00\x08\0\0\0\0\0\0\x00\x07\x00\x00\x00\x06\x00\x00\x00\x10\x80\x01"
        b"\x00\x02\x00\x00\x00\x08\0\0\0\0\0\0\x01\x02\x00\x00\x00\x06\x00\x00\x00\x10\x6a\xc0\xff\xff"
    )
    assert formats.signed_bytes(CODES) == [[0, -1], [-128, 1], [106, -64]]
    assert formats.elasticsearch_hex(CODES) == formats.vespa_hex(CODES) == ["00ff", "8001", "6ac0"]
    assert formats.qdrant_uint8(CODES[2:], 10) == [[0, 1, 1, 0, 1, 0, 1, 0, 1, 1]]
    assert formats.milvus_binary(CODES) == [b"\x00\xff", b"\x80\x01", b"\x6a\xc0"]
    assert formats.vespa_cells(CODES[1:2]) == [{"values": [-128, 1]}]


def test_golden_queries():
    assert formats.elasticsearch_mapping(48) == {
        "type": "dense_vector", "element_type": "bit", "dims": 384, "index": True, "similarity": "l2_norm",
    }  # fmt: skip
    assert formats.elasticsearch_query("code", CODES[1], 5) == {
        "field": "code", "query_vector": "8001", "k": 5, "num_candidates": 100,
    }  # fmt: skip
    assert formats.opensearch_mapping(2)["dimension"] == 16 and formats.opensearch_mapping(2)["data_type"] == "binary"
    assert formats.opensearch_query("code", CODES[1:2], 5) == {"knn": {"code": {"vector": [-128, 1], "k": 5}}}
    assert formats.vespa_query("code", CODES[1], 5) == {
        "yql": "select * from sources * where {targetHits: 5}nearestNeighbor(code, q)",
        "input.query(q)": "[-128, 1]",
    }
    for query in (formats.elasticsearch_query, formats.opensearch_query, formats.vespa_query):
        body = query("code", CODES[0])
        assert json.loads(json.dumps(body)) == body


def test_they_come_back(codes):
    for got in (
        formats.from_bit_text(formats.pgvector_text(codes, 21)),
        formats.from_hex(formats.elasticsearch_hex(codes)),
        formats.from_signed(formats.signed_bytes(codes)),
        np.packbits(formats.qdrant_uint8(codes, 21), axis=1),
        np.array([np.frombuffer(value, np.uint8) for value in formats.milvus_binary(codes)]),
    ):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, codes)
    nothing = codes[:0]
    assert formats.pgvector_text(nothing) == formats.signed_bytes(nothing) == formats.milvus_binary(nothing) == []
    assert len(formats.pgvector_copy([], nothing)) == 21


def test_bad_input(codes):
    with pytest.raises(TypeError, match="signed_bytes: codes expected uint8, got int8"):
        formats.signed_bytes(codes.view(np.int8))
    with pytest.raises(ValueError, match=r"pgvector_text: codes expected a matrix \[n, size\], got shape \(3,\)"):
        formats.pgvector_text(codes[0])
    for bits in (16, 25):
        with pytest.raises(ValueError, match=f"bits expected 17 to 24, got {bits}"):
            formats.pgvector_text(codes, bits)
    with pytest.raises(ValueError, match="codes expected nothing behind bit 15, row 0 ends in 11111111"):
        formats.pgvector_binary(CODES, 15)
    with pytest.raises(ValueError, match="ids expected 3 as there are codes, got 1"):
        formats.pgvector_copy([1], CODES)
    with pytest.raises(ValueError, match=r"code expected the code of one query, got shape \(3, 2\)"):
        formats.elasticsearch_query("code", CODES)
    with pytest.raises(ValueError, match="num_candidates expected at least 200, got 100"):
        formats.elasticsearch_query("code", CODES[0], 200)
    with pytest.raises(ValueError, match="field expected the name of a field, got 'a b'"):
        formats.vespa_query("a b", CODES[0])
    with pytest.raises(ValueError, match="expected rows of one length, got 2 and 4"):
        formats.from_hex(["00", "0000"])
    with pytest.raises(ValueError, match="values expected -128 to 127, got 0 to 128"):
        formats.from_signed([[0, 128]])
    with pytest.raises(ValueError, match="texts expected '0' and '1' only"):
        formats.from_bit_text(["012"])


# ---- the databases' clients


def test_pgvector_s_own_type(codes):
    pgvector = pytest.importorskip("pgvector")
    for row, text, binary in zip(codes, formats.pgvector_text(codes, 21), formats.pgvector_binary(codes, 21), strict=True):
        bit = pgvector.Bit(np.unpackbits(row)[:21].astype(bool))
        assert bit.to_text() == text and bit.to_binary() == binary


def test_qdrant_in_memory(codes, x, nearest):
    qdrant = pytest.importorskip("qdrant_client")
    models = qdrant.models
    client = qdrant.QdrantClient(":memory:")
    params = models.VectorParams(size=21, distance=models.Distance.MANHATTAN, datatype=models.Datatype.UINT8)
    client.create_collection("codes", vectors_config=params)
    vectors = formats.qdrant_uint8(codes, 21)
    client.upsert("codes", [models.PointStruct(id=i, vector=vector) for i, vector in enumerate(vectors)])
    for row in (0, 77, 199):
        points = client.query_points("codes", query=vectors[row], limit=200).points
        distances = np.unpackbits(codes ^ codes[row], axis=1).sum(axis=1)
        assert [point.score for point in points] == sorted(distances.tolist())
        assert all(point.score == distances[point.id] for point in points)
        ordered = sorted(points, key=lambda point: (point.score, point.id))
        assert [point.id for point in ordered][:10] == nearest(row)


def test_lancedb(codes, x, nearest, tmp_path):
    lancedb = pytest.importorskip("lancedb")
    pa = pytest.importorskip("pyarrow")
    column = formats.lancedb_column(codes)
    assert column.type == pa.list_(pa.uint8(), 3) and column.values.buffers()[1].address == codes.ctypes.data
    table = lancedb.connect(tmp_path).create_table("codes", pa.table({"id": np.arange(200), "code": column}))
    for indexed in (False, True):
        if indexed:
            table.create_index("code", config=lancedb.index.IvfFlat(distance_type="hamming", num_partitions=1))
        for row in (0, 77, 199):
            found = table.search(codes[row], vector_column_name="code").distance_type("hamming").limit(200).to_arrow()
            got = sorted(zip(found["_distance"].to_pylist(), found["id"].to_pylist(), strict=True))
            distances = np.unpackbits(codes ^ codes[row], axis=1).sum(axis=1)
            assert [distance for distance, _ in got] == sorted(distances.tolist())
            assert [i for _, i in got][:10] == nearest(row)


# ---- PostgreSQL


@pytest.fixture(scope="module")
def sql() -> Iterator[Callable[..., str]]:
    """A function that runs a statement in a server of its own, in a temporary folder, as a user without privileges."""
    places = [str(place) for pattern in BIN for place in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)]
    path = os.pathsep.join([*places, os.environ.get("PATH", "")])
    tools = {name: shutil.which(name, path=path) for name in ("initdb", "pg_ctl", "psql")}
    missing = [name for name, place in tools.items() if place is None]
    if missing:
        pytest.skip(f"PostgreSQL is not here: no {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="vecpress-pg-"))
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}  # the server refuses root
    if user:
        os.chown(folder, 65534, 65534)
    environment = {"PATH": path, "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}

    def run(tool: str, *arguments: str, **more) -> subprocess.CompletedProcess:
        return subprocess.run(
            [tools[tool], *arguments], cwd=folder, env=environment, capture_output=True, timeout=60, **user, **more
        )  # fmt: skip

    data = str(folder / "data")
    made = run("initdb", "-D", data, "-U", "vecpress", "-A", "trust", "--no-sync", "-E", "UTF8")
    if made.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"initdb failed: {made.stderr.decode()[-300:]}")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c shared_buffers=1MB"
    started = run("pg_ctl", "-D", data, "-w", "-t", "30", "-l", str(folder / "log"), "-o", options, "start")
    try:
        if started.returncode:
            pytest.skip(f"PostgreSQL did not start: {(folder / 'log').read_text()[-300:]}")

        def statement(text: str, stdin: bytes | None = None) -> str:
            arguments = ["-h", str(folder), "-U", "vecpress", "-d", "postgres", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", text]
            done = run("psql", *arguments, input=stdin)
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout.decode()

        yield statement
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_postgresql(sql, codes, nearest):
    """COPY in binary, read back as text, ordered by Hamming distance as PostgreSQL itself counts bits."""
    sql("CREATE TABLE codes (id bigint PRIMARY KEY, code bit(21) NOT NULL)")
    sql("COPY codes (id, code) FROM STDIN (FORMAT binary)", formats.pgvector_copy(np.arange(200), codes, 21))
    rows = [line.split("|") for line in sql("SELECT id, code FROM codes ORDER BY id").splitlines()]
    texts = formats.pgvector_text(codes, 21)
    assert rows == [[str(i), text] for i, text in enumerate(texts)]
    for row in (0, 77, 199):
        found = sql(f"SELECT id FROM codes ORDER BY bit_count(code # B'{texts[row]}'), id LIMIT 10").split()
        assert [int(i) for i in found] == nearest(row)


def test_pgvector_in_postgresql(sql, codes, nearest):
    version = sql("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'").strip()
    if tuple(map(int, re.findall(r"\d+", version)[:2] or (0, 0))) < (0, 7):
        pytest.skip(f"PostgreSQL has no pgvector of 0.7 or later: {version or 'none'}")
    sql("CREATE EXTENSION vector; CREATE TABLE hashes (id bigint, code bit(21))")
    sql("COPY hashes (id, code) FROM STDIN (FORMAT binary)", formats.pgvector_copy(np.arange(200), codes, 21))
    texts = formats.pgvector_text(codes, 21)
    for row in (0, 77, 199):
        found = sql(f"SELECT id FROM hashes ORDER BY code <~> B'{texts[row]}', id LIMIT 10").split()
        assert [int(i) for i in found] == nearest(row)
    sql("CREATE INDEX ON hashes USING hnsw (code bit_hamming_ops)")
    found = sql(f"SET enable_seqscan = off; SELECT id FROM hashes ORDER BY code <~> B'{texts[0]}' LIMIT 1").split()[-1]
    assert codes[int(found)].tolist() == codes[0].tolist()
