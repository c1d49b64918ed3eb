"""turbovec: 2, 3 and 4 bits a component behind a random rotation, calibrated as its documentation says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import installed, nearest, padded, passive_threads, prepared

NAME = "turbovec"
SAMPLE = 1024  # rows drawn at random for the calibration: "around 1024 rows is enough"
SCALE = 4  # bytes beside the levels


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    """Inner products only, and multiples of 8 columns. 3 bits lie in slots of 4, so they cost what 4 bits cost."""
    if profile.metric == "l2" or profile.dim % 8:
        return []
    found = []
    for bits in (2, 3, 4):
        size = profile.dim * (2 if bits == 2 else 4) // 8 + SCALE
        for _, config in nearest(budgets, [(size, {"bit_width": bits, "calibrate": SAMPLE})]):
            notes = "its 3 bits are stored in slots of 4" if bits == 3 else ""
            found.append(Contender(NAME, "TurboQuantIndex", config, size, partial(_make, bits), True, 0.1, notes))
    return found


def _make(bits: int, profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return TurboVec(bits, profile, seed)


class TurboVec(System):
    """Its rotation takes no seed: ours draws the sample it is calibrated on."""

    def __init__(self, bits: int, profile: Profile, seed: int):
        from turbovec import TurboQuantIndex

        self.new = partial(TurboQuantIndex, profile.dim, bits)
        self.index = self.new()
        self.metric, self.seed = profile.metric, seed

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        rows = np.random.default_rng(self.seed).choice(len(train), min(SAMPLE, len(train)), replace=False)
        self.index.calibrate(prepared(train[np.sort(rows)], self.metric))

    def add(self, base: np.ndarray) -> None:
        self.index.add(prepared(base, self.metric))

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return padded(self.index.search(prepared(queries, self.metric), k)[1], k)

    def nbytes(self) -> Nbytes:
        """By its own file: what that grows by with every row. What it holds beside the codes in memory it does not tell."""
        probe, rows = self.new(), np.ones((64, self.index.dim), np.float32)
        sizes = []
        for _ in range(2):
            probe.add(rows)
            sizes.append(len(probe.to_bytes()))
        code = (sizes[1] - sizes[0]) / len(rows)
        file = len(self.index.to_bytes())
        return Nbytes(code, 0.0, file - round(code * len(self.index)), file)
