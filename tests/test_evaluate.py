"""Exact neighbours against NumPy, recall by hand, every column of an evaluation against its definition."""

import importlib
import json
import math

import numpy as np
import pytest

import vecpress as vp
from vecpress.evaluate import Evaluation

module = importlib.import_module("vecpress.evaluate")  # as an attribute of the package, that name is the function
pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")


def whole_numbers(seed, n, d=6, high=2):
    """float32[n, d] of a few whole numbers: every score is exact in float32, and many are equal."""
    return np.random.default_rng(seed).integers(-high, high + 1, (n, d)).astype(np.float32)


def by_sorting(q, x, k, metric):
    """The definition: every score in float64, sorted by (score, id)."""
    q, x = q.astype(np.float64), x.astype(np.float64)
    scores = -((q[:, None] - x) ** 2).sum(axis=2) if metric == "l2" else q @ x.T
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, ids, axis=1)
    return (-best if metric == "l2" else best).astype(np.float32), ids


class TestExact:
    @pytest.mark.parametrize("block", [1, 7, 64, 1000], ids="rows={}".format)
    @pytest.mark.parametrize("metric", ["ip", "l2"])
    def test_the_definition_with_many_ties_and_any_block(self, metric, block, monkeypatch):
        monkeypatch.setattr(module, "BLOCK_BYTES", block * 4 * 6)
        x, q = whole_numbers(1, 300), whole_numbers(2, 11)
        scores, ids = vp.exact(q, x, 20, metric)
        expected = by_sorting(q, x, 20, metric)
        np.testing.assert_array_equal(ids, expected[1])
        np.testing.assert_array_equal(scores, expected[0])
        assert scores.dtype == np.float32 and ids.dtype == np.int64

    def test_cosines(self, base, queries):
        scores, ids = vp.exact(queries, base, 9, "cos")
        unit = [v.astype(np.float64) / np.linalg.norm(v.astype(np.float64), axis=1, keepdims=True) for v in (queries, base)]
        expected = by_sorting(*unit, 9, "ip")
        np.testing.assert_array_equal(ids, expected[1])
        np.testing.assert_allclose(scores, expected[0], atol=1e-6)

    @pytest.mark.parametrize("n", [0, 1, 3])
    def test_fewer_than_k(self, n):
        scores, ids = vp.exact(whole_numbers(2, 2), whole_numbers(1, n), 5)
        assert (ids[:, n:] == -1).all() and np.isnan(scores[:, n:]).all()
        assert (np.sort(ids[:, :n]) == np.arange(n)).all() and np.isfinite(scores[:, :n]).all()

    def test_lowest_scores_come_before_nothing(self, monkeypatch):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1)  # a row at a time
        low = np.full((3, 1), -3e38, np.float32)
        scores, ids = vp.exact(np.full((1, 1), 3e38, np.float32), low, 4)
        assert ids.tolist() == [[0, 1, 2, -1]] and (scores[0, :3] == -np.inf).all() and np.isnan(scores[0, 3])

    def test_a_distance_of_zero_has_no_sign(self):
        x = whole_numbers(1, 5)
        scores, _ = vp.exact(x, x, 1, "l2")
        assert (scores == 0).all() and not np.signbit(scores).any()

    @pytest.mark.parametrize("kind", ["float16", "float64", "int8", list, "memmap"], ids=str)
    def test_inputs_of_any_kind(self, kind, tmp_path):
        x, q = whole_numbers(1, 50), whole_numbers(2, 3)
        expected = vp.exact(q, x, 7)
        if kind == "memmap":
            np.save(tmp_path / "x.npy", x.astype(np.float16))
            x = np.load(tmp_path / "x.npy", mmap_mode="r")
        else:
            x, q = (x.tolist(), q.tolist()) if kind is list else (x.astype(kind), q.astype(kind))
        for got, wanted in zip(vp.exact(q, x, 7), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)

    def test_threads_change_nothing(self, base, queries):
        for one, two in zip(*(vp.exact(queries, base, 5, num_threads=t) for t in (1, 2)), strict=True):
            np.testing.assert_array_equal(one, two)

    @pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
    def test_a_number_of_threads_that_is_given_is_used_throughout(self, metric, monkeypatch):
        monkeypatch.setenv("VECPRESS_NUM_THREADS", "none")
        x = whole_numbers(1, 50) + 1
        assert (vp.exact(x, x, 1, metric, num_threads=1)[1] >= 0).all()
        with pytest.raises(ValueError, match="VECPRESS_NUM_THREADS"):
            vp.exact(x, x, 1, metric)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"k": 0}, ValueError, "exact: k expected 1 to 2147483647, got 0"),
            ({"k": 10**12}, ValueError, f"exact: k expected 1 to 2147483647, got {10**12}"),
            ({"k": 2**62}, ValueError, f"exact: k expected 1 to 2147483647, got {2**62}"),
            ({"k": 1.0}, TypeError, "exact: k"),
            ({"metric": "dot"}, ValueError, "exact: metric expected one of 'ip', 'l2', 'cos'"),
            ({"num_threads": -1}, ValueError, "num_threads"),
            ({"q": np.zeros((2, 5))}, ValueError, "exact: q expected d=6"),
            ({"x": np.array([[0.0] * 6, [np.nan] * 6])}, ValueError, "exact: x .*row 1"),
            ({"q": np.full((1, 6), np.inf)}, ValueError, "exact: q .*row 0"),
            ({"x": "vectors"}, TypeError, "exact: x"),
        ],
        ids=str,
    )
    def test_bad_input(self, change, error, message):
        with pytest.raises(error, match=message):
            vp.exact(**{"q": whole_numbers(2, 2), "x": whole_numbers(1, 5), "k": 3} | change)


