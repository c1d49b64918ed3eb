"""One contract for every codec there is: each of its examples, on several numbers of columns, on every backend."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import pickle

import numpy as np
import pytest
from hard_values import DTYPES, NOT_FINITE, SIZES, WRONG_DTYPES, values
from helpers import bits, clustered, level_rounding, runnable, scan_all

import vecpress as vp
from vecpress.codec import METRICS

pytestmark = pytest.mark.usefixtures("few_rounds")
DIMS = (24, 30, 13)  # a multiple of 8, an even number that is none, a prime
TRAIN_ROWS = 400
EXAMPLES = [codec for cls in vp.codecs() for codec in cls.examples()]


def serves(codec: vp.Codec, dim: int) -> bool:
    try:
        codec._check_dim(dim)
    except ValueError:
        return False
    return True


CASES = [(codec, dim) for codec in EXAMPLES for dim in DIMS if serves(codec, dim)]
every_example = pytest.mark.parametrize("codec", EXAMPLES, ids=repr)
every_case = pytest.mark.parametrize(("codec", "dim"), CASES, ids=[f"{codec!r}-{dim}" for codec, dim in CASES])
FIRST = [next(c for c in CASES if c[0] is codec) for codec in EXAMPLES]
each_once = pytest.mark.parametrize(("codec", "dim"), FIRST, ids=[repr(c) for c in EXAMPLES])
# for what fits again or encodes row by row on every backend: each codec once by default
each_once_or_slowly = pytest.mark.parametrize(
    ("codec", "dim"),
    [pytest.param(*c, id=f"{c[0]!r}-{c[1]}", marks=() if any(c is f for f in FIRST) else pytest.mark.slow) for c in CASES],
)


def train(dim: int) -> np.ndarray:
    return clustered(3, TRAIN_ROWS, dim)


def more(dim: int, n: int = 130) -> np.ndarray:
    """Rows of the training set's source that are not in it."""
    return clustered(3, n, dim, draw=1)


@functools.cache
def _fitted(config: str, cls: type[vp.Codec], dim: int) -> vp.Codec:
    return cls(**json.loads(config)).fit(train(dim))


def fitted(codec: vp.Codec, dim: int) -> vp.Codec:
    """The example fitted on `train(dim)`; fitted once, so a test that fits again takes a copy."""
    return _fitted(json.dumps(codec.config()), type(codec), dim)


def as_coded(codec: vp.Codec, x: np.ndarray) -> np.ndarray:
    """float64: what the codec's metric compares, rows of length 1 under "cos"."""
    x = x.astype(np.float64)
    if codec.metric != "cos":
        return x
    length = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x / np.where(length > 0, length, 1)


# ---- configuration


def test_every_codec_has_examples_that_some_case_covers():
    assert {"PQ", "Raw", "Sign"} <= {cls.__name__ for cls in vp.codecs()}
    for cls in vp.codecs():
        assert any(type(codec) is cls for codec, _ in CASES), f"{cls.__name__} has no example that serves any of {DIMS}"
        assert {codec.metric for codec in cls.examples()} == set(METRICS)
        assert vp.codec_class(cls.__name__) is cls
    assert all(any(case[0] is codec for case in CASES) for codec in EXAMPLES)


def test_an_unknown_codec_is_named():
    with pytest.raises(ValueError, match=r"no codec 'Nothing'.*PQ, .*Raw, .*Sign"):
        vp.codec_class("Nothing")


@every_example
def test_configuration_survives_json(codec):
    config = json.loads(json.dumps(codec.config()))
    assert type(codec)(**config) == codec
    assert type(codec)(**config).config() == config


@every_example
def test_repr_makes_an_equal_codec(codec):
    assert eval(repr(codec), {cls.__name__: cls for cls in vp.codecs()}) == codec


@every_example
def test_numpy_scalars_configure_as_python_values_do(codec):
    kinds = {
        bool: np.bool_, int: np.int64, float: np.float64, str: np.str_, list: lambda v: [np.int64(each) for each in v],
        type(None): lambda none: none,
    }  # fmt: skip
    config = {k: kinds[type(v)](v) for k, v in codec.config().items()}
    made = type(codec)(**config)
    assert made == codec and repr(made) == repr(codec) and json.dumps(made.config()) == json.dumps(codec.config())


