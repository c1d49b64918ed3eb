"""k-means: what it finds, that it finds the same again, and what it makes of too few rows."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values
from helpers import bits, clustered, runnable

import vecpress as vp
from vecpress.kmeans import kmeans
from vecpress.ops import assign


def objective(x: np.ndarray, centroids: np.ndarray) -> float:
    """float64, from the definition."""
    squared = ((x.astype(np.float64)[:, None] - centroids.astype(np.float64)[None]) ** 2).sum(axis=2)
    return float(squared.min(axis=1).sum())


@pytest.mark.parametrize(("n", "k", "d"), [(1, 1, 1), (130, 1, 3), (200, 7, 8), (400, 16, 5), (130, 65, 1)])
def test_shapes_and_objective(n, k, d):
    x = clustered(n, n, d)
    centroids, found = kmeans(x, k, 0)
    assert centroids.dtype == np.float32 and centroids.shape == (k, d)
    assert found == pytest.approx(objective(x, centroids), rel=1e-5)


def test_one_centroid_is_the_mean():
    x = clustered(0, 97, 6)
    np.testing.assert_array_equal(kmeans(x, 1, 0)[0][0], x.mean(axis=0, dtype=np.float64).astype(np.float32))


def test_separate_clusters_are_found_exactly():
    rng = np.random.default_rng(0)
    centres = rng.permutation(np.arange(40.0))[:, None] * 100 + rng.standard_normal((40, 4))
    labels = np.repeat(np.arange(40), 20)
    x = (centres[labels] + 0.1 * rng.standard_normal((800, 4))).astype(np.float32)
    for seed in range(5):
        centroids, found = kmeans(x, 40, seed)
        got = assign(x, centroids)[0]
        assert len(np.unique(got)) == 40 and all(len(np.unique(got[labels == c])) == 1 for c in range(40))
        assert found < 800 * 4 * 0.1**2 * 1.1


def test_the_result_is_a_fixed_point():
    x = clustered(1, 300, 5)
    centroids, found = kmeans(x, 8, 0, iterations=1000)
    labels, distances = assign(x, centroids)
    means = np.stack([x[labels == c].mean(axis=0, dtype=np.float64) for c in range(8)]).astype(np.float32)
    np.testing.assert_array_max_ulp(centroids, means, maxulp=1)
    assert found == pytest.approx(float(distances.sum(dtype=np.float64)))


def test_more_iterations_never_do_worse():
    x = clustered(2, 600, 6)
    found = [kmeans(x, 24, 3, iterations=i)[1] for i in (1, 2, 4, 8, 16, 32)]
    assert found == sorted(found, reverse=True) and found[-1] < found[0]


def test_the_seed_decides_and_nothing_else():
    x = clustered(3, 500, 6)
    expected = kmeans(x, 32, 5)
    for backend in (None, *(name for name in runnable())):
        with vp.use(backend):
            for num_threads in (1, 2):
                again = kmeans(x, 32, 5, num_threads=num_threads)
                assert bits(again[0]) == bits(expected[0]) and again[1] == expected[1], (backend, num_threads)
    assert bits(kmeans(x, 32, 6)[0]) != bits(expected[0])
    assert bits(kmeans(x, 32, (5, 1))[0]) != bits(kmeans(x, 32, (5, 2))[0])


@pytest.fixture
def assigned(monkeypatch):
    """(rows, centroids) of every call of `assign`."""
    calls = []

    def watched(x, centroids, **kwargs):
        calls.append((len(x), len(centroids)))
        return assign(x, centroids, **kwargs)

    monkeypatch.setattr("vecpress.kmeans.ops.assign", watched)
    return calls


def test_seeding_looks_at_a_sample_of_many_rows_only(assigned):
    kmeans(clustered(4, 5000, 3), 10, 0, iterations=3)
    assert assigned == [(160, 1)] * 9 + [(5000, 10)] * 4


def test_it_stops_when_nothing_changes_any_more(assigned):
    x = clustered(1, 300, 5)
    kmeans(x, 8, 0, iterations=1000)
    assert 2 < assigned.count((300, 8)) < 50
    assigned.clear()
    kmeans(x[:8], 8, 0, iterations=1000)  # seeding drew every row: there is nothing to move
    assert assigned.count((8, 8)) == 1
    assigned.clear()
    kmeans(x[:8], 16, 0, iterations=1000)
    assert assigned.count((8, 16)) == 1


@pytest.mark.parametrize("distinct", [1, 2, 5, 15])
def test_fewer_distinct_rows_than_centroids_are_all_found(distinct):
    rows = values(distinct, distinct, 4)
    rows[:, 0] = np.arange(distinct)
    x = np.repeat(rows, 30, axis=0)
    centroids, found = kmeans(x, 16, 0)
    assert found == 0 and np.isfinite(centroids).all()
    assert {tuple(c) for c in centroids.tolist()} == {tuple(r) for r in rows.tolist()}
    assert (centroids[assign(x, centroids)[0]] == x).all()


@pytest.mark.parametrize("n", [1, 2, 15])
def test_fewer_rows_than_centroids_are_all_found(n):
    x = clustered(5, n, 3)
    centroids, found = kmeans(x, 16, 0)
    assert found == 0 and (centroids[assign(x, centroids)[0]] == x).all() and centroids.shape == (16, 3)


def test_an_unused_centroid_moves_to_the_farthest_row(monkeypatch):
    x = np.array([[0.0], [1.0], [2.0], [50.0], [90.0]], np.float32)
    monkeypatch.setattr("vecpress.kmeans._seed", lambda *_: np.array([[1.0], [-500.0], [-600.0]], np.float32))
    centroids, found = kmeans(x, 3, 0, iterations=1)
    # every row is nearest to the first; the two farthest from it take the place of the others
    assert centroids.ravel().tolist() == [np.float32(143 / 5), 90.0, 50.0]
    centroids, found = kmeans(x, 3, 0)
    assert sorted(centroids.ravel().tolist()) == [1.0, 50.0, 90.0] and found == 2


def test_rare_far_rows_missed_by_the_seeding_sample_are_reached():
    x = np.zeros((20000, 2), np.float32)
    x[7], x[19000] = (1e6, 0), (0, -1e6)
    for seed in range(5):
        centroids, found = kmeans(x, 4, seed)
        assert found == 0 and {(0.0, 0.0), (1e6, 0.0), (0.0, -1e6)} <= {tuple(c) for c in centroids.tolist()}


@pytest.mark.parametrize(("k", "d", "n"), [(16, 4, 4096), (64, 8, 3000), (256, 8, 10000)])
def test_the_objective_is_at_most_one_percent_above_that_of_faiss(k, d, n):
    faiss = pytest.importorskip("faiss")
    faiss.omp_set_num_threads(1)
    x = clustered(6, n, d, clusters=100)
    ours = np.mean([kmeans(x, k, seed)[1] for seed in range(3)])
    theirs = []
    for seed in range(3):
        peer = faiss.Kmeans(d, k, niter=25, seed=seed, max_points_per_centroid=n, verbose=False)
        peer.train(x)
        theirs.append(assign(x, peer.centroids)[1].sum(dtype=np.float64))
    assert ours < 1.01 * np.mean(theirs)


@pytest.mark.parametrize(
    ("x", "k", "iterations", "error", "match"),
    [
        (np.zeros((0, 2), np.float32), 1, 1, ValueError, "x expected at least one row"),
        (np.zeros((3, 2)), 1, 1, TypeError, "x expected a float32 array, got float64"),
        (np.zeros(3, np.float32), 1, 1, ValueError, "x expected shape"),
        (np.zeros((3, 2), np.float32), 0, 1, ValueError, "k expected at least 1, got 0"),
        (np.zeros((3, 2), np.float32), 1.0, 1, TypeError, "k expected an int, got float"),
        (np.zeros((3, 2), np.float32), True, 1, TypeError, "k expected an int, got bool"),
        (np.zeros((3, 2), np.float32), 1, 0, ValueError, "iterations expected at least 1, got 0"),
    ],
)
def test_bad_input_is_refused(x, k, iterations, error, match):
    with pytest.raises(error, match=f"^kmeans: {match}"):
        kmeans(x, k, 0, iterations=iterations)
