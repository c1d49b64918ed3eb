"""The block layout: the docstring's picture byte for byte, round trips, and what must not be written."""

from __future__ import annotations

import numpy as np
import pytest
from hard_values import SIZES

from vecpress import dispatch
from vecpress.ops import BLOCK, Blocks
from vecpress.ops.blocks import byte_offsets, row_strides

BACKENDS = dispatch.operations()["put_rows"]
LAYOUTS = ((0, 1, 48), (3, 1, 5), (1, 2, 2), (0, 4, 20), (2, 2, 33), (0, 3, 4), (5, 1, 0), (0, 1, 0))  # head, group, groups


def random_codes(n: int, head: int, group: int, groups: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, head + group * groups), dtype=np.uint8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_picture(backend, need_backend):
    """head = 1, group = 2, code_size = 5, as drawn in vecpress/ops/blocks.py."""
    need_backend(backend)
    codes = random_codes(64, 1, 2, 2)
    with dispatch.use(backend):
        block = Blocks.pack(codes, head=1, group=2).data
    f, a, b, c, d = codes.T
    assert block.shape == (1, 5 * 64)
    assert np.array_equal(block[0, :64], f)
    assert block[0, 64:70].tolist() == [a[0], b[0], a[1], b[1], a[2], b[2]]
    assert block[0, 64:192].tolist() == [v for pair in zip(a, b, strict=True) for v in pair]
    assert block[0, 192:].tolist() == [v for pair in zip(c, d, strict=True) for v in pair]


@pytest.mark.parametrize("backend", BACKENDS)
def test_bytes_alone_are_transposed(backend, need_backend):
    need_backend(backend)
    codes = random_codes(150, 0, 1, 37)
    padded = np.vstack([codes, np.zeros((3 * 64 - 150, 37), np.uint8)])
    with dispatch.use(backend):
        data = Blocks.pack(codes).data
    assert np.array_equal(data, padded.reshape(3, 64, 37).transpose(0, 2, 1).reshape(3, -1))


def test_offsets_and_strides_cover_a_block_once():
    for head, group, groups in LAYOUTS:
        size = head + group * groups
        places = byte_offsets(size, head, group) + np.arange(BLOCK)[:, None] * row_strides(size, head, group)
        assert np.array_equal(np.sort(places.ravel()), np.arange(size * BLOCK))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("head, group, groups", LAYOUTS)
def test_round_trip(head, group, groups, backend, need_backend):
    need_backend(backend)
    with dispatch.use(backend):
        for n in SIZES:
            codes = random_codes(n, head, group, groups)
            blocks = Blocks.pack(codes, head, group)
            order = np.random.default_rng(n).permutation(n)
            assert np.array_equal(blocks.rows(np.arange(n)), codes)
            assert np.array_equal(blocks.rows(order), codes[order])
            assert not blocks.data.reshape(-1)[_places(n, blocks)].any()  # rows past the last are zero


def _places(n: int, blocks: Blocks) -> np.ndarray:
    """Positions in `data` of the rows from n to the end of the last block."""
    row = np.arange(n, len(blocks.data) * BLOCK)[:, None]
    size, head, group = blocks.code_size, blocks.head, blocks.group
    inside = byte_offsets(size, head, group) + row % BLOCK * row_strides(size, head, group)
    return (row // BLOCK * size * BLOCK + inside).ravel()


@pytest.mark.parametrize("backend", BACKENDS)
def test_put_writes_its_rows_alone(backend, need_backend):
    need_backend(backend)
    codes = random_codes(300, 2, 4, 3)
    with dispatch.use(backend):
        for start, count in ((0, 1), (63, 2), (60, 70), (64, 64), (1, 299), (128, 0)):
            blocks = Blocks.pack(codes, 2, 4)
            blocks.put(start, 255 - codes[:count])
            changed = codes.copy()
            changed[start : start + count] = 255 - codes[:count]
            assert np.array_equal(blocks.rows(np.arange(300)), changed)


def test_reads_a_read_only_map(tmp_path):
    codes = random_codes(130, 0, 1, 9)
    np.save(tmp_path / "data.npy", Blocks.pack(codes).data)
    blocks = Blocks(np.load(tmp_path / "data.npy", mmap_mode="r"), 130, 9)
    assert np.array_equal(blocks.rows(np.arange(130)), codes)
    for name in BACKENDS:
        if dispatch.backends()[name] == "ok":
            with dispatch.use(name), pytest.raises(ValueError, match=r"read-only|not writeable"):
                blocks.put(0, codes)
