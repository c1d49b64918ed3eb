"""What only TransformCodec promises: it finds more than others in as many bytes, and learns queries, clusters and lengths."""

from __future__ import annotations

import time

import numpy as np
import pytest
from helpers import bits, runnable, scan_all

import vecpress as vp
from vecpress.axes import AxesCode
from vecpress.ops.encode_trellis import decode_trellis, steps_of
from vecpress.ops.factors import from_u2

METRICS = ("ip", "l2", "cos")


def planted(n: int, d: int = 64, *, clusters: int = 40, seed: int = 0, draw: int = 0, tight: float = 1.0) -> np.ndarray:
    """float32[n, d]: normal numbers around centres, along random axes whose strength falls; draws of a seed share these."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.exp(-2 * np.arange(d) / d)
    centres, mean = 0.7 * rng.standard_normal((clusters, d)), 0.2 * rng.standard_normal(d)
    rng = np.random.default_rng((seed, draw + 1))
    rows = centres[rng.integers(clusters, size=n)] + tight * rng.standard_normal((n, d))
    return (rows @ axes.T + mean).astype(np.float32)


def recall(codec: vp.Codec, x: np.ndarray, q: np.ndarray) -> float:
    return vp.evaluate(codec, x, q, repeats=1).recall


def error(codec: vp.Codec, x: np.ndarray) -> float:
    """Of the variance about the mean."""
    away = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    return float(np.square(codec.decode(codec.encode(x)).astype(np.float64) - x).sum() / np.square(away).sum())


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return planted(3000), planted(100, draw=1)


# ---- what it is for


@pytest.mark.parametrize(("n_bits", "metric"), [(1, "ip"), (2, "l2"), (2, "cos"), (4, "ip")])
def test_finds_more_than_others_in_as_many_bytes(n_bits, metric, data):
    x, q = data
    others = (vp.LloydMax(n_bits, metric=metric), vp.RaBitQ(n_bits, metric=metric), vp.PQ(8 * n_bits, metric=metric))
    for other in others:
        theirs = recall(other, x, q)
        mine = recall(vp.TransformCodec(other.fit(x).code_size, metric=metric), x, q)
        assert mine > theirs + (0.01 if metric == "l2" else 0.04 if n_bits < 4 else 0.005), f"{other!r}: {mine} {theirs}"


def test_recall_and_error_improve_with_bytes(data):
    x, q = data
    codecs = [vp.TransformCodec(size).fit(x) for size in (6, 16, 48)]
    assert (np.diff([recall(codec, x, q) for codec in codecs]) > 0.02).all()
    errors = [error(vp.TransformCodec(size, metric="l2").fit(x), x) for size in (9, 16, 48)]
    assert (np.diff(errors) < 0).all() and errors[-1] < 0.03 and errors[0] < 0.7


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("metric", METRICS)
def test_the_error_falls_with_every_byte(metric, step):
    x = planted(500, 96, clusters=1)  # too few rows to choose by recall
    first, last = 8, 40
    if metric == "cos":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    errors = np.array([error(vp.TransformCodec(size, metric=metric).fit(x), x) for size in range(first, last, step)])
    assert (np.diff(errors) < 0.05 * errors[:-1]).all() and errors[-1] < 0.2 * errors[0]


def test_axes_of_one_strength_in_the_same_words_are_mixed_and_no_others():
    x = planted(3000, 48) * np.float32(10) ** -np.linspace(0, 2, 48, dtype=np.float32)
    code = vp.TransformCodec(24, labels=0).fit(x)._coder.code
    rotation, mixed = code.mixed(1, None)
    np.testing.assert_allclose(rotation.astype(np.float64) @ rotation.T, np.eye(48), atol=1e-5)
    word_of = np.repeat(np.arange(len(code.words)), steps_of(code.words))
    words = [set(word_of[code.component == axis].tolist()) for axis in range(48)]
    units = [code.units[code.component == axis].max(initial=0) for axis in range(48)]
    pairs = [(i, j) for i, j in zip(*np.nonzero(rotation), strict=True) if i != j]
    assert len(pairs) > 20 and all(words[i] == words[j] and units[i] <= 1.26 * units[j] for i, j in pairs)
    np.testing.assert_allclose(np.square(mixed.units).sum(), np.square(code.units).sum(), rtol=1e-5)


def test_axes_of_unlike_strength_stay_apart():
    """Mixed, all axes of a word leave the same: .034 instead of .022."""
    x = np.random.default_rng(0).standard_normal((6000, 32)).astype(np.float32) / np.arange(1, 33, dtype=np.float32)
    assert error(vp.TransformCodec(12, metric="l2", labels=0).fit(x), x) < 0.025


def test_long_tails_are_coded_too():
    """Beside normal numbers, whose levels these are: units of the variance alone leave 1.23 to 1.3 times the error."""
    rng = np.random.default_rng(0)
    long = rng.standard_t(5, size=(4000, 64)).astype(np.float32)
    normal = rng.standard_normal(long.shape).astype(np.float32)
    lost, usual = (error(vp.TransformCodec(34, labels=0).fit(x), x) for x in (long, normal))
    assert lost < 1.17 * usual


@pytest.mark.parametrize("size", [12, 34])
def test_few_rows_are_not_matched_as_others_differ_more(size, monkeypatch):
    """60 rows of 64 columns: .172 and .0056 of other rows' variance were lost with units of the least error for the 60."""
    rows, others = planted(60), planted(4000, draw=5)
    mine = vp.TransformCodec(size).fit(rows)
    monkeypatch.setattr("vecpress.transformfit.few", lambda z: False)
    assert error(mine, others) < 0.96 * error(vp.TransformCodec(size).fit(rows), others)
    enough = planted(130)  # whose units are matched in any case
    matched = vp.TransformCodec(size).fit(enough)
    monkeypatch.undo()
    assert matched == vp.TransformCodec(size).fit(enough)


