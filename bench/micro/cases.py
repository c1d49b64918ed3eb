"""What the micro benchmarks time: every operation at shapes that matter, as data. Peers, rows and comparisons read it.

A case is an operation and a shape; `case.call(rng)` makes its arguments and gives a function without arguments, one thread. A new
operation needs how its arguments are made (`@operation`) and shapes in `SHAPES`. Cases of whole codecs are in library.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecpress import ops
from vecpress.ops import Blocks
from vecpress.ops.encode_trellis import steps_of
from vecpress.ops.trellis_levels import TABLES
from vecpress.residual import whole_steps

K = 10
CODE_SIZE = 64  # bytes of the scans' codes: 512 bits, 128 nibbles, 64 bytes, 16 floats
IN_CACHE = 768 << 10  # a call that touches fewer bytes is compared with reads from L2, any other with reads from memory


@dataclass(frozen=True)
class Call:
    """A call made ready: `run()` runs it on the backend in force; `quality(result)` says what its result is worth, by name."""

    run: Callable[[], Any]
    quality: Callable[[Any], dict[str, float]] | None = None


@dataclass(frozen=True)
class Case:
    """An operation at one shape.

    group : the operation's name, or of library.py "search", "encode", "fit"; shape : as its builder takes it, n rows or codes
    unit : of the rate; amount : units of work in a call; nbytes : bytes that a call must touch at least once, read and written
    needs : what bounds a call, limit's name in bench.limits -> units of it; "read" is l2_read or dram_read by nbytes
    small : the shape at which the reference is compared with before timing; counted : the one whose instructions are counted,
        None where they are not
    """

    group: str
    shape: dict[str, Any]
    build: Callable[..., Call]
    unit: str
    amount: float
    nbytes: int
    needs: dict[str, float]
    small: dict[str, Any] | None
    counted: dict[str, Any] | None

    @property
    def name(self) -> str:
        return self.at(self.shape)

    def at(self, shape: dict[str, Any]) -> str:
        """The name of another shape of this case."""
        return " ".join([self.group, *(f"{key}={value}" for key, value in shape.items())])

    def call(self, rng: np.random.Generator, shape: dict[str, Any] | None = None) -> Call:
        return self.build(rng, **(self.shape if shape is None else shape))

    def bound(self, limits: dict[str, float | None]) -> tuple[str, float]:
        """The limit that bounds a call on this machine, and the least seconds it allows; limits as of `bench.limits.measure`."""
        loop = self.read_loop
        seconds = {}
        for name, amount in self.needs.items():
            limit = loop if name == "read" else name
            if rate := limits.get(limit):
                seconds[limit] = max(amount / rate, seconds.get(limit, 0))
        slowest = max(seconds, key=seconds.__getitem__)
        return slowest, seconds[slowest]

    @property
    def read_loop(self) -> str:
        return "l2_read" if self.nbytes <= IN_CACHE else "dram_read"


@dataclass(frozen=True)
class Operation:
    """How cases of an operation are made.

    arguments : (rng, n, ...) -> Call; work : (n, ...) -> (amount, nbytes, needs) of a call
    """

    arguments: Callable[..., Call]
    work: Callable[..., tuple[float, int, dict[str, float]]]
    unit: str
    scan: bool = False


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, unit: str, work: Callable[..., tuple[float, int, dict[str, float]]], scan: bool = False) -> Callable:
    def add(arguments: Callable[..., Call]) -> Callable[..., Call]:
        OPERATIONS[name] = Operation(arguments, work, unit, scan)
        return arguments

    return add


def _op(name: str, *arguments: Any, **options: Any) -> Call:
    return Call(lambda: getattr(ops, name)(*arguments, **options, num_threads=1))


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _bytes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


# ---- row operations: n rows; multiply-adds, or bytes of the rows


def _sums(n: int, d: int, outputs: int, written: int, steps: int = 1) -> tuple[float, int, dict[str, float]]:
    """n * d * outputs terms, `written` bytes; steps : instructions a term, 2 where it is subtracted before it is multiplied."""
    nbytes = 4 * (n * d + d * outputs) + written
    return n * d * outputs, nbytes, {"sgemm": steps * n * d * outputs, "read": nbytes}


def _stream(read: int, written: int) -> tuple[float, int, dict[str, float]]:
    return read, read + written, {"read": read + written}


@operation("project", "multiply-adds/s", lambda n, d: _sums(n, d, d, 4 * n * d))
def project(rng, n, d):
    return _op("project", _normal(rng, n, d), _normal(rng, d, d))


@operation("assign", "multiply-adds/s", lambda n, d, k: _sums(n, d, k, 8 * n, steps=2))
def assign(rng, n, d, k):
    return _op("assign", _normal(rng, n, d), _normal(rng, k, d))


@operation("encode_pq", "multiply-adds/s", lambda n, d, m, n_bits: _sums(n, d, 1 << n_bits, n * m * n_bits // 8, steps=2))
def encode_pq(rng, n, d, m, n_bits):
    x, codebooks = _normal(rng, n, d), _normal(rng, m, 1 << n_bits, d // m)

    def quality(codes):
        labels = np.stack((codes & 15, codes >> 4), axis=2).reshape(len(codes), -1)[:, :m] if n_bits == 4 else codes
        error = x.reshape(n, m, -1) - codebooks[np.arange(m), labels]
        return {"distortion": float(np.square(error).sum() / np.square(x).sum())}

    return Call(lambda: ops.encode_pq(x, codebooks, num_threads=1), quality)


@operation("tables", "multiply-adds/s", lambda n, d, m, n_bits: _sums(n, d, 1 << n_bits, 4 * n * m << n_bits))
def tables(rng, n, d, m, n_bits):
    return _op("tables", _normal(rng, n, d), _normal(rng, m, 1 << n_bits, d // m))


@operation("encode_grid", "bytes/s", lambda n, d, n_bits: _stream(4 * n * d, n * d))
def encode_grid(rng, n, d, n_bits):
    x = _normal(rng, n, d)

    def quality(result):
        yy, yg, _, _, gg = result[1].T
        return {"mean_cosine": float(np.mean(yg / np.sqrt(yy * gg)))}

    return Call(lambda: ops.encode_grid(x, n_bits, num_threads=1), quality)


@operation("encode_sq", "bytes/s", lambda n, d, n_bits: _stream(4 * n * d, n * d * n_bits // 8))
def encode_sq(rng, n, d, n_bits):
    x, low, step = _normal(rng, n, d), np.full(d, -3, np.float32), np.full(d, 6 / (2**n_bits - 1), np.float32)
    return Call(lambda: ops.encode_sq(x, low, step, n_bits, num_threads=1)[0])


def _words(rate: int) -> np.ndarray:
    """uint8[8, 2]: the words of a code of CODE_SIZE bytes, of one rate."""
    return np.tile(np.array([[8, rate]], np.uint8), (CODE_SIZE // 8, 1))


def _steps(rate: int) -> int:
    return int(steps_of(_words(rate)).sum())


def _search(n: int, rate: int, window: int) -> tuple[float, int, dict[str, float]]:
    """All windows a component, in two passes and one over 24 components of a word: a multiply-add, an addition, a comparison."""
    steps = _steps(rate) // 8
    windows, nbytes = n * 8 * 2**window * (2 * steps + min(steps, 24)), n * (5 * _steps(rate) + CODE_SIZE)
    return windows, nbytes, {"sgemm": 3 * windows, "read": nbytes}


@operation("encode_trellis", "multiply-adds/s", _search)
def encode_trellis(rng, n, rate, window):
    tables = TABLES[window]
    y, words = _normal(rng, n, _steps(rate)) * np.float32(tables.units[rate - 1]), _words(rate)

    def quality(result):
        return {"distortion": float(np.square(y - result[1]).sum() / np.square(y).sum())}

    return Call(lambda: ops.encode_trellis(y, words, tables.levels, num_threads=1), quality)


def _continuations(n: int, b: int, labels: int) -> tuple[float, int, dict[str, float]]:
    """n rows of b paths of 256 continuations, which differ in two labels at most: others are added up once for all."""
    alike = max(labels - 2, 0)
    additions = 256 * n * (alike + b * (labels - alike + 1))
    read = 1024 * n + 1024 * min(256 * labels, n * (alike + b * (labels - alike))) + n * b * (labels + 4)
    return additions, read + n * b * (labels + 5), {"sgemm": additions, "read": read}


@operation("beam_step", "additions/s", _continuations)
def beam_step(rng, n, b, labels):
    paths = rng.integers(0, 256, (n, b, labels), dtype=np.uint8)
    paths[:, :, : max(labels - 2, 0)] = paths[:, :1, : max(labels - 2, 0)]
    pairs, scores = _normal(rng, labels * 256, 256), np.sort(_normal(rng, n, b), axis=1)
    return _op("beam_step", _normal(rng, n, 256), pairs, paths, scores, b)


def _searched(n: int, d: int, labels: int) -> tuple[float, int, dict[str, float]]:
    """Products of bytes; of each label an entry in float32 and four rows of pairs are read."""
    read = n * labels * (4 * d + 1024) + 256 * d * labels + n * 8 * d
    return 256 * n * d * labels, read, {"int8_mac": 256 * n * d * labels, "read": read}


@operation("search_labels", "multiply-adds/s", _searched)
def search_labels(rng, n, d, labels):
    return _op("search_labels", _normal(rng, n, d), *whole_steps(_normal(rng, labels, 256, d), 1), 4)


@operation("pack_bits", "bytes/s", lambda n, d: _stream(4 * n * d, n * d // 8))
def pack_bits(rng, n, d):
    return _op("pack_bits", _normal(rng, n, d), np.zeros(d, np.float32))


@operation("label_sums", "bytes/s", lambda n, d, k: _stream(4 * n * d, 8 * k * d))
def label_sums(rng, n, d, k):
    return _op("label_sums", _normal(rng, n, d), rng.integers(0, k, n).astype(np.int32), k)


@operation("norms", "bytes/s", lambda n, d: _stream(4 * n * d, 4 * n))
def norms(rng, n, d):
    return _op("norms", _normal(rng, n, d))


@operation("quantize", "bytes/s", lambda n, d, levels: _stream(4 * n * d, n * d))
def quantize(rng, n, d, levels):
    return _op("quantize", _normal(rng, n, d), np.sort(_normal(rng, levels - 1)))


@operation("rotate", "bytes/s", lambda n, d: _stream(4 * n * d, 4 * n * d))
def rotate(rng, n, d):
    return _op("rotate", _normal(rng, n, d), _bytes(rng, 4, d // 8))


@operation("pack_codes", "bytes/s", lambda n, d, n_bits: _stream(n * d, n * d * n_bits // 8))
def pack_codes(rng, n, d, n_bits):
    return _op("pack_codes", _bytes(rng, n, d), n_bits)


@operation("unpack_codes", "bytes/s", lambda n, d, n_bits: _stream(n * d * n_bits // 8, n * d))
def unpack_codes(rng, n, d, n_bits):
    return _op("unpack_codes", _bytes(rng, n, -(-d * n_bits // 8)), d, n_bits)


@operation("put_rows", "bytes/s", lambda n, head, group: _stream(CODE_SIZE * n, CODE_SIZE * n))
def put_rows(rng, n, head, group):
    codes = _bytes(rng, n, CODE_SIZE)
    blocks = Blocks.pack(codes[:0], head, group)
    blocks.data = np.zeros((-(-n // 64), CODE_SIZE * 64), np.uint8)

    def run():
        blocks.put(0, codes, num_threads=1)
        return blocks.data

    return Call(run)


@operation("get_rows", "bytes/s", lambda n, head, group, order: _stream(CODE_SIZE * n, CODE_SIZE * n))
def get_rows(rng, n, head, group, order):
    blocks = Blocks.pack(_bytes(rng, n, CODE_SIZE), head, group)
    rows = rng.permutation(n) if order == "shuffled" else np.arange(n)
    return Call(lambda: blocks.rows(rows, num_threads=1))


# ---- scans: nq queries, n codes of 64 bytes; bytes of the codes times queries


def _scan(n: int, nq: int, query_nbytes: int, **needs: float) -> tuple[float, int, dict[str, float]]:
    """needs : by limit, units for one code and query. The codes come from memory at least once for all queries."""
    nbytes = n * CODE_SIZE + nq * query_nbytes
    return n * CODE_SIZE * nq, nbytes, {"read": nbytes} | {name: each * n * nq for name, each in needs.items()}


# no limit of popcounts and of look-ups in 256 entries is measured: then every query reads every code, from the L2 cache at best
@operation("hamming", "bytes/s", lambda n, nq: _scan(n, nq, CODE_SIZE, l2_read=CODE_SIZE), scan=True)
def hamming(rng, n, nq):
    return _op("hamming", Blocks.pack(_bytes(rng, n, CODE_SIZE)), _bytes(rng, nq, CODE_SIZE), K)


@operation("sdc", "bytes/s", lambda n, nq, n_bits, form: _scan(n, nq, CODE_SIZE, l2_read=CODE_SIZE), scan=True)
def sdc(rng, n, nq, n_bits, form):
    blocks, codes = Blocks.pack(_bytes(rng, n, CODE_SIZE)), _bytes(rng, nq, CODE_SIZE)
    return _op("sdc", blocks, codes, K, dim=8 * CODE_SIZE // n_bits, n_bits=n_bits, form=None if form == "fastest" else form)


@operation("lut4", "bytes/s", lambda n, nq: _scan(n, nq, 8192, shuffle=2 * CODE_SIZE), scan=True)
def lut4(rng, n, nq):
    return _op("lut4", Blocks.pack(_bytes(rng, n, CODE_SIZE)), _normal(rng, nq, 2 * CODE_SIZE, 16), K)


@operation("lut8", "bytes/s", lambda n, nq: _scan(n, nq, 65536, l2_read=CODE_SIZE), scan=True)
def lut8(rng, n, nq):
    return _op("lut8", Blocks.pack(_bytes(rng, n, CODE_SIZE)), _normal(rng, nq, CODE_SIZE, 256), K)


@operation("dot", "bytes/s", lambda n, nq, n_bits: _scan(n, nq, 2048, int8_mac=8 * CODE_SIZE // n_bits), scan=True)
def dot(rng, n, nq, n_bits):
    blocks = Blocks.pack(_bytes(rng, n, CODE_SIZE))
    return _op("dot", blocks, _normal(rng, nq, 8 * CODE_SIZE // n_bits), K, n_bits=n_bits)


@operation("trellis", "bytes/s", lambda n, nq, rate, window: _scan(n, nq, 4 * _steps(rate), int8_mac=_steps(rate)), scan=True)
def trellis(rng, n, nq, rate, window):
    blocks = Blocks.pack(_bytes(rng, n, CODE_SIZE))
    return _op("trellis", blocks, _normal(rng, nq, _steps(rate)), K, words=_words(rate), levels=TABLES[window].levels)


@operation("flat", "bytes/s", lambda n, nq: _scan(n, nq, CODE_SIZE, sgemm=CODE_SIZE // 4), scan=True)
def flat(rng, n, nq):
    blocks = Blocks.pack(_normal(rng, n, CODE_SIZE // 4).view(np.uint8), group=4)
    return _op("flat", blocks, _normal(rng, nq, CODE_SIZE // 4), K)


# ---- shapes

CACHED, LARGE = 256, 50_000  # rows of 384 floats: the L2 cache, twice the last-level cache of 32 MiB
# n, nq: the L2 cache, several times the last-level cache, batches
SCANS = [{"n": 8_000, "nq": 1}, {"n": 2_000_000, "nq": 1}, {"n": 100_000, "nq": 32}, {"n": 100_000, "nq": 100}]


def _each(n: Iterable[int], **shape: Any) -> list[dict[str, Any]]:
    return [{"n": rows, **shape} for rows in n]


SHAPES: dict[str, list[dict[str, Any]]] = {
    "project": [*_each((32, 1, 4096), d=384), *_each((4096,), d=768)],
    "assign": [*_each((4096,), d=384, k=1024), *_each((256, 100_000), d=8, k=256)],
    "encode_pq": [*_each((32, 1, 4096), d=384, m=48, n_bits=8), *_each((4096,), d=384, m=96, n_bits=4)],
    "tables": [*_each((32, 1, 1000), d=384, m=48, n_bits=8), *_each((1, 32), d=384, m=96, n_bits=4)],
    "encode_grid": [s for n_bits in (1, 2, 4, 8) for s in _each((256,), d=384, n_bits=n_bits)],
    "encode_trellis": [s for window in TABLES for rate in (1, 2, 3, 4) for s in _each((4096,), rate=rate, window=window)],
    "beam_step": [{"n": 1024, "b": b, "labels": labels} for b, labels in ((4, 1), (4, 7), (4, 23), (8, 7), (64, 7))],
    "search_labels": [{"n": 1024, "d": d, "labels": labels} for d, labels in ((384, 8), (384, 23), (768, 8))],
    "encode_sq": [s for n_bits in (4, 8) for s in _each((CACHED, LARGE), d=384, n_bits=n_bits)],
    "pack_bits": _each((CACHED, LARGE), d=384),
    "label_sums": [*_each((LARGE,), d=384, k=256), *_each((100_000,), d=8, k=256)],
    "norms": _each((CACHED, LARGE), d=384),
    "quantize": [s for levels in (4, 16, 256) for s in _each((CACHED, LARGE), d=384, levels=levels)],
    "rotate": [*_each((CACHED, 1, LARGE), d=384), *_each((128, 25_000), d=768), *_each((100,), d=1024)],
    "pack_codes": [s for n_bits in (1, 2, 4, 7) for s in _each((1000, 4 * LARGE), d=384, n_bits=n_bits)],
    "unpack_codes": [s for n_bits in (1, 2, 4, 7) for s in _each((1000, 4 * LARGE), d=384, n_bits=n_bits)],
    "put_rows": [*_each((4000, 1, 500_000), head=0, group=1), *_each((4000,), head=4, group=2)],
    "get_rows": [s for order in ("straight", "shuffled") for s in _each((4000, 500_000), head=0, group=1, order=order)],
    "hamming": SCANS,
    "sdc": [
        {**shape, "n_bits": n_bits, "form": form}
        for n_bits, forms in ((1, ("tables", "planes")), (2, ("tables", "products", "planes")), (4, ("tables", "products")))
        for form in ("fastest", *forms) for shape in SCANS
    ],
    "lut4": SCANS,
    "lut8": SCANS,
    "dot": [{**shape, "n_bits": n_bits} for n_bits in (1, 2, 4, 8) for shape in SCANS],
    "trellis": [{**shape, "rate": rate, "window": window} for window in TABLES for rate in (1, 2, 3, 4) for shape in SCANS],
    "flat": SCANS,
}


def _case(op: str, shape: dict[str, Any]) -> Case:
    of = OPERATIONS[op]
    amount, nbytes, needs = of.work(**shape)
    if of.scan:
        small = shape | {"n": 300, "nq": min(shape["nq"], 3)}
        counted = shape | {"n": 1000, "nq": min(shape["nq"], 4)}
    else:
        small = shape | {"n": min(shape["n"], 70)}
        counted = shape | {"n": min(shape["n"], 256 if of.unit == "bytes/s" and op != "encode_grid" else 16)}
    return Case(op, shape, of.arguments, of.unit, amount, nbytes, needs, small, counted)


def of_operations() -> list[Case]:
    """The cases of every operation, in the order of `SHAPES`."""
    return [_case(op, shape) for op, shapes in SHAPES.items() for shape in shapes]


def scaled(case: Case) -> Case:
    """The case for the scalar backend: less of it where one call would last long."""
    if case.group not in SHAPES:
        return case
    n = case.shape["n"]
    fewer = max(1000, 3_000_000 // case.shape["nq"]) if OPERATIONS[case.group].scan else max(256, n // 50)
    return case if n <= fewer else _case(case.group, case.shape | {"n": fewer})
