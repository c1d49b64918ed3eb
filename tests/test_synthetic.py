"""Made data sets: the truth that they promise is there."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import vecpress as vp
from vecpress import synthetic
from vecpress.datasets import Dataset

SMALL = {
    "gaussian": {}, "power_law": {}, "clustered": {"clusters": 7}, "outlier_dimensions": {}, "shifted_queries": {},
}  # fmt: skip


def small(name: str, seed: int = 0, **options) -> Dataset:
    return getattr(synthetic, name)(200, 12, 9, seed, **SMALL[name], **options)


@pytest.mark.parametrize("name", SMALL)
def test_shapes_and_seeds(name: str) -> None:
    data = small(name)
    assert data.base.shape == (200, 12) and data.queries.shape == data.sample_queries.shape == (9, 12)
    assert data.base.dtype == data.queries.dtype == np.float32 and data.train is None and name in data.name
    again, other = small(name), small(name, 1)
    for part in ("base", "queries", "sample_queries"):
        np.testing.assert_array_equal(getattr(data, part), getattr(again, part))
        assert not (getattr(data, part) == getattr(other, part)).all()
    assert not (data.queries == data.sample_queries).all()
    assert small(name, metric="cos").metric == "cos"


@pytest.mark.parametrize("name", SMALL)
def test_bad_arguments(name: str) -> None:
    make = getattr(synthetic, name)
    with pytest.raises(ValueError, match=f"{name}: n expected at least 1, got 0"):
        make(0, 12, 9)
    with pytest.raises(TypeError, match=f"{name}: d expected an int"):
        make(10, 1.5, 9)
    with pytest.raises(ValueError, match=f"{name}: metric expected one of"):
        make(10, 4, 9, metric="dot")
    with pytest.raises(ValueError, match="seed expected at least 0, got -1"):
        make(10, 4, 9, -1)


def test_gaussian_is_white() -> None:
    x = synthetic.gaussian(20_000, 8, 1).base
    np.testing.assert_allclose(np.cov(x.T), np.eye(8), atol=0.05)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=0.03)


def test_power_law_has_its_spectrum() -> None:
    d, alpha = 16, 1.2
    variances = synthetic.power_law_variances(d, alpha)
    assert variances.mean() == pytest.approx(1) and variances[3] / variances[0] == pytest.approx(4**-alpha)
    for part in ("base", "queries"):
        x = getattr(synthetic.power_law(20_000, d, 20_000, 3, alpha=alpha), part)
        np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(x.T))[::-1], variances, rtol=0.06)
    assert np.abs(np.cov(x.T) - np.diag(np.diag(np.cov(x.T)))).max() > 0.1  # not along the axes of the components


def test_clusters() -> None:
    data = synthetic.clustered(1500, 40, 50, clusters=5, within=0.1)
    x = data.base.astype(np.float64)
    nearest = ((x[:, None, :] - x[None, :200, :]) ** 2).sum(axis=2)
    same = nearest < 40 * (2 * 0.1 + 0.9)  # distances are about 2 within d inside a cluster, and 2 d between two
    assert 0.15 < same.mean() < 0.25  # of five equal clusters
    assert nearest[same][nearest[same] > 0].mean() == pytest.approx(2 * 0.1 * 40, rel=0.05)
    assert x.var() == pytest.approx(1, abs=0.2)


def test_outlier_dimensions() -> None:
    x = synthetic.outlier_dimensions(5000, 32, 1, outliers=3).base
    deviation = np.sort(x.std(axis=0))
    np.testing.assert_allclose(deviation[:-3], 1, rtol=0.05)
    np.testing.assert_allclose(deviation[-3:], [20, 20 * 5**0.5, 100], rtol=0.05)


def test_shifted_queries() -> None:
    d = 24
    data = synthetic.shifted_queries(8000, d, 8000, shift=2.0, alpha=1.5)
    base, queries = np.cov(data.base.T), np.cov(data.queries.T)
    assert np.linalg.norm(data.queries.mean(axis=0) - data.base.mean(axis=0)) == pytest.approx(2 * d**0.5, rel=0.03)
    np.testing.assert_allclose(np.linalg.eigvalsh(base), np.linalg.eigvalsh(queries), rtol=0.15)
    assert np.linalg.norm(base - queries) > 0.5 * np.linalg.norm(base)
    np.testing.assert_allclose(data.sample_queries.mean(axis=0), data.queries.mean(axis=0), atol=0.2)


@pytest.mark.parametrize(("documents", "d"), [(3, 4), (30, 4), (46, 64), (60, 13), (25, 130)])
@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_limit_is_solved_by_exact_search(documents: int, d: int, metric: str) -> None:
    data = synthetic.limit(documents, d, metric=metric, n_train=5)
    assert len(data.queries) == documents * (documents - 1) // 2 and data.relevant is not None
    asked = {tuple(pair) for pair in data.relevant}
    assert len(asked) == len(data.queries)  # every pair once
    _, ids = vp.exact(data.queries, data.base, 2, metric)
    np.testing.assert_array_equal(np.sort(ids, axis=1), np.stack(data.relevant))
    for part in (data.base, data.queries, data.sample_queries, data.train):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-5)


def test_limit_shows_what_a_codec_loses() -> None:
    data = synthetic.limit(80, 64)
    assert data.train is not None and data.relevant is not None and data.train.shape == (10_000, 64)
    success = {}
    for codec in (vp.SQ(n_bits=8), vp.PQ(m=16, n_bits=4)):
        index = vp.Index(codec.fit(data.train))
        index.add(data.base)
        ids = index.search(data.queries, 2)[1]
        success[type(codec)] = np.mean([len(set(i) & set(r)) == 2 for i, r in zip(ids, data.relevant, strict=True)])
    assert success[vp.SQ] > 0.9 > 0.4 > success[vp.PQ]


def test_limit_refuses_what_float32_cannot_tell_apart() -> None:
    with pytest.raises(ValueError, match="limit: d=4: 200 documents are too many for float32"):
        synthetic.limit(200, 4, 100)
    with pytest.raises(ValueError, match="limit: d expected 4 to"):
        synthetic.limit(10, 3)
    with pytest.raises(ValueError, match="limit: nq expected 1 to 45, got 46"):
        synthetic.limit(10, 4, 46)
    with pytest.raises(ValueError, match="limit: d expected 4 to 4096"):
        synthetic.limit(10, 5000)
    with pytest.raises(ValueError, match="limit: documents expected 3 to 65536"):
        synthetic.limit(100_000, 4096, 1)
    with pytest.raises(ValueError, match="limit: nq expected at most 4194304 for d=64, got 49995000"):
        synthetic.limit(2000 * 5, 64)
    few = synthetic.limit(10, 8, 7, seed=3)
    assert len(few.queries) == 7 and len({tuple(r) for r in few.relevant or ()}) == 7


def test_pairs_have_the_numbers_of_their_order() -> None:
    for n in (3, 4, 17):
        np.testing.assert_array_equal(synthetic._pairs(np.arange(n * (n - 1) // 2), n), np.triu_indices(n, 1))
    n = 65_536
    last = n * (n - 1) // 2 - 1
    assert [pair.tolist() for pair in synthetic._pairs(np.array([0, n - 2, n - 1, last]), n)] == [
        [0, 0, 1, n - 2],
        [1, n - 1, 2, n - 1],
    ]


def test_a_few_queries_of_many_documents_need_little_memory() -> None:
    tracemalloc.start()
    data = synthetic.limit(4000, 512, 7, n_train=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data.queries) == 7 and peak < 8 * data.base.nbytes  # all pairs are 8 million


def test_options_out_of_range() -> None:
    for call, message in (
        (lambda: synthetic.power_law(10, 4, 1, alpha=-1), "alpha expected 0 to 10, got -1"),
        (lambda: synthetic.clustered(10, 4, 1, within=2), "within expected 0 to 1, got 2"),
        (lambda: synthetic.clustered(10, 4, 1, clusters=0), "clusters expected at least 1, got 0"),
        (lambda: synthetic.outlier_dimensions(10, 4, 1, outliers=5), "outliers expected 0 to 4, got 5"),
        (lambda: synthetic.shifted_queries(10, 4, 1, shift=-1), "shift expected 0 to 1e6, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
