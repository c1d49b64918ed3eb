"""What only PQ promises: planted centroids, the packing of nibbles, its learning, and faiss as the oracle."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from hard_values import SIZES
from helpers import bits, clustered, scan_all

import vecpress as vp
from vecpress.codecs.pq import TRAIN_ROWS


def with_codebooks(codebooks: np.ndarray, metric: str = "ip") -> vp.PQ:
    m, ks, dsub = codebooks.shape
    config = vp.PQ(m, 8 if ks == 256 else 4, metric=metric).config()
    return vp.PQ.restore(config, m * dsub, {"codebooks_": codebooks})


def random_codec(m: int, n_bits: int, dsub: int, metric: str = "ip", seed: int = 0) -> vp.PQ:
    rng = np.random.default_rng(seed)
    return with_codebooks(rng.standard_normal((m, 2**n_bits, dsub)).astype(np.float32), metric)


def labels_of(codec: vp.PQ, codes: np.ndarray) -> np.ndarray:
    """int[n, m], read from the bytes by the documented layout."""
    if codec.n_bits == 8:
        return codes.astype(int)
    return np.stack([codes[:, j // 2] >> (4 * (j % 2)) & 15 for j in range(codec.m)], axis=1).astype(int)


@pytest.mark.parametrize(("m", "n_bits", "dsub"), [(5, 8, 3), (8, 8, 1), (4, 4, 2), (5, 4, 3), (1, 4, 9), (1, 8, 1)])
def test_planted_centroids_encode_exactly(m, n_bits, dsub):
    codec = random_codec(m, n_bits, dsub)
    for n in SIZES:
        labels = np.random.default_rng(n).integers(2**n_bits, size=(n, m))
        x = np.concatenate([codec.codebooks_[j, labels[:, j]] for j in range(m)], axis=1)
        codes = codec.encode(x)
        assert codes.shape == (n, m if n_bits == 8 else (m + 1) // 2)
        assert (labels_of(codec, codes) == labels).all()
        assert bits(codec.decode(codes)) == bits(x)


def test_codes_by_hand():
    codebooks = np.arange(16, dtype=np.float32).reshape(1, 16, 1).repeat(3, axis=0)
    codec = with_codebooks(codebooks, "l2")
    codes = codec.encode([[1.4, 15.0, 7.0], [99.0, -99.0, 2.5]])
    assert codes.tolist() == [[0xF1, 0x07], [0x0F, 0x02]]  # even sub-codes low; ties to the lower label; no third nibble
    assert codec.decode(codes).tolist() == [[1, 15, 7], [15, 0, 2]]
    assert scan_all(codec, codes, codec.query([[0.0, 0.0, 0.0]])).tolist() == [[-275.0, -229.0]]
    inner = with_codebooks(codebooks, "ip")
    assert scan_all(inner, codes, inner.query([[1.0, 2.0, 3.0]])).tolist() == [[52.0, 21.0]]


def test_an_unused_half_byte_means_nothing():
    codec = random_codec(3, 4, 2)
    codes = np.random.default_rng(0).integers(256, size=(33, 2), dtype=np.uint8)
    filled = codes.copy()
    codes[:, 1] &= 0x0F
    filled[:, 1] |= 0xF0
    q = np.random.default_rng(1).standard_normal((2, 6)).astype(np.float32)
    assert bits(codec.decode(filled)) == bits(codec.decode(codes))
    assert bits(scan_all(codec, filled, codec.query(q))) == bits(scan_all(codec, codes, codec.query(q)))


def test_encoding_finds_the_nearest_centroid():
    for n_bits in (4, 8):
        codec = random_codec(6, n_bits, 4)
        x = np.random.default_rng(1).standard_normal((130, 24)).astype(np.float32)
        parts = x.astype(np.float64).reshape(130, 6, 1, 4)
        distances = ((parts - codec.codebooks_.astype(np.float64)[None]) ** 2).sum(axis=3)
        chosen = np.take_along_axis(distances, labels_of(codec, codec.encode(x))[:, :, None], axis=2)[:, :, 0]
        assert (chosen <= distances.min(axis=2) * (1 + 1e-6)).all()


def test_m_must_divide_the_columns():
    codec = vp.PQ(7)
    with pytest.raises(ValueError, match=r"^PQ: m expected a divisor of d=24, got 7$"):
        codec.fit(np.zeros((5, 24), np.float32))
    assert not codec.is_fitted
    with pytest.raises(ValueError, match="m expected a divisor"):
        vp.PQ.restore(codec.config(), 24, {"codebooks_": np.zeros((7, 256, 3), np.float32)})
    with pytest.raises(ValueError, match=r"^PQ: m expected a divisor of d=24, got 48$"):
        vp.PQ(48).fit(np.zeros((5, 24), np.float32))


@pytest.mark.parametrize("n_bits", [1, 5, 16])
def test_n_bits_is_four_or_eight(n_bits):
    with pytest.raises(ValueError, match=f"^PQ: n_bits expected one of 4, 8, got {n_bits}$"):
        vp.PQ(8, n_bits)


@pytest.mark.parametrize("n_bits", [4, 8])
def test_too_few_rows_warn_and_enough_do_not(n_bits):
    enough = 39 * 2**n_bits
    x = np.random.default_rng(0).standard_normal((enough, 2)).astype(np.float32)
    with pytest.warns(vp.SmallTrainingSetWarning, match=f"x has {enough - 1} rows, .* at least {enough}$") as caught:
        vp.PQ(1, n_bits).fit(x[:-1])
    assert caught[0].filename == __file__  # it points at the caller
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vp.PQ(1, n_bits).fit(x)


@pytest.mark.parametrize("n", [1, 2, 15, 100])
def test_fewer_rows_than_centroids_encode_exactly(n):
    x = clustered(0, n, 12)
    for codec in (vp.PQ(4), vp.PQ(3, 4) if n <= 15 else vp.PQ(3, 8)):
        codec.fit(x)
        assert bits(codec.decode(codec.encode(x))) == bits(x)


def test_constant_columns_decode_exactly():
    x = clustered(0, 300, 8)
    x[:, :4] = [1.5, -2.25, 0.0, 1e10]
    codec = vp.PQ(2).fit(x)
    assert (codec.decode(codec.encode(x))[:, :4] == x[:, :4]).all()


def test_values_whose_squares_overflow_are_refused():
    codec = vp.PQ(2, 4, metric="l2").fit(clustered(0, 99, 4))
    for call in (codec.fit, codec.encode):
        call([[2.0**50, 0, 0, 1]])
        with pytest.raises(ValueError, match=r"expected absolute values up to 1\.12589991e\+15, row 0 has -2\.25179981e\+15"):
            call([[-(2.0**51), 0, 0, 1]])


def test_each_seed_draws_its_own_sample_of_distinct_rows(monkeypatch):
    drawn = []

    def watched(x, k, seed, **kwargs):
        drawn.append(x.ravel())
        return x[:k], 0.0

    monkeypatch.setattr(sys.modules["vecpress.codecs.pq"], "kmeans", watched)
    x = np.arange(TRAIN_ROWS + 5000, dtype=np.float32)[:, None]
    for seed in (0, 1, 0):
        vp.PQ(1, 4, seed=seed).fit(x)
    assert [len(np.unique(rows)) for rows in drawn] == [TRAIN_ROWS] * 3
    assert bits(drawn[0]) == bits(drawn[2]) != bits(drawn[1])


def test_learning_reads_a_bounded_sample():
    class Watched(np.ndarray):
        read = 0

        def __getitem__(self, key):
            out = np.asarray(self)[key]
            Watched.read += len(out)
            return out

    n = TRAIN_ROWS + 5000
    x = np.random.default_rng(0).standard_normal((n, 1)).astype(np.float16).view(Watched)
    codec = vp.PQ(1, 4).fit(x)
    assert Watched.read == TRAIN_ROWS
    assert codec == vp.PQ(1, 4).fit(np.asarray(x))
    assert codec != vp.PQ(1, 4, seed=1).fit(np.asarray(x))


def test_each_sub_vector_and_each_seed_learns_by_its_own_seed():
    half = clustered(0, 300, 4)
    both = np.concatenate((half, half), axis=1)
    one, two = vp.PQ(2, 4).fit(both), vp.PQ(2, 4, seed=1).fit(both)
    assert bits(one.codebooks_[0]) != bits(one.codebooks_[1])
    assert bits(one.codebooks_) != bits(two.codebooks_)


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
def test_more_bytes_never_raise_the_error(metric):
    x = clustered(0, 2000, 16)
    errors = []
    for m, n_bits in ((1, 4), (2, 4), (4, 4), (4, 8), (8, 8), (16, 8)):
        codec = vp.PQ(m, n_bits, metric=metric).fit(x)
        target = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cos" else x
        errors.append(((codec.decode(codec.encode(x)) - target) ** 2).sum())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.01 * errors[0]


def test_symmetric_scores_are_those_of_tables_of_centroid_pairs():
    for metric in ("ip", "l2"):
        codec = random_codec(5, 4, 3, metric)
        rng = np.random.default_rng(1)
        q, x = rng.standard_normal((4, 15)).astype(np.float32), rng.standard_normal((65, 15)).astype(np.float32)
        books = codec.codebooks_.astype(np.float64)
        if metric == "ip":
            static = np.einsum("jad,jbd->jab", books, books)
        else:
            static = -((books[:, :, None] - books[:, None]) ** 2).sum(axis=3)
        codes = codec.encode(x)
        a, b = labels_of(codec, codec.encode(q)), labels_of(codec, codes)
        expected = sum(static[j][a[:, j, None], b[None, :, j]] for j in range(5))
        np.testing.assert_allclose(scan_all(codec, codes, codec.query(q, symmetric=True)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize(("m", "n_bits"), [(8, 8), (3, 8), (8, 4), (3, 4)])
def test_faiss_with_our_codebooks_and_codes_finds_the_same(m, n_bits, metric):
    faiss = pytest.importorskip("faiss")
    d = 24
    rng = np.random.default_rng(7)
    x, q = rng.standard_normal((1000, d)).astype(np.float32), rng.standard_normal((33, d)).astype(np.float32)
    codec = vp.PQ(m, n_bits, metric=metric).fit(x)
    codes = codec.encode(x)
    peer = faiss.IndexPQ(d, m, n_bits, faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    assert peer.pq.code_size == codec.code_size
    faiss.copy_array_to_vector(codec.codebooks_.ravel(), peer.pq.centroids)
    peer.is_trained = True
    peer.add(x)
    theirs = faiss.vector_to_array(peer.codes).reshape(codes.shape)
    assert (theirs == codes).mean() > 0.999  # faiss expands distances: a near tie may fall the other way
    faiss.copy_array_to_vector(codes.ravel(), peer.codes)
    np.testing.assert_array_equal(peer.pq.decode(codes), codec.decode(codes))
    distances, found = peer.search(q, 10)
    scores, ids = codec.query(q).search(vp.ops.Blocks.pack(codes), 10)
    scores = -scores if metric == "l2" else scores
    np.testing.assert_allclose(scores, distances, rtol=1e-5, atol=1e-5)
    ours = scan_all(codec, codes, codec.query(q)) * (-1 if metric == "l2" else 1)
    np.testing.assert_allclose(np.take_along_axis(ours, found, axis=1), distances, rtol=1e-5, atol=1e-5)
    apart = np.diff(distances, axis=1, append=np.inf if metric == "l2" else -np.inf)
    clear = np.minimum(np.abs(apart), np.abs(np.roll(apart, 1, axis=1))) > 1e-4
    clear[:, -1] = False  # what follows the tenth is not known
    assert clear.mean() > 0.3 and (ids[clear] == found[clear]).all()
