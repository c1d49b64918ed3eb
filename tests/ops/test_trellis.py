"""The scan of trellis codes by hand, against sums in float64 and the reference, and with queries that break its screen."""

from __future__ import annotations

import numpy as np
import pytest
from calls import ALL_WORDS, some_levels, some_words
from helpers import bits

from vecpress import dispatch, ops
from vecpress.ops import Blocks, Factor
from vecpress.ops.encode_trellis import steps_of
from vecpress.ops.factors import from_u2
from vecpress.ops.trellis_levels import LEVELS, TABLES

BACKENDS = dispatch.operations()["trellis"]
every_window = pytest.mark.parametrize("usual", TABLES.values(), ids=TABLES.keys())
K = 10
KINDS = ("one", "number", "u1", "u2", "f2", "f4")


@pytest.fixture(params=BACKENDS)
def backend(request, need_backend):
    need_backend(request.param)
    return request.param


@pytest.fixture(params=[name for name in BACKENDS if name != "reference"])
def kernel(request, need_backend):
    need_backend(request.param)
    return request.param


def columns(words: np.ndarray) -> int:
    return int(steps_of(words).sum())


def payload(words: np.ndarray) -> int:
    return int(words[:, 0].sum(dtype=int))


def random_codes(rng: np.random.Generator, n: int, words: np.ndarray, labels: int = 0) -> np.ndarray:
    return rng.integers(0, 256, (n, labels + payload(words)), dtype=np.uint8)


def float_sums(codes, rows, words, tables, levels=LEVELS) -> np.ndarray:
    """float64[nq, n]"""
    labels = 0 if tables is None else tables.shape[1]
    decoded = ops.decode_trellis(np.ascontiguousarray(codes[:, labels:]), words, levels).astype(np.float64)
    sums = rows.astype(np.float64) @ decoded.T
    for v in range(labels):
        sums += tables[:, v].astype(np.float64)[:, codes[:, v]]
    return sums


def same(kernel, blocks, rows, k=K, **options):
    with dispatch.use("reference"):
        wanted = ops.trellis(blocks, rows, k, **options)
    for threads in (1, 2):
        with dispatch.use(kernel):
            got = ops.trellis(blocks, rows, k, num_threads=threads, **options)
        np.testing.assert_array_equal(got[1], wanted[1])
        assert bits(got[0]) == bits(wanted[0])


def head_of(rng: np.random.Generator, kind: str, n: int, name: str) -> tuple[np.ndarray, dict]:
    """uint8[n, head] and what of scale or bias it is, at offset 0."""
    numbers = rng.uniform(0.1, 3, n).astype(np.float32)
    if kind in ("one", "number"):
        return np.empty((n, 0), np.uint8), {"scale": 1.0 if kind == "one" else -0.7} if name == "scale" else {}
    if kind == "u1":
        table = rng.uniform(-1, 3, 256).astype(np.float32)
        return rng.integers(0, 256, (n, 1), dtype=np.uint8), {name: Factor(0, "u1", table)}
    if kind == "u2":
        return rng.integers(0, 2**16, n).astype("<u2")[:, None].view(np.uint8), {name: Factor(0, "u2", times=2e-4)}
    return numbers.astype("<" + kind)[:, None].view(np.uint8), {name: Factor(0, kind, times=1.5)}


# ---- by hand, and against float64


def test_by_hand(backend):
    """Two values of rate 4 in a byte: windows at bits 0 and 4; a label before it."""
    words, levels = np.array([[1, 4]], np.uint8), np.zeros((4, 64), np.int8)
    levels[3] = np.arange(64)
    codes = np.array([[2, 0b00000001], [1, 0b00110000], [0, 0b00110000], [2, 0b00000001]], np.uint8)
    rows, tables = np.array([[1, 100]], np.float32), np.zeros((1, 1, 256), np.float32)
    tables[0, 0, :3] = 0.5, 7, 20000
    # 00000001: 000001 and, from bit 4 round to bit 1, 010000; 00110000: 110000 and 000011
    with dispatch.use(backend):
        scores, ids = ops.trellis(Blocks.pack(codes), rows, 5, words=words, levels=levels, tables=tables)
        without, order = ops.trellis(Blocks.pack(codes[:, 1:].copy()), rows, 3, words=words, levels=levels)
    assert scores[0, :4].tolist() == [21601, 21601, 355, 348.5] and np.isnan(scores[0, 4])
    assert ids.tolist() == [[0, 3, 1, 2, -1]]
    assert without.tolist() == [[1601, 1601, 348]] and order.tolist() == [[0, 3, 1]]


