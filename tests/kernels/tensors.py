"""Tensors compared with what the references give."""

from __future__ import annotations

import numpy as np


def same(tensor, array) -> None:
    """Bit for bit, and the dtype too."""
    got = tensor.cpu().numpy()
    assert got.dtype == array.dtype and got.shape == array.shape, (got.dtype, got.shape, array.dtype, array.shape)
    if got.tobytes() != array.tobytes():
        nan = np.isnan(got) & np.isnan(array) if got.dtype.kind == "f" else np.zeros(got.shape, bool)  # whose bits may differ
        width = f"u{got.dtype.itemsize}"
        wrong = np.argwhere((got.view(width) != array.view(width)) & ~nan)
        assert not len(wrong), f"{len(wrong)} differ, first at {wrong[0]}: {got[tuple(wrong[0])]} for {array[tuple(wrong[0])]}"
