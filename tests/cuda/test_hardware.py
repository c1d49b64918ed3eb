"""What only a device can show: streams, captured graphs, offsets beyond 2**31, results that nothing else has written."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

import vecpress as vp

pytestmark = pytest.mark.gpu


@pytest.fixture
def torch(device):
    from vecpress.cuda import library

    if library.emulated():
        pytest.skip("the processor has no streams")
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return torch


class Search:
    """A Hamming scan by the C interface, all of whose memory PyTorch holds."""

    def __init__(self, torch, codes: np.ndarray, bits: np.ndarray, k: int):
        from vecpress.cuda import library

        self.torch, self.call, self.k = torch, library.call, k
        n, size = codes.shape
        self.codes, self.bits = torch.from_numpy(codes).cuda(), torch.from_numpy(bits).cuda()
        self.blocks = torch.zeros(library.load().vp_cuda_codes_bytes(n, size), dtype=torch.uint8, device="cuda")
        self.scores = torch.full((len(bits), k), 7.0, device="cuda")
        self.found = torch.full((len(bits), k), 7, dtype=torch.int64, device="cuda")
        self.scan = library.Scan(nq=len(bits), k=k, scores=self.scores.data_ptr(), found=self.found.data_ptr())
        self.scan.codes = library.Codes(self.blocks.data_ptr(), n, size, 0, size)
        self.scan.scale.times = -1.0
        least, most = ctypes.c_size_t(), ctypes.c_size_t()
        needed = library.load().vp_cuda_hamming_operand(ctypes.byref(self.scan))
        self.call("scan_workspace", n, len(bits), k, needed, ctypes.byref(least), ctypes.byref(most))
        self.workspace = torch.empty(min(most.value, 64 << 20) + least.value, dtype=torch.uint8, device="cuda")
        self.scan.workspace, self.scan.workspace_bytes = self.workspace.data_ptr(), self.workspace.numel()

    def run(self) -> None:
        stream = self.torch.cuda.current_stream().cuda_stream
        n, size = self.codes.shape
        self.call("put_rows", self.blocks.data_ptr(), size, 0, n, self.codes.data_ptr(), stream)
        self.scan.stream = stream
        self.call("hamming", ctypes.byref(self.scan), self.bits.data_ptr())

    def check(self, codes: np.ndarray, bits: np.ndarray) -> None:
        from vecpress import ops

        want = ops.hamming(ops.Blocks.pack(codes), bits, self.k)
        np.testing.assert_array_equal(self.found.cpu().numpy(), want[1])
        np.testing.assert_array_equal(self.scores.cpu().numpy(), want[0])


def made(seed: int, n: int = 60_000, nq: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 32), np.uint8), rng.integers(0, 256, (nq, 32), np.uint8)


@pytest.mark.parametrize("nq", [1, 40])
def test_a_graph_that_was_captured_scans_what_is_there_when_it_runs(torch, nq):
    first, second = made(1, nq=nq), made(2, nq=nq)
    search = Search(torch, *first, k=10)
    search.run()  # kernels are loaded before a capture
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        search.run()
    for codes, bits in (first, second, first):
        search.codes.copy_(torch.from_numpy(codes))
        search.bits.copy_(torch.from_numpy(bits))
        graph.replay()
        torch.cuda.synchronize()
        search.check(codes, bits)


def test_work_follows_the_stream_that_it_is_given(torch):
    codes, bits = made(3)
    search = Search(torch, codes, bits, k=10)
    search.codes.zero_()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)  # whoever does not wait for the stream reads zeros
        search.codes.copy_(torch.from_numpy(codes))
        search.run()
    stream.synchronize()
    search.check(codes, bits)


def test_two_threads_on_two_streams(torch):
    wrong: list[Exception] = []

    def work(seed: int) -> None:
        try:
            codes, bits = made(seed)
            search, stream = Search(torch, codes, bits, k=50), torch.cuda.Stream()
            torch.cuda.synchronize()
            for _ in range(20):
                with torch.cuda.stream(stream):
                    search.run()
                stream.synchronize()
            search.check(codes, bits)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


@pytest.mark.parametrize("nq", [1, 40])
def test_offsets_beyond_two_to_the_31(torch, nq):
    """The neighbours lie at the end of 2.7 GB of codes."""
    from vecpress.cuda import library
    from vecpress.cuda.blocks import DeviceBlocks

    n, size = 42_000_000, 64
    rng = np.random.default_rng(6)
    blocks = DeviceBlocks.put_all(np.zeros((0, size), np.uint8))
    blocks.memory, blocks.n = type(blocks.memory)(library.load().vp_cuda_codes_bytes(n, size), 0), n
    library.call("fill", 0, blocks.pointer, 0, blocks.memory.nbytes, None)
    bits = rng.integers(0, 256, (nq, size), np.uint8) | 15
    rows = n - 1 - np.arange(nq) * 1000
    blocks.put(int(rows[-1]), np.zeros((0, size), np.uint8))
    for row, own in zip(rows, bits, strict=True):
        blocks.put(int(row), own[None])
    scores, found = vp.ops.hamming(blocks, bits, 1)
    np.testing.assert_array_equal(found[:, 0], rows)
    assert not scores.any()
