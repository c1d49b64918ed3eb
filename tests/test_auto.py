"""Automatic choice: planted winners, the promise against every candidate by hand, budgets, recalls, small data, time, reports."""

from __future__ import annotations

import copy
import importlib
import json
import math
import time

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp
from vecpress import codec as codec_module
from vecpress import trials
from vecpress.codec import METRICS, Codec

module = importlib.import_module("vecpress.auto")  # as an attribute of the package, that name is the function
pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")
THREADS = {"num_threads": 1}


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def without_times(report) -> dict:
    """A report's values, but for what a clock gave."""
    plain = report.to_dict()
    plain.pop("seconds")
    for row in (plain["best"], *plain["rows"]):
        for name in [name for name in row if name.endswith(("_per_second", "_seconds"))]:
            row.pop(name)
    return plain


def by_hand(x, queries, metric, budget, k, seed) -> dict[str, float]:
    """Recall of every candidate on the parts that `auto` draws, by the public functions alone."""
    stage = trials.split(x, queries, metric, k, seed, 1).stages[-1]
    truth = vp.exact(stage.asked, stage.base, stage.k, metric)
    out = {}
    for cls in vp.codecs():
        for codec in cls.offers(np.shape(x)[1], budget, metric, seed):
            options = {"fit": stage.fitted_on, "fit_queries": stage.weights, "truth": truth, "repeats": 1}
            out[repr(codec)] = vp.evaluate(codec, stage.base, stage.asked, stage.k, **options, **THREADS).recall
    return out


@pytest.fixture
def only(monkeypatch):
    """Sets which codec classes there are."""

    def choose(*classes: type[Codec]) -> None:
        monkeypatch.setattr(codec_module, "_codecs", {cls.__name__: cls for cls in classes})

    monkeypatch.setattr(codec_module, "_codecs", dict(codec_module._codecs))
    return choose


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    return clustered(3, 3000, 24, clusters=60)


# ---- what codecs offer


@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("metric", METRICS)
def test_offers_fit_the_budget_and_serve_the_vectors(cls, metric):
    if cls is not vp.Aligned:  # is for an old model's codes
        assert any(cls.offers(24, budget, metric) for budget in (6, 96)), "auto never tries it"
    for dim in (1, 2, 7, 24, 100, 5000):
        for budget in (1, 2, 3, 5, 12, 31, 48, 100, 400, 20_000):
            offered = cls.offers(dim, budget, metric, 5)
            assert len({repr(codec) for codec in offered}) == len(offered)
            for codec in offered:
                size, _ = codec.planned(dim)
                assert 1 <= size <= budget and codec.metric == metric and not codec.is_fitted
                assert codec.config().get("seed", 5) == 5


def test_offers_are_as_large_as_fits():
    assert vp.PQ.offers(24, 13, "ip", 0) == [vp.PQ(12), vp.PQ(24, 4)]
    assert vp.OPQ.offers(24, 3, "l2", 1) == [vp.OPQ(3, metric="l2", seed=1), vp.OPQ(6, 4, metric="l2", seed=1)]
    assert vp.LloydMax.offers(64, 2 + 8 * 5, "ip", 0) == [vp.LloydMax(5)] and vp.LloydMax.offers(64, 9, "ip", 0) == []
    assert vp.SQ.offers(64, 63, "ip", 0) == [vp.SQ(4)] and vp.SQ.offers(64, 64, "ip", 0) == [vp.SQ(8)]
    assert vp.Raw.offers(64, 255, "ip", 0) == [vp.Raw("float16")] and vp.Raw.offers(64, 256, "ip", 0) == [vp.Raw()]
    assert vp.ITQ.offers(64, 3, "ip", 0) == [vp.ITQ(24)] and vp.ITQ.offers(64, 9, "ip", 0) == [vp.ITQ(64)]
    assert vp.Sign.offers(64, 7, "ip", 0) == [] and vp.Sign.offers(64, 8, "ip", 0) == [vp.Sign()]
    assert vp.OPQ.offers(5000, 8, "ip", 0) == vp.ITQ.offers(5000, 8, "ip", 0) == []


