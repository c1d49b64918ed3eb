"""faiss on one thread: its threads spin while they wait, which on a busy machine takes longer than these small searches."""

from __future__ import annotations

import sys

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A test of a codec that this faiss is too old for is skipped; the others run."""
    try:
        return (yield)
    except ImportError as error:
        if "needs a newer" not in str(error):
            raise
        import faiss

        if hasattr(faiss, "IndexEDEN"):
            raise
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def one_thread():
    faiss = sys.modules.get("faiss")  # not imported for tests of other stacks
    if faiss is None:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)
