"""The scan of uncompressed rows by hand, and against float64."""

from __future__ import annotations

import numpy as np
import pytest

from vecpress import dispatch, ops
from vecpress.ops import Blocks

BACKENDS = dispatch.operations()["flat"]


def blocks_of(x: np.ndarray, group: int) -> Blocks:
    return Blocks.pack(np.ascontiguousarray(x.astype(f"<f{group}")).view(np.uint8), 0, group)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("group", [2, 4])
def test_by_hand(group, backend, need_backend):
    need_backend(backend)
    x = np.array([[1, 0], [0, 2], [-1, -1], [0, 2]], np.float32)
    q = np.array([[1, 2]], np.float32)
    with dispatch.use(backend):
        scores, ids = ops.flat(blocks_of(x, group), q, 4)
        assert scores.tolist() == [[4, 4, 1, -3]] and ids.tolist() == [[1, 3, 0, 2]]
        scores, ids = ops.flat(blocks_of(x, group), q, 4, l2=True)
        assert scores.tolist() == [[-1, -1, -4, -13]] and ids.tolist() == [[1, 3, 0, 2]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_reads_every_float16(backend, need_backend):
    """All finite halves, subnormal ones among them, come out exactly."""
    need_backend(backend)
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    x = halves[np.argsort(-halves.astype(np.float32), kind="stable")]
    with dispatch.use(backend):
        scores, ids = ops.flat(blocks_of(x[:, None], 2), np.ones((1, 1), np.float32), len(x))
    assert np.array_equal(scores[0], x.astype(np.float32))
    assert np.array_equal(ids[0], np.arange(len(x)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("l2", [False, True])
def test_finds_the_best(l2, backend, need_backend):
    need_backend(backend)
    rng = np.random.default_rng(0)
    x, q = rng.standard_normal((500, 33)).astype(np.float32), rng.standard_normal((5, 33)).astype(np.float32)
    exact = -((q[:, None].astype(np.float64) - x) ** 2).sum(axis=2) if l2 else q.astype(np.float64) @ x.T.astype(np.float64)
    with dispatch.use(backend):
        scores, ids = ops.flat(blocks_of(x, 4), q, 7, l2=l2)
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :7], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(exact, ids, axis=1), scores, rtol=1e-5)
