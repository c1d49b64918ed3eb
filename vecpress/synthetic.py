"""Made data sets whose truth is known: what a codec should do with them can be computed (vecpress/bounds.py) or proved.

All are seeded, float32, and give a `Dataset`: queries and as many sample queries of one source, `train` None unless said. The
same arguments give the same vectors on every machine up to the last bits of matrix products.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Metric, check_choice, check_int, check_number
from .datasets import METRICS, Dataset
from .pca import MOST_COLUMNS, random_rotation

__all__ = [
    "clustered", "gaussian", "limit", "outlier_dimensions", "power_law", "power_law_variances", "shifted_queries", "topic_texts",
]  # fmt: skip

LICENCE = "made, free of rights"
MOST_NUMBERS = 1 << 28  # of the queries of `limit`: a gigabyte
LEAST_MARGIN = 4e-6  # of scores of about 1: some 30 times float32's rounding


def gaussian(n: int = 20_000, d: int = 128, nq: int = 500, seed: int = 0, *, metric: Metric = "l2") -> Dataset:
    """White: every component independent, of variance 1. The least distortion at R bits a dimension is 2^(-2R)."""
    _check("gaussian", n, d, nq, metric)
    rng = _rng(seed)
    parts = [rng.standard_normal((r, d), np.float32) for r in (n, nq, nq)]
    return _dataset(f"gaussian n={n} d={d} seed={seed}", parts, metric)


def power_law(
    n: int = 20_000, d: int = 128, nq: int = 500, seed: int = 0, *, alpha: float = 1.0, metric: Metric = "l2"
) -> Dataset:
    """Gaussian, the variances of `power_law_variances(d, alpha)` along random axes, as the spectra of embeddings are."""
    _check("power_law", n, d, nq, metric)
    rng = _rng(seed)
    axes = random_rotation(d, rng) * np.sqrt(power_law_variances(d, alpha))  # one a column
    parts = [_mapped(rng.standard_normal((r, d), np.float32), axes) for r in (n, nq, nq)]
    return _dataset(f"power_law n={n} d={d} alpha={alpha:g} seed={seed}", parts, metric)


def power_law_variances(d: int, alpha: float) -> np.ndarray:
    """float64[d]: the t-th is proportional to t^-alpha, t = 1 .. d; their mean is 1."""
    if not 0 <= alpha <= 10:
        raise ValueError(f"power_law: alpha expected 0 to 10, got {alpha}")
    falling = np.arange(1, d + 1, dtype=np.float64) ** -alpha
    return falling * (d / falling.sum())


def clustered(
    n: int = 20_000,
    d: int = 128,
    nq: int = 500,
    seed: int = 0,
    *,
    clusters: int = 200,
    within: float = 0.2,
    metric: Metric = "l2",
) -> Dataset:
    """A white Gaussian mixture: `clusters` centres of equal weight; a component's variance is 1, `within` of it inside the
    clusters.

    A code that spends log2(clusters) bits on the cluster has a distortion of `within` at once, and 2^(-2R) of that with R further
    bits a dimension: where within is small, far below what reverse water-filling of its almost white spectrum says.
    """
    _check("clustered", n, d, nq, metric)
    check_int("clustered", "clusters", clusters, 1)
    if not 0 <= within <= 1:
        raise ValueError(f"clustered: within expected 0 to 1, got {within}")
    rng = _rng(seed)
    centres = rng.standard_normal((clusters, d), np.float32) * np.float32((1 - within) ** 0.5)
    parts = []
    for rows in (n, nq, nq):
        noise = rng.standard_normal((rows, d), np.float32) * np.float32(within**0.5)
        parts.append(centres[rng.integers(clusters, size=rows)] + noise)
    return _dataset(f"clustered n={n} d={d} clusters={clusters} within={within:g} seed={seed}", parts, metric)


def outlier_dimensions(
    n: int = 20_000, d: int = 128, nq: int = 500, seed: int = 0, *, outliers: int = 4, metric: Metric = "ip"
) -> Dataset:
    """White Gaussian, but `outliers` dimensions, drawn at random, with 20 to 100 times the deviation, in even ratios.

    As in the hidden states of large language models, where a few dimensions carry most of the energy: a codec of one scale a
    vector, or of even steps over the largest range, spends its bits on them. Source: Dettmers et al., "LLM.int8()", arXiv
    2208.07339.
    """
    _check("outlier_dimensions", n, d, nq, metric)
    check_int("outlier_dimensions", "outliers", outliers, 0, d)
    rng = _rng(seed)
    deviations = np.ones(d, np.float32)
    deviations[rng.choice(d, outliers, replace=False)] = np.geomspace(20, 100, outliers) if outliers > 1 else 100
    parts = [rng.standard_normal((r, d), np.float32) * deviations for r in (n, nq, nq)]
    return _dataset(f"outlier_dimensions n={n} d={d} outliers={outliers} seed={seed}", parts, metric)


def shifted_queries(
    n: int = 20_000,
    d: int = 128,
    nq: int = 500,
    seed: int = 0,
    *,
    alpha: float = 1.0,
    shift: float = 1.0,
    metric: Metric = "ip",
) -> Dataset:
    """Base as `power_law`; queries of the same spectrum along other random axes, and with a mean apart, as text queries on
    images.

    shift : the distance of the means, by the root mean square distance of base vectors from theirs, sqrt(d)
    """
    _check("shifted_queries", n, d, nq, metric)
    if not 0 <= shift <= 1e6:
        raise ValueError(f"shifted_queries: shift expected 0 to 1e6, got {shift}")
    rng = _rng(seed)
    deviations = np.sqrt(power_law_variances(d, alpha))
    axes, query_axes = random_rotation(d, rng) * deviations, random_rotation(d, rng) * deviations
    direction = rng.standard_normal(d)
    mean = (shift * d**0.5 / np.linalg.norm(direction) * direction).astype(np.float32)
    parts = [_mapped(rng.standard_normal((n, d), np.float32), axes)]
    parts += [_mapped(rng.standard_normal((nq, d), np.float32), query_axes) + mean for _ in range(2)]
    return _dataset(f"shifted_queries n={n} d={d} alpha={alpha:g} shift={shift:g} seed={seed}", parts, metric)


def limit(
    documents: int = 100, d: int = 64, nq: int | None = None, seed: int = 0, *, n_train: int = 10_000, metric: Metric = "ip"
) -> Dataset:
    """LIMIT: any two documents are the answer to some query. Exact search gives success@1 and recall 2@2 of 1; codecs lose some.

    documents : n, 3 to 65,536; d : 4 to 4,096; nq : queries, different pairs drawn at random; None: all n (n - 1) / 2 pairs;
        nq d is at most 2^28
    n_train : vectors to learn from, of the same curve

    `relevant` has the two documents of each query; `sample_queries` are of pairs of places between the documents. All vectors
    have length 1, so every metric gives one ranking.

    Construction. Document i stands at the angle t_i = 2 pi i / n. With r = d // 4 its vector is (cos j t_i, sin j t_i), j = 1 ..
    2r, scaled to length 1 (the trigonometric moment curve), in random axes. So the score of a query can be any trigonometric
    polynomial of t of degree 2r, less its constant term, which is the same for all documents. The query of the pair (a, b) is
    -F(t - t_a) F(t - t_b), where F = 1 - K and K(t) = (sin((r + 1) t / 2) / ((r + 1) sin(t / 2)))^2 is Fejer's kernel of degree
    r.

    Proof. K is a sum of cosines of degree r, so the product has degree 2r. 0 <= K <= 1 and K = 1 only where t is a multiple of 2
    pi. So the score is at most 0, and is 0 for a and b and for no other document. Hence 4 dimensions do for any number of
    documents, in real numbers; in float32 the gap to the third, of the order of (2 pi r / n)^4 for r << n, must exceed rounding,
    which is checked.

    Raises ValueError if d is too small for so many documents in float32: their vectors are still right, but no longer told apart.
    Source of the task: Weller et al., "On the Theoretical Limitations of Embedding-Based Retrieval", arXiv 2508.21038, whose
    vectors are learned, or come from text encoders; this construction is ours.
    """
    check_choice("limit", "metric", metric, METRICS)
    check_int("limit", "documents", documents, 3, 1 << 16)
    check_int("limit", "d", d, 4, MOST_COLUMNS)
    check_int("limit", "n_train", n_train, 0)
    pairs = documents * (documents - 1) // 2
    if nq is not None:
        check_int("limit", "nq", nq, 1, pairs)
    if (nq or pairs) * d > MOST_NUMBERS:
        raise ValueError(f"limit: nq expected at most {MOST_NUMBERS // d} for d={d}, got {nq or pairs}")
    rng = _rng(seed)
    r = d // 4
    number = np.argsort(rng.random(documents))  # so that a document's id says nothing of its angle
    angles = 2 * np.pi / documents * number
    chosen = np.arange(pairs) if nq is None else np.sort(rng.choice(pairs, nq, replace=False))
    first, second = _pairs(chosen, documents)
    axes = random_rotation(d, rng)[:, : 4 * r]
    base = _mapped(_curve(angles, r), axes)
    queries = _mapped(_pair_queries(angles[first], angles[second], r), axes)
    places = rng.random((2, len(first))) * 2 * np.pi
    sample = _mapped(_pair_queries(places[0], places[1], r), axes)
    train = _mapped(_curve(rng.random(n_train) * 2 * np.pi, r), axes) if n_train else None
    relevant = np.stack([first, second], axis=1)
    step = max(1, min(1024, MOST_NUMBERS // 16 // documents))
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ base.T
        asked = relevant[start : start + step]
        least = np.take_along_axis(scores, asked, axis=1).min(axis=1)
        np.put_along_axis(scores, asked, -np.inf, axis=1)
        margin = float((least - scores.max(axis=1)).min())
        if margin < LEAST_MARGIN:
            trouble = f"{documents} documents are too many for float32 (the least gap is {margin:.1g}, expected {LEAST_MARGIN:g})"
            raise ValueError(f"limit: d={d}: {trouble}; take more dimensions or fewer documents")
    name = f"limit documents={documents} d={d} nq={len(queries)} seed={seed}"
    return _dataset(name, [base, queries, sample], metric, train, tuple(relevant.astype(np.int64)))


def topic_texts(
    n: int = 1000, topics: int = 20, words: int = 2000, seed: int = 0, *, share: float = 0.3
) -> tuple[list[str], np.ndarray]:  # fmt: skip
    """Texts of 50 to 200 made words, and the topic of each, int64[n]: what a code learned from words is to tell apart.

    Words are drawn one by one: `share` of a text's words from its topics, about a quarter of these from a second topic drawn at
    random, the rest from what all texts have in common, where the r-th of `words` words has a share in proportion to 1 / (r + 1).
    A topic's words are drawn from a Dirichlet distribution of .05, weighed by the roots of these shares in an order of its own.

    Raises TypeError or ValueError for numbers that are none.
    """
    for name, value in (("n", n), ("topics", topics), ("words", words)):
        check_int("topic_texts", name, value, 1)
    check_number("topic_texts", "share", share, 0, 1)
    rng = _rng(seed)
    common = 1 / np.arange(2, words + 2)
    common /= common.sum()
    own = [rng.gamma(0.05, size=words) * np.sqrt(common[rng.permutation(words)]) + 1e-300 for _ in range(topics)]
    labels = rng.integers(0, topics, n)
    texts = []
    for topic in labels:
        count = int(rng.integers(50, 201))
        topical = int(rng.binomial(count, share))
        second = int(rng.binomial(topical, 0.25))
        parts = ((topical - second, own[topic]), (second, own[rng.integers(topics)]), (count - topical, common))
        drawn = np.concatenate([rng.choice(words, size, p=weights / weights.sum()) for size, weights in parts])
        texts.append(" ".join(map(_word, drawn.tolist())))
    return texts, labels


def _word(i: int) -> str:
    """A word of two letters or more for every number of 0 or more."""
    letters = ""
    while i or len(letters) < 2:
        i, letter = divmod(i, 26)
        letters = chr(97 + letter) + letters
    return letters


def _pairs(numbers: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs a < b of 0 .. n - 1 that have these numbers in the order of `np.triu_indices(n, 1)`, int64 each."""
    a = np.arange(n)
    starts = a * (2 * n - a - 1) // 2  # the number of (a, a + 1)
    first = np.searchsorted(starts[:-1], numbers, side="right") - 1
    return first, numbers - starts[first] + first + 1


