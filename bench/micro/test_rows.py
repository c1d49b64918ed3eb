"""The row operations: multiply-adds per second beside sgemm, or float bytes read per second beside the read loop."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress import ops

from .conftest import same
from .test_scans import group


def time_rows(measure, backend, op, case, rows, limit, amount, unit):
    """case(rows) -> arguments. Gate on 70 rows against the reference, then time."""
    function = getattr(ops, op)
    results, small = [], case(70)
    for name in ("reference", backend):
        with vp.use(name):
            out = function(*small)
            results.append(out if isinstance(out, tuple) else (out,))
    same(results[1], results[0])
    arguments = case(rows)
    with vp.use(backend):
        measure(lambda: function(*arguments, num_threads=1), backend, limit, amount, unit, rows=rows)


def rows_of(backend, rows):
    return rows if backend != "scalar" else max(70, rows // 50)


@pytest.mark.parametrize("d", [384, 768])
@group("project")
def test_project(measure, rng, backend, d):
    matrix = rng.standard_normal((d, d), dtype=np.float32)
    n = rows_of(backend, 4096)
    time_rows(measure, backend, "project", lambda r: (rng.standard_normal((r, d), dtype=np.float32), matrix), n, "sgemm",
              n * d * d, "multiply-adds/s")


@pytest.mark.parametrize(("d", "k"), [(8, 256), (384, 1024)])
@group("assign")
def test_assign(measure, rng, backend, d, k):
    centroids = rng.standard_normal((k, d), dtype=np.float32)
    n = rows_of(backend, 4096 if d > 8 else 100_000)
    time_rows(measure, backend, "assign", lambda r: (rng.standard_normal((r, d), dtype=np.float32), centroids), n, "sgemm",
              n * d * k, "multiply-adds/s")


@pytest.mark.parametrize("n_bits", [1, 2, 4, 8])
@group("encode_grid")
def test_encode_grid(measure, rng, backend, n_bits):
    n = rows_of(backend, 4096)
    time_rows(measure, backend, "encode_grid", lambda r: (rng.standard_normal((r, 384), dtype=np.float32), n_bits), n,
              "dram_read", n * 384 * 4, "bytes/s")


@pytest.mark.parametrize(("m", "n_bits"), [(48, 8), (96, 4)])
@group("encode_pq")
def test_encode_pq(measure, rng, backend, m, n_bits):
    codebooks = rng.standard_normal((m, 1 << n_bits, 384 // m), dtype=np.float32)
    n = rows_of(backend, 4096)
    time_rows(measure, backend, "encode_pq", lambda r: (rng.standard_normal((r, 384), dtype=np.float32), codebooks), n, "sgemm",
              n * 384 << n_bits, "multiply-adds/s")


@pytest.mark.parametrize(("m", "n_bits"), [(48, 8), (96, 4)])
def test_faiss_encode(benchmark, rng, m, n_bits):
    """The peer: ProductQuantizer.compute_codes, one thread."""
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    quantizer = faiss.ProductQuantizer(384, m, n_bits)
    faiss.copy_array_to_vector(rng.standard_normal(384 << n_bits).astype(np.float32), quantizer.centroids)
    x = rng.standard_normal((4096, 384), dtype=np.float32)
    benchmark.group = "encode_pq multiply-adds/s"
    benchmark(quantizer.compute_codes, x)
    if benchmark.stats is not None:
        rate = (4096 * 384 << n_bits) / benchmark.stats.stats.median
        benchmark.extra_info.update(backend=f"faiss {faiss.__version__}", unit="multiply-adds/s", rate=rate, threads=1)


@group("tables")
def test_tables(measure, rng, backend):
    codebooks = rng.standard_normal((48, 256, 8), dtype=np.float32)
    n = rows_of(backend, 1000)
    time_rows(measure, backend, "tables", lambda r: (rng.standard_normal((r, 384), dtype=np.float32), codebooks), n, "sgemm",
              n * 384 * 256, "multiply-adds/s")


@group("pack_bits")
def test_pack_bits(measure, rng, backend):
    n = rows_of(backend, 100_000)
    thresholds = np.zeros(384, np.float32)
    time_rows(measure, backend, "pack_bits", lambda r: (rng.standard_normal((r, 384), dtype=np.float32), thresholds), n,
              "dram_read", n * 384 * 4, "bytes/s")


@group("norms")
def test_norms(measure, rng, backend):
    n = rows_of(backend, 100_000)
    time_rows(measure, backend, "norms", lambda r: (rng.standard_normal((r, 384), dtype=np.float32),), n, "dram_read",
              n * 384 * 4, "bytes/s")


@pytest.mark.parametrize("n_bits", [1, 2, 4, 7])
@group("pack_codes")
def test_pack_codes(measure, rng, backend, n_bits):
    n = rows_of(backend, 200_000)
    time_rows(measure, backend, "pack_codes", lambda r: (rng.integers(0, 256, (r, 384), dtype=np.uint8), n_bits), n, "dram_read",
              n * 384, "bytes/s")


@pytest.mark.parametrize("n_bits", [1, 2, 4, 7])
@group("unpack_codes")
def test_unpack_codes(measure, rng, backend, n_bits):
    n, size = rows_of(backend, 200_000), ops.pack_codes(np.zeros((1, 384), np.uint8), n_bits).shape[1]
    time_rows(measure, backend, "unpack_codes", lambda r: (rng.integers(0, 256, (r, size), dtype=np.uint8), 384, n_bits), n,
              "dram_read", n * 384, "bytes/s")


@pytest.mark.parametrize("count", [3, 15, 255])
@group("quantize")
def test_quantize(measure, rng, backend, count):
    n = rows_of(backend, 50_000)
    thresholds = np.sort(rng.standard_normal(count, dtype=np.float32))
    time_rows(measure, backend, "quantize", lambda r: (rng.standard_normal((r, 384), dtype=np.float32), thresholds), n,
              "dram_read", n * 384 * 4, "bytes/s")


@pytest.mark.parametrize("d", [384, 768, 1024])
@group("rotate")
def test_rotate(measure, rng, backend, d):
    n = rows_of(backend, 10_000)
    signs = rng.integers(0, 256, (4, d // 8), dtype=np.uint8)
    time_rows(measure, backend, "rotate", lambda r: (rng.standard_normal((r, d), dtype=np.float32), signs), n, "dram_read",
              n * d * 4, "bytes/s")