@every_example
@pytest.mark.parametrize("wrong", [None, object(), 1.5, True, [1], {}, np.array([1, 2])], ids=lambda w: type(w).__name__)
def test_configuration_of_a_wrong_kind_is_a_type_error(codec, wrong):
    parameters = inspect.signature(type(codec)).parameters
    for name, value in codec.config().items():
        if isinstance(value, (bool, list)) and isinstance(wrong, (bool, list)):
            continue  # layers are given by either
        if wrong is None and parameters[name].default is None:
            continue
        if isinstance(wrong, float) and "float" in parameters[name].annotation:
            continue
        with pytest.raises(TypeError, match=f"{type(codec).__name__}: {name} expected "):
            type(codec)(**{**codec.config(), name: wrong})


@every_example
def test_configuration_of_a_wrong_value_is_a_value_error(codec):
    for name, value in codec.config().items():
        wrong = "cosine" if isinstance(value, str) else -1
        kinds = (ValueError, TypeError) if isinstance(value, bool) else ValueError  # a bool has no wrong value but a wrong kind
        with pytest.raises(kinds, match=f"{type(codec).__name__}: {name} expected .*, got ({wrong!r}|list)"):
            type(codec)(**{**codec.config(), name: [wrong] if isinstance(value, (bool, list)) else wrong})


@every_example
def test_configuration_is_keyword_or_documented_position_and_nothing_else(codec):
    with pytest.raises(TypeError):
        type(codec)(**codec.config(), unheard_of=1)


# ---- before fit


