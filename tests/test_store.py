"""Reranking: the k best of the candidates by the store's own scores, whatever it is, and the store in step with the ids."""

import numpy as np
import pytest
from helpers import assert_results, bits, whole_numbers

import vecpress as vp
from vecpress import store as stores

pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")

N, DIM = 300, 24
METRICS = ["ip", "l2", "cos"]


@pytest.fixture(scope="module")
def x(base):
    return base[:N]


def coarse(x, metric="ip"):
    return vp.Sign(metric=metric).fit(x)


def shuffled(n, seed=0):
    return np.random.default_rng(seed).permutation(10 * n)[:n].astype(np.int64)


def expected(index, finer, codes_of, q, k, rerank):
    """By the definition: the candidates of a plain search, ordered by (score, id) of the finer codec's own whole scan."""
    _, candidates = index.search(q, rerank)
    whole = vp.Index(finer)
    ids = index.ids
    whole.add_codes(codes_of(ids), ids=ids)
    scores, found = whole.search(q, len(whole))
    out = np.full((len(q), k), np.nan, np.float32), np.full((len(q), k), -1, np.int64)
    for i in range(len(q)):
        mine = np.isin(found[i], candidates[i])
        out[0][i, : mine.sum()], out[1][i, : mine.sum()] = scores[i, mine][:k], found[i, mine][:k]
    return out


