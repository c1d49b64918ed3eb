"""The scans: code bytes read per second, one query from memory and from the cache, and batches."""

from __future__ import annotations

import numpy as np
import pytest

from .cases import OPERATIONS, SCANS, K
from .conftest import rows


@pytest.mark.parametrize(("case", "backend"), rows(*(name for name, op in OPERATIONS.items() if op.scan)))
def test_scans(measure, case, backend):
    measure(case, backend)


@pytest.mark.parametrize(("n", "nq"), [(shape["n"], shape["nq"]) for shape in SCANS])
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