@pytest.mark.parametrize("cls", vp.codecs(), ids=lambda cls: cls.__name__)
def test_planned_sizes_are_those_of_the_fitted_codec(cls, base):
    for codec in cls.examples():
        size, state = codec.planned(24)
        assert size == codec.fit(base).code_size
        if "form_" in codec.state:  # `fit` decides how many labels and components there are
            assert codec.state_nbytes <= 1.2 * state + 256
        else:
            assert codec.state_nbytes == state
    with pytest.raises(ValueError, match="d=5"):
        vp.PQ(4).planned(5)


def test_planned_sizes_count_no_labels_that_few_rows_will_not_have(base):
    codec = vp.TransformCodec(24)
    few, many = codec.planned(24, len(base))[1], codec.planned(24)[1]
    assert codec.fit(base).n_labels == 0 and codec.state_nbytes <= 1.2 * few + 256
    assert many - few > 20 * 256 * 24 * 4 * 0.9 and many == codec.planned(24, 5000)[1]


def test_a_codec_joins_by_offering_itself(only, embeddings):
    class Whole(vp.Raw):
        """Finds everything in no time, by cheating about its size."""

        @property
        def code_size(self) -> int:
            return super().code_size

        def planned(self, dim, rows=None):
            return 3, 0

        @classmethod
        def offers(cls, dim, code_size, metric, seed=0):
            return [cls(metric=metric)] if code_size >= 3 else []

    only(*vp.codecs(), Whole)
    assert isinstance(vp.auto(embeddings, code_size=3, **THREADS)[0], Whole)
    assert not isinstance(vp.auto(embeddings, code_size=2, **THREADS)[0], Whole)


def test_an_offer_beyond_the_budget_is_an_error(only, embeddings):
    class Large(vp.Sign):
        @classmethod
        def offers(cls, dim, code_size, metric, seed=0):
            return [cls(metric=metric)]

    only(Large)
    with pytest.raises(ValueError, match=r"auto: Large.offers expected at most 2 bytes, got Large\(metric='ip'\) of 3"):
        vp.auto(embeddings, code_size=2, **THREADS)


# ---- planted winners