def test_fit_takes_seconds():
    x = planted(3000)
    start = time.process_time()
    vp.TransformCodec(16).fit(x, num_threads=1)
    assert time.process_time() - start < 20


# ---- labels


@pytest.fixture(scope="module")
def tight() -> tuple[np.ndarray, np.ndarray]:
    """200 clusters of few rows, so that a label says most of a row."""
    return planted(8000, 32, clusters=200, tight=0.15), planted(60, 32, clusters=200, tight=0.15, draw=1)


@pytest.fixture(scope="module")
def labelled(tight) -> dict[str, vp.TransformCodec]:
    return {metric: vp.TransformCodec(9, metric=metric).fit(tight[0]) for metric in ("ip", "l2")}


@pytest.mark.parametrize("metric", ["ip", "l2", pytest.param("cos", marks=pytest.mark.slow)])
def test_clustered_rows_have_labels_and_every_backend_gives_the_same(metric, tight, labelled):
    x, q = tight
    codec = labelled.get(metric) or vp.TransformCodec(9, metric=metric).fit(x)
    assert 1 <= codec.n_labels <= 8 and codec.centroids_.shape == (codec.n_labels, 256, 32)
    codes = codec.encode(x[:150])
    results = []
    for name in runnable():
        with vp.use(name):
            scores = scan_all(codec, codes, codec.query(q[:5]))
            results.append((bits(codec.encode(x[:150])), bits(scores), bits(codec.decode(codes))))
    assert len(set(results)) == 1


def test_labels_help_where_rows_are_clustered_and_may_be_forbidden(tight):
    x, q = tight
    found = {most: recall(vp.TransformCodec(9, labels=most), x, q) for most in (0, 3)}
    assert found[3] > found[0] + 0.01
    assert vp.TransformCodec(9, labels=0).fit(x).n_labels == 0