@every_example
def test_nothing_learned_is_there_before_fit(codec):
    codec = copy.deepcopy(codec)
    assert not codec.is_fitted
    x = np.zeros((2, 24), np.float32)
    calls = [
        codec.check_fitted, lambda: codec.dim, lambda: codec.bits_per_dim, lambda: codec.state_nbytes, lambda: codec.arrays(),
        lambda: codec.encode(x), lambda: codec.decode(np.zeros((2, 3), np.uint8)), lambda: codec.query(x),
        lambda: codec.query(x, symmetric=True), *(functools.partial(getattr, codec, name) for name in codec.state),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(vp.NotFittedError, match=f"{type(codec).__name__} is not fitted"):
            call()
    assert not any(hasattr(codec, name) for name in ("dim", "dim_", *codec.state))
    with pytest.raises(AttributeError, match="no attribute 'unheard_of'"):
        codec.unheard_of  # noqa: B018


# ---- after fit


@each_once_or_slowly
def test_fit_returns_self_with_the_declared_state(codec, dim):
    codec = copy.deepcopy(codec)
    assert codec.fit(train(dim)) is codec
    assert codec.is_fitted and codec.dim == dim
    assert codec.bits_per_dim == 8 * codec.code_size / dim
    arrays = codec.arrays()
    assert list(arrays) == list(codec.state)
    for name, declared in codec.state.items():
        assert arrays[name].dtype == declared.dtype and arrays[name].flags.c_contiguous
        shape = tuple(getattr(codec, s) if isinstance(s, str) else s for s in declared.shape)
        assert arrays[name].shape == shape
        assert np.isfinite(arrays[name]).all()
    assert codec.state_nbytes == sum(a.nbytes for a in arrays.values())


@every_case
def test_equality_is_that_of_configuration_and_state(codec, dim):
    one = fitted(codec, dim)
    assert one == copy.deepcopy(one) and one == copy.copy(one)
    assert one != codec and codec == copy.deepcopy(codec)
    assert one != "a codec"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    def differs(config, arrays):
        try:
            return one != type(one).restore(config, one.dim, arrays)
        except ValueError:  # arrays that say how others are to be read do not go with any
            return True

    for name in one.state:
        array = one.arrays()[name].copy()
        array.reshape(-1)[:1] += 1  # bytes wrap around
        assert not array.size or differs(one.config(), {**one.arrays(), name: array})
    for metric in set(METRICS) - {one.metric}:  # the same state, read another way
        assert differs({**one.config(), "metric": metric}, one.arrays())


@each_once
def test_learned_arrays_are_read_only(codec, dim):
    """Copies share them, and so do indexes."""
    one = copy.deepcopy(codec).fit(train(dim))
    assert not any(array.flags.writeable for array in one.arrays().values())  # before a copy is made, which would see to it
    given = {name: array.copy() for name, array in one.arrays().items()}
    restored = type(one).restore(one.config(), one.dim, given)
    for other in (one, restored, copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one
        for array in other.arrays().values():
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    for array in given.values():
        array[...] = 0  # what was handed in stays the caller's
    assert restored == one


@each_once
def test_a_copy_is_independent(codec, dim):
    one = fitted(codec, dim)
    before = {name: bits(a) for name, a in one.arrays().items()}
    for other in (copy.copy(one), copy.deepcopy(one)):
        assert bits(other.encode(more(dim))) == bits(one.encode(more(dim)))
        other.fit(train(dim) * 2 + 1)
        assert {name: bits(a) for name, a in one.arrays().items()} == before


@every_case
def test_restore_gives_an_equal_codec(codec, dim):
    one = fitted(codec, dim)
    again = type(one).restore(one.config(), one.dim, one.arrays())
    assert again == one
    assert bits(again.encode(more(dim))) == bits(one.encode(more(dim)))


@each_once
def test_restore_refuses_what_does_not_belong_together(codec, dim):
    one = fitted(codec, dim)
    restore, arrays = type(one).restore, one.arrays()
    with pytest.raises(ValueError, match="dim expected"):
        restore(one.config(), 0, arrays)
    with pytest.raises(ValueError, match="dim expected"):
        restore(one.config(), True, arrays)
    with pytest.raises(ValueError, match="configuration"):
        restore({**one.config(), "unheard_of": 1}, dim, arrays)
    with pytest.raises(ValueError, match="arrays expected"):
        restore(one.config(), dim, {**arrays, "extra_": np.zeros(1, np.float32)})
    for name, a in arrays.items():
        with pytest.raises(ValueError, match="arrays expected"):
            restore(one.config(), dim, {k: v for k, v in arrays.items() if k != name})
        for wrong in (a.astype(np.float64), np.concatenate((a, a)), a[None], a[:0]):
            if wrong.dtype == a.dtype and wrong.shape == a.shape:
                continue  # of none there is no half
            with pytest.raises(ValueError, match=f"{name}: expected"):
                restore(one.config(), dim, {**arrays, name: wrong})
        if a.dtype.kind != "f" or not a.size:
            continue
        spoilt = a.copy()
        spoilt.flat[-1] = np.nan
        with pytest.raises(ValueError, match=f"{name}: expected finite"):
            restore(one.config(), dim, {**arrays, name: spoilt})


@every_example
@pytest.mark.parametrize("dim", [1, 7, 64, 384])
def test_candidates_serve_the_dimension_under_the_metric(codec, dim):
    found = type(codec).candidates(dim, codec.metric)
    assert found, f"{type(codec).__name__} has nothing to compare at d={dim}"
    for one in found:
        one._check_dim(dim)
        assert one.metric == codec.metric and found.count(one) == 1


# ---- encode and decode


@every_case
def test_shapes_and_dtypes_at_every_size(codec, dim):
    codec = fitted(codec, dim)
    x = more(dim, max(SIZES))
    whole = codec.encode(x)
    for n in SIZES:
        codes = codec.encode(x[:n])
        assert codes.dtype == np.uint8 and codes.shape == (n, codec.code_size)
        assert bits(codes) == bits(whole[:n])
        decoded = codec.decode(codes)
        assert decoded.dtype == np.float32 and decoded.shape == (n, dim)
        assert np.isfinite(decoded).all()


@each_once_or_slowly
def test_a_row_encodes_the_same_alone_in_a_batch_and_on_every_backend(codec, dim):
    codec = fitted(codec, dim)
    x = np.concatenate((more(dim, 97), values(5, 33, dim)))
    codes = codec.encode(x)
    alone = np.concatenate([codec.encode(row) for row in x])
    assert bits(alone) == bits(codes)
    for backend in runnable():
        with vp.use(backend):
            for num_threads in (1, 2):
                assert bits(codec.encode(x, num_threads=num_threads)) == bits(codes), (backend, num_threads)
            assert bits(np.concatenate([codec.encode(row) for row in x[::10]])) == bits(codes[::10]), backend


@every_case
def test_encoding_in_blocks_changes_nothing(codec, dim, monkeypatch):
    codec = fitted(codec, dim)
    x = more(dim)
    whole = codec.encode(x)
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * dim * 7)
    assert bits(codec.encode(x)) == bits(whole)


@every_case
def test_a_decoded_code_encodes_to_itself(codec, dim):
    if codec.head:  # a stored scale serves estimates, or is rounded: what it decodes to has another
        pytest.skip("codes with factors are not projections")
    if isinstance(codec, vp.RQ):  # tests/codecs/test_rq.py has what holds instead
        pytest.skip("a search over sums may find another sum for what it decodes to")
    codec = fitted(codec, dim)
    codes = codec.encode(np.concatenate((more(dim), values(6, 33, dim))))
    # under "cos" `encode` scales to length 1 first, which a decoded vector need not have
    again = codec._encode(codec.decode(codes), None) if codec.metric == "cos" else codec.encode(codec.decode(codes))
    assert bits(again) == bits(codes)


@every_case
def test_decoding_beats_the_mean(codec, dim):
    codec = fitted(codec, dim)
    x = as_coded(codec, more(dim))
    mean = as_coded(codec, train(dim)).mean(axis=0)
    assert ((x - codec.decode(codec.encode(more(dim)))) ** 2).sum() < 0.9 * ((x - mean) ** 2).sum()


@every_case
def test_any_bytes_decode_and_scan(codec, dim):
    codec = fitted(codec, dim)
    codes = np.random.default_rng(0).integers(0, 256, (65, codec.code_size), np.uint8)
    with np.errstate(all="ignore"):  # bytes that stand for NaN may turn up
        assert codec.decode(codes).shape == (65, dim)
    scores, ids = codec.query(more(dim, 2)).search(vp.ops.Blocks.pack(codes, codec.head, codec.group), 65)
    assert scores.shape == (2, 65) and (np.sort(ids, axis=1) == np.arange(65)).all()


@each_once_or_slowly
def test_inputs_are_neither_changed_nor_kept(codec, dim):
    x = train(dim)
    codec = copy.deepcopy(codec).fit(x)
    codes = codec.encode(x)
    assert (x == train(dim)).all()
    state = {name: bits(a) for name, a in codec.arrays().items()}
    kept = codes.copy()
    codec.decode(codes)
    codec.query(x[:3])
    x.fill(0)
    assert (codes == kept).all() and {name: bits(a) for name, a in codec.arrays().items()} == state


# ---- scores


@every_case
@pytest.mark.parametrize("symmetric", [False, True], ids=["asymmetric", "symmetric"])
def test_scores_are_the_same_bits_on_every_backend(codec, dim, symmetric):
    codec = fitted(codec, dim)
    q, codes = more(dim, 5), codec.encode(train(dim)[:130])
    expected = scan_all(codec, codes, codec.query(q, symmetric=symmetric))
    assert np.isfinite(expected).all()
    for backend in runnable():
        with vp.use(backend):
            for num_threads in (1, 2):
                query = codec.query(q, symmetric=symmetric, num_threads=num_threads)
                assert bits(scan_all(codec, codes, query, num_threads)) == bits(expected), (backend, num_threads)
    one_by_one = [scan_all(codec, codes, codec.query(row, symmetric=symmetric)) for row in q]
    assert bits(np.concatenate(one_by_one)) == bits(expected)


@every_case
def test_scores_are_the_metric_of_the_decoded_vector(codec, dim):
    codec = fitted(codec, dim)
    q, codes = more(dim, 9), codec.encode(train(dim)[:65])
    query, decoded = as_coded(codec, q), codec.decode(codes).astype(np.float64)
    if codec.metric == "l2":
        expected = -((query[:, None] - decoded[None]) ** 2).sum(axis=2)
        scale = ((np.abs(query)[:, None] + np.abs(decoded)[None]) ** 2).sum(axis=2)
    else:
        expected = query @ decoded.T
        scale = np.abs(query) @ np.abs(decoded).T
    found = codec.query(q)
    error = np.abs(scan_all(codec, codes, found) - expected)
    assert (error <= (dim + 8) * 2.0**-24 * scale + level_rounding(found, codes)).all()


@every_case
def test_symmetric_scores_obey_their_law(codec, dim):
    codec = fitted(codec, dim)
    x = more(dim, 33)
    codes = codec.encode(x)
    query = codec.query(x, symmetric=True)
    scores = scan_all(codec, codes, query)
    if query.scan == "hamming":
        distance = np.unpackbits(codes[:, None] ^ codes[None], axis=2).sum(axis=2)
        slope, intercept = float(query.scale), 0.0 if query.constant is None else query.constant[:, None]
        assert slope < 0
        rounding = 2.0**-22 * np.abs(intercept).max()
        np.testing.assert_allclose(scores, slope * distance + intercept, rtol=1e-6, atol=rounding)
        order = query.search(vp.ops.Blocks.pack(codes), len(codes))[1]
        assert (order == np.lexsort((np.broadcast_to(np.arange(33), distance.shape), distance))).all()
    elif query.scan == "sdc":  # products of the codes' whole numbers, in their places tests/codecs/test_recurrentbinary.py has
        decoded = codec.decode(codes).astype(np.float64)
        assert np.corrcoef(scores.ravel(), (decoded @ decoded.T).ravel())[0, 1] > 0.9
    else:
        assert bits(scores) == bits(scan_all(codec, codes, codec._query(codec.decode(codes), None)))
    scale = np.abs(scores).max()
    off = dim * 2.0**-23 * scale + level_rounding(query, codes)
    if query.bias_weights is not None:
        off = off + np.abs(query.bias_weights).max() * level_rounding(query, codes)
    assert (np.abs(scores - scores.T) <= 1e-7 * np.abs(scores) + off + off[:, None]).all()
    if codec.metric == "l2":
        assert (np.abs(np.diag(scores)) <= off).all()  # the distance of a code from itself


@pytest.mark.parametrize("codec", [c for c in EXAMPLES if c.metric == "cos"], ids=repr)
def test_a_zero_query_scores_zero_under_cos(codec):
    codec = fitted(codec, 24)
    scores = scan_all(codec, codec.encode(more(24)), codec.query(np.zeros((2, 24), np.float32)))
    assert (scores == 0).all()


@pytest.mark.parametrize("codec", [c for c in EXAMPLES if c.metric == "cos"], ids=repr)
def test_length_does_not_matter_under_cos(codec):
    codec = fitted(codec, 24)
    x = more(24)
    scaled = x * np.float32(2.0**30)
    scaled[::2] = x[::2] * np.float32(2.0**-90)
    scaled[::3] = x[::3] * np.float32(2.0**120)
    assert bits(codec.encode(scaled)) == bits(codec.encode(x))
    assert bits(scan_all(codec, codec.encode(x), codec.query(scaled))) == bits(scan_all(codec, codec.encode(x), codec.query(x)))


@every_case
def test_no_queries_and_no_codes_are_fine(codec, dim):
    codec = fitted(codec, dim)
    nothing = np.zeros((0, dim), np.float32)
    for symmetric in (False, True):
        assert scan_all(codec, codec.encode(more(dim, 3)), codec.query(nothing, symmetric=symmetric)).shape == (0, 3)
        scores, ids = codec.query(more(dim, 2), symmetric=symmetric).search(
            vp.ops.Blocks.pack(codec.encode(nothing), codec.head, codec.group), 4
        )
        assert np.isnan(scores).all() and (ids == -1).all() and ids.shape == (2, 4)


# ---- the same bits again


@each_once
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "all"])
def test_the_same_seed_gives_the_same_bits(codec, dim, every):
    state = [bits(a) for a in fitted(codec, dim).arrays().values()]
    best, *others = (name for name in reversed(runnable()) if name != "reference")
    for backend in (best, *others):
        with vp.use(backend):
            for num_threads in (1, 2) if every or backend == best else (2,):
                again = copy.deepcopy(codec).fit(train(dim), num_threads=num_threads)
                assert [bits(a) for a in again.arrays().values()] == state, (backend, num_threads)