class TestRecall:
    TRUE = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])

    @pytest.mark.parametrize(
        ("ids", "k", "at", "share"),
        [
            ([[1, 2, 3, 4], [5, 6, 7, 8]], 4, None, 1.0),
            ([[4, 3, 2, 1], [8, 9, 7, 10]], 4, None, 6 / 8),  # the order within does not matter
            ([[1, 9, 9, 9], [9, 6, 9, 9]], 2, None, 2 / 4),
            ([[3, 4, 9, 9], [7, 8, 9, 9]], 2, None, 0.0),  # near ones, but not among the two nearest
            ([[9, 1, 9, 9], [9, 9, 9, 5]], 1, 4, 1.0),
            ([[9, 1, 9, 9], [9, 9, 9, 5]], 1, 2, 0.5),
            ([[2, -1, -1, -1], [-1, -1, -1, -1]], 2, 4, 1 / 4),
        ],
    )
    def test_by_hand(self, ids, k, at, share):
        assert vp.recall(ids, self.TRUE, k, at) == share
        assert vp.recall(np.array(ids, np.int32), self.TRUE.astype(np.int32), k, at) == share

    def test_ten_at_ten_is_the_default(self):
        true = np.arange(30).reshape(2, 15)
        ids = true[:, ::-1][:, :15]
        assert vp.recall(ids, true) == 10 / 20

    def test_nothing_never_counts(self):
        true = np.array([[3, -1, -1], [4, 5, -1]])
        assert vp.recall(np.array([[3, -1, -1], [-1, -1, 5]]), true, 3) == 2 / 3
        with pytest.raises(ValueError, match="true_ids expected at least one id"):
            vp.recall(true, np.full((2, 3), -1), 3)

    @pytest.mark.parametrize(
        ("ids", "true", "k", "at", "error", "message"),
        [
            (TRUE, TRUE, 0, None, ValueError, "recall: k"),
            (TRUE, TRUE, 4, 0, ValueError, "recall: at"),
            (TRUE, TRUE, 4, 5, ValueError, "recall: ids expected a matrix of 5 or more columns"),
            (TRUE, TRUE, 5, 4, ValueError, "recall: true_ids expected a matrix of 5 or more"),
            (TRUE[:1], TRUE, 4, None, ValueError, "as many rows"),
            (TRUE[0], TRUE, 4, None, ValueError, "recall: ids"),
            (TRUE * 1.0, TRUE, 4, None, TypeError, "recall: ids expected int64"),
            (TRUE, [[1, 2], [3]], 2, None, ValueError, "recall: true_ids expected a matrix of numbers, got list"),
            (None, TRUE, 4, None, TypeError, "recall: ids expected a matrix of numbers, got NoneType"),
            (TRUE, TRUE, 4.0, None, TypeError, "recall: k"),
        ],
    )
    def test_bad_input(self, ids, true, k, at, error, message):
        with pytest.raises(error, match=message):
            vp.recall(ids, true, k, at)