@pytest.mark.parametrize("explicit", [False, True], ids=["implicit", "explicit"])
@pytest.mark.parametrize("finer", [c for cls in vp.codecs() for c in cls.examples()], ids=repr)
def test_candidates_get_the_scores_of_the_finer_codecs_own_scan(finer, explicit, x, queries, on_base):
    finer = on_base(finer)
    index = vp.Index(coarse(x, finer.metric), store=finer)
    index.add(x[:100], ids=shuffled(N)[:100] if explicit else None)
    index.add(x[100:], ids=shuffled(N)[100:] if explicit else None, num_threads=1)
    for k, rerank in ((5, 20), (10, 10), (3, 299), (7, 1000)):
        got = index.search(queries, k, rerank=rerank)
        assert_results(got, expected(index, finer, lambda ids: index.codes(ids, store=True), queries, k, min(rerank, N)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
@pytest.mark.parametrize("metric", METRICS)
def test_an_array_scores_as_raw_float32_codes_of_its_rows(metric, dtype, x, queries):
    x = (np.abs(x) * 20).astype(dtype)
    codec = coarse(x, metric)
    by_codes, by_array = vp.Index(codec, store=vp.Raw(metric=metric).fit(x)), vp.Index(codec, store=x)
    by_codes.add(x)
    by_array.add(x)
    for rerank in (10, 60, N):
        assert_results(by_array.search(queries, 10, rerank=rerank), by_codes.search(queries, 10, rerank=rerank))
    np.testing.assert_array_equal(by_array.vectors([5, 3, 5], store=True), x[[5, 3, 5]].astype(np.float32))
    exact = vp.exact(queries, x, 10, metric)
    assert_results(by_array.search(queries, 10, rerank=N), exact)


def test_ties_go_to_the_lower_id_in_both_stages():
    x = np.zeros((100, 8), np.float32)
    ids = shuffled(100)
    for store in (vp.Raw().fit(x), vp.Sign().fit(x)):
        index = vp.Index(coarse(x), store=store)
        index.add(x, ids=ids)
        scores, found = index.search(np.ones((2, 8)), 5, rerank=20)
        assert found.tolist() == [np.sort(ids)[:5].tolist()] * 2 and (scores == scores[0, 0]).all()


def test_the_codes_of_the_index_choose_the_candidates():
    """What is not among the candidates is not found, however good it is."""
    x = whole_numbers(1, 200)
    index = vp.Index(coarse(x), store=vp.Raw().fit(x))
    index.add(x)
    q = whole_numbers(2, 5)
    _, candidates = index.search(q, 12)
    _, found = index.search(q, 12, rerank=12)
    np.testing.assert_array_equal(np.sort(found), np.sort(candidates))


def test_a_filter_and_fewer_vectors_than_k(x, queries):
    index = vp.Index(coarse(x), store=vp.Raw().fit(x))
    index.add(x)
    for allow in ([7], [], [3, 200, 41], None):
        scores, ids = index.search(queries, 8, rerank=50, allow=allow)
        if allow is not None:
            assert all(set(row[row >= 0].tolist()) == set(allow) for row in ids)
            assert (np.isnan(scores) == (ids < 0)).all()
    empty = vp.Index(coarse(x), store=x)
    assert (empty.search(queries, 3, rerank=5)[1] == -1).all()
    assert empty.search(queries[:0], 3, rerank=5)[1].shape == (0, 3)


def test_symmetric_concerns_the_candidates_alone(x, queries):
    index = vp.Index(coarse(x), store=vp.Raw().fit(x))
    index.add(x)
    scores, ids = index.search(queries, 5, rerank=40, symmetric=True)
    _, candidates = index.search(queries, 40, symmetric=True)
    exact = queries.astype(float) @ x.T.astype(float)
    best = np.array([sorted(row.tolist(), key=lambda i, s=s: (-s[i], i))[:5] for row, s in zip(candidates, exact, strict=True)])
    np.testing.assert_array_equal(ids, best)
    np.testing.assert_allclose(scores, np.einsum("qd,qkd->qk", queries, x[ids]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 3000, 1 << 30])
def test_batches_and_threads_change_nothing(size, x, queries, monkeypatch):
    index = vp.Index(coarse(x), store=x.astype(np.float16))
    index.add(x)
    q = np.concatenate([queries] * 20)
    before = index.search(q, 5, rerank=30)
    monkeypatch.setattr(stores, "GATHERED", size)
    monkeypatch.setattr(stores, "FEW", size)
    assert_results(index.search(q, 5, rerank=30, num_threads=3), before)


@pytest.mark.parametrize("seed", range(6))
def test_finer_codes_follow_every_change(seed):
    """Random changes against a dictionary, in both columns."""
    rng = np.random.default_rng(seed)
    finer = vp.Raw().fit(whole_numbers(0, 1))
    codec = vp.Sign().fit(whole_numbers(0, 50))
    index, model, next_id = vp.Index(codec, store=finer), {}, 0
    for step in range(40):
        x, kind = whole_numbers((seed, step), int(rng.integers(0, 80))), rng.integers(5)
        if kind == 0:
            index.add(x)
            model.update(zip(range(next_id, next_id + len(x)), x, strict=True))
            next_id += len(x)
        elif kind == 1:
            ids = rng.permutation(np.setdiff1d(np.arange(2000), list(model)))[: len(x)]
            index.add_codes(codec.encode(x), ids, store_codes=finer.encode(x))
        elif kind == 2:
            ids = rng.permutation(2000)[: len(x)]
            index.upsert(x, ids)
        elif model:
            ids = rng.permutation(list(model))[: int(rng.choice([1, 20, len(model)], p=[0.4, 0.5, 0.1]))]
            index.remove(ids)
            model = {i: v for i, v in model.items() if i not in set(ids.tolist())}
        if kind in (1, 2):
            model.update(zip(ids.tolist(), x, strict=True))
            next_id = max([next_id, *(ids + 1).tolist()])
        ids = index.ids
        assert sorted(ids.tolist()) == sorted(model)
        stored = np.array([model[i] for i in ids.tolist()], np.float32).reshape(-1, 8)
        np.testing.assert_array_equal(index.codes(ids), codec.encode(stored))
        np.testing.assert_array_equal(index.codes(ids, store=True), finer.encode(stored))
        np.testing.assert_array_equal(index.vectors(ids, store=True), stored)
        np.testing.assert_array_equal(index.vectors(ids), codec.decode(codec.encode(stored)))
        assert index.store_nbytes >= len(ids) * finer.code_size


def test_files_and_iterators_are_encoded_by_both(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    finer = vp.Raw("float16").fit(x)
    for source in (lambda: iter([x[:100], x[100:]]), lambda: tmp_path / "x.npy"):
        index = vp.Index(coarse(x), store=finer)
        index.add(source())
        index.upsert(source(), np.arange(5, N + 5))
        assert index.ids.tolist() == list(range(N + 5))
        np.testing.assert_array_equal(index.codes(np.arange(5, N + 5), store=True), finer.encode(x))
        np.testing.assert_array_equal(index.codes(np.arange(5, N + 5)), index.codec.encode(x))
        with pytest.raises(ValueError, match=r"add: x expected absolute values up to 65504, row 150"):
            index.add(iter([x[:150], x[:10] * 1e6]))
        assert len(index) == N + 5


class TestVectors:
    """A store that is an array or a file."""

    def test_a_path_is_mapped_and_only_candidates_are_read(self, x, queries, tmp_path):
        np.save(tmp_path / "x.npy", x)
        for path in (tmp_path / "x.npy", str(tmp_path / "x.npy"), np.load(tmp_path / "x.npy", mmap_mode="r")):
            index = vp.Index(coarse(x), store=path)
            assert isinstance(index.store, np.memmap)
            index.add()
            assert len(index) == N and index.store_nbytes == x.nbytes
            assert index.nbytes == 5 * 64 * index.codec.code_size
            assert_results(index.search(queries, 4, rerank=N), vp.exact(queries, x, 4))

    def test_reads_are_few_and_ascending(self, x, queries):
        reads = []

        class Watched(np.ndarray):
            def __getitem__(self, which):
                if isinstance(which, np.ndarray):
                    reads.append(which)
                return np.asarray(super().__getitem__(which))

        index = vp.Index(coarse(x), store=x.view(Watched))
        index.add(x)
        _, candidates = index.search(queries, 20)
        index.search(queries, 5, rerank=20)
        assert len(reads) == 1 and reads[0].tolist() == sorted(set(candidates.ravel().tolist()))

    def test_add_without_vectors_takes_them_from_the_store(self, x):
        index = vp.Index(coarse(x), store=x)
        index.add(ids=[5, 3])
        index.add(x[10:12], ids=[10, 11])
        index.add()
        assert index.ids.tolist() == [5, 3, 10, 11, *range(12, N)]
        np.testing.assert_array_equal(index.codes(index.ids), index.codec.encode(x[index.ids]))
        index.add()
        assert len(index) == N - 8

    def test_whole_and_implicit_ids_cost_nothing(self, x):
        index = vp.Index(coarse(x), store=x)
        index.add()
        assert index._contents.ids.ids is None and index._contents.ids.nbytes == 0

    def test_upsert_without_vectors_encodes_anew(self, x):
        changing = x.copy()
        index = vp.Index(coarse(x), store=changing)
        index.add()
        changing[[7, 9]] *= -1
        index.upsert(ids=[9, 7])
        np.testing.assert_array_equal(index.codes([7, 8, 9]), index.codec.encode(changing[7:10]))

    def test_an_id_that_is_no_row(self, x):
        index = vp.Index(coarse(x), store=x[:50])
        index.add(x[:40])
        for call in (
            lambda: index.add(x[:11]),
            lambda: index.add(x[:1], ids=[50]),
            lambda: index.add(ids=[49, 50]),
            lambda: index.add_codes(index.codes([0]), ids=[50]),
            lambda: index.upsert(x[:1], ids=[50]),
        ):
            with pytest.raises(ValueError, match=r"ids expected rows of the store, 0 to 49, got 50"):
                call()
        assert index.ids.tolist() == list(range(40))

    def test_a_bad_row_is_named_when_it_is_read(self, x, queries):
        bad = x.copy()
        index = vp.Index(coarse(x), store=bad)
        index.add(x)
        bad[17] = np.nan
        with pytest.raises(ValueError, match=r"search: store expected finite values, row 17 has NaN"):
            index.search(queries, 5, rerank=N)
        with pytest.raises(ValueError, match=r"add: store .*row 17"):
            vp.Index(coarse(x), store=bad).add()


class TestOwnCodes:
    """Without a store: candidates by coded queries, and the best of them by float queries against the same codes."""

    CODECS = [  # noqa: RUF012
        c for metric in METRICS for c in (
            vp.Sign(metric=metric), vp.ITQ(16, metric=metric), vp.RecurrentBinary(16, 1, recipe="rotation", metric=metric),
            vp.SQ(4, metric=metric),
        )
    ]  # fmt: skip

    @pytest.mark.parametrize("codec", CODECS, ids=repr)
    def test_the_definition(self, codec, x, queries):
        codec.fit(x)
        ids = shuffled(N)
        index = vp.Index(codec)
        index.add(x, ids=ids)
        codes = codec.encode(x)
        for k, rerank in ((5, 20), (10, 10), (3, N - 1), (7, 1000)):
            _, candidates = index.search(queries, min(rerank, N), symmetric=True)
            out = np.full((len(queries), k), np.nan, np.float32), np.full((len(queries), k), -1, np.int64)
            for i, q in enumerate(queries):
                alone = vp.Index(codec)  # nothing but the candidates
                mine = np.isin(ids, candidates[i])
                alone.add_codes(codes[mine], ids=ids[mine])
                found = alone.search(q, k)
                out[0][i], out[1][i] = found[0][0], found[1][0]
            assert_results(index.search(queries, k, rerank=rerank, symmetric=True), out)
            some = index.search(queries[:3], k, rerank=rerank, symmetric=True, num_threads=1)
            assert_results(some, (out[0][:3], out[1][:3]))

    def test_by_hand_for_signs(self, x, queries):
        """Hamming distances by comparing bits; scores by the float query with +1 and -1."""
        index = vp.Index(coarse(x))
        index.add(x)
        mean, level = index.codec.mean_, float(index.codec.level_[0])
        signs, asked = np.where(x > mean, 1, -1), np.where(queries > mean, 1, -1)
        distances = (asked[:, None] != signs).sum(axis=2)
        exact = queries.astype(float) @ (mean + level * signs).T.astype(float)
        _, found = index.search(queries, 4, rerank=25, symmetric=True)
        for i in range(len(queries)):
            shortlist = np.lexsort((np.arange(N), distances[i]))[:25]
            assert found[i].tolist() == shortlist[np.lexsort((shortlist, -exact[i, shortlist]))][:4].tolist()

    def test_it_is_neither_of_the_two_searches_alone(self, x, queries):
        index = vp.Index(coarse(x))
        index.add(x)
        both = index.search(queries, 5, rerank=10, symmetric=True)[1]
        assert (both != index.search(queries, 5, symmetric=True)[1]).any()
        assert (both != index.search(queries, 5)[1]).any()
        assert_results(index.search(queries, 5, rerank=N, symmetric=True), index.search(queries, 5))

    def test_ties_filters_and_few_vectors(self, x, queries):
        same = np.tile(x[:1], (100, 1))
        ids = shuffled(100)
        index = vp.Index(coarse(x))
        index.add(same, ids=ids)
        scores, found = index.search(queries[:2], 5, rerank=20, symmetric=True)
        assert found.tolist() == [np.sort(ids)[:5].tolist()] * 2 and (scores == scores[:, :1]).all()
        index = vp.Index(coarse(x))
        index.add(x)
        for allow in ([7], [], [3, 200, 41], np.arange(N) < 12):
            scores, found = index.search(queries, 8, rerank=10, symmetric=True, allow=allow)
            wanted = np.flatnonzero(allow) if isinstance(allow, np.ndarray) else np.array(allow, int)
            there = found >= 0
            assert np.isin(found[there], wanted).all() and (there.sum(axis=1) == min(8, len(wanted))).all()
            assert (np.isnan(scores) == ~there).all()
        assert (vp.Index(coarse(x)).search(queries, 3, rerank=5, symmetric=True)[1] == -1).all()

    def test_a_store_goes_before_the_codes(self, x, queries):
        index = vp.Index(coarse(x), store=x)
        index.add(x)
        assert_results(index.search(queries, 5, rerank=N, symmetric=True), vp.exact(queries, x, 5))

    def test_what_is_refused(self, x, queries):
        index = vp.Index(coarse(x))
        index.add(x)
        with pytest.raises(ValueError, match=r"search: rerank=20 expected an index with a store, .* or symmetric=True"):
            index.search(queries, 5, rerank=20)
        with pytest.raises(ValueError, match="search: rerank expected"):
            index.search(queries, 5, rerank=4, symmetric=True)
        with pytest.raises(ValueError, match="search: q expected"):
            index.search(queries[:, 1:], 5, rerank=20, symmetric=True)


class TestErrors:
    CALLS = {  # noqa: RUF012
        "kind": (TypeError, "store expected a fitted codec, an array or the path of a .npy file, got list", [[1.0]]),
        "suffix": (ValueError, r"store expected a .npy file, got 'x.npz'", "x.npz"),
        "axes": (ValueError, "store expected a matrix", np.zeros(24)),
        "width": (ValueError, "store expected d=24", np.zeros((5, 23))),
        "dtype": (TypeError, "store expected real numbers", np.zeros((5, 24), complex)),
        "long": (TypeError, "store expected one of the dtypes", np.zeros((5, 24), np.longdouble)),
        "unfitted": (vp.NotFittedError, "not fitted", vp.Raw()),
        "metric": (ValueError, "metric 'ip' as the index's, got 'l2'", vp.Raw(metric="l2").fit(np.zeros((1, 24)))),
        "dim": (ValueError, "dim 24 as the index's, got 23", vp.Raw().fit(np.zeros((1, 23)))),
        "no file": (FileNotFoundError, "none.npy", "none.npy"),
    }

    @pytest.mark.parametrize("call", CALLS)
    def test_what_is_no_store(self, call, x):
        error, message, store = self.CALLS[call]
        with pytest.raises(error, match=message):
            vp.Index(coarse(x), store=store)

    def test_without_a_store(self, x, queries):
        index = vp.Index(coarse(x))
        index.add(x)
        assert index.store is None and index.store_nbytes == 0
        for call, message in (
            (lambda: index.search(queries, rerank=100), r"search: rerank=100 expected an index with a store"),
            (lambda: index.vectors([1], store=True), "vectors: store=True expected an index with a store"),
            (lambda: index.codes([1], store=True), "codes: store=True expected an index with a finer codec"),
            (lambda: index.add_codes(index.codes([1]), store_codes=index.codes([1])), "store_codes expected None"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        for call in (index.add, lambda: index.upsert(ids=[3])):
            with pytest.raises(TypeError, match="x expected vectors, got None"):
                call()

    def test_arguments(self, x, queries):
        finer = vp.Raw("float16").fit(x)
        index = vp.Index(coarse(x), store=finer)
        index.add(x)
        before = index.nbytes, index.store_nbytes, index.ids.tolist()
        codes = index.codes([1, 2])
        for error, message, call in (
            (ValueError, "rerank expected 10 to", lambda: index.search(queries, 10, rerank=9)),
            (TypeError, "rerank expected an int", lambda: index.search(queries, 10, rerank=10.0)),
            (ValueError, "store_codes expected codes of Raw", lambda: index.add_codes(codes)),
            (ValueError, "store_codes expected 2 codes", lambda: index.add_codes(codes, store_codes=finer.encode(x[:1]))),
            (ValueError, "store_codes expected code_size=48", lambda: index.add_codes(codes, store_codes=codes)),
            (ValueError, "add: x expected absolute values up to 65504, row 1", lambda: index.add(x[:2] * [[1], [1e6]])),
            (ValueError, "vectors: ids .* 900 is unknown", lambda: index.vectors([1, 900], store=True)),
            (ValueError, "codes: ids .* 900 is unknown", lambda: index.codes([900], store=True)),
        ):
            with pytest.raises(error, match=message):
                call()
        assert (index.nbytes, index.store_nbytes, index.ids.tolist()) == before

    def test_a_later_fit_does_not_reach_the_store(self, x, queries):
        finer = vp.PQ(4, n_bits=4).fit(x)
        index = vp.Index(coarse(x), store=finer)
        index.add(x)
        before = index.search(queries, 5, rerank=50)
        finer.fit(x * 2 - 1)
        index.store.fit(x * 3)
        assert_results(index.search(queries, 5, rerank=50), before)

    def test_repr(self, x):
        assert repr(vp.Index(coarse(x), store=vp.Raw().fit(x))).endswith("store=Raw(dtype='float32', metric='ip')>")
        assert repr(vp.Index(coarse(x), store=x)).endswith("store=float32 300 x 24 in memory>")


def test_the_demo_at_48_bytes_finds_nearly_all():
    """1 bit a dimension, 100 candidates reranked from float16: the acceptance of the issue, on the set that ships."""
    data = vp.datasets.demo()
    index = vp.Index(vp.Sign().fit(data.base), store=vp.Raw("float16").fit(data.base))
    index.add(data.base)
    _, true_ids = vp.exact(data.queries, data.base)
    assert vp.recall(index.search(data.queries)[1], true_ids) < 0.8
    assert vp.recall(index.search(data.queries, rerank=100)[1], true_ids) >= 0.99
    assert index.codec.code_size == 48 and bits(index.codes([0])) == bits(index.codec.encode(data.base[:1]))