def test_by_hand_with_windows_of_8_bits(backend):
    """The same: both windows are the whole byte, the second with its halves changed about."""
    words, levels = np.array([[1, 4]], np.uint8), np.zeros((4, 256), np.int8)
    levels[3] = np.arange(256) // 2
    codes, rows = np.array([[0b10000001], [0b00110000], [0b11111111], [0]], np.uint8), np.array([[1, 100]], np.float32)
    with dispatch.use(backend):
        scores, ids = ops.trellis(Blocks.pack(codes), rows, 4, words=words, levels=levels)
    assert scores.tolist() == [[12827, 64 + 100 * 12, 24 + 100 * 1, 0]] and ids.tolist() == [[2, 0, 1, 3]]


@every_window
@pytest.mark.parametrize("labels", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("nq", [1, 17])  # from 16 on, what is lost is bounded by lengths
def test_finds_the_largest_sums(nq, labels, usual, backend):
    rng = np.random.default_rng(nq)
    words = ALL_WORDS[rng.permutation(len(ALL_WORDS))[:8]]
    rows = rng.standard_normal((nq, columns(words))).astype(np.float32)
    codes = random_codes(rng, 1500, words, labels or 0)
    tables = None if labels is None else 300 * rng.standard_normal((nq, labels, 256)).astype(np.float32)
    sums = float_sums(codes, rows, words, tables, usual.levels)
    with dispatch.use(backend):
        scores, ids = ops.trellis(Blocks.pack(codes), rows, K, words=words, levels=usual.levels, tables=tables)
    np.testing.assert_allclose(scores, -np.sort(-sums, axis=1)[:, :K], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(sums, ids, axis=1), scores, rtol=1e-5)


@every_window
@pytest.mark.parametrize(("size", "rate"), ALL_WORDS.tolist())
def test_every_word_is_decoded(size, rate, usual, backend):
    """One query for each component, which picks it out."""
    rng, words = np.random.default_rng((size, rate)), np.array([[3, 3], [size, rate], [2, 1]], np.uint8)
    codes = random_codes(rng, 130, words)
    m, decoded = columns(words), ops.decode_trellis(codes, words, usual.levels)
    with dispatch.use(backend):
        scores, ids = ops.trellis(Blocks.pack(codes), np.eye(m, dtype=np.float32), 130, words=words, levels=usual.levels)
    order = np.argsort(-decoded.T.astype(int), axis=1, kind="stable")
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(scores, np.take_along_axis(decoded.T, order, axis=1))


@every_window
def test_a_planted_best_code_is_found(usual, backend):
    """The code of the query itself, in another place for each query."""
    rng = np.random.default_rng(0)
    words = np.array([[8, 1], [8, 2], [5, 3], [8, 4]], np.uint8)
    units = np.repeat(usual.units[words[:, 1] - 1], steps_of(words)).astype(np.float32)
    rows = rng.standard_normal((20, columns(words))).astype(np.float32)
    codes = random_codes(rng, 3000, words)
    places = rng.choice(3000, 20, replace=False)
    codes[places] = ops.encode_trellis(rows * units, words, usual.levels)[0]
    with dispatch.use(backend):
        ids = np.arange(3000)[::-1].copy()
        found = ops.trellis(Blocks.pack(codes), rows / units, 1, words=words, levels=usual.levels, ids=ids)[1]
    np.testing.assert_array_equal(found[:, 0], 2999 - places)


@pytest.mark.parametrize("kind", ["u1", "u2", "f2", "f4"])
def test_scores_with_factors(kind, backend):
    rng, words = np.random.default_rng(2), ALL_WORDS[::3]
    rows = rng.standard_normal((5, columns(words))).astype(np.float32)
    tables = 100 * rng.standard_normal((5, 2, 256)).astype(np.float32)
    scales, scale = head_of(rng, kind, 500, "scale")
    biases = rng.uniform(-500, 500, 500).astype("<f4")
    codes = random_codes(rng, 500, words, 2)
    constant = rng.standard_normal(5).astype(np.float32)
    blocks = Blocks.pack(np.hstack([scales, biases[:, None].view(np.uint8), codes]), scales.shape[1] + 4)
    stored = {
        "u1": lambda: scale["scale"].table[scales[:, 0]], "u2": lambda: 2e-4 * from_u2(scales.copy().view("<u2")[:, 0]),
        "f2": lambda: 1.5 * scales.copy().view("<f2")[:, 0].astype(float), "f4": lambda: 1.5 * scales.copy().view("<f4")[:, 0],
    }[kind]().astype(np.float64)  # fmt: skip
    wanted = float_sums(codes, rows, words, tables) * stored + biases + constant[:, None]
    options = scale | {"bias": Factor(scales.shape[1], "f4"), "constant": constant, "tables": tables}
    with dispatch.use(backend):
        scores, ids = ops.trellis(blocks, rows, 500, words=words, levels=LEVELS, **options)
    size = np.abs(wanted).max()
    np.testing.assert_allclose(scores, -np.sort(-wanted, axis=1), rtol=1e-5, atol=1e-6 * size)
    np.testing.assert_allclose(np.take_along_axis(wanted, ids, axis=1), scores, rtol=1e-5, atol=1e-6 * size)


def test_allowed_rows_alone_are_found_by_their_ids(backend):
    rng, words = np.random.default_rng(3), np.array([[7, 2]], np.uint8)
    codes, rows = random_codes(rng, 200, words), rng.standard_normal((3, 28)).astype(np.float32)
    allowed = rng.random(200) < 0.3
    allow = np.packbits(np.append(allowed, np.zeros(56, bool)), bitorder="little").view(np.uint64)
    ids = rng.permutation(10**6)[:200]
    sums = np.where(allowed, float_sums(codes, rows, words, None), -np.inf)
    with dispatch.use(backend):
        scores, found = ops.trellis(Blocks.pack(codes), rows, 200, words=words, levels=LEVELS, ids=ids, allow=allow)
    count = int(allowed.sum())
    np.testing.assert_array_equal(np.sort(found[:, :count]), np.tile(np.sort(ids[allowed]), (3, 1)))
    np.testing.assert_allclose(scores[:, :count], -np.sort(-sums, axis=1)[:, :count], rtol=1e-5, atol=1e-3)
    assert (found[:, count:] == -1).all() and np.isnan(scores[:, count:]).all()


def test_without_words_labels_alone_count(backend):
    rng, nothing = np.random.default_rng(4), np.empty((0, 2), np.uint8)
    codes, tables = rng.integers(0, 256, (200, 2), dtype=np.uint8), rng.standard_normal((3, 2, 256)).astype(np.float32)
    rows = np.empty((3, 0), np.float32)
    with dispatch.use(backend):
        scores, _ = ops.trellis(Blocks.pack(codes), rows, 200, words=nothing, levels=LEVELS, tables=tables)
        none, ids = ops.trellis(Blocks.pack(codes[:, :0].copy()), rows, 7, words=nothing, levels=LEVELS)
    sums = tables[:, 0][:, codes[:, 0]] + tables[:, 1][:, codes[:, 1]]
    np.testing.assert_array_equal(scores, -np.sort(-sums, axis=1))
    assert (none == 0).all() and ids.tolist() == [list(range(7))] * 3


# ---- every backend


@every_window
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 127, 128, 199, 200, 201])
def test_numbers_of_rows_and_results(n, usual, kernel):
    rng = np.random.default_rng(n)
    words = some_words(rng, 20)
    blocks, rows = Blocks.pack(random_codes(rng, n, words, 1)), rng.standard_normal((6, columns(words))).astype(np.float32)
    tables = 200 * rng.standard_normal((6, 1, 256)).astype(np.float32)
    for k in (1, 2, max(n - 1, 1), max(n, 1), n + 5):
        same(kernel, blocks, rows, k, words=words, levels=usual.levels, tables=tables)


