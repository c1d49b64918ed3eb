"""What every test gets: poisoned outputs, small clustered data; and the whole suite all processors."""

from __future__ import annotations

import os

# the threads of BLAS spin for a while after every product, and take the processors from what is tested: three times the time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import importlib.util

# which of its two ways Triton takes is settled when it is imported, and a library that uses it may be the first to do that
if importlib.util.find_spec("triton") and os.environ.get("VECPRESS_TEST_DEVICE", "cpu") == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"
    import triton  # noqa: F401

    del os.environ["TRITON_INTERPRET"]  # what tests start gets no interpreter unasked

import numpy as np
import pytest
from helpers import clustered, poisoned

import vecpress as vp
from vecpress import dispatch

MOST_PROCESSES = 8  # each holds torch and faiss
ROUNDS = "vecpress.residual.ROUNDS"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """`pytest` alone, which runs everything, uses a process a processor where pytest-xdist is there; `pytest -n0` does not.

    Not in the settings, where it would hold for benchmarks too, and for a few tests, which start sooner in one process.
    """
    options = config.option
    if hasattr(config, "workerinput") or "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker, which must start none itself
    if config.args_source != config.ArgsSource.TESTPATHS or not hasattr(options, "numprocesses"):
        return
    here = options.usepdb or options.collectonly or options.capture == "no"
    if options.numprocesses is None and options.dist == "no" and not here:
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        options.numprocesses, options.dist = min(processors, MOST_PROCESSES), "worksteal"


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """What an operation leaves unwritten shows."""
    monkeypatch.setattr(dispatch, "_allocate", poisoned)


@pytest.fixture
def few_rounds(monkeypatch):
    """RQ learns by one round of least squares, not by up to eight: what holds for every codec holds for it all the same."""
    monkeypatch.setattr(ROUNDS, 1)


@pytest.fixture(scope="session")
def on_base(base):
    """A codec -> its equal fitted on the base, once a session and in few rounds; not to be fitted again."""
    done: dict[str, vp.Codec] = {}

    def fitted(codec: vp.Codec) -> vp.Codec:
        if repr(codec) not in done:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ROUNDS, 1)
                done[repr(codec)] = type(codec)(**codec.config()).fit(base)
        return done[repr(codec)]

    return fitted


@pytest.fixture(scope="session")
def base() -> np.ndarray:
    """float32[400, 24], clustered; read-only."""
    x = clustered(1, 400, 24)
    x.flags.writeable = False
    return x


@pytest.fixture(scope="session")
def queries() -> np.ndarray:
    """float32[7, 24] from the base's source; read-only."""
    x = clustered(1, 7, 24, draw=1)
    x.flags.writeable = False
    return x