@pytest.mark.parametrize("n", [100, 600])
def test_few_rows_have_no_labels(n, tight):
    assert vp.TransformCodec(12).fit(tight[0][:n]).n_labels == 0


# ---- scores


@pytest.mark.parametrize(("size", "square_bytes", "uneven"), [(8, 1, False), (20, 1, False), (20, 2, True), (150, 4, False)])
def test_l2_scores_are_those_of_the_formula(size, square_bytes, uneven, data):
    x, q = data
    if uneven:
        x = x * np.linspace(0.3, 3, len(x), dtype=np.float32)[:, None]
    codec = vp.TransformCodec(size, metric="l2").fit(x)
    codes, form = codec.encode(x[:300]), codec._form
    assert (form.square_bytes, form.uneven) == (square_bytes, uneven)
    scores = scan_all(codec, codes, codec.query(q[:20])).astype(np.float64)
    mean = codec.mean_.astype(np.float64)
    away, points = q[:20] - mean, codec.decode(codes) - mean
    stored = codes[:, form.scale_bytes : form.factors].copy()
    squares = {
        1: lambda: codec.squares_[0, stored[:, 0]], 4: lambda: stored.view("<f4")[:, 0],
        2: lambda: (from_u2(stored.view("<u2")[:, 0]) * codec.squares_[0, 0]) ** 2,
    }[square_bytes]().astype(np.float64)  # fmt: skip
    step = {1: np.median(np.diff(codec.squares_[0])) / 2 * 1.2, 2: 0, 4: 0}[square_bytes]
    np.testing.assert_allclose(squares, np.square(points).sum(axis=1), rtol={1: 0, 2: 2e-3, 4: 1e-5}[square_bytes], atol=step)
    wanted = np.square(away).sum(axis=1)[:, None] + squares - 2 * away @ points.T
    np.testing.assert_allclose(-scores, wanted, rtol=1e-4, atol=1e-4 * wanted.max())


@pytest.mark.parametrize("metric", ["ip", "cos"])
def test_scores_are_products_with_what_is_decoded(metric, data):
    x, q = data
    codec = vp.TransformCodec(11, metric=metric).fit(x)
    codes = codec.encode(x[:300])
    rows = q[:20] / np.linalg.norm(q[:20], axis=1, keepdims=True) if metric == "cos" else q[:20]
    wanted = rows.astype(np.float64) @ codec.decode(codes).T
    np.testing.assert_allclose(scan_all(codec, codes, codec.query(q[:20])), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_distances_are_nearly_the_true_ones(data):
    x, q = data
    codec = vp.TransformCodec(34, metric="l2").fit(x)
    scores = -scan_all(codec, codec.encode(x[:500]), codec.query(q))
    true = np.square(q[:, None].astype(np.float64) - x[:500]).sum(axis=2)
    off = (scores - true) / true.mean()
    assert np.abs(off).mean() < 0.03 and abs(off.mean()) < 0.01


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize(("scale", "stretch"), [("unbiased", 0), ("between", 1), ("least_squares", 2)])
def test_the_rule_of_scales_may_be_given(scale, stretch, n, data):
    """Unbiased: what is decoded is as long along the row as the row; of least squares: it is nearest to it."""
    x = data[0][:n]
    codec = vp.TransformCodec(10, scale=scale).fit(x)
    assert codec._form.stretch == stretch and codec.config()["scale"] == scale
    z, t = ((rows.astype(np.float64) - codec.mean_) @ codec.forward_ for rows in (x, codec.decode(codec.encode(x))))
    own, product, coded = ((a * b).sum(axis=1) for a, b in ((z, z), (z, t), (t, t)))
    unbiased, least = own / product, product / coded
    asked = {0: unbiased, 1: np.sqrt(unbiased * least), 2: least}[stretch]
    np.testing.assert_allclose(np.median(asked), 1, atol=0.01)
    assert np.abs(asked - 1).mean() < 0.02


def test_an_unknown_rule_of_scales_is_refused():
    with pytest.raises(ValueError, match="TransformCodec: scale expected"):
        vp.TransformCodec(10, scale="biased")


# ---- queries


def test_queries_in_few_directions_change_the_axes_and_help():
    """The directions that queries ask are weak in the rows; without the queries they would have no bits."""
    x = planted(5000, 48, clusters=1)
    weak = np.linalg.eigh(np.cov(x.T))[1][:, :12]
    rng = np.random.default_rng(5)
    asked = (rng.standard_normal((700, 12)) @ weak.T).astype(np.float32)
    known, q = asked[:600], asked[600:]
    plain, told = vp.TransformCodec(8).fit(x), vp.TransformCodec(8).fit(x, known)
    assert bits(plain.forward_) != bits(told.forward_)
    true = vp.exact(q, x, 10, "ip")[1]

    def found(codec: vp.Codec) -> float:
        scores = scan_all(codec, codec.encode(x), codec.query(q))
        best = np.argsort(-scores, axis=1)[:, :10]
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(best, true, strict=True)]))

    assert found(told) > found(plain) + 0.2


