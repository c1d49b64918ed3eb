"""The row operations: multiply-adds per second beside sgemm, or float bytes read per second beside the read loop."""

from __future__ import annotations

import numpy as np
import pytest

from .cases import OPERATIONS
from .conftest import rows


@pytest.mark.parametrize(("case", "backend"), rows(*(name for name, op in OPERATIONS.items() if not op.scan)))
def test_rows(measure, case, backend):
    measure(case, backend)


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
