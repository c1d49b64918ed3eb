"""What only RQ promises: planted sums, the search by its definition, the byte of cross terms, its learning, faiss as the peer."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hard_values import SIZES
from helpers import bits, clustered, level_rounding, runnable, scan_all

import vecpress as vp
from vecpress import residual

LEVELS = np.arange(-1280, 1280, 10, dtype=np.float32)


def with_codebooks(books: np.ndarray, levels: np.ndarray = LEVELS, **config) -> vp.RQ:
    m, ks, dsub = books.shape
    made = vp.RQ(m, 8 if ks == 256 else 4, **config)
    return vp.RQ.restore(made.config(), dsub * made.parts, {"codebooks_": books, "cross_": levels})


def random_books(m: int, n_bits: int, dsub: int, shrink: float = 1.0, parts: int = 1, seed: int = 0) -> np.ndarray:
    """Normal numbers, in every codebook of a part `shrink` times those of the one before."""
    scale = shrink ** (np.arange(m) % (m // parts))
    return (np.random.default_rng(seed).standard_normal((m, 2**n_bits, dsub)) * scale[:, None, None]).astype(np.float32)


def labels_of(codec: vp.RQ, codes: np.ndarray) -> np.ndarray:
    """int[n, m], read from the bytes by the documented layout."""
    codes = codes[:, codec.metric == "l2" :]
    if codec.n_bits == 8:
        return codes.astype(int)
    return np.stack([codes[:, j // 2] >> (4 * (j % 2)) & 15 for j in range(codec.m)], axis=1).astype(int)


def sums(codec: vp.RQ, labels: np.ndarray, m: int | None = None) -> np.ndarray:
    """float64[n, d]: the entries of the first m labels of each part, summed."""
    parts = np.split(np.arange(codec.m), codec.parts)
    books = codec.codebooks_.astype(np.float64)
    return np.hstack([sum(books[j][labels[:, j]] for j in part[:m]) for part in parts])


def error(codec: vp.RQ, x: np.ndarray) -> float:
    return float(((codec.decode(codec.encode(x)).astype(np.float64) - x) ** 2).sum())


# ---- codes


@pytest.mark.parametrize(("m", "n_bits", "parts"), [(1, 8, 1), (3, 8, 1), (4, 8, 2), (5, 4, 1), (6, 4, 3), (3, 4, 3)])
@pytest.mark.parametrize("beam", [1, 5])
@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_planted_sums_encode_exactly(m, n_bits, parts, beam, metric):
    codec = with_codebooks(random_books(m, n_bits, 16, {4: 0.2, 8: 0.1}[n_bits], parts), parts=parts, beam=beam, metric=metric)
    for n in SIZES:
        labels = np.random.default_rng(n).integers(2**n_bits, size=(n, m))
        x = sums(codec, labels).astype(np.float32)
        codes = codec.encode(x)
        assert codes.shape == (n, codec.code_size) == (n, (metric == "l2") + (m if n_bits == 8 else (m + 1) // 2))
        assert (labels_of(codec, codes) == labels).all()
        np.testing.assert_allclose(codec.decode(codes), x, rtol=0, atol=1e-6)


def by_hand(beam: int, metric: str = "ip") -> vp.RQ:
    sixteen = np.arange(16, dtype=np.float32)[:, None]
    return with_codebooks(np.stack((16 * sixteen, sixteen)), beam=beam, metric=metric)


def test_codes_by_hand():
    x = np.array([[37.4], [47.0], [8.0], [-9.0], [999.0]], np.float32)
    greedy = by_hand(1)
    # 47 is nearest to 48, and nothing is left to add; 8 is as near to 0 as to 16; the first label is the low half
    assert greedy.encode(x).tolist() == [[0x52], [0x03], [0x80], [0x00], [0xFF]]
    assert greedy.decode(greedy.encode(x)).tolist() == [[37], [48], [8], [0], [255]]
    assert by_hand(2).decode(by_hand(2).encode(x)).tolist() == [[37], [47], [8], [0], [255]]


def test_cross_terms_and_scores_by_hand():
    codec = by_hand(2, "l2")
    codes = codec.encode([[37.0], [121.0]])
    # the centre is 120: 2 (32 - 120) 5 = -880 is level 40; 2 (112 - 120) 9 = -144 is nearest to -140, level 114
    assert codes.tolist() == [[40, 0x52], [114, 0x97]]
    # -(40 - 37)^2; -(40 - 121)^2 less the 4 that were rounded up
    assert scan_all(codec, codes, codec.query([[40.0]])).tolist() == [[-9.0, -6561.0 - 4.0]]
    inner = by_hand(2)
    assert scan_all(inner, inner.encode([[37.0], [121.0]]), inner.query([[-2.0]])).tolist() == [[-74.0, -242.0]]


def test_the_level_is_the_nearest_to_the_cross_terms():
    x = clustered(0, 700, 12)
    for parts in (1, 2):
        codec = vp.RQ(4, parts=parts, metric="l2").fit(x)
        codes = codec.encode(np.concatenate((clustered(0, 200, 12, draw=1), 3 * clustered(0, 100, 12, draw=2))))
        books = codec.codebooks_.astype(np.float64).copy()
        books[:: 4 // parts] -= books[:: 4 // parts].mean(axis=1, keepdims=True)
        labels = labels_of(codec, codes)
        centred = sums(with_codebooks(books.astype(np.float32), parts=parts), labels)
        own = sum((books[j][labels[:, j]] ** 2).sum(axis=1) for j in range(4))
        cross = (centred**2).sum(axis=1) - own
        away = np.abs(cross[:, None] - codec.cross_.astype(np.float64))
        slack = 1e-5 * np.abs(own)
        assert (away[np.arange(300), codes[:, 0]] <= away.min(axis=1) + slack).all()
        assert (away.min(axis=1) <= level_rounding(codec.query(x[:1]), codes) + slack).all()
        assert (np.diff(codec.cross_) >= 0).all()
        assert np.sqrt((away.min(axis=1)[:200] ** 2).mean()) < 0.03 * cross[:200].std()


def test_an_unused_half_byte_means_nothing():
    codec = with_codebooks(random_books(3, 4, 6))
    codes = np.random.default_rng(0).integers(256, size=(33, 2), dtype=np.uint8)
    filled = codes.copy()
    codes[:, 1] &= 0x0F
    filled[:, 1] |= 0xF0
    q = np.random.default_rng(1).standard_normal((2, 6)).astype(np.float32)
    assert bits(codec.decode(filled)) == bits(codec.decode(codes))
    assert bits(scan_all(codec, filled, codec.query(q))) == bits(scan_all(codec, codes, codec.query(q)))


# ---- the search


@pytest.mark.parametrize(("m", "n_bits"), [(5, 8), (7, 4)])
def test_a_beam_of_one_takes_the_nearest_entry_every_time(m, n_bits):
    codec = with_codebooks(random_books(m, n_bits, 10, 0.7), beam=1)
    x = np.random.default_rng(1).standard_normal((300, 10)).astype(np.float32) * 2
    labels, left = labels_of(codec, codec.encode(x)), x.astype(np.float64)
    for j, book in enumerate(codec.codebooks_.astype(np.float64)):
        distance = ((left[:, None] - book) ** 2).sum(axis=2)
        own = distance[np.arange(300), labels[:, j]]
        assert (own <= distance.min(axis=1) + 1e-4).all(), j
        left -= book[labels[:, j]]


def test_a_beam_that_holds_everything_finds_the_best_sum():
    codec = with_codebooks(random_books(3, 4, 6), beam=256)
    x = np.random.default_rng(1).standard_normal((130, 6)).astype(np.float32)
    every = np.array(list(itertools.product(range(16), repeat=3)))
    best = ((x.astype(np.float64)[:, None] - sums(codec, every)) ** 2).sum(axis=2).min(axis=1)
    found = ((x - codec.decode(codec.encode(x)).astype(np.float64)) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, best, rtol=1e-5, atol=1e-5)


def test_a_larger_beam_leaves_less_error():
    books = random_books(6, 8, 12, 0.8)
    x = np.random.default_rng(1).standard_normal((700, 12)).astype(np.float32) * 2
    errors = [error(with_codebooks(books, beam=beam), x) for beam in (1, 2, 4, 8, 16, 64)]
    assert all(b < a for a, b in itertools.pairwise(errors)) and errors[-1] < 0.6 * errors[0]


def test_ties_go_to_the_lower_label_and_the_better_rank():
    books = random_books(3, 4, 5)
    books[:, 8:] = books[:, :8]
    x = random_books(1, 8, 5)[0]
    for beam in (1, 3, 16):
        codec = with_codebooks(books, beam=beam)
        assert (labels_of(codec, codec.encode(x)) < 8).all()
    # 8 = 0 + 8 and 16 - 8 alike: the first codebook's lower label comes first, whatever the second's
    steps = np.array([[0.0], [16.0]] + [[1000.0]] * 14, np.float32)
    codec = with_codebooks(np.stack((steps, np.array([[-8.0], [8.0]] + [[1000.0]] * 14, np.float32))), beam=2)
    assert codec.encode([[8.0]]).tolist() == [[0x10]]


def test_blocks_batches_and_backends_do_not_matter(monkeypatch):
    n = 2 * residual.BLOCK_ROWS + 40
    x = clustered(0, n, 19)
    for codec in (vp.RQ(5, metric="l2"), vp.RQ(6, 4, beam=3)):
        codec.fit(x[:300])
        codes = codec.encode(x)
        for row in (0, residual.BLOCK_ROWS - 1, residual.BLOCK_ROWS, n - 1):
            assert bits(codec.encode(x[row])) == bits(codes[row])
        for backend in runnable():
            with vp.use(backend):
                again = vp.RQ.restore(codec.config(), 19, codec.arrays())  # its tables are made by this backend
                assert bits(again.encode(x[:70])) == bits(codes[:70]), backend
        monkeypatch.setattr(residual, "BLOCK_ROWS", 7)
        assert bits(codec.encode(x)) == bits(codes)
        monkeypatch.undo()


def test_each_part_is_a_quantizer_of_its_own():
    books = random_books(6, 8, 7, 0.5, parts=2)
    both, x = with_codebooks(books, parts=2), clustered(0, 100, 14)
    alone = [with_codebooks(books[:3]).encode(x[:, :7]), with_codebooks(books[3:]).encode(x[:, 7:])]
    assert bits(both.encode(x)) == bits(np.hstack(alone))
    as_pq = vp.PQ.restore(vp.PQ(2).config(), 14, {"codebooks_": books[::3]})
    assert (as_pq.encode(x) == with_codebooks(books[::3], parts=2).encode(x)).mean() > 0.99  # PQ subtracts, a near tie may differ


def test_what_is_far_from_zero_loses_no_digits():
    x = clustered(0, 900, 16)
    near, far = vp.RQ(4, metric="l2").fit(x), vp.RQ(4, metric="l2").fit(x + np.float32(4096))
    fresh = clustered(0, 300, 16, draw=1)
    assert error(far, fresh + np.float32(4096)) <= 1.05 * error(near, fresh)
    codes = far.encode(fresh + np.float32(4096))
    q = fresh[:9] + np.float32(4096)
    exact = -((q[:, None].astype(np.float64) - far.decode(codes)) ** 2).sum(axis=2)
    query = far.query(q)
    assert (np.abs(scan_all(far, codes, query) - exact) <= 0.05 + level_rounding(query, codes)).all()


def test_a_decoded_code_encodes_to_about_itself():
    codec, x = vp.RQ(6).fit(clustered(0, 3000, 16)), clustered(0, 500, 16, draw=1)
    decoded = codec.decode(codec.encode(x))
    assert error(codec, decoded) < 0.25 * error(codec, x)


# ---- learning


@pytest.mark.parametrize("metric", ["ip", pytest.param("cos", marks=pytest.mark.slow)])
def test_error_falls_with_every_codebook(metric):
    x, fresh = clustered(0, 3000, 16), clustered(0, 500, 16, draw=1)
    if metric == "cos":
        fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    errors = [error(vp.RQ(m, metric=metric).fit(x), fresh) for m in (1, 2, 3, 4, 6)]
    assert all(b < 0.9 * a for a, b in itertools.pairwise(errors))
    codec = vp.RQ(6, metric=metric).fit(x)
    labels = labels_of(codec, codec.encode(fresh))
    within = [((sums(codec, labels, m) - fresh) ** 2).sum() for m in range(1, 7)]
    assert all(b < a for a, b in itertools.pairwise(within))
    assert within[-1] == pytest.approx(errors[-1], rel=1e-5)


def test_planted_structure_is_learned():
    """Sums of one of 16 vectors and one of 16 others, which no cut into sub-vectors has."""
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((16, 12)), 0.3 * rng.standard_normal((16, 12))
    x = (one[rng.integers(16, size=4000)] + two[rng.integers(16, size=4000)]).astype(np.float32)
    spread = ((x - x.mean(axis=0)) ** 2).sum()
    assert error(vp.RQ(2, 4, beam=16).fit(x), x) < 0.08 * spread < 0.1 * spread < error(vp.PQ(2, 4).fit(x), x)


def test_least_squares_solves_its_equations():
    rng = np.random.default_rng(0)
    x, books = rng.standard_normal((900, 5)).astype(np.float32), random_books(3, 4, 5)
    labels, ridge = rng.integers(16, size=(900, 3)).astype(np.uint8), np.array([0.0, 2.0, 30.0])
    solved = residual._solved(x, labels, books, ridge, 1).astype(np.float64)
    left = x - sum(solved[j][labels[:, j]] for j in range(3))
    for j in range(3):
        gradient = np.stack([left[labels[:, j] == c].sum(axis=0) for c in range(16)]) - ridge[j] * (solved[j] - books[j])
        assert np.abs(gradient).max() < 0.02  # entries are pulled to where they were by 1e-3 rows


def test_entries_of_noise_are_shrunk_and_those_of_clusters_are_not():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((640, 64)).astype(np.float32)
    centres = 50 * rng.standard_normal((16, 64))
    apart = (centres[rng.integers(16, size=640)] + noise).astype(np.float32)
    entries, ridge = residual._entries(noise, 16, np.random.default_rng(0), 1)
    assert ridge > 10 and np.square(entries).sum(axis=1).max() < 64 * 0.2
    assert residual._entries(apart, 16, np.random.default_rng(0), 1)[1] < 1
    assert residual._entries(np.zeros((9, 3), np.float32), 16, rng, 1)[1] == 0


def test_least_squares_lowers_the_error_of_rows_not_learned_from(monkeypatch):
    base = np.asarray(vp.datasets.demo().base, np.float32)
    x, fresh = base[:4000], base[4000:]
    codec = vp.RQ(8, 4).fit(x)
    monkeypatch.setattr(residual, "ROUNDS", 0)
    without = vp.RQ(8, 4).fit(x)
    assert error(codec, fresh) < 0.99 * error(without, fresh)
    monkeypatch.setattr(residual, "ROUNDS", 8)
    monkeypatch.setattr(residual, "_solved", lambda x, labels, books, ridge, num_threads: books * 2)
    assert vp.RQ(8, 4).fit(x) == without  # a step that does harm is not taken


def test_each_part_and_each_seed_learns_by_its_own_seed():
    half = clustered(0, 300, 4)
    both = np.concatenate((half, half), axis=1)
    one, two = vp.RQ(2, 4, parts=2).fit(both), vp.RQ(2, 4, parts=2, seed=1).fit(both)
    assert bits(one.codebooks_[0]) != bits(one.codebooks_[1])
    assert bits(one.codebooks_) != bits(two.codebooks_)


# ---- configuration


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"^RQ: parts expected a divisor of m=8, got 3$"):
        vp.RQ(8, parts=3)
    with pytest.raises(ValueError, match=r"^RQ: parts expected a divisor of d=10, got 4$"):
        vp.RQ(8, parts=4).fit(np.zeros((5, 10), np.float32))
    with pytest.raises(ValueError, match=r"^RQ: m expected at most 32 codebooks a part, 64 in all, got 66$"):
        vp.RQ(66, parts=2)
    for wrong in (0, 257):
        with pytest.raises(ValueError, match=f"^RQ: beam expected 1 to 256, got {wrong}$"):
            vp.RQ(8, beam=wrong)
    with pytest.raises(ValueError, match=r"^RQ: n_bits expected one of 4, 8, got 6$"):
        vp.RQ(8, 6)
    assert vp.RQ(64, parts=2).code_size == 64
    assert (vp.RQ(7).code_size, vp.RQ(7, metric="l2").code_size, vp.RQ(7, 4, metric="l2").code_size) == (7, 8, 5)


def test_sizes_that_a_budget_allows():
    for metric in ("ip", "l2", "cos"):
        for size in (2, 8, 32):
            (one,) = vp.RQ.sized(384, size, metric)
            assert one.code_size == size and one.metric == metric
        assert vp.RQ.sized(384, 64, metric) == []
    assert vp.RQ.sized(384, 1, "l2") == []


def test_products_of_entries_are_kept_but_not_pickled():
    codec = vp.RQ(4).fit(clustered(0, 300, 8))
    codes = codec.encode(clustered(0, 9, 8))
    kept = codec._tables(None)
    assert codec._tables(None) is kept
    data = pickle.dumps(codec)
    assert len(data) < 1.2 * codec.state_nbytes
    assert bits(pickle.loads(data).encode(clustered(0, 9, 8))) == bits(codes)
    codec.fit(clustered(1, 300, 8))
    assert codec._tables(None) is not kept


# ---- faiss


@pytest.fixture
def faiss():
    found = pytest.importorskip("faiss")
    threads = found.omp_get_max_threads()
    found.omp_set_num_threads(1)
    yield found
    found.omp_set_num_threads(threads)


@pytest.mark.parametrize("metric", ["ip", "l2"])
@pytest.mark.parametrize(("m", "n_bits"), [(5, 8), (6, 4)])
def test_faiss_with_our_codebooks_codes_and_decodes_alike(faiss, m, n_bits, metric):
    codec, x = vp.RQ(m, n_bits, metric=metric).fit(clustered(0, 1500, 24)), clustered(0, 600, 24, draw=1)
    codes = codec.encode(x)
    quantizer = faiss.ResidualQuantizer(24, m, n_bits)
    quantizer.max_beam_size = codec.beam
    faiss.copy_array_to_vector(codec.codebooks_.ravel(), quantizer.codebooks)
    quantizer.is_trained = True
    np.testing.assert_allclose(quantizer.decode(codes[:, codec.head :].copy()), codec.decode(codes), rtol=1e-5, atol=1e-5)
    theirs = quantizer.compute_codes(x)
    same = (theirs == codes[:, codec.head :]).all(axis=1)
    assert same.mean() > 0.99  # near ties may fall the other way
    tables = np.empty((9, m * codec.ks), np.float32)
    quantizer.compute_LUT(9, faiss.swig_ptr(x), faiss.swig_ptr(tables))
    inner = tables.reshape(9, m, codec.ks)[:, np.arange(m), labels_of(codec, codes)].sum(axis=2)
    decoded = codec.decode(codes)
    expected = inner if metric == "ip" else 2 * inner - (x[:9] ** 2).sum(axis=1)[:, None] - (decoded**2).sum(axis=1)
    query = codec.query(x[:9])
    assert (np.abs(scan_all(codec, codes, query) - expected) <= 1e-4 + level_rounding(query, codes)).all()


@pytest.mark.parametrize(("m", "n_bits", "dim"), [(8, 4, 64), (3, 8, 32)])
def test_the_error_is_below_that_of_faiss_on_real_data(faiss, m, n_bits, dim):
    base = np.asarray(vp.datasets.demo().base, np.float32)[:, :dim].copy()
    x, fresh = base[:4000], base[4000:]
    peer = faiss.ResidualQuantizer(dim, m, n_bits)
    peer.max_beam_size = 8
    peer.train(x)
    theirs = float(((peer.decode(peer.compute_codes(fresh)) - fresh) ** 2).sum())
    assert error(vp.RQ(m, n_bits).fit(x), fresh) < theirs