# ---- the same bits


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [300, 2000])
def test_the_same_rows_and_seed_give_the_same_bits(n, metric):
    x = planted(n, 24, clusters=30)
    one = vp.TransformCodec(10, metric=metric, seed=3).fit(x, num_threads=1)
    for threads in (1, 2):
        other = vp.TransformCodec(10, metric=metric, seed=3).fit(x, num_threads=threads)
        assert [bits(array) for array in other.arrays().values()] == [bits(array) for array in one.arrays().values()]
        assert bits(other.encode(x, num_threads=threads)) == bits(one.encode(x, num_threads=1))
    alone = [bits(one.encode(x[i : i + 1])) for i in range(20)]
    assert alone == [bits(code) for code in one.encode(x)[:20]]


# ---- hard rows


def test_an_outlier_dimension_takes_no_bits_from_the_others():
    """One dimension times 100 has a part in every product; a rotation would spread it over all."""
    x, q = planted(3000, 32), planted(60, 32, draw=1)
    x[:, 5] *= 100
    q[:, 5] *= 100
    for metric in ("ip", "l2"):
        mine = recall(vp.TransformCodec(20, metric=metric), x, q)
        assert mine > recall(vp.LloydMax(4, metric=metric), x, q)
        assert mine > 0.5


def test_lengths_over_six_decades():
    """Every vector has its direction and its length; scales take two bytes."""
    rng = np.random.default_rng(6)
    x = planted(1500, 32, clusters=300, tight=0.5)
    x -= x.mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    lengths = 10 ** rng.uniform(-3, 3, (1500, 1))
    x = np.vstack([x * lengths, -x * lengths]).astype(np.float32)  # the mean is 0
    codec = vp.TransformCodec(28).fit(x)
    assert codec._form.scale_bytes == 2
    codes = codec.encode(x)
    decoded = codec.decode(codes).astype(np.float64)
    far = np.linalg.norm(x, axis=1) > 1e4 * np.abs(codec.mean_).max()  # whom what is left of the mean does not change
    assert far.mean() > 0.9
    own = (decoded * x).sum(axis=1) / np.square(x.astype(np.float64)).sum(axis=1)
    assert np.abs(own[far] - 1).max() < 0.1
    directions = decoded / np.linalg.norm(decoded, axis=1, keepdims=True)
    nearest = (x / np.linalg.norm(x, axis=1, keepdims=True) @ directions.T).argmax(axis=1)
    assert (nearest == np.arange(3000))[far].all()
    scores = scan_all(codec, codes, codec.query(x[:50]))
    np.testing.assert_allclose(np.diag(scores)[far[:50]], np.square(x[:50], dtype=np.float64).sum(axis=1)[far[:50]], rtol=0.1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("constant rows", np.tile(planted(1, 12), (50, 1))),
        ("zeros", np.zeros((40, 12), np.float32)),
        ("duplicate rows", np.repeat(planted(30, 12), 3, axis=0)),
        ("two different rows", np.repeat(planted(2, 12), 400, axis=0)),
        ("one row", planted(1, 12)),
        ("two rows", planted(2, 12)),
        ("fewer rows than dimensions", planted(20, 90)),
        ("one dimension", planted(700, 1)),
        ("two dimensions", planted(700, 2)),
        ("one dimension, one row", planted(1, 1)),
        ("a constant dimension", np.where(np.arange(12) == 3, np.float32(7), planted(600, 12))),
        ("all but one constant", np.where(np.arange(12) != 3, np.float32(7), planted(600, 12))),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_rows_with_little_in_them(name, rows, metric):
    for size in (8, 17, 40):
        codec = vp.TransformCodec(size, metric=metric).fit(rows)
        codes = codec.encode(rows)
        assert codes.shape == (len(rows), size)
        decoded = codec.decode(codes)
        scores = scan_all(codec, codes, codec.query(rows[:3]))
        assert np.isfinite(decoded).all() and np.isfinite(scores).all()
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        np.testing.assert_array_equal(codes, codes[first][which.ravel()])  # equal rows have equal codes
        coded = rows if metric != "cos" else rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
        spread = np.square(coded.astype(np.float64) - coded.mean(axis=0)).sum()
        off = np.square(decoded.astype(np.float64) - coded).sum()
        assert off <= 1.05 * spread + 1e-9 * np.square(coded, dtype=np.float64).sum()  # no worse than the mean alone


@pytest.mark.parametrize("d", [1, 2, 7, 16, 20])
def test_any_size_up_to_more_than_there_is_to_code(d):
    x = planted(300, d, clusters=1)
    errors = []
    for size in range(4, 2 * d + 12):
        codec = vp.TransformCodec(size).fit(x)
        codes = codec.encode(x)
        assert codes.shape == (300, size) and codec.words_[:, 0].sum(dtype=int) + codec.n_labels + codec.head == size
        errors.append(error(codec, x))
    assert errors[-1] < 0.005 and errors[-1] < 0.1 * errors[0] + 0.001


def test_sizes_that_leave_no_byte_are_refused():
    for metric in METRICS:
        assert vp.TransformCodec(4, metric=metric).fit(planted(50, 8)).encode(planted(50, 8)).shape == (50, 4)
        with pytest.raises(ValueError, match="TransformCodec: code_size expected"):
            vp.TransformCodec(3, metric=metric)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_four_bytes_are_enough_for_distances(spread):
    x = planted(1000, 16)
    x *= np.exp(np.random.default_rng(0).normal(0, spread, (1000, 1))).astype(np.float32)
    codec = vp.TransformCodec(4, metric="l2").fit(x)
    assert codec._form.scale_bytes == 1 and codec._form.square_bytes <= 2
    assert recall(codec, x, x[:100]) > 0.12  # of 1,000, by chance 0.01


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize("times", [1e-10, 1.0, 1e10, 1e14])
def test_the_unit_of_rows_of_uneven_length_does_not_matter(times, metric):
    x, q = planted(1500, 32), planted(60, 32, draw=1)
    x *= np.linspace(0.5, 2, len(x), dtype=np.float32)[:, None]
    assert recall(vp.TransformCodec(24, metric=metric), x * np.float32(times), q * np.float32(times)) > 0.8


def test_labels_alone_are_looked_up(tight, labelled):
    x, q = tight
    codec = labelled["ip"]
    assert codec.n_labels == 8 and not codec.n_words
    codes, query = codec.encode(x[:300]), codec.query(q[:20])
    assert query.scan == "lut8"
    wanted = q[:20].astype(np.float64) @ codec.decode(codes).T
    np.testing.assert_allclose(scan_all(codec, codes, query), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_more_bytes_than_can_be_used(data):
    assert vp.TransformCodec(3000).fit(data[0][:300, :8]).encode(data[0][:5, :8]).shape == (5, 3000)


def test_a_state_that_does_not_belong_together_is_refused(data):
    codec = vp.TransformCodec(12).fit(data[0][:600])
    wrong = {
        "form_": codec.form_ + 1, "passes_": codec.passes_ + 1, "errors_": codec.errors_ - 1, "loss_": -codec.loss_,
        "component_": codec.component_ + 1000, "levels_": np.full((4, 64), -128, np.int8),
        "scales_": codec.scales_[:, ::-1].copy(), "words_": np.full_like(codec.words_, 9),
    }  # fmt: skip
    for name, array in wrong.items():
        with pytest.raises(ValueError, match="TransformCodec"):
            vp.TransformCodec.restore(codec.config(), codec.dim, {**codec.arrays(), name: array})


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_uneven_length_may_be_the_mean(metric):
    x = planted(300, 16, clusters=1)
    x = x * np.geomspace(0.01, 100, 300, dtype=np.float32)[:, None]
    mean = vp.TransformCodec(12, metric=metric).fit(x).mean_
    codec = vp.TransformCodec(12, metric=metric).fit(np.vstack([x, np.tile(mean, (3, 1))]))
    rows = np.tile(codec.mean_, (2, 1))
    assert np.isfinite(codec.decode(codec.encode(rows))).all() and codec.drift(np.vstack([x, rows])).ratio < 2


def test_a_state_of_more_words_than_there_are_is_refused(data):
    codec = vp.TransformCodec(8, labels=0).fit(data[0][:600])
    form, passes = codec.form_.copy(), np.array([[0, 2**62]] * 3 + [[0, 2**62 + len(codec.words_)]])  # whose sum wraps around
    form[4] = len(passes)
    with pytest.raises(ValueError, match="do not belong together"):
        vp.TransformCodec.restore(codec.config(), codec.dim, {**codec.arrays(), "form_": form, "passes_": passes})


@pytest.mark.parametrize("unit", [1e-20, pytest.param(1e-15, marks=pytest.mark.slow), 1e12])
def test_small_and_large_values_are_coded_as_others(unit, data):
    x, q = (np.float32(unit) * part for part in data)
    found = recall(vp.TransformCodec(20, metric="l2", labels=0), x, q)
    assert found > recall(vp.TransformCodec(20, metric="l2", labels=0), *data) - 0.05
    codec = vp.TransformCodec(20, labels=0).fit(x)
    scores, bounds = codec.estimate(codec.encode(x[:500]), q)
    assert 0.97 <= (np.abs(scores - q.astype(np.float64) @ x[:500].T) <= bounds).mean() <= 1


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_sample_queries_may_be_anywhere(metric, data):
    x, q = data
    far = np.vstack([q, q * np.float32(1e37)])
    assert vp.TransformCodec(12, metric=metric, labels=0).fit(x, far).encode(x[:5]).shape == (5, 12)


# ---- layers


@pytest.fixture(scope="module")
def layered(data) -> vp.TransformCodec:
    return vp.TransformCodec(40, progressive=[8, 20]).fit(data[0])


@pytest.mark.parametrize("metric", METRICS)
def test_the_first_bytes_of_a_progressive_code_are_a_code(metric, data):
    """They are what the truncated codec encodes, they decode to what it decodes to, and score as it scores."""
    x, q = data
    codec = vp.TransformCodec(44, progressive=[12, 24], metric=metric).fit(x)
    assert codec.layers == (12, 24, 44)
    codes, errors = codec.encode(x), []
    for size in codec.layers:
        shorter = codec.truncate(size)
        assert shorter.layers == codec.layers[: codec.layers.index(size) + 1] and shorter.metric == metric
        own = codes[:, :size]
        np.testing.assert_array_equal(shorter.encode(x[:200]), own[:200])
        errors.append(np.square(shorter.decode(own).astype(np.float64) - codec._rows(x, "x", 64).all()).sum())
        index = vp.Index(codec)
        index.add_codes(codes)
        cut = index.truncate(size)
        assert cut.codec == shorter and np.array_equal(cut.codes(np.arange(len(x))), own)
        straight = vp.Index(shorter)
        straight.add(x)
        for mine, theirs in zip(cut.search(q, 10), straight.search(q, 10), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_layers_cost_little(data, layered):
    x, q = data
    found = [recall(layered.truncate(size), x, q) for size in layered.layers]
    alone = [recall(vp.TransformCodec(size), x, q) for size in layered.layers]
    assert (np.array(found) > np.array(alone) - 0.04).all() and np.diff(found).min() > 0.05


def test_candidates_of_the_first_layer_are_ranked_by_the_whole_code(data, layered):
    x, q = data
    index = vp.Index(layered)
    index.add(x, ids=np.arange(len(x)) * 3 + 5)
    index.remove(np.arange(0, 900) * 3 + 5)
    whole, first = index.search(q, 10), index.truncate(8)
    for candidates in (10, 40):
        scores, ids = index.search(q, 10, rerank=candidates)
        _, found = first.search(q, candidates)
        exact = (layered.decode(index.codes(found.ravel())).reshape(len(q), candidates, -1) * q[:, None]).sum(axis=2)
        order = np.argsort(-exact, axis=1, kind="stable")[:, :10]
        np.testing.assert_array_equal(ids, np.take_along_axis(found, order, axis=1))
        np.testing.assert_allclose(scores, np.take_along_axis(exact, order, axis=1), rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(index.search(q, 10, rerank=len(index)), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    allowed = index.ids[::7]
    assert np.isin(index.search(q, 10, rerank=20, allow=allowed)[1], allowed).all()


def test_a_cut_index_is_one_like_others(layered, data, tmp_path):
    x, q = data
    index = vp.Index(layered)
    index.add(x[:500])
    cut = index.truncate(20)
    cut.add(x[500:600])
    cut.save(tmp_path / "cut.vpz")
    loaded = vp.load(tmp_path / "cut.vpz")
    assert len(loaded) == 600 and loaded.codec == layered.truncate(20) and len(index) == 500
    for mine, theirs in zip(loaded.search(q, 5, rerank=30), cut.search(q, 5, rerank=30), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match=r"truncate: code_size expected the end of a layer of .*, 8, 20, 40, got 21"):
        index.truncate(21)
    with pytest.raises(ValueError, match="or of a progressive codec"):
        index.truncate(8).search(q, 5, rerank=30)
    with pytest.raises(vp.NotFittedError):
        vp.TransformCodec(40, progressive=True).truncate(20)


def test_a_cut_index_keeps_its_keys(layered, data):
    x, q = data
    index, names = vp.KeyedIndex(layered), [f"row {i}" for i in range(200)]
    index.add(x[:200], names)
    index.remove(names[:3])
    cut, plain = index.truncate(20), vp.Index(layered.truncate(20))
    plain.add(x[3:200])
    assert sorted(cut.keys) == sorted(names[3:]) and len(index) == 197
    assert cut.search(q, 5)[1].tolist() == [[names[i + 3] for i in row] for row in plain.search(q, 5)[1].tolist()]


@pytest.mark.parametrize(
    ("progressive", "error"), [([4], ValueError), ([8, 12], ValueError), ([30], ValueError), ("8", TypeError), ([9.5], TypeError)]
)
def test_layers_that_cannot_be_are_refused(progressive, error):
    with pytest.raises(error, match="TransformCodec: progressive expected"):
        vp.TransformCodec(32, progressive=progressive)


def test_layers_by_default():
    sizes = {96: (24, 48, 96), 31: (15, 31), 30: (15, 30), 15: (15,)}
    assert {size: vp.TransformCodec(size, progressive=True).layers for size in sizes} == sizes


# ---- components coded by themselves


def test_a_scalar_code_is_the_nearest_level_of_each_component(data):
    x = data[0]
    codec, shared = (vp.TransformCodec(30, quantizer=kind, labels=0).fit(x) for kind in ("scalar", "trellis"))
    values = decode_trellis(codec.encode(x)[:, codec.head :], codec.words_, codec.levels_)
    first = slice(0, int(codec.passes_[0, 1]))  # the second pass codes what is left
    rates = np.repeat(codec.words_[first, 1], 8 * codec.words_[first, 0].astype(int) // codec.words_[first, 1])
    z = (x - codec.mean_) @ codec.forward_
    for i, rate in enumerate(rates.tolist()):
        if codec.component_[i] < 0:
            continue
        y = z[:, codec.component_[i]] / codec.units_[i]
        levels = np.unique(codec.levels_[rate - 1]).astype(np.float64)
        assert len(levels) == 2**rate
        nearest = np.abs(y[:, None] - levels).min(axis=1)
        np.testing.assert_allclose(np.abs(y - values[:, i]), nearest, atol=1e-2)
    assert 1.2 * error(shared, x) < error(codec, x) < 1.7 * error(shared, x)


# ---- what to expect


@pytest.mark.parametrize(("metric", "size"), [("ip", 24), ("l2", 9), ("l2", 30), ("cos", 12)])
def test_estimates_are_scores_and_within_their_bounds(metric, size):
    x, q = planted(9000, 40), planted(150, 40, draw=1)
    codec = vp.TransformCodec(size, metric=metric, labels=2).fit(x[:6000])
    fresh = codec._rows(x[6000:], "x", 40).all()
    codes, rows = codec.encode(x[6000:]), codec._query_rows(q, "q", 40).all()
    scores, bounds = codec.estimate(codes, q)
    scanned = scan_all(codec, codes, codec.query(q))
    true = rows.astype(np.float64) @ fresh.T.astype(np.float64)
    if metric == "l2":
        true = np.square(rows[:, None].astype(np.float64) - fresh).sum(axis=2)
        scanned = -scanned
    np.testing.assert_allclose(scores, scanned, rtol=1e-4, atol=1e-4 * np.abs(true).max())
    within = (np.abs(scores - true) <= bounds).mean()
    assert 0.985 <= within <= 0.999
    assert np.median(bounds) < 4 * np.std(scores - true)  # and no wider than it must be


def test_drift_tells_other_rows(data):
    x, _ = data
    codec = vp.TransformCodec(24).fit(x)
    same, other = codec.drift(planted(2000, draw=3)), codec.drift(planted(2000, seed=9))
    assert 0.7 < same.ratio < 1.4 and other.ratio > 2 and other.expected == same.expected
    with pytest.raises(ValueError, match="drift: x expected rows other than the mean"):
        codec.drift(np.tile(codec.mean_, (3, 1)))


def test_rows_are_planned_inside_chains_too():
    """Labels that few rows do not get take no room there, either."""
    codec = vp.TransformCodec(24)
    inside, alone = ([c.planned(64, rows)[1] for rows in (300, 30_000)] for c in (vp.Weighted(codec), codec))
    assert inside[1] - inside[0] == alone[1] - alone[0] > 0


def test_options_are_tried_under_the_rule_for_all_rows(monkeypatch):
    """Trials learn from half of the rows, which may be few where all of them are not."""
    widened = []
    monkeypatch.setattr(AxesCode, "widened", lambda self: widened.append(self) or self)
    rng = np.random.default_rng(0)
    for rows, few in ((590, True), (1100, False)):
        widened.clear()
        vp.TransformCodec(24).fit(rng.standard_normal((rows, 300), dtype=np.float32))
        assert bool(widened) == few
