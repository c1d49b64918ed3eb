"""Diagnoses: what was planted is found, the forecast is what codes do, and large files stay on their disk."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import vecpress as vp
from vecpress import bounds, diagnostics, forecast, synthetic
from vecpress.forecast import Axes, forecast_recall

RNG = np.random.default_rng(4)


def look(x, queries=None, **options) -> vp.diagnostics.Diagnosis:
    return vp.diagnose(x, queries, **{"recall": False, **options})


# ---- what is planted is found


def test_a_planted_spectrum_comes_back() -> None:
    d, alpha = 24, 1.0
    variances = synthetic.power_law_variances(d, alpha)
    found = look(synthetic.power_law(30_000, d, 1, alpha=alpha).base, metric="l2")
    np.testing.assert_allclose(found.spectrum, variances, rtol=0.05)
    share = variances / d
    assert found.participation_dim == pytest.approx(1 / (share**2).sum(), rel=0.05)
    assert found.entropy_dim == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=0.05)
    for budget in found.budgets:
        assert budget.distortion == pytest.approx(bounds.reachable(variances, budget.nbytes), rel=0.05)
    assert [distortion for distortion, _ in found.needed] == list(diagnostics.DISTORTIONS)
    for distortion, nbytes in found.needed:
        assert nbytes == pytest.approx(bounds.needed_bytes(variances, distortion), rel=0.05)
    assert found.mean_share < 0.001 and not found.notes


def test_white_vectors_have_all_their_dimensions() -> None:
    found = look(synthetic.gaussian(20_000, 16, 1).base)
    assert found.participation_dim == pytest.approx(16, abs=0.1) and found.entropy_dim == pytest.approx(16, abs=0.1)
    assert found.budgets[0].nbytes == 4 and found.budgets[0].distortion == pytest.approx(bounds.white(2), rel=0.03)


@pytest.mark.parametrize(("m", "within"), [(2, 0.04), (5, 0.1)])
def test_the_local_dimension_of_a_manifold(m: int, within: float) -> None:
    at = RNG.uniform(0, 1, (20_000, m))
    waves = RNG.standard_normal((m, 40))
    x = np.cos(at @ waves + RNG.uniform(0, 6, 40)).astype(np.float32)  # curved, in 40 dimensions
    found = look(np.concatenate([x, x[:500]]))  # what is repeated must not count as near
    assert found.local_dim == pytest.approx(m, rel=within)
    assert look(x[:10]).local_dim != look(x[:10]).local_dim  # nan


def test_oddities_are_found() -> None:
    x = RNG.standard_normal((1000, 30)).astype(np.float32)
    x[:, 7], x[:, 3] = 0.5, x[:, 3] * 40
    x[:, 9] *= 90
    x[10:20] = x[30:40]
    x[[1, 2]] = 0
    x[2] *= -1  # minus zero is zero
    found = look(x)
    assert found.zero_share == 0.002 and found.duplicate_share == pytest.approx(0.011)
    assert found.constant_dims == () and [dim for dim, _ in found.outlier_dims] == [9, 3]
    assert found.outlier_dims[0][1] == pytest.approx(90, rel=0.1)
    assert found.norms[0] == 0 and found.norms[2] == pytest.approx(np.linalg.norm(x, axis=1).max())
    words = " ".join(found.notes)
    assert "zero rows" in words and "repeat" in words and "larger numbers" in words
    constant = look(x[3:])
    assert constant.constant_dims == (7,) and "constant" in " ".join(constant.notes)


def test_the_mean_share() -> None:
    x = RNG.standard_normal((5000, 8)).astype(np.float32) + np.float32(3)
    found = look(x)
    assert found.mean_share == pytest.approx(9 / 10, rel=0.02) and "take a codec that centres" in " ".join(found.notes)
    assert look(x, metric="cos").spectrum.sum() < 0.2  # of unit vectors


def test_queries_from_elsewhere() -> None:
    alike = synthetic.power_law(5000, 32, 3000, alpha=1.5)
    found = look(alike.base, alike.queries)
    assert found.query_shift is not None and found.query_shift < 0.1 and found.query_outside == pytest.approx(0.1, abs=0.02)
    apart = synthetic.shifted_queries(5000, 32, 3000, alpha=1.5, shift=2)
    found = look(apart.base, apart.queries)
    assert found.query_shift == pytest.approx(2, rel=0.05) and (found.query_outside or 0) > 0.3 and found.n_queries == 3000
    assert "queries come from elsewhere" in " ".join(found.notes)


def test_a_source_without_variance() -> None:
    found = vp.diagnose(np.ones((40, 3), np.float32))
    assert found.participation_dim == 0 and found.budgets[0].distortion == 0 and found.duplicate_share == 39 / 40
    assert "nothing varies" in str(found) and json.dumps(found.row() | {"local_dim": None}, allow_nan=False)


# ---- the forecast


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("noise", forecast.NOISES)
def test_the_forecast_is_what_a_code_of_that_noise_leaves(metric: str, noise: str) -> None:
    data = synthetic.power_law(4000, 24, 200, alpha=1.0)
    x = data.base + np.float32(0.3)
    if metric == "cos":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    axes = Axes.of(x)
    distortions = [0.3, 0.05, 0.005]
    found = forecast_recall(x, data.queries, distortions, metric=metric, noise=noise)
    _, true_ids = vp.exact(data.queries, x, 10, metric)
    for distortion, forecasted in zip(distortions, found, strict=True):
        z, v = (x - axes.mean) @ axes.directions, axes.variances
        error = np.minimum(v, bounds.water_level(v, distortion)) if noise == "ideal" else np.full(24, distortion * v.mean())
        gain = 1 - error / v if noise == "ideal" else np.ones(24)
        decoded = gain * z + np.sqrt(error * gain) * RNG.standard_normal(z.shape)
        assert np.square(decoded - z).sum(axis=1).mean() / v.sum() == pytest.approx(distortion, rel=0.03)
        decoded = (decoded @ axes.directions.T + axes.mean).astype(np.float32)
        ids = vp.exact(data.queries, decoded, 10, "ip" if metric == "cos" else metric)[1]
        assert forecasted == pytest.approx(vp.recall(ids, true_ids), abs=0.02)


def test_the_ends_of_the_forecast() -> None:
    x = synthetic.gaussian(500, 8, 1).base
    assert forecast_recall(x, x[:50], [0.0]).tolist() == [1.0]
    assert forecast_recall(x[:4], x[:2], [0.5], k=10).tolist() == [1.0]  # all that there are
    assert forecast_recall(x, x[:50], [1.0], metric="l2")[0] < 0.1
    curve = forecast_recall(x, x[:200], np.geomspace(1e-4, 1, 20))
    assert (np.diff(curve) <= 0.01).all()
    for bad, message in (({"noise": "pink"}, "noise expected one of"), ({"metric": "dot"}, "metric expected one of")):
        with pytest.raises(ValueError, match=message):
            forecast_recall(x, x, [0.1], **bad)
    with pytest.raises(ValueError, match="expected d=8 columns"):
        forecast_recall(x, x[:, :5], [0.1])
    for noise in forecast.NOISES:
        for distortion in (-0.1, 1.5, np.nan):
            with pytest.raises(ValueError, match=f"forecast_recall: distortions expected 0 to 1, got {distortion}"):
                forecast_recall(x, x[:5], [0.1, distortion], noise=noise)
        for own in (np.arange(4), np.arange(5.0), np.array([0, 1, 2, 3, 500]), np.arange(5)[None]):
            with pytest.raises(
                ValueError, match="own expected a row number below 500 for each of 5 queries, 200 at most, got sh"
            ):
                forecast_recall(x, x[:5], [0.1], noise=noise, own=own)
    with pytest.raises(ValueError, match=r"own expected .* for each of 201 queries, 200 at most"):
        forecast_recall(x, x[:201], [0.1], own=np.arange(201))


def test_the_forecast_of_real_codecs_is_within_its_words() -> None:
    data = vp.datasets.demo()
    x, q = np.asarray(data.base[:3000], np.float32), np.asarray(data.queries[:150], np.float32)
    _, true_ids = vp.exact(q, x, 10)
    axes = Axes.of(x)
    for codec in (vp.LloydMax(n_bits=2), vp.LloydMax(n_bits=4), vp.RaBitQ(n_bits=3)):
        index = vp.Index(codec.fit(x))
        index.add(x)
        recall = vp.recall(index.search(q, 10)[1], true_ids)
        distortion = np.square(x - index.codec.decode(index.codes(index.ids))).sum() / np.square(x - x.mean(axis=0)).sum()
        assert forecast_recall(x, q, [float(distortion)], noise="even", axes=axes)[0] == pytest.approx(recall, abs=0.05), codec


@pytest.mark.slow
def test_the_forecast_of_codecs_that_know_the_spectrum() -> None:
    data = vp.datasets.demo()
    x, q = np.asarray(data.base, np.float32), np.asarray(data.queries[:200], np.float32)
    for codec in (vp.OPQ(m=96, n_bits=4), vp.OPQ(m=192, n_bits=4)):
        figures = vp.evaluate(codec, x, q, repeats=1)
        assert forecast_recall(x, q, [figures.distortion])[0] == pytest.approx(figures.recall, abs=0.05), codec


def test_a_large_base_is_thinned(monkeypatch) -> None:
    x = synthetic.gaussian(1000, 8, 1).base
    monkeypatch.setattr(forecast, "WORK", 1000 * 200 * 8 / 2.9)
    found = vp.diagnose(x)
    assert found.forecast_rows == len(x[::3]) and "recall was forecast among 334 of 1,000 rows" in found.notes[-1]
    own = np.sort(np.random.default_rng(0).choice(1000, 200, replace=False))
    again = forecast_recall(x, x[own], [b.distortion for b in found.budgets], axes=Axes.of(x), own=own)
    assert [b.recall for b in found.budgets] == again.tolist()


def test_no_row_is_its_own_neighbour() -> None:
    x = synthetic.gaussian(300, 8, 1).base
    own = np.array([5, 17, 250])
    scores, ids = vp.exact(x[own], x, 20, "l2")
    scores, ids = forecast.without(scores, ids, own)
    rest = np.delete(x, own, axis=0)
    for row, i in enumerate(own):
        near = np.delete(np.arange(300), i)[vp.exact(x[i], np.delete(x, i, axis=0), 19, "l2")[1][0]]
        np.testing.assert_array_equal(ids[row], near)
    scores, ids = vp.exact(x[own], rest, 20, "l2")
    assert forecast.without(scores, ids, np.array([299, 299, 299]))[1].tolist() == ids[:, :19].tolist()


# ---- what it takes, and gives


def test_kinds_of_input(tmp_path: Path, monkeypatch) -> None:
    x = synthetic.power_law(900, 12, 1).base
    np.save(tmp_path / "x.npy", x)
    found = look(x).row()
    assert look(str(tmp_path / "x.npy")).row() == found and look(tmp_path / "x.npy").row() == found
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"v": pyarrow.array(x.tolist(), pyarrow.list_(pyarrow.float32()))}), tmp_path / "x.parquet")
    assert look(tmp_path / "x.parquet").row() == found
    monkeypatch.setattr(diagnostics, "QUERY_NBYTES", 100 * 12 * 4)
    assert look(x, tmp_path / "x.parquet").n_queries == 900  # not only those of the sample
    for bad, error, message in (
        (iter([x]), TypeError, "diagnose: x expected real numbers"),
        (x[:1], ValueError, "diagnose: x expected at least 2 rows, got 1"),
        (np.array([[np.nan, 1], [0, 1]]), ValueError, "diagnose: x expected finite values, row 0"),
        (np.zeros((3, 5000), np.float32), ValueError, "d expected at most 4096, got 5000"),
    ):
        with pytest.raises(error, match=message):
            look(bad)
    with pytest.raises(ValueError, match="diagnose: queries expected d=12 columns"):
        look(x, x[:, :5])
    with pytest.raises(ValueError, match="diagnose: queries expected at least one row"):
        look(x, x[:0])
    with pytest.raises(ValueError, match="diagnose: metric expected one of"):
        look(x, metric="dot")
    with pytest.raises(ValueError, match="diagnose: budgets expected at least 1, got 0"):
        look(x, budgets=[0])


def test_a_seed_gives_the_same_figures(monkeypatch) -> None:
    monkeypatch.setattr(diagnostics, "LEAST_ROWS", 300)
    x = synthetic.gaussian(2000, 6, 1).base
    first, again, other = (vp.diagnose(x, seed=seed) for seed in (1, 1, 2))
    assert first.rows == 300 and first.row() == again.row() != other.row()


def test_the_page() -> None:
    x = synthetic.outlier_dimensions(2000, 24, 1, outliers=2).base
    found = vp.diagnose(x, x[:40], budgets=[3, 10])
    page = str(found)
    assert [budget.nbytes for budget in found.budgets] == [3, 10]
    assert "2,000 of 24 dimensions, ip" in page and "recall 10@10" in page and "0 constant, 2 outliers:" in page
    assert max(map(len, page.splitlines()[:12])) <= 110 and found.page(ascii=True).isascii()
    assert "recall 10@10" not in str(vp.diagnose(x, recall=False))
    white = look(synthetic.gaussian(5000, 16, 1).base).page()
    assert "█" * 16 in white or "▇" in white


def test_a_mapped_file_stays_on_its_disk(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(diagnostics, "LEAST_ROWS", 1000)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (200_000, 64))
    for start in range(0, len(x), 20_000):
        x[start : start + 20_000] = RNG.standard_normal((20_000, 64), np.float32)
    x.flush()
    del x
    tracemalloc.start()
    found = look(tmp_path / "x.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n == 200_000 and found.rows == 1024 and peak < 200_000 * 64 * 4 / 4


def test_samples_are_bounded_in_bytes(tmp_path: Path, monkeypatch) -> None:
    """Of a base and of queries, both larger than memory may be; with what "cos" copies."""
    monkeypatch.setattr(diagnostics, "LEAST_ROWS", 100_000)
    monkeypatch.setattr(diagnostics, "SAMPLE_NBYTES", 8 << 20)
    monkeypatch.setattr(diagnostics, "QUERY_NBYTES", 2 << 20, raising=False)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (60_000, 256))
    for start in range(0, len(x), 20_000):
        x[start : start + 20_000] = RNG.standard_normal((20_000, 256), np.float32)
    x.flush()
    del x
    tracemalloc.start()
    found = look(tmp_path / "x.npy", tmp_path / "x.npy", metric="cos")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_queries == 60_000 and found.rows == 8192 and peak < 32 << 20