# ---- input of many kinds


class HasArray:
    def __init__(self, x):
        self._x = x

    def __array__(self, dtype=None, copy=None):
        return self._x if dtype is None else self._x.astype(dtype)


class HasDlpack:
    def __init__(self, x):
        self._x = x

    def __dlpack__(self, **kwargs):
        return self._x.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self._x.__dlpack_device__()


def small_integers(n: int, dim: int) -> np.ndarray:
    """float32 whole numbers 0..90 that every dtype holds."""
    return np.rint(np.clip(clustered(3, n, dim) * 15 + 45, 0, 90)).astype(np.float32)


@each_once
def test_every_dtype_counts_as_float32_of_it(codec, dim):
    x = small_integers(TRAIN_ROWS, dim)
    codec = copy.deepcopy(codec).fit(x)
    codes, scores = codec.encode(x), scan_all(codec, codec.encode(x), codec.query(x[:3]))
    for dtype in DTYPES:
        assert bits(codec.encode(x.astype(dtype))) == bits(codes), dtype
        assert bits(scan_all(codec, codes, codec.query(x[:3].astype(dtype)))) == bits(scores), dtype
    assert copy.deepcopy(codec).fit(x.astype(np.float16)) == codec
    assert copy.deepcopy(codec).fit(x.astype(np.uint8)) == codec
    fine = x + np.random.default_rng(0).uniform(0, 0.1, x.shape)
    assert bits(codec.encode(fine)) == bits(codec.encode(fine.astype(np.float32)))