def test_clusters_in_every_sub_vector_are_coded_exactly_by_product_quantization():
    """Four sub-vectors, each one of 16 points: 4 bits each hold all there is, and nothing else of two bytes does."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((4, 16, 6)).astype(np.float32)
    x = np.concatenate([points[j][rng.integers(0, 16, 12_000)] for j in range(4)], axis=1)
    codec, report = vp.auto(x, code_size=2, metric="l2", **THREADS)
    assert (type(codec), codec.m, codec.n_bits) == (vp.PQ, 4, 4)
    assert report.best.recall == 1 and report.best.code_size == 2
    np.testing.assert_allclose(codec.decode(codec.encode(x[:500])), x[:500], atol=1e-5)


@pytest.mark.parametrize("basis", [slow("first"), "pca"])
def test_energy_in_few_dimensions_is_kept_by_truncation(basis):
    """Eight of 64 dimensions hold nearly everything: a byte for each of them beats all that does not look for directions."""
    rng = np.random.default_rng(1)
    x = 0.01 * rng.standard_normal((12_000, 64))
    x[:, :8] += rng.standard_normal((12_000, 8))
    if basis == "pca":
        x = x @ np.linalg.qr(rng.standard_normal((64, 64)))[0]
    codec, report = vp.auto(x.astype(np.float32), code_size=8, metric="l2", **THREADS)
    assert isinstance(codec, vp.Truncate) and codec.dims == 8 and "SQ" in codec.codec
    assert codec.basis == basis
    adaptive = ("Truncate", "OPQ", "RQ", "TransformCodec", "Scaled", "Weighted", "LowRankPQ")
    others = [row.recall for row in report.rows if not row.codec.startswith(adaptive)]
    assert report.best.recall > 0.95 and max(others) < report.best.recall - 0.1


def test_where_bytes_are_plenty_nothing_is_lost(embeddings):
    codec, report = vp.auto(embeddings, code_size=96, **THREADS)
    assert report.best.recall >= 0.998 and codec.code_size <= 96


# ---- the promise


@pytest.mark.parametrize(("metric", "budget"), [slow("ip", 3), slow("ip", 8), slow("l2", 2), ("l2", 6), slow("cos", 5)])
def test_never_much_worse_than_the_best_candidate_by_hand(metric, budget):
    x, queries = clustered(3, 12_000, 24, clusters=60), clustered(3, 300, 24, clusters=60, draw=1)
    codec, report = vp.auto(x, queries, code_size=budget, metric=metric, seed=2, **THREADS)
    recalls = by_hand(x, queries, metric, budget, 10, 2)
    chosen = copy.copy(codec)
    assert {row.codec for row in report.rows} == set(recalls) and report.best.codec == repr(chosen)
    assert recalls[report.best.codec] >= max(recalls.values()) - 0.005
    for row in report.rows:
        if row.stage == "full":
            assert row.recall == pytest.approx(recalls[row.codec], abs=1e-12)
            assert row.behind == pytest.approx(report.best.recall - row.recall, abs=1e-12)
            assert row.behind_interval[0] <= row.behind <= row.behind_interval[1]
            assert row.recall_interval[0] <= row.recall <= row.recall_interval[1]
    assert all(row.code_size <= budget for row in report.rows) and codec.code_size == report.best.code_size


def test_few_are_on_the_full_sample_and_none_that_may_be_the_best():
    x = clustered(3, 12_000, 24, clusters=60)
    _, report = vp.auto(x, code_size=6, **THREADS)
    stages = [row.stage for row in report.rows]
    assert set(stages) == {"full", "small"} and stages[0] == "full"
    for row in report.rows:
        if row.stage == "small":
            assert row.dropped == "less recall on the small sample" and row.behind_interval[0] > 0


def test_the_winner_learns_from_all_vectors_and_all_queries(only, embeddings):
    seen = []

    class Asking(vp.Sign):
        def _fit(self, x, queries, num_threads):
            seen.append((x.n, None if queries is None else queries.n))
            super()._fit(x, queries, num_threads)

        @classmethod
        def offers(cls, dim, code_size, metric, seed=0):
            return [cls(metric=metric)]

    only(Asking)
    codec, report = vp.auto(embeddings, embeddings[:41], code_size=3, **THREADS)
    assert seen == [(1500, 20), (3000, 41)] and report.refitted
    assert codec.is_fitted and np.array_equal(codec.mean_, vp.Sign().fit(embeddings).mean_)
    assert report.held_out == "21 of 41 queries, 1,500 rows searched; fitted on 1,500 others and 20 other queries; " + (
        "so few queries tell little"
    )


def test_parts_have_no_row_in_common():
    x = np.arange(60_000, dtype=np.float32)[:, None]
    for queries in (None, x[:7]):
        parts = trials.split(x, queries, "ip", 10, 3, 1)
        full = parts.stages[-1]
        drawn = [full.fitted_on, full.base] + ([full.asked] if queries is None else [])
        rows = np.concatenate([part.ravel() for part in drawn])
        assert len(np.unique(rows)) == len(rows) and [len(part) for part in drawn[:2]] == [20_000, 20_000]
        small = parts.stages[0]
        assert len(small.base) == 5000 and abs(small.base.mean() - 30_000) < 1500  # a sample, not the front
        if queries is not None:
            together = np.sort(np.concatenate([full.asked, full.weights]).ravel())
            np.testing.assert_array_equal(together, queries.ravel())


# ---- ties and what was learned


def test_ties_go_to_the_one_that_is_faster_to_search(only):
    """Both hold all there is; eight look-ups in tables of 16 cost less than four in tables of 256."""
    only(vp.PQ)
    rng = np.random.default_rng(0)
    points = rng.standard_normal((4, 16, 6)).astype(np.float32)
    x = np.concatenate([points[j][rng.integers(0, 16, 12_000)] for j in range(4)], axis=1)
    codec, report = vp.auto(x, code_size=4, metric="l2", **THREADS)
    assert (codec.m, codec.n_bits) == (8, 4) and [row.recall for row in report.rows] == [1, 1]
    assert report.rows[1].work > report.best.work and report.rows[1].dropped == "no better, more work to search"


def test_few_queries_show_no_tie(only):
    """Where the interval is wide, equal recalls are chance, and the one ahead is taken, be it slower."""

    def shares(recall: float, spread: float) -> np.ndarray:
        return recall + spread * np.resize([1.0, -1.0], 100)

    stage = trials.split(np.arange(600, dtype=np.float32)[:, None], None, "ip", 10, 0, 1).stages[-1]
    stage.resampled = stage.resampled[:, :100] / stage.resampled[:, :100].sum(axis=1, keepdims=True)

    def choose(spread: float) -> str:
        ahead, behind = (trials.Candidate(codec, 1, 0, 1.0) for codec in (vp.PQ(1), vp.PQ(1, 4)))
        ahead.results["full"] = trials.Measured(ahead.codec, shares(0.601, spread), 1, 1, 1, 1, 2.4)
        behind.results["full"] = trials.Measured(behind.codec, shares(0.600, -spread), 1, 1, 1, 1, 1.0)
        return repr(module._Search.choose(None, [behind, ahead], stage).codec)

    assert choose(0.01) == repr(vp.PQ(1, 4))  # 0.1 points behind, within 0.4, and faster
    assert choose(0.2) == repr(vp.PQ(1))  # within 8 points


def test_what_is_learned_counts_where_there_are_few_vectors(only):
    """Product quantization finds more, but its codebooks are many times the codes of 600 vectors; of 12,000 they are not."""
    only(vp.PQ, vp.Sign)
    x = clustered(3, 12_000, 32, clusters=60)
    few, report = vp.auto(x[:600], code_size=4, **THREADS)
    assert isinstance(few, vp.Sign) and report.best.nbytes <= 1.2 * 4
    eight = next(row for row in report.rows if "n_bits=8" in row.codec)
    assert eight.recall > report.best.recall and eight.dropped == "too large with what it learned"
    assert eight.nbytes == 4 + 256 * 32 * 4 / 600 and eight.state_nbytes == 256 * 32 * 4
    assert report.smaller is None
    many, report = vp.auto(x, code_size=4, **THREADS)
    assert isinstance(many, vp.PQ) and many.n_bits == 8 and report.rows[0] == report.best
    assert report.best.nbytes == 4 + 256 * 32 * 4 / 12_000 > 1.2 * 4 >= report.smaller.nbytes  # not few, but it is said
    assert report.smaller.codec == "PQ(m=8, n_bits=4, metric='ip', seed=0)"
    assert f"{report.smaller.codec} is the best, {report.smaller.behind:.3f} behind" in str(report)


def test_where_none_is_small_enough_the_smallest_wins(only):
    only(vp.PQ)
    x = clustered(3, 300, 32)
    codec, report = vp.auto(x, code_size=4, **THREADS)
    assert codec.n_bits == 4 and report.best.nbytes == min(row.nbytes for row in report.rows) > 4 * 1.2


# ---- recall


@pytest.mark.parametrize("few", [True, False], ids=["what is learned counts", "codes count"])
@pytest.mark.parametrize("target", [slow(0.5), 0.8, slow(0.95), 1.0])
def test_the_smallest_size_that_reaches_a_recall(target, few, monkeypatch):
    monkeypatch.setattr(module, "FEW_ROWS", 10_000 if few else 0)
    x = clustered(5, 600, 6, clusters=40)
    codec, report = vp.auto(x, recall=target, metric="l2", **THREADS)
    assert report.best.recall >= target and report.target == target and report.code_size is None
    search = module._Search(trials.split(x, None, "l2", 10, 0, 1), "l2", 0, module._Clock(None), lambda line: None)
    reach = {}  # of every size, what the best that may win there has
    for budget in range(1, 25):
        allowed = [one for one in search.offered(budget) if not few or one.nbytes <= 1.2 * budget]
        reach[budget] = max((search.measure(one, search.full).recall for one in allowed), default=0)
    size = max(codec.code_size, math.ceil(report.best.nbytes / 1.2)) if few else codec.code_size
    assert all(reach[budget] < target for budget in range(1, size)), "a smaller size reaches it"
    assert (few or reach[size] >= target) and codec.is_fitted
    assert len({row.code_size for row in report.rows}) > 3


def test_a_recall_on_two_stages_is_reached_on_the_full_sample():
    x = clustered(3, 12_000, 16, clusters=60)
    codec, report = vp.auto(x, recall=0.7, **THREADS)
    assert report.best.stage == "full" and report.best.recall >= 0.7
    smaller = [row for row in report.rows if row.code_size < codec.code_size and row.stage == "full"]
    assert smaller and all(row.recall < 0.7 and row.dropped == "misses the recall" for row in smaller)


# ---- small and odd data


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "x",
    [
        np.arange(5.0)[:, None],
        clustered(0, 5, 3),
        np.ones((40, 4)),
        np.zeros((30, 2)),
        np.repeat(clustered(0, 3, 8), 50, axis=0),
        np.hstack([clustered(0, 90, 3), np.full((90, 2), 7.0)]),
        clustered(0, 3, 2),
    ],
    ids=["5 rows of 1", "5 rows of 3", "one row 40 times", "zeros", "3 rows 50 times", "constant columns", "3 rows"],
)
def test_small_and_odd_data(x, metric):
    for asked in ({"code_size": 1}, {"code_size": 5}, {"recall": 0.9}):
        codec, report = vp.auto(x, metric=metric, **asked, **THREADS)
        assert codec.dim == x.shape[1] and codec.code_size <= asked.get("code_size", 4 * x.shape[1])
        assert 0 <= report.best.recall <= 1 and report.best.recall >= asked.get("recall", 0) and report.k <= 10
        assert math.isfinite(report.best.nbytes) and len(str(report).splitlines()) > 5
        index = vp.Index(codec)
        index.add(x)
        assert (index.search(x[:2], 1)[1] >= 0).all()


def test_k_is_lowered_where_it_would_be_all_rows():
    _, report = vp.auto(clustered(0, 30, 4), code_size=2, **THREADS)
    assert report.k == 6 and "k is 6, not 10, as there are few rows" in report.held_out  # of 12 rows that are searched


def test_values_that_most_codecs_refuse():
    x = (clustered(0, 300, 4) * 1e30).astype(np.float32)
    codec, report = vp.auto(x, code_size=16, metric="cos", **THREADS)  # scaled to length 1, all take them
    assert report.best.recall > 0.9
    codec, report = vp.auto(x, code_size=16, **THREADS)
    assert codec == vp.Raw().fit(x) and [row.dropped for row in report.rows if row.dropped.startswith("refused: fit: x expected")]
    with pytest.raises(ValueError, match=r"auto: x expected values that a codec takes; .* refused: fit: x expected absolute"):
        vp.auto(x, code_size=4, **THREADS)


@pytest.mark.parametrize("kind", ["float16", "path", "iterator", slow("float64"), slow("memmap")])
def test_vectors_of_any_kind(kind, embeddings, tmp_path):
    x = embeddings.astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    given = {
        "float16": x, "float64": x.astype(np.float64), "path": tmp_path / "x.npy", "iterator": iter(np.array_split(x, 7)),
        "memmap": np.load(tmp_path / "x.npy", mmap_mode="r"),
    }[kind]  # fmt: skip
    expected, wanted = vp.auto(x.astype(np.float32), code_size=6, **THREADS)
    codec, report = vp.auto(given, code_size=6, **THREADS)
    assert codec == expected and without_times(report) == without_times(wanted)


# ---- determinism and time


def test_the_same_seed_gives_the_same_codec_and_report(embeddings):
    runs = [vp.auto(embeddings, embeddings[:50], code_size=6, seed=seed, num_threads=t) for seed, t in ((4, 1), (4, 2), (5, 1))]
    (first, a), (again, b), (_, other) = runs
    assert first == again and not a.cut
    a, b, other = without_times(a), without_times(b), without_times(other)
    assert (a.pop("threads"), b.pop("threads")) == (1, 2) and a == b
    assert [row["recall"] for row in a["rows"]] != [row["recall"] for row in other["rows"]]


def test_a_time_limit_ends_the_trials(only, embeddings, monkeypatch):
    """Each fit takes 0.3 s, so 1.2 s have time for a few of the twenty."""

    class Slow(vp.PQ):
        def _fit(self, x, queries, num_threads):
            time.sleep(0.3)
            super()._fit(x, queries, num_threads)

        @classmethod
        def offers(cls, dim, code_size, metric, seed=0):
            return [cls(3, 4, metric=metric, seed=seed) for seed in range(20)]

    only(Slow)
    begin = time.perf_counter()
    codec, report = vp.auto(embeddings, code_size=3, time_limit=1.2, **THREADS)
    assert time.perf_counter() - begin < 3 and report.seconds < 3
    tried = [row for row in report.rows if row.stage]
    assert 1 <= len(tried) <= 6 and report.cut and codec.is_fitted
    assert all(row.dropped == "no time" and row.recall is None for row in report.rows[len(tried) :])
    assert "The time limit ended the trials" in str(report)
    codec, report = vp.auto(embeddings, code_size=3, time_limit=1e-6, **THREADS)
    assert [row.stage for row in report.rows] == ["full"] + [""] * 19 and report.cut and not report.refitted
    assert codec.is_fitted and codec.code_size <= 3 and "no time to fit the winner on all" in str(report)
    codec, report = vp.auto(embeddings, recall=0.5, time_limit=1e-6, **THREADS)
    assert report.cut and codec.is_fitted and "which nothing that was tried reaches" in str(report)


def test_without_a_limit_nothing_is_cut(embeddings):
    _, report = vp.auto(embeddings, code_size=6, time_limit=1e6, **THREADS)
    assert not report.cut and report.refitted and "time limit" not in str(report)


def test_an_interrupt_goes_through(embeddings, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(vp.PQ, "_fit", stop)
    with pytest.raises(KeyboardInterrupt):
        vp.auto(embeddings, code_size=6, **THREADS)


# ---- the report


def test_the_report_as_json_and_as_text(embeddings):
    lines: list[str] = []
    codec, report = vp.auto(embeddings, embeddings[:60], code_size=6, progress=lines.append, **THREADS)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["smaller"] == (report.smaller and report.smaller.codec)
    assert plain["best"] == plain["rows"][0] and plain["best"]["codec"] == repr(codec) and plain["best"]["dropped"] == ""
    assert (plain["n"], plain["dim"], plain["k"], plain["code_size"], plain["target"]) == (3000, 24, 10, 6, None)
    assert len(plain["rows"]) == len(report.rows) and all(row["dropped"] for row in plain["rows"][1:])
    for row in report.rows:
        assert row.nbytes == row.code_size + row.state_nbytes / 3000
        assert row.fit_seconds > 0 and row.encode_per_second > 0 and row.searches_per_second > 0 and row.work > 0
    text = str(report)
    assert "3,000 vectors of 24 dimensions, ip; at most 6 bytes a vector" in text and report.held_out in text
    assert text.count("\n") >= len(report.rows) + 5 and f"Best: {codec!r}" in text
    assert all(isinstance(line, str) and "\n" not in line for line in lines) and len(lines) == len(report.rows) + 2


def test_numbers_of_three_digits():
    numbers = (None, 0.0, 1.0, 0.045678, 12345.6, 999.6, 9.996, float("nan"))
    assert [trials.short(n) for n in numbers] == ["-", "0", "1.00", "0.0457", "12,300", "1,000", "10.00", "nan"]


# ---- bad input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"code_size": None}, ValueError, "auto: exactly one of code_size and recall expected, got neither"),
        ({"recall": 0.9}, ValueError, "auto: exactly one of code_size and recall expected, got code_size=6 and recall=0.9"),
        ({"code_size": 0}, ValueError, "auto: code_size expected at least 1, got 0"),
        ({"code_size": 6.0}, TypeError, "auto: code_size expected an int, got float"),
        ({"code_size": None, "recall": 0}, ValueError, "auto: recall expected a number above 0, at most 1, got 0"),
        ({"code_size": None, "recall": 95}, ValueError, "auto: recall expected a number above 0, at most 1, got 95"),
        ({"code_size": None, "recall": math.nan}, ValueError, "auto: recall expected a number above 0, at most 1, got nan"),
        ({"code_size": None, "recall": "high"}, TypeError, "auto: recall expected a number above 0, at most 1, got str"),
        ({"metric": "dot"}, ValueError, "auto: metric expected one of 'ip', 'l2', 'cos', got 'dot'"),
        ({"k": 0}, ValueError, "auto: k expected 1 to"),
        ({"seed": -1}, ValueError, "auto: seed expected 0 to"),
        ({"time_limit": 0}, ValueError, "auto: time_limit expected a number above 0, got 0"),
        ({"time_limit": "1 min"}, TypeError, "auto: time_limit expected a number above 0, got str"),
        ({"progress": True}, TypeError, "auto: progress expected a function of a line of text, got bool"),
        ({"num_threads": 0}, ValueError, "num_threads expected 1 to"),
        ({"x": np.ones((2, 4))}, ValueError, "auto: x expected at least 3 rows, one to fit on, .*, got 2"),
        ({"x": np.ones((1, 4)), "queries": np.ones((1, 4))}, ValueError, "auto: x expected at least 2 rows, .*, got 1"),
        ({"x": np.ones((0, 4))}, ValueError, "auto: x expected at least 3 rows"),
        ({"x": iter([])}, ValueError, "auto: x expected at least one row, got none"),
        ({"x": "vectors"}, TypeError, "auto: x expected"),
        ({"x": np.array([[1.0], [np.nan], [1.0]])}, ValueError, "auto: x expected finite values, row 1 has NaN"),
        ({"queries": np.ones((2, 5))}, ValueError, "auto: queries expected d=24 columns"),
        ({"queries": np.ones((0, 24))}, ValueError, "auto: queries expected at least one row, got none"),
        ({"queries": np.full((2, 24), np.inf)}, ValueError, "auto: queries expected finite values, row 0"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else str(value),  # no addresses: they differ between processes
)
def test_bad_input(change, error, message, embeddings):
    with pytest.raises(error, match=message):
        vp.auto(**{"x": embeddings, "code_size": 6, **THREADS} | change)


def test_no_codec_is_so_small(only, embeddings):
    only(vp.Raw)
    with pytest.raises(ValueError, match="auto: no codec for d=24 has code_size=47 or less"):
        vp.auto(embeddings, code_size=47, **THREADS)