def _curve(angles: np.ndarray, r: int) -> np.ndarray:
    """float64[len(angles), 4 r] of length 1: cosines and sines of the multiples 1 .. 2 r."""
    multiples = angles[:, None] * np.arange(1, 2 * r + 1)
    return np.concatenate([np.cos(multiples), np.sin(multiples)], axis=1) / np.sqrt(2 * r)


def _pair_queries(a: np.ndarray, b: np.ndarray, r: int) -> np.ndarray:
    """float64[len(a), 4 r] of length 1: coefficients on `_curve` of -F(t - a) F(t - b), whose constant is dropped."""
    j = np.arange(-r, r + 1)
    f = -(r + 1 - np.abs(j)) / (r + 1) ** 2.0  # of exp(i j t) in F: Fejer's kernel has triangular coefficients
    f[r] += 1.0
    m = np.arange(1, 2 * r + 1)
    out = np.empty((len(a), 4 * r))
    for row in range(len(a)):  # the product of two polynomials: their coefficients convolved
        c = -np.convolve(f * np.exp(-1j * j * a[row]), f * np.exp(-1j * j * b[row]))[2 * r + m]
        out[row, : 2 * r], out[row, 2 * r :] = 2 * c.real, -2 * c.imag
    return out / np.linalg.norm(out, axis=1, keepdims=True)


# ---- shared


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(check_int("synthetic", "seed", seed, 0)))


def _mapped(x: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Coordinates [r, m] along axes, the columns of [d, m], as float32[r, d]."""
    return np.ascontiguousarray(x @ axes.T.astype(x.dtype), np.float32)


def _check(where: str, n: Any, d: Any, nq: Any, metric: Any) -> None:
    check_choice(where, "metric", metric, METRICS)
    for name, value in (("n", n), ("d", d), ("nq", nq)):
        check_int(where, name, value, 1)


def _dataset(
    name: str,
    parts: list[np.ndarray],
    metric: Metric,
    train: np.ndarray | None = None,
    relevant: tuple[np.ndarray, ...] | None = None,
) -> Dataset:
    base, queries, sample_queries = parts
    return Dataset(name, base, queries, sample_queries, metric, LICENCE, train, relevant)