@each_once
def test_every_container_counts_as_its_array(codec, dim, tmp_path):
    x = more(dim, 33)
    codec = fitted(codec, dim)
    codes = bits(codec.encode(x))
    mapped = np.memmap(tmp_path / "x.f4", np.float32, "w+", shape=x.shape)
    mapped[:] = x
    wide = np.zeros((66, 2 * dim), np.float32)
    wide[::2, ::2] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    raw[1:] = x.view(np.uint8).ravel()
    locked = x.copy()
    locked.flags.writeable = False
    containers = {
        "list": x.tolist(),
        "tuple of rows": tuple(x),
        "memory map": mapped,
        "read-only": locked,
        "Fortran order": np.asfortranarray(x),
        "strided": wide[::2, ::2],
        "backwards": x[::-1].copy()[::-1],
        "misaligned": raw[1:].view(np.float32).reshape(x.shape),
        "__array__": HasArray(x),
        "__dlpack__": HasDlpack(x),
    }
    for kind, container in containers.items():
        assert bits(codec.encode(container)) == codes, kind
    assert bits(codec.encode(x[0])) == codes[: codec.code_size]  # one vector is one row


@each_once
def test_a_memory_mapped_float16_file_is_fitted(codec, dim, tmp_path):
    x = train(dim).astype(np.float16)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert copy.deepcopy(codec).fit(mapped) == copy.deepcopy(codec).fit(x.astype(np.float32))