@pytest.fixture(scope="module")
def result(base, queries):
    return vp.evaluate(vp.PQ(4), base, queries, 5, repeats=1, num_threads=1)


class TestEvaluate:
    def test_recalls_are_those_of_the_index(self, result, base, queries):
        """The data has no ties, so tie-aware recall and plain recall agree."""
        index = vp.Index(result.codec)
        index.add(base)
        true = vp.exact(queries, base, 5)[1]
        ids = index.search(queries, 50)[1]
        assert result.recall == vp.recall(ids, true, 5)
        assert result.recall_1 == vp.recall(ids, true, 1, 5)
        assert result.recall_wide == vp.recall(ids, true, 5, 50)
        assert 0 < result.recall < 1 and result.recall <= result.recall_wide

    def test_bytes(self, result, base, tmp_path):
        index = vp.Index(result.codec)
        index.add(base)
        index.save(tmp_path / "i.vpz")
        assert result.code_nbytes == 4
        assert result.held_nbytes == pytest.approx((7 * 64 - 400) * 4 / 400)  # the last block's rows past the last vector
        assert result.state_nbytes == 256 * 24 * 4 / 400
        assert result.file_nbytes == (tmp_path / "i.vpz").stat().st_size / 400

    def test_distortion(self, result, base):
        error = ((base.astype(np.float64) - result.codec.decode(result.codec.encode(base))) ** 2).sum()
        spread = ((base.astype(np.float64) - base.mean(axis=0, dtype=np.float64)) ** 2).sum()
        assert result.distortion == pytest.approx(error / spread, rel=1e-9)

    def test_distortion_under_cos_is_of_unit_vectors(self, base, queries):
        result = vp.evaluate(vp.Sign(metric="cos"), base, queries, 5, repeats=1)
        unit = base.astype(np.float64) / np.linalg.norm(base.astype(np.float64), axis=1, keepdims=True)
        error = ((unit - result.codec.decode(result.codec.encode(base))) ** 2).sum()
        assert result.distortion == pytest.approx(error / ((unit - unit.mean(axis=0)) ** 2).sum(), rel=1e-5)

    def test_speeds_and_what_ran(self, result):
        for value in (
            result.fit_seconds,
            result.encode_per_second,
            result.search_per_second,
            result.latency_seconds,
        ):
            assert 0 < value < math.inf
        assert result.threads == 1 and result.n == 400 and result.dim == 24 and result.n_queries == 7
        assert result.backend == "lut8: " + vp.explain("lut8").split()[1]
        assert result.versions["vecpress"] == vp.__version__ and result.versions["numpy"] == np.__version__

    def test_rows_are_json_with_the_columns_of_a_table(self, result):
        row = json.loads(json.dumps(result.row()))
        assert row["recall 5@5"] == result.recall and row["recall 1@5"] == result.recall_1
        assert row["recall 5@50"] == result.recall_wide and row["code bytes/vector"] == 4
        assert row["times smaller"] == 24 and row["codec"] == repr(result.codec)
        assert "recall 5@5" in str(result) and "PQ(m=4" in str(result) and "PQ(m=4" in repr(result)
        assert isinstance(result, Evaluation)

    @pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
    def test_the_exact_codec_is_exact(self, metric, base, queries):
        result = vp.evaluate(vp.Raw(metric=metric), base, queries, repeats=1)
        assert result.recall == result.recall_1 == result.recall_wide == 1
        assert result.distortion <= (1e-12 if metric == "cos" else 0)
        assert result.held_nbytes == 48 * 96 / 400 and result.state_nbytes == 0

    @pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
    def test_ties_count_as_found(self, metric, queries):
        """Every vector is there forty times, with ids in no order: any ten of the right forty are right."""
        few = np.random.default_rng(0).standard_normal((3, 24)).astype(np.float32)
        x = few[np.random.default_rng(1).permutation(np.repeat(np.arange(3), 40))]
        codec = vp.Raw(metric=metric).fit(x)
        truth = vp.exact(queries, x, 10, metric)
        result = vp.evaluate(codec, x[::-1], queries, 10, truth=truth, repeats=1)
        assert result.recall == result.recall_1 == 1
        index = vp.Index(codec)
        index.add(x[::-1])
        assert vp.recall(119 - index.search(queries)[1], truth[1]) < 1  # without ties, those are partly wrong

    def test_a_miss_is_no_tie(self, base, queries):
        """Only what is at least as near as the truth says is credited."""
        far = -vp.exact(-queries, base, 10)[0][:, ::-1]  # bars lower than any true neighbour's score
        assert vp.evaluate(vp.Sign(), base, queries, 10, truth=(far, None), repeats=1).recall == 1
        high = vp.exact(queries, base, 10)[0] + 100
        assert vp.evaluate(vp.Raw(), base, queries, 10, truth=(high, None), repeats=1).recall == 0

    def test_symmetric(self, base, queries):
        codec = vp.Sign().fit(base)
        result = vp.evaluate(codec, base, queries, symmetric=True, repeats=1)
        index = vp.Index(codec)
        index.add(base)
        ids = index.search(queries, symmetric=True)[1]
        assert result.recall == vp.recall(ids, vp.exact(queries, base, 10)[1])
        assert result.backend.startswith("hamming: ") and result.row()["codec"].endswith("symmetric")

    def test_a_fitted_codec_is_not_fitted_again(self, base, queries, monkeypatch):
        codec = vp.PQ(4).fit(base[:300])
        before = codec.codebooks_.copy()
        monkeypatch.setattr(vp.PQ, "_fit", lambda *_: pytest.fail("fitted again"))
        result = vp.evaluate(codec, base, queries, repeats=1, fit=base)
        assert math.isnan(result.fit_seconds)
        np.testing.assert_array_equal(result.codec.codebooks_, before)

    def test_an_unfitted_codec_stays_so_and_a_copy_learns_from_fit(self, base, queries):
        codec = vp.PQ(4, seed=3)
        result = vp.evaluate(codec, base, queries, fit=base[:300], repeats=1)
        assert not codec.is_fitted and result.codec == vp.PQ(4, seed=3).fit(base[:300])
        assert vp.evaluate(codec, base, queries, repeats=1).codec == vp.PQ(4, seed=3).fit(base)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"codec": "PQ"}, TypeError, "evaluate: codec"),
            ({"k": 0}, ValueError, "evaluate: k"),
            ({"repeats": 0}, ValueError, "evaluate: repeats"),
            ({"queries": np.zeros((2, 23))}, ValueError, "evaluate: queries expected d=24"),
            ({"queries": np.zeros((0, 24))}, ValueError, "at least one row"),
            ({"x": np.zeros((0, 24)), "fit": np.ones((9, 24))}, ValueError, "at least one row"),
            ({"truth": (np.zeros((7, 4)), None)}, ValueError, "evaluate: truth"),
            ({"truth": (np.zeros((6, 5)), None)}, ValueError, "evaluate: truth"),
        ],
        ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
    )
    def test_bad_input(self, change, error, message, base, queries):
        with pytest.raises(error, match=message):
            vp.evaluate(**{"codec": vp.Sign(), "x": base, "queries": queries, "k": 5} | change)
