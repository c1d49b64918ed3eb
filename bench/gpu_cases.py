"""What `bench.gpu` checks and measures: every scan and encoder at the sizes for which something is aimed at."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import vecpress as vp
from vecpress import ops
from vecpress.cuda import library, rows, scans
from vecpress.cuda.library import Device, call
from vecpress.cuda.memory import DeviceArray, Memory
from vecpress.ops.factors import NO_BIAS, NO_FACTOR
from vecpress.ops.trellis_levels import TABLES
from vecpress.residual import whole_steps

from .gpu import Row, Timer

K = 10
BEAM = 4
COPY = "copying memory"
INT8 = "int8 products (PyTorch)"
BF16 = "bfloat16 products (PyTorch)"
RANDOM_BYTES = 64 << 20  # what large codes are repetitions of


class Work:
    """The device, its limits, and how large what is measured may be."""

    def __init__(self, device: Device, minutes: float):
        self.device = device
        self.tiny = library.emulated()
        self.timer = Timer(lambda: call("wait_all", device.number), minutes, *((0.0, 1) if self.tiny else ()))
        self.torch = None if self.tiny or importlib.util.find_spec("torch") is None else __import__("torch")
        if self.torch is not None and not self.torch.cuda.is_available():
            self.torch = None
        self.cupy = None if self.tiny or importlib.util.find_spec("cupy") is None else __import__("cupy")
        self.limits = dict(self._limits())

    def rows_of(self, wanted: int, row_bytes: float) -> int:
        """As many rows as are wanted, or as half of the device's memory holds; few where kernels run on the processor."""
        return min(wanted, 3000) if self.tiny else int(min(wanted, self.device.memory / 2 / row_bytes))

    def codes(self, n: int, size: int) -> tuple[library.Codes, Memory]:
        """n codes of random bytes on the device, in its layout; longer ones repeat themselves."""
        memory = Memory(library.load().vp_cuda_codes_bytes(n, size), self.device.number)
        some = np.random.default_rng(0).integers(0, 256, min(memory.nbytes, RANDOM_BYTES), np.uint8)
        call("copy", self.device.number, memory.pointer, some.ctypes.data, some.nbytes, None)
        done = some.nbytes
        while done < memory.nbytes:
            more = min(done, memory.nbytes - done)
            call("copy", self.device.number, memory.pointer + done, memory.pointer, more, None)
            done += more
        call("wait", self.device.number, None)
        return library.Codes(memory.pointer or None, n, size, 0, size), memory

    def put(self, array: np.ndarray) -> DeviceArray:
        return DeviceArray.of(array, self.device.number)

    def _limits(self) -> Iterator[tuple[str, float]]:
        nbytes = 1 << 16 if self.tiny else min(4 << 30, self.device.memory // 8)
        a, b = Memory(nbytes, self.device.number), Memory(nbytes, self.device.number)
        yield COPY, 2 * nbytes / self.timer(lambda: call("copy", self.device.number, a.pointer, b.pointer, nbytes, None))
        if self.torch is None:
            return
        torch, size = self.torch, 8192
        x = torch.randint(-128, 127, (size, size), dtype=torch.int8, device="cuda")
        yield INT8, size**3 / self.timer(lambda: torch._int_mm(x, x.t()))
        y = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
        yield BF16, size**3 / self.timer(lambda: y @ y.t())


def scan_call(op: str, codes: library.Codes, operand: DeviceArray, options: tuple[Any, ...], device: int) -> Callable[[], Any]:
    scale = (0, 0, -1.0, None) if op == "hamming" else NO_FACTOR
    return lambda: scans.scan(op, codes, device, 0, K, operand, options, None, None, scale, NO_BIAS, None)


# ---- the same bits as the processor's


def check() -> list[str]:
    """What was compared. Raises AssertionError where the device gives something else than the processor."""
    rng, done = np.random.default_rng(1), []
    n, few = (700, (1, 20)) if library.emulated() else (100_000, (1, 7, 300))
    levels = np.sort(rng.standard_normal(16)).astype(np.float32)
    codes = ops.Blocks.pack(rng.integers(0, 256, (n, 24), np.uint8))
    for nq in few:
        floats = rng.standard_normal((nq, 48)).astype(np.float32)
        calls: dict[str, Callable[[], Any]] = {
            "hamming": lambda nq=nq: ops.hamming(codes, rng_bytes(nq, 24), K),
            "lut4": lambda nq=nq: ops.lut4(codes, rng_floats(nq, 48, 16), K),
            "lut8": lambda nq=nq: ops.lut8(codes, rng_floats(nq, 24, 256), K),
            "dot": lambda f=floats: ops.dot(codes, f, K, n_bits=4, levels=levels),
            "dot, l2": lambda f=floats: ops.dot(codes, f, K, n_bits=4, l2=True),
            "sdc": lambda nq=nq: ops.sdc(codes, rng_bytes(nq, 24), K, dim=96, n_bits=2),
        }
        for name, run in calls.items():
            _compare(f"{name}, {nq} queries", run, done)
    x = rng.standard_normal((n // 10, 32)).astype(np.float32)
    books = rng.standard_normal((8, 256, 4)).astype(np.float32)
    _compare("encode_pq", lambda: (ops.encode_pq(x, books),), done)
    _compare("assign", lambda: ops.assign(x, x[:50]), done)
    words = np.array([[4, 1], [3, 2], [3, 3], [8, 4]], np.uint8)  # 68 components
    y = (50 * rng.standard_normal((n // 50, 68))).astype(np.float32)
    for window, table in TABLES.items():
        _compare(f"encode_trellis, windows of {window} bits", lambda v=table.levels: ops.encode_trellis(y, words, v), done)
    beams = paths_of(len(x), 3)
    _compare("beam_step", lambda: ops.beam_step(rng_floats(len(x), 256), rng_floats(3 * 256, 256), *beams, BEAM), done)
    steps = whole_steps(rng_floats(4, 256, 32), None)
    _compare("search_labels", lambda: ops.search_labels(x[: n // 50], *steps, BEAM, last=2), done)
    return done


def rng_bytes(*shape: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, shape, np.uint8)


def rng_floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def paths_of(n: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Paths uint8[n, BEAM, labels] whose first halves are the same in a row, and their scores."""
    paths = np.random.default_rng(4).integers(0, 256, (n, BEAM, labels), np.uint8)
    paths[:, :, : labels // 2] = paths[:, :1, : labels // 2]
    return paths, rng_floats(n, BEAM)


def _compare(name: str, run: Callable[[], Any], done: list[str]) -> None:
    want = run()
    with vp.use("cuda"):
        got = run()
    for a, b in zip(got, want, strict=True):
        assert np.array_equal(a, b, equal_nan=True), f"{name}: the device gives something else"
    done.append(name)


# ---- what is measured


def measure(device: Device, minutes: float, only: list[str]) -> list[Row]:
    """Every case, until the minutes are over; `only`: cases whose names have one of these words."""
    work = Work(device, minutes)
    out = [Row("limit", name, 0.0, rate, "bytes" if name == COPY else "multiply-adds") for name, rate in work.limits.items()]
    scans_ = one_query_hamming, one_query_lut8, batch_hamming, batch_sdc, batch_dot
    for case in (*scans_, encode, words, beams, searches, nearest, end_to_end):
        if work.timer.over:
            break
        if not only or any(word in case.__name__ for word in only):
            out += case(work)
    return out


def _need(seconds: float, limit: float) -> tuple[str, bool]:
    return f"at most {1e3 * limit:g} ms", seconds <= limit


def _share(rate: float, limit: float | None, need: float) -> tuple[str, bool | None]:
    return f"at least {need:g} of it", None if limit is None else rate / limit >= need


def one_query_hamming(work: Work) -> list[Row]:
    n = work.rows_of(10**8, 128)
    codes, memory = work.codes(n, 128)
    seconds = work.timer(scan_call("hamming", codes, work.put(rng_bytes(1, 128)), (), work.device.number))
    need, met = _need(seconds, 4e-3) if n == 10**8 else ("", None)
    del memory
    return [
        Row("hamming", f"{n:.0e} x 1024 bits, 1 query", seconds, 128 * n / seconds, "bytes", work.limits[COPY], COPY, need, met)
    ]


def one_query_lut8(work: Work) -> list[Row]:
    n = work.rows_of(10**8, 96)
    codes, memory = work.codes(n, 96)
    seconds = work.timer(scan_call("lut8", codes, work.put(rng_floats(1, 96, 256)), (), work.device.number))
    rate = 96 * n / seconds
    need, met = _share(rate, work.limits[COPY], 0.75)
    del memory
    return [Row("lut8", f"{n:.0e} x 96 bytes, 1 query", seconds, rate, "bytes", work.limits[COPY], COPY, need, met)]


def batch_hamming(work: Work) -> list[Row]:
    """Beside the kernel that counts bits, which takes fewer queries, and PyTorch's products of signs."""
    n, nq = work.rows_of(10**7, 128), 64 if work.tiny else 1024
    codes, memory = work.codes(n, 128)
    bits = work.put(rng_bytes(nq, 128))
    seconds = work.timer(scan_call("hamming", codes, bits, (), work.device.number))
    few = 8  # of queries, a block's, which share what it reads
    counted = n * few / work.timer(scan_call("hamming", codes, work.put(rng_bytes(few, 128)), (), work.device.number))
    row = Row("hamming", f"{n:.0e} x 1024 bits, {nq} queries", seconds, n * nq / seconds, "distances")
    row.need, row.met = "at least 3 times the kernel that counts bits", row.rate >= 3 * counted
    row.peers["own kernel that counts bits, 8 queries"] = row.rate / counted
    if work.torch is not None:
        torch, fewer = work.torch, min(n, 10**6)
        signs = torch.randint(0, 2, (fewer, 1024), dtype=torch.int8, device="cuda") * 2 - 1
        asked = torch.randint(0, 2, (nq, 1024), dtype=torch.int8, device="cuda") * 2 - 1
        theirs = work.timer(lambda: torch.topk(torch._int_mm(asked, signs.t()), K))
        row.peers["PyTorch, int8 products and topk"] = row.rate / (fewer * nq / theirs)
    if work.cupy is not None:
        cupy, fewer = work.cupy, min(n, 10**6)
        words, asked = (cupy.random.randint(0, 2**62, (rows, 16)) for rows in (fewer, 1))  # 16 words of 64 bits
        count = cupy.ElementwiseKernel("int64 a, int64 b", "int32 c", "c = __popcll(a ^ b)", "count_bits")
        theirs = work.timer(lambda: cupy.argpartition(count(words, asked).sum(axis=1), K))
        row.peers["CuPy, one query at a time"] = row.rate / (fewer / theirs)
    del memory
    return [row]


def batch_sdc(work: Work) -> list[Row]:
    return _batch_of_products(work, "sdc", 1024, 2, (1024, 2, 0, None))


def batch_dot(work: Work) -> list[Row]:
    return _batch_of_products(work, "dot", 768, 4, (None, 4, False))


def _batch_of_products(work: Work, op: str, d: int, n_bits: int, options: tuple[Any, ...]) -> list[Row]:
    size = d * n_bits // 8
    n, nq = work.rows_of(10**7, size), 64 if work.tiny else 1024
    codes, memory = work.codes(n, size)
    if op == "sdc":
        operand = work.put(rng_bytes(nq, size))
        options = (*options[:-1], work.put(np.ones(nq, np.float32)))
    else:
        operand = work.put(rng_floats(nq, d))
    seconds = work.timer(scan_call(op, codes, operand, options, work.device.number))
    limit = work.limits.get(INT8)
    row = Row(op, f"{n:.0e} x {d} x {n_bits} bits, {nq} queries", seconds, n * nq * d / seconds, "multiply-adds", limit, INT8)
    row.need, row.met = _share(row.rate, limit, 0.4)
    if work.torch is not None:
        torch, fewer = work.torch, min(n, 10**6)
        x = torch.randn(fewer, d, device="cuda", dtype=torch.bfloat16)
        q = torch.randn(nq, d, device="cuda", dtype=torch.bfloat16)
        row.peers["PyTorch, bfloat16 vectors, products and topk"] = row.rate / (
            fewer * nq * d / work.timer(lambda: torch.topk(q @ x.t(), K))
        )
    if work.cupy is not None:
        cupy, fewer = work.cupy, min(n, 10**6)
        x, q = cupy.random.standard_normal((fewer, d), dtype="f4"), cupy.random.standard_normal((nq, d), dtype="f4")
        seconds = work.timer(lambda: cupy.argpartition(-(q @ x.T), K, axis=1))
        row.peers["CuPy, float32 vectors, products and argpartition"] = row.rate / (fewer * nq * d / seconds)
    del memory
    return [row]


def encode(work: Work) -> list[Row]:
    d, m, n = (32, 4, 200) if work.tiny else (768, 96, 2_000_000)
    x, books = work.put(rng_floats(n, d)), work.put(rng_floats(m, 256, d // m))
    seconds = work.timer(lambda: rows.encode_pq(x, books, False))
    row = Row("encode_pq", f"{n:.0e} x {d}, m={m}", seconds, n / seconds, "vectors")
    row.need, row.met = "at least 1.5e8 vectors/s", n / seconds >= 1.5e8
    if work.torch is not None:
        torch = work.torch
        a, b = torch.as_tensor(x, device="cuda").view(n, m, d // m)[: n // 10], torch.as_tensor(books, device="cuda")

        def theirs() -> Any:
            return (torch.einsum("nmd,mkd->nmk", a, b) - b.square().sum(-1) / 2).argmax(-1)

        row.peers["PyTorch, products and argmax"] = row.rate / (len(a) / work.timer(theirs))
    return [row]


def words(work: Work) -> list[Row]:
    """Words of 8 bytes, by rate and bits of a window; the processor's from few rows, with all its threads."""
    out = []
    for window, rate in ((6, 1), (6, 4), (8, 1)):
        d, n = (64, 70) if work.tiny else (768, 200_000)
        plan = np.array([[8, rate]] * (d * rate // 64), np.uint8)
        y, levels = np.float32(50) * rng_floats(n, d), TABLES[window].levels
        there = work.put(y)
        seconds = work.timer(lambda there=there, plan=plan, levels=levels: rows.encode_trellis(there, plan, levels))
        shape = f"{n:.0e} x {d}, rate {rate}, windows of {window} bits"
        row = Row("encode_trellis", shape, seconds, n * d / seconds, "components")
        few = y[: n // 50]
        theirs = work.timer(lambda few=few, plan=plan, levels=levels: ops.encode_trellis(few, plan, levels))
        row.peers["the processor, from a fiftieth of the rows"] = row.rate / (few.size / theirs)
        out.append(row)
    return out


def beams(work: Work) -> list[Row]:
    n, labels, ks = (70, 4, 256) if work.tiny else (200_000, 12, 256)
    costs, pairs = rng_floats(n, ks), rng_floats(labels * ks, ks)
    here = (costs, pairs, *paths_of(n, labels))
    there = [work.put(array) for array in here]
    seconds = work.timer(lambda: rows.beam_step(*there, BEAM))
    row = Row("beam_step", f"{n:.0e} rows, {BEAM} paths of {labels} labels", seconds, n / seconds, "rows")
    few = [array if array is pairs else array[: n // 50] for array in here]
    theirs = work.timer(lambda: ops.beam_step(*few, BEAM))
    row.peers["the processor, from a fiftieth of the rows"] = row.rate / (len(few[0]) / theirs)
    return [row]


def searches(work: Work) -> list[Row]:
    """All labels of a row; the processor's from few rows, with all its threads."""
    n, labels, d = (70, 2, 24) if work.tiny else (200_000, 8, 384)
    y, steps = rng_floats(n, d), whole_steps(rng_floats(labels, 256, d), None)
    there = [work.put(array) for array in (y, *steps)]
    seconds = work.timer(lambda: rows.search_labels(*there, None, None, BEAM))
    row = Row("search_labels", f"{n:.0e} x {d}, {BEAM} paths of {labels} labels", seconds, n / seconds, "rows")
    few = y[: n // 50]
    theirs = work.timer(lambda: ops.search_labels(few, *steps, BEAM))
    row.peers["the processor, from a fiftieth of the rows"] = row.rate / (len(few) / theirs)
    return [row]


def nearest(work: Work) -> list[Row]:
    n, d, k = (300, 16, 20) if work.tiny else (work.rows_of(10**7, 4 * 768), 768, 4096)
    x = DeviceArray.empty((n, d), np.float32, work.device.number)
    part = rng_floats(min(n, 10_000), d)
    for first in range(0, n, len(part)):
        count = min(len(part), n - first)
        call("copy", work.device.number, x.pointer + 4 * d * first, part.ctypes.data, 4 * d * count, None)
    centroids = work.put(rng_floats(k, d))
    call("wait", work.device.number, None)
    seconds = work.timer(lambda: rows.assign(x, centroids))
    limit = work.limits.get(BF16)
    row = Row("assign", f"{n:.0e} x {d}, {k} centroids", seconds, n * k * d / seconds, "multiply-adds", limit, BF16)
    row.need, row.met = _share(row.rate, limit, 0.5)
    if work.torch is not None:
        torch = work.torch
        a = torch.as_tensor(x, device="cuda")[: n // 100]
        b = torch.as_tensor(centroids, device="cuda")
        theirs = work.timer(lambda: torch.cdist(a, b).argmin(1))
        row.peers["PyTorch, float32 cdist and argmin"] = row.rate / (len(a) * k * d / theirs)
    return [row]


def end_to_end(work: Work) -> list[Row]:
    """`Index.search` from NumPy to NumPy, tables made on the processor, results copied back."""
    n, d, m, nq = (1000, 32, 4, 20) if work.tiny else (2_000_000, 768, 96, 1000)
    x = rng_floats(min(n, 20_000), d)
    index = vp.Index(vp.PQ(m=m).fit(x), device=f"cuda:{work.device.number}")
    codes = rng_bytes(n, m)
    index.add_codes(codes)
    out = []
    for count in (1, nq):
        q = rng_floats(count, d)
        seconds = work.timer(lambda q=q: index.search(q, K))
        row = Row("Index.search", f"PQ(m={m}), {n:.0e} vectors, {count} queries, end to end", seconds, count / seconds, "queries")
        here = vp.Index(index.codec)
        here.add_codes(codes[: n // 10])
        theirs = work.timer(lambda q=q, here=here: here.search(q[:10], K))
        scaled = theirs * 10 * (count / min(count, 10))
        row.peers["the processor, from a tenth of the vectors and 10 queries"] = scaled / seconds
        out.append(row)
    return out