@each_once
def test_torch_in_gives_torch_out(codec, dim):
    torch = pytest.importorskip("torch")
    codec, x = fitted(codec, dim), more(dim, 33)
    codes = codec.encode(torch.from_numpy(x))
    assert isinstance(codes, torch.Tensor) and codes.dtype == torch.uint8
    assert bits(codes.numpy()) == bits(codec.encode(x))
    decoded = codec.decode(codes)
    assert isinstance(decoded, torch.Tensor) and decoded.dtype == torch.float32
    assert bits(decoded.numpy()) == bits(codec.decode(codes.numpy()))
    needs_grad = torch.from_numpy(x).requires_grad_()
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        tensor = needs_grad.to(dtype)
        expected = codec.encode(tensor.detach().to(torch.float32).numpy())
        assert bits(codec.encode(tensor).numpy()) == bits(expected), dtype
    assert copy.deepcopy(codec).fit(torch.from_numpy(train(dim))) == codec
    for wrong in (torch.zeros((2, dim), dtype=torch.bool), torch.zeros((2, dim), dtype=torch.complex64)):
        with pytest.raises(TypeError, match="expected real numbers, got dtype torch"):
            codec.encode(wrong)
    with pytest.raises(ValueError, match="row 1 has NaN or infinity"):
        codec.encode(torch.tensor([[0.0] * dim, [float("nan")] * dim]))


# ---- bad input


PUBLIC = {
    "fit: x": lambda codec, x: codec.fit(x),
    "fit: queries": lambda codec, x: codec.fit(train(codec.dim), x),
    "encode: x": lambda codec, x: codec.encode(x),
    "query: q": lambda codec, x: codec.query(x),
    "query: q, symmetric": lambda codec, x: codec.query(x, symmetric=True),
}
every_method = pytest.mark.parametrize("what", PUBLIC)


