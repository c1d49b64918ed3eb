"""The scans: code bytes read per second, one query from memory and from the cache, and batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import vecpress as vp
from vecpress import ops
from vecpress.ops import Blocks

from .conftest import same

# rows, queries: several times the last-level cache at 64 bytes, the L2 cache, a batch
SHAPES = [(2_000_000, 1), (8_000, 1), (100_000, 100)]
K = 10


def group(op):
    def mark(function):
        function.op = op
        return function

    return mark


def scan_case(rng, op, n, nq, n_bits=0):
    """(blocks, queries) of n codes of 64 bytes: 512 bits, 128 nibbles, 64 bytes, 16 floats, 512 / n_bits numbers."""
    codes = rng.integers(0, 256, (n, 64), dtype=np.uint8)
    if op == "flat":
        codes = np.ascontiguousarray(rng.standard_normal((n, 16), dtype=np.float32)).view(np.uint8)
        return Blocks.pack(codes, group=4), rng.standard_normal((nq, 16), dtype=np.float32)
    operand = {
        "hamming": lambda: rng.integers(0, 256, (nq, 64), dtype=np.uint8),
        "lut4": lambda: rng.standard_normal((nq, 128, 16), dtype=np.float32),
        "lut8": lambda: rng.standard_normal((nq, 64, 256), dtype=np.float32),
        "dot": lambda: rng.standard_normal((nq, 512 // n_bits), dtype=np.float32),
    }[op]()
    return Blocks.pack(codes), operand


def time_scan(measure, rng, backend, op, n, nq, **options):
    scan = partial(getattr(ops, op), **options)
    if backend == "scalar" and n * nq > 3_000_000:
        n = max(1000, 3_000_000 // nq)
    small, operand = scan_case(rng, op, 300, min(nq, 3), **options)
    with vp.use("reference"):
        wanted = scan(small, operand, K)
    blocks, queries = scan_case(rng, op, n, nq, **options)
    with vp.use(backend):
        same(scan(small, operand, K, num_threads=1), wanted)
        limit = "l2_read" if n < 10_000 else "dram_read"
        case = {"n": n, "nq": nq, "code_size": 64, **options}
        measure(lambda: scan(blocks, queries, K, num_threads=1), backend, limit, n * 64 * nq, "bytes/s", **case)


@pytest.mark.parametrize(("n", "nq"), SHAPES)
@group("hamming")
def test_hamming(measure, rng, backend, n, nq):
    time_scan(measure, rng, backend, "hamming", n, nq)


@pytest.mark.parametrize(("n", "nq"), SHAPES)
@group("lut4")
def test_lut4(measure, rng, backend, n, nq):
    time_scan(measure, rng, backend, "lut4", n, nq)


@pytest.mark.parametrize(("n", "nq"), SHAPES)
@group("lut8")
def test_lut8(measure, rng, backend, n, nq):
    time_scan(measure, rng, backend, "lut8", n, nq)


@pytest.mark.parametrize("n_bits", [1, 2, 4, 8])
@pytest.mark.parametrize(("n", "nq"), SHAPES)
@group("dot")
def test_dot(measure, rng, backend, n, nq, n_bits):
    time_scan(measure, rng, backend, "dot", n, nq, n_bits=n_bits)


@pytest.mark.parametrize(("n", "nq"), SHAPES)
@group("flat")
def test_flat(measure, rng, backend, n, nq):
    time_scan(measure, rng, backend, "flat", n, nq)


@pytest.mark.parametrize(("n", "nq"), SHAPES)
@pytest.mark.parametrize("op", ["hamming", "lut4", "lut8"])
def test_faiss(benchmark, rng, op, n, nq):
    """The peer at equal bytes: IndexBinaryFlat, IndexPQFastScan, IndexPQ on the same number of random codes, one thread."""
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    codes = rng.integers(0, 256, (n, 64), dtype=np.uint8)
    if op == "hamming":
        index = faiss.IndexBinaryFlat(512)
        index.add(codes)
        queries = rng.integers(0, 256, (nq, 64), dtype=np.uint8)
    else:
        m, bits = (128, 4) if op == "lut4" else (64, 8)
        index = faiss.IndexPQ(256, m, bits, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(rng.standard_normal(256 << bits).astype(np.float32), index.pq.centroids)
        faiss.copy_array_to_vector(codes.ravel(), index.codes)
        index.is_trained, index.ntotal = True, n
        index = faiss.IndexPQFastScan(index) if op == "lut4" else index
        queries = rng.standard_normal((nq, 256)).astype(np.float32)
    benchmark.group = f"{op} bytes/s"
    benchmark(index.search, queries, K)
    if benchmark.stats is not None:
        rate = n * 64 * nq / benchmark.stats.stats.median
        benchmark.extra_info.update(backend=f"faiss {faiss.__version__}", unit="bytes/s", rate=rate, threads=1, n=n, nq=nq)


test_faiss.op = "faiss"