@every_window
@pytest.mark.parametrize("nq", [1, 2, 3, 4, 5, 17, 130])
@pytest.mark.parametrize("labels", [0, 3])
def test_numbers_of_queries(nq, labels, usual, kernel):
    rng = np.random.default_rng(nq)
    words = some_words(rng, 24)
    blocks = Blocks.pack(random_codes(rng, 700, words, labels))
    rows = rng.standard_normal((nq, columns(words))).astype(np.float32)
    tables = 200 * rng.standard_normal((nq, labels, 256)).astype(np.float32) if labels else None
    same(kernel, blocks, rows, words=words, levels=usual.levels, tables=tables)


@pytest.mark.parametrize("bias", KINDS[2:])
@pytest.mark.parametrize("scale", KINDS)
def test_factors(scale, bias, kernel):
    rng, n, words = np.random.default_rng(5), 900, np.array([[8, 2], [4, 4], [3, 3]], np.uint8)
    first, options = head_of(rng, scale, n, "scale")
    second, more = head_of(rng, bias, n, "bias")
    shifted = more["bias"]
    options |= {"bias": Factor(first.shape[1], shifted.kind, shifted.table, -100 * shifted.times)}
    head = np.hstack([first, second])
    for labels in (0, 2):
        blocks = Blocks.pack(np.hstack([head, random_codes(rng, n, words, labels)]), head.shape[1])
        rows = rng.standard_normal((5, columns(words))).astype(np.float32)
        tables = 100 * rng.standard_normal((5, labels, 256)).astype(np.float32) if labels else None
        same(kernel, blocks, rows, words=words, levels=LEVELS, tables=tables, **options)


