"""faiss on one thread: its threads spin while they wait, which on a busy machine takes longer than these small searches."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    faiss = pytest.importorskip("faiss")
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)
