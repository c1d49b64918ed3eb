"""assign and label_sums on the device: labels, distances, sums and moves of the references, whatever products are rounded to."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import values
from tensors import same

import vecpress as vp
from vecpress import ops
from vecpress.kmeans import moved

PRECISIONS = ("bf16", "tf32", "tf32x3", "fp32")


def check(modules, put, x, centroids, precision, dtype=None):
    rows = put(x, dtype)
    with np.errstate(all="ignore"), vp.use("reference"):
        labels, distances = modules.assign.assign(rows, put(centroids), precision=precision)
        wanted = ops.assign(rows.float().cpu().numpy(), centroids)
    same(labels, wanted[0])
    same(distances, wanted[1])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n, d, k", [(0, 5, 3), (1, 1, 1), (31, 33, 2), (33, 8, 3), (130, 40, 259), (5, 0, 4), (257, 3, 65)])
def test_labels_and_distances(modules, put, precision, n, d, k):
    check(modules, put, values(n, n, d), values(k + 1000, k, d), precision)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_half_precision_rows(modules, put, precision, dtype):
    rng = np.random.default_rng(3)
    check(modules, put, rng.standard_normal((70, 20)).astype("f"), rng.standard_normal((50, 20)).astype("f"), precision, dtype)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ties_go_to_the_lower_label(modules, put, precision):
    rng = np.random.default_rng(5)
    x = rng.integers(-1, 2, (140, 6)).astype(np.float32)
    centroids = np.concatenate((x[rng.permutation(140)][:90], x[:70]))  # most of them several times
    check(modules, put, x, centroids, precision)


@pytest.mark.parametrize("group", [2, 3, 5])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_near_ties(modules, put, precision, group):
    """A few centroids almost equally far from a row, in one tile or in several: products of few bits cannot tell them apart."""
    rng = np.random.default_rng(6 + group)
    x = rng.standard_normal((140, 24)).astype(np.float32)
    groups = np.repeat(rng.standard_normal((60, 24)), group, axis=0)
    centroids = (groups + 2e-4 * rng.standard_normal(groups.shape)).astype(np.float32)
    check(modules, put, x, centroids[rng.permutation(len(groups))], precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_most_rows_are_decided_without_their_definition(modules, put, precision, monkeypatch):
    """Well separated centroids: a screen that decided nothing would be right, and of no use."""
    rng = np.random.default_rng(7)
    centroids = rng.standard_normal((150, 64)).astype(np.float32)
    x = (centroids[rng.integers(150, size=300)] + 0.1 * rng.standard_normal((300, 64))).astype(np.float32)
    check(modules, put, x, centroids, precision)
    if precision == "fp32":
        return
    launched = []
    kernel = modules.assign._settle

    class Watched:
        def __getitem__(self, grid):
            def launch(*args, **options):
                kernel[grid](*args, **options)
                launched.append((int(args[3]), args[4].cpu().numpy()))

            return launch

    monkeypatch.setattr(modules.assign, "_settle", Watched())
    check(modules, put, x, centroids, precision)
    (listed, candidates), = launched
    assert listed == 0 and (candidates[:, 0] == candidates[:, 1]).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("where", ["x", "centroids", "both"])
def test_what_is_not_finite(modules, put, precision, where):
    rng = np.random.default_rng(8)
    x, centroids = (rng.standard_normal((n, 7)).astype(np.float32) for n in (40, 30))
    for a in (x, centroids) if where == "both" else (x,) if where == "x" else (centroids,):
        a[3, 2], a[5, 0], a[9, 6], a[11] = np.inf, -np.inf, np.nan, 3e38
    check(modules, put, x, centroids, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scale", [1e-25, 1e-42, 1e18])
def test_wild_scales(modules, put, precision, scale):
    rng = np.random.default_rng(9)
    x, centroids = ((scale * rng.standard_normal((n, 5))).astype(np.float32) for n in (40, 30))
    check(modules, put, x, centroids, precision)


def test_bound_holds_with_the_rounding_that_is_modelled(modules):
    """Scores of numbers truncated to tf32's 10 bits and rounded to bfloat16's 7, summed in float64, lie within half the bound."""
    import torch

    rng = np.random.default_rng(10)
    for d in (1, 2, 9, 100):
        x = (1 + rng.random((200, d)) * 2.0**-7).astype(np.float32) * rng.choice([-1, 1], (200, d)).astype(np.float32)
        c = (1 + rng.random((200, d)) * 2.0**-7).astype(np.float32) * np.sign(x)
        truncated = [(a.view(np.int32) & -8192).view(np.float32) for a in (x, c)]
        rounded = [torch.from_numpy(a).bfloat16().float().numpy() for a in (x, c)]
        size = (np.linalg.norm(x, axis=1) + np.linalg.norm(c, axis=1)) ** 2
        for precision, (a, b) in (("tf32", truncated), ("bf16", rounded)):
            off = np.abs((x.astype("d") * c).sum(axis=1) - (a.astype("d") * b).sum(axis=1))
            share, least = modules.assign.bound(precision, d)
            assert (2 * off <= size * share + least).all()
            # truncation adds up: the bound is not idle
            assert precision == "bf16" or (2 * off).max() > 0.2 * (size * share).min()


@pytest.mark.parametrize("n, d, k, dtype", [
    (0, 5, 3, None), (1, 1, 1, None), (130, 129, 9, None), (257, 3, 65, None), (5, 0, 4, None), (31, 33, 2, None),
    (31, 33, 2, "float16"), (31, 33, 2, "bfloat16"),
])  # fmt: skip
def test_label_sums(modules, put, n, d, k, dtype):
    rows = put(values(n, n, d), dtype)
    labels = np.random.default_rng(n).integers(0, max(k - 1, 1), n).astype(np.int32)  # the last label has no row
    same(modules.label_sums.label_sums(rows, put(labels), k), ops.label_sums(rows.float().cpu().numpy(), labels, k))


def test_label_sums_keep_the_order_of_rows(modules, put):
    x = np.array([[1e30], [1], [-1e30], [1]] * 5, np.float32)
    labels = np.zeros(len(x), np.int32)
    same(modules.label_sums.label_sums(put(x), put(labels), 1), ops.label_sums(x, labels, 1))


@pytest.mark.parametrize("n, k", [(40, 7), (3, 12), (60, 60)])
def test_moved_centroids(modules, put, n, k):
    rng = np.random.default_rng(k)
    x = rng.standard_normal((n, 5)).astype(np.float32)
    labels, distances = ops.assign(x, x[rng.integers(n, size=k)] + np.float32(0.1))
    wanted = moved(x, labels, distances, np.bincount(labels, minlength=k))
    same(modules.label_sums.moved(put(x), put(labels), put(distances), k), wanted)