def refused(codec, dim, what, x, error, match):
    codec = copy.deepcopy(fitted(codec, dim))
    before = fitted(codec, dim)
    with pytest.raises(error, match=f"^{what.split(',')[0]} expected {match}"):
        PUBLIC[what](codec, x)
    assert codec == before  # nothing changed


@each_once
@every_method
@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_value_that_is_no_number_is_refused_with_its_row(codec, dim, what, value):
    x = more(dim, 9)
    for row, column in ((0, 0), (2, dim - 1), (8, 1)):
        bad = x.copy()
        bad[row, column] = value
        bad[8, 0] = np.nan  # the first bad row is the one named
        refused(codec, dim, what, bad, ValueError, f"finite values, row {row} has NaN or infinity$")
    bad = x.copy()
    bad[3, 0], bad[3, 1] = np.inf, -np.inf
    refused(codec, dim, what, bad, ValueError, "finite values, row 3 has NaN or infinity$")


@each_once
def test_rows_checked_as_they_are_encoded_are_refused_as_those_checked_before(codec, dim, monkeypatch):
    monkeypatch.setattr("vecpress.arrays.BLOCK_BYTES", 4 * 4 * dim)  # blocks of four rows, each looked through for NaN first
    x = more(dim, 12)
    for bad in ({5: np.nan, 9: np.inf}, {4: 1e38, 6: np.nan, 9: np.inf}, {7: 1e38, 8: np.nan}):
        for row, value in bad.items():
            x[row, dim // 2] = value
        messages = []
        for same in (x, np.asfortranarray(x)):  # the second is converted, and so checked before it is encoded
            try:
                messages.append(fitted(codec, dim).encode(same).tobytes())
            except ValueError as error:
                messages.append(str(error))
        assert messages[0] == messages[1] and "row" in messages[0]
        x = more(dim, 12)


@each_once
@every_method
def test_a_value_beyond_float32_is_refused_with_its_row(codec, dim, what):
    bad = more(dim, 9).astype(np.float64)
    bad[4, 2] = -1e39
    refused(codec, dim, what, bad, ValueError, "finite values, row 4 has a value beyond float32's range$")


@each_once
@every_method
def test_an_integer_that_float32_cannot_hold_is_refused_with_its_row(codec, dim, what):
    for value, dtype in ((2**24 + 1, np.int32), (-(2**24) - 1, np.int64), (2**53 + 1, np.int64), (2**64 - 1, np.uint64)):
        bad = np.zeros((5, dim), dtype)
        bad[3, 1] = value
        refused(codec, dim, what, bad, ValueError, f"integers that float32 holds exactly, row 3 has {value}$")


@each_once
@every_method
def test_other_kinds_of_values_are_refused(codec, dim, what):
    for dtype in WRONG_DTYPES:
        refused(codec, dim, what, np.zeros((3, dim)).astype(dtype), TypeError, "real numbers, got dtype")
    masked = np.ma.masked_array(np.zeros((3, dim)), mask=True)
    for wrong in ("text", b"bytes", {}, {1.0}, masked, *([] if what == "fit: queries" else [None])):
        refused(codec, dim, what, wrong, TypeError, "a matrix of numbers, got")
    refused(codec, dim, what, object(), TypeError, "real numbers, got dtype object")
    refused(codec, dim, what, iter([1.0]), TypeError, "real numbers, got dtype object")


@each_once
@every_method
def test_other_shapes_are_refused(codec, dim, what):
    shapes = [(3, dim, 1), (), (1, 3, dim)]
    for shape in shapes:
        refused(codec, dim, what, np.zeros(shape, np.float32), ValueError, "a matrix .*, got shape")
    refused(codec, dim, what, [[1.0] * dim, [2.0]], ValueError, "a matrix of numbers, got list")
    if what == "fit: x":
        refused(codec, dim, what, np.zeros((3, 0), np.float32), ValueError, "at least one column")
        refused(codec, dim, what, np.zeros((0, dim), np.float32), ValueError, "at least one row, got none")
    else:
        for width in (0, 1, dim - 1, dim + 1):
            message = rf"d={dim} columns, got shape \(3, {width}\)"
            refused(codec, dim, what, np.zeros((3, width), np.float32), ValueError, message)


@each_once
def test_a_failed_first_fit_leaves_the_codec_unfitted(codec, dim):
    codec = copy.deepcopy(codec)
    for bad in (np.full((9, dim), np.nan), np.zeros((0, dim)), "text"):
        with pytest.raises((TypeError, ValueError)):
            codec.fit(bad)
        assert not codec.is_fitted and codec.__dict__ == type(codec)(**codec.config()).__dict__


@each_once
def test_what_is_no_code_is_refused(codec, dim):
    codec = fitted(codec, dim)
    size = codec.code_size
    for wrong in (np.zeros((2, size)), np.zeros((2, size), np.int8), [[0] * size], "text", None):
        with pytest.raises(TypeError, match=r"^decode: codes expected"):
            codec.decode(wrong)
    for shape in ((2, size + 1), (2, size - 1), (size,), (1, 2, size)):
        with pytest.raises(ValueError, match=f"^decode: codes expected code_size={size} columns"):
            codec.decode(np.zeros(shape, np.uint8))


@each_once
def test_codes_in_any_layout_decode_the_same(codec, dim):
    codec = fitted(codec, dim)
    codes = codec.encode(more(dim, 33))
    wide = np.zeros((66, 2 * codec.code_size), np.uint8)
    wide[::2, ::2] = codes
    for same in (wide[::2, ::2], np.asfortranarray(codes), HasArray(codes), HasDlpack(codes)):
        assert bits(codec.decode(same)) == bits(codec.decode(codes))


@each_once
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (0, ValueError), (-1, ValueError), (1025, ValueError), (2**40, ValueError),
        (1.0, TypeError), (1.5, TypeError), (True, TypeError), ("2", TypeError),
    ],
)  # fmt: skip
def test_a_wrong_number_of_threads_is_refused(codec, dim, wrong, error):
    codec = copy.deepcopy(fitted(codec, dim))
    for call in (
        lambda: codec.fit(train(dim), num_threads=wrong),
        lambda: codec.encode(more(dim), num_threads=wrong),
        lambda: codec.query(more(dim), num_threads=wrong),
    ):
        with pytest.raises(error, match="num_threads expected"):
            call()


