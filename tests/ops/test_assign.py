"""What assign promises beyond equality with its reference."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values

from vecpress import dispatch, ops

BACKENDS = dispatch.operations()["assign"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_planted_row_is_at_distance_0_from_its_centroid(backend, need_backend):
    need_backend(backend)
    centroids = np.unique(np.random.default_rng(0).standard_normal((300, 9)).astype(np.float32), axis=0)
    order = np.random.default_rng(1).permutation(len(centroids))
    with dispatch.use(backend):
        labels, distances = ops.assign(centroids[order], centroids)
    assert np.array_equal(labels, order)
    assert not distances.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_ties_go_to_the_lower_label(backend, need_backend):
    need_backend(backend)
    for k in (2, 17, 64, 255):
        with dispatch.use(backend):
            for n in (35, 99):  # from 64 rows on, products find the nearest
                labels, distances = ops.assign(np.full((n, 3), 2, np.float32), np.ones((k, 3), np.float32))
                assert not labels.any() and np.all(distances == 3)
                centroids = np.full((k, 3), 9, np.float32)
                centroids[k // 2 :] = 1
                assert np.all(ops.assign(np.full((n, 3), 2, np.float32), centroids)[0] == k // 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_every_distance_overflows_the_label_is_0(backend, need_backend):
    need_backend(backend)
    with dispatch.use(backend):
        for n, k in ((1, 1), (20, 3), (37, 19), (99, 19)):
            labels, distances = ops.assign(np.full((n, 2), 3e38, np.float32), np.full((k, 2), -3e38, np.float32))
            assert not labels.any() and np.all(distances == np.inf)


def test_finds_the_nearest():
    x, centroids = values(1, 60, 12), values(2, 40, 12)
    exact = ((x[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2)
    labels, distances = ops.assign(x, centroids)
    assert labels.dtype == np.int32 and distances.dtype == np.float32
    np.testing.assert_allclose(distances, exact[np.arange(60), labels], rtol=2e-6)
    np.testing.assert_allclose(distances, exact.min(axis=1), rtol=2e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("d", [2, 8, 100])
@pytest.mark.parametrize("offset, spread", [(1e3, 1e-2), (1e6, 3.0), (0, 1e-20), (1e-3, 1e-22), (1e15, 1e9)])
def test_products_that_lose_all_digits_hide_no_centroid(offset, spread, d, backend, need_backend):
    """Far from the origin |x|^2 leaves nothing of the distances in products, and near zero they fall below float32's numbers."""
    need_backend(backend)
    rng = np.random.default_rng(d)
    x, centroids = ((offset + spread * rng.standard_normal((n, d))).astype(np.float32) for n in (130, 40))
    with dispatch.use("reference"):
        wanted = ops.assign(x, centroids)
    with dispatch.use(backend):
        got = ops.assign(x, centroids)
    assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("d", [9, 65, 384])
@pytest.mark.parametrize("alike", [2, 16, 17, 40])  # one row is measured from up to 16 centroids, beyond that from all
@pytest.mark.parametrize("every", [2, 20])  # many rows of 32 in doubt, and few
def test_rows_between_centroids_that_are_nearly_alike(every, alike, d, backend, need_backend):
    need_backend(backend)
    rng = np.random.default_rng(d)
    x, centroids = rng.standard_normal((130, d)), rng.standard_normal((83, d))
    places = rng.permutation(83)[:alike]
    centroids[places] = centroids[places[0]] + 1e-4 * rng.standard_normal((alike, d))
    x[::every] = centroids[places].mean(axis=0) + 1e-6 * rng.standard_normal((len(x[::every]), d))
    x, centroids = x.astype(np.float32), centroids.astype(np.float32)
    with dispatch.use("reference"):
        wanted = ops.assign(x, centroids)
    with dispatch.use(backend):
        got = ops.assign(x, centroids)
    assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])