@every_window
def test_codes_longer_than_a_tile(usual, kernel):
    """Their places, by fours for each word, are more than 2048, so a block is unpacked in pieces; for few queries than 128."""
    rng = np.random.default_rng(6)
    for words, nq in (
        (np.tile([[8, 1]], (33, 1)), 5), (np.tile([[1, 3]], (600, 1)), 20), (np.tile(ALL_WORDS, (4, 1)), 17), (ALL_WORDS, 1),
        (np.tile([[5, 3], [8, 4]], (9, 1)), 3),
    ):  # fmt: skip
        words = words.astype(np.uint8)
        blocks = Blocks.pack(random_codes(rng, 150, words, 2))
        rows = rng.standard_normal((nq, columns(words))).astype(np.float32)
        tables = 500 * rng.standard_normal((nq, 2, 256)).astype(np.float32)
        same(kernel, blocks, rows, words=words, levels=usual.levels, tables=tables)
        same(kernel, blocks, rows[:1], words=words, levels=usual.levels, tables=tables[:1])


WORDS = np.array([[8, 1], [7, 3], [3, 4], [5, 2]], np.uint8)


@pytest.mark.parametrize(
    ("name", "tables_of"),
    [
        ("one entry far from the others", lambda t: np.where(np.arange(256) == 7, 1e6, t)),
        ("far from zero", lambda t: t + 1e6),
        ("far from zero on either side", lambda t: t + np.array([1e7, -1e7])[:, None]),
        ("equal entries", lambda t: np.full_like(t, 33)),
        ("equal entries in one", lambda t: np.where(np.arange(2)[:, None] == 1, -12.5, t)),
        ("very different ranges", lambda t: t * np.array([1e-6, 1e6])[:, None]),
        ("huge", lambda t: t * 1e30),
        ("near float32's largest", lambda t: np.clip(t * 1e36, -3e38, 3e38)),
        ("tiny", lambda t: t * 1e-42),
        ("zeros", lambda t: 0 * t),
        ("infinite", lambda t: np.where(np.arange(256) == 7, -np.inf, t)),
        ("not numbers", lambda t: np.where(np.arange(256) == 7, np.nan, t)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_hard_tables(name, tables_of, kernel):
    rng = np.random.default_rng(7)
    blocks = Blocks.pack(random_codes(rng, 700, WORDS, 2))
    for nq in (3, 18):
        rows = rng.standard_normal((nq, columns(WORDS))).astype(np.float32)
        with np.errstate(all="ignore"):
            tables = tables_of(100 * rng.standard_normal((nq, 2, 256))).astype(np.float32)
        same(kernel, blocks, rows, words=WORDS, levels=LEVELS, tables=tables)
        same(kernel, blocks, rows * np.float32(1e-3), words=WORDS, levels=LEVELS, tables=tables, scale=-0.5)


@pytest.mark.parametrize(
    ("name", "rows_of"),
    [
        ("zeros", lambda r: 0 * r),
        ("zeros strewn in", lambda r: r * (np.arange(r.shape[1]) % 3 > 0)),
        ("one component far larger", lambda r: r * np.where(np.arange(r.shape[1]) == 5, 1e6, 1)),
        ("huge", lambda r: r * 1e35),
        ("sums overflow", lambda r: np.sign(r) * 3e38),
        ("tiny", lambda r: r * 1e-42),
        ("huge and tiny", lambda r: r * np.where(np.arange(r.shape[1]) % 2, 1e30, 1e-30)),
        ("an infinite component", lambda r: np.where(np.arange(r.shape[1]) == 5, np.inf, r)),
        ("a component that is no number", lambda r: np.where(np.arange(r.shape[1]) == 5, np.nan, r)),
        ("whole numbers", lambda r: np.rint(2 * r)),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_hard_queries(name, rows_of, kernel):
    rng = np.random.default_rng(8)
    for labels in (0, 2):
        blocks = Blocks.pack(random_codes(rng, 700, WORDS, labels))
        for nq in (3, 18):
            with np.errstate(all="ignore"):
                rows = rows_of(rng.standard_normal((nq, columns(WORDS)))).astype(np.float32)
            rows[0] = rng.standard_normal(columns(WORDS))  # beside an ordinary one
            tables = 100 * rng.standard_normal((nq, labels, 256)).astype(np.float32) if labels else None
            same(kernel, blocks, rows, words=WORDS, levels=LEVELS, tables=tables)


@pytest.mark.parametrize("windows", [64, 256])
@pytest.mark.parametrize("finest", [127, 127 * 128])
@pytest.mark.parametrize("nq", [2, 20])
def test_the_bound_holds_when_all_roundings_point_the_same_way(finest, nq, windows, kernel):
    """As `rounded_rows` of worst_calls.py: columns come in pairs of equal whole numbers, one rounded down by 0.49, one up.

    The best rows have the highest level where that raises their true sum and the lowest where not; the others have it the other
    way round, and a number more in one column. The others' label is rounded up by half a step, the best rows' down.
    """
    rng, pairs, n = np.random.default_rng((finest, nq)), 20, 3000
    words = np.tile(np.array([[1, 4]], np.uint8), (pairs + 1, 1))  # two values each, of a nibble
    levels = np.full((4, windows), -127, np.int8)
    levels[3, 15::16], levels[3, 14::16] = 127, -126
    whole = rng.integers(1, min(finest // 2, 2000), (nq, pairs)).astype(np.float64)
    rows = np.stack([whole + 0.49, whole - 0.49], axis=2).reshape(nq, 2 * pairs)
    rows = np.hstack([rows, np.full((nq, 1), finest), np.zeros((nq, 1))]).astype(np.float32)
    codes = np.full((n, pairs + 1), 0xF0, np.uint8)  # the lowest level, then the highest
    codes[:, -1] = 0
    codes[np.arange(n), rng.integers(0, pairs, n)] = 0xFE
    best = n // 3 + rng.choice(n - n // 3, 40, replace=False)
    codes[best, :pairs] = 0x0F
    labels = rng.integers(2, 256, (n, 1)).astype(np.uint8)
    labels[best] = 1
    tables = np.zeros((nq, 1, 256), np.float32)
    tables[:, 0, 1], tables[:, 0, 2:] = 0.499 * finest / 127, 0.501 * finest / 127
    for blocks, labelled in ((Blocks.pack(codes), None), (Blocks.pack(np.hstack([labels, codes])), tables)):
        same(kernel, blocks, rows, 7, words=words, levels=levels, tables=labelled, ids=rng.permutation(n))
        with dispatch.use(kernel):
            assert np.isin(ops.trellis(blocks, rows, 7, words=words, levels=levels, tables=labelled)[1], best).all()


@pytest.mark.parametrize("seed", range(24))
def test_random_calls(seed, kernel):
    rng = np.random.default_rng(seed)
    words, labels, n = some_words(rng, int(rng.integers(0, 50))), int(rng.integers(0, 4)), int(rng.integers(1, 700))
    nq, k = int(rng.choice([1, 2, 3, 4, 5, 17, 33])), int(rng.choice([1, 3, 10, n, n + 3]))
    scales, options = head_of(rng, KINDS[rng.integers(6)], n, "scale")
    if rng.random() < 0.5:
        biases, more = head_of(rng, KINDS[rng.integers(2, 6)], n, "bias")
        given = more["bias"]
        options |= {"bias": Factor(scales.shape[1], given.kind, given.table, given.times)}
        scales = np.hstack([scales, biases])
    blocks = Blocks.pack(np.hstack([scales, random_codes(rng, n, words, labels)]), scales.shape[1])
    rows = rng.standard_normal((nq, columns(words))).astype(np.float32) * np.float32(10.0 ** rng.integers(-20, 20))
    size = float(np.abs(rows).max(initial=1e-3)) * 10.0 ** rng.integers(-2, 4)
    tables = (size * rng.standard_normal((nq, labels, 256))).astype(np.float32) if labels else None
    if rng.random() < 0.5:
        options["allow"] = rng.integers(0, 2**64, -(-n // 64), dtype=np.uint64)
    if rng.random() < 0.5:
        options["ids"] = rng.permutation(n) - n // 2
    if rng.random() < 0.5:
        options["constant"] = (size * rng.standard_normal(nq)).astype(np.float32)
    same(kernel, blocks, rows, k, words=words, levels=some_levels(rng), tables=tables, **options)


# ---- what is refused


def test_bad_arguments():
    words, codes = np.array([[2, 2]], np.uint8), Blocks.pack(np.zeros((5, 3), np.uint8))
    rows, tables = np.zeros((1, 8), np.float32), np.zeros((1, 1, 256), np.float32)
    below = LEVELS.copy()
    below[0, 0] = -128

    def call(blocks=codes, rows=rows, words=words, levels=LEVELS, tables=tables):
        return ops.trellis(blocks, rows, 1, words=words, levels=levels, tables=tables)

    call()
    for changes, error, message in (
        ({"rows": rows[:, :7]}, ValueError, r"rows expected shape \(any, 8\), got \(1, 7\)"),
        ({"rows": rows.astype(float)}, TypeError, "rows expected a float32 array"),
        ({"words": words.astype(int)}, TypeError, "words expected a uint8 array"),
        ({"words": np.array([[9, 2]], np.uint8)}, ValueError, "words expected 1 to 8 bytes"),
        ({"words": np.array([[2, 5]], np.uint8)}, ValueError, "words expected 1 to 8 bytes and rates of 1 to 4"),
        ({"levels": below}, ValueError, "levels expected -127 to 127, got -128"),
        ({"levels": LEVELS[:, :32]}, ValueError, "levels expected shape"),
        ({"tables": None}, ValueError, "blocks expected a payload of 2 bytes, the labels and the words, got 3"),
        ({"tables": np.zeros((1, 2, 256), np.float32)}, ValueError, "blocks expected a payload of 4 bytes"),
        ({"tables": np.zeros((2, 1, 256), np.float32)}, ValueError, "tables expected shape"),
        ({"tables": np.zeros((1, 1, 255), np.float32)}, ValueError, "tables expected shape"),
        ({"tables": tables.astype(float)}, TypeError, "tables expected a float32 array"),
        ({"blocks": Blocks.pack(np.zeros((5, 4), np.uint8), group=4)}, ValueError, "blocks expected group 1, got 4"),
    ):
        with pytest.raises(error, match=f"^trellis: {message}"):
            call(**changes)