@each_once
def test_a_number_of_threads_that_is_given_is_used_throughout(codec, dim, monkeypatch):
    """No step on the way asks for the default, which raises here."""
    one, x = fitted(codec, dim), more(dim)
    codes = one.encode(x)
    monkeypatch.setenv("VECPRESS_NUM_THREADS", "none")
    assert copy.deepcopy(codec).fit(train(dim), num_threads=1) == one
    assert bits(one.encode(x, num_threads=1)) == bits(codes)
    blocks = vp.ops.Blocks.pack(codes, one.head, one.group, num_threads=1)
    for symmetric in (False, True):
        one.query(x, symmetric=symmetric, num_threads=1).search(blocks, 3, num_threads=1)
    for call in (lambda: copy.deepcopy(codec).fit(train(dim)), lambda: one.encode(x), lambda: one.query(x)):
        with pytest.raises(ValueError, match="VECPRESS_NUM_THREADS expected 1 to 1024, got 'none'"):
            call()


LIMITED = [c for c in EXAMPLES if c.metric != "cos" and c.largest < np.finfo(np.float32).max]


@pytest.mark.parametrize("codec", LIMITED, ids=repr)
def test_values_beyond_the_largest_are_refused_with_their_row(codec):
    dim = 24
    unfitted, codec = codec, copy.deepcopy(fitted(codec, dim))
    # a codec may learn how much its codes hold; to `fit`, which learns it again, that is no limit
    for limit, call in (
        (unfitted.largest, codec.fit),
        (codec.largest, codec.encode),
        (codec.largest, functools.partial(codec.query, symmetric=True)),
    ):
        bad = more(dim, 9)
        bad[5, 3] = -1.001 * limit
        bad[7, 0] = 2 * limit
        with pytest.raises(ValueError, match=r"expected absolute values up to .*, row 5 has -"):
            call(bad)
    assert codec == fitted(codec, dim)
    edge = more(dim, 2)
    edge[0, 0] = codec.largest
    assert np.isfinite(codec.decode(codec.encode(edge))).all()
