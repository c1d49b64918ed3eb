"""Intel's SVS: LVQ scanned whole by its flat index, LeanVec in its graph, which is the only index that takes it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import folder_bytes, installed, nearest, padded, passive_threads, prepared

NAME = "scalable-vs"
FACTORS = 5  # scale and bias as float16 and the number of a centroid, behind every primary code
PADDING = 32  # bytes; LeanVec's rows are filled up to multiples of it, LVQ's as given to its loader: not at all
GRAPH = {"graph_max_degree": 64, "window_size": 200}  # its documentation's
WINDOW = 400  # rows that a search of the graph keeps: near to all of what a scan would find

# Where LVQ is refused the library ends the process, so it is asked in another first.
PROBE = """
import sys, numpy as np, svs
rows = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
svs.write_vecs(rows, sys.argv[1])
loader = svs.LVQLoader(svs.VectorDataLoader(sys.argv[1], svs.DataType.float32, dims=64), primary=8)
svs.Flat(loader, svs.DistanceType.L2).search(rows[:1], 1)
print("searched")
"""


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    d = profile.dim
    lvq = [(_lvq_size(d, first, rest), {"primary": first, "residual": rest}) for first, rest in ((4, 4), (8, 0))]
    found = [
        Contender(NAME, "LVQ, Flat", config, size, partial(_make, config), False, 0.1, "")
        for size, config in nearest(budgets, lvq)
    ]
    lean = [(_leanvec_size(d, d // part), {"leanvec_dims": d // part, "primary": 8, "secondary": 8, **GRAPH}) for part in (4, 2)]
    notes = f"searches a graph, window {WINDOW}; ranked again by 8 bits of all columns"
    found += [
        Contender(NAME, "LeanVec, Vamana", config, size, partial(_make, config), False, 3.0, notes)
        for size, config in nearest(budgets, lean)
    ]
    return found


def _lvq_size(d: int, primary: int, residual: int) -> int:
    return -(-d * primary // 8) + FACTORS + -(-d * residual // 8)


def _leanvec_size(d: int, dims: int) -> int:
    """Two codes of LVQ8: of the projection and of the vector, both filled up."""
    return sum(-(-_lvq_size(columns, 8, 0) // PADDING) * PADDING for columns in (dims, d))


def _make(config: dict[str, Any], profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROBE, str(Path(folder) / "rows.fvecs")]
        probe = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "searched" not in probe.stdout:
        said = (probe.stdout + probe.stderr).strip().splitlines()
        raise RuntimeError(f"SVS does not run LVQ here: {said[-1] if said else 'it ended'}")
    return SVS(config, profile, threads)


class SVS(System):
    """Built anew from all rows with each `add`: its flat index does not grow. The float rows lie in a file meanwhile, whose
    writing counts as encoding."""

    appends = False

    def __init__(self, config: dict[str, Any], profile: Profile, threads: int):
        import svs

        self.svs, self.config, self.threads = svs, config, threads
        self.dim, self.metric = profile.dim, profile.metric
        self.index: Any = None
        self.distance = svs.DistanceType.L2 if profile.metric == "l2" else svs.DistanceType.MIP
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "rows.fvecs")
        self.matrices: tuple[np.ndarray, ...] = ()

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        """LeanVec's projections where there are sample queries; without them it takes principal components by itself."""
        if "leanvec_dims" in self.config and queries is not None:
            x, q = prepared(train, self.metric), prepared(queries, self.metric)
            self.matrices = self.svs.compute_leanvec_matrices(x, q, self.config["leanvec_dims"])

    def add(self, base: np.ndarray) -> None:
        svs, c = self.svs, self.config
        x = prepared(base, self.metric)
        with open(self.path, "ab") as file:  # as .fvecs has it: columns as int32 before every row
            np.column_stack([np.full((len(x), 1), self.dim, np.int32).view(np.float32), x]).astype("<f4").tofile(file)
        rows = svs.VectorDataLoader(self.path, svs.DataType.float32, dims=self.dim)
        if "leanvec_dims" not in c:
            loader = svs.LVQLoader(rows, primary=c["primary"], residual=c["residual"])
            self.index = svs.Flat(loader, self.distance, num_threads=self.threads)
            return
        given = dict(zip(("data_matrix", "query_matrix"), self.matrices, strict=False))
        kind = svs.LeanVecKind.lvq8
        loader = svs.LeanVecLoader(rows, c["leanvec_dims"], primary_kind=kind, secondary_kind=kind, alignment=PADDING, **given)
        alpha = 1.2 if self.metric == "l2" else 0.95
        self.index = svs.Vamana.build(
            svs.VamanaBuildParameters(alpha=alpha, **GRAPH), loader, self.distance, num_threads=self.threads
        )
        self.index.search_window_size = WINDOW

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        if self.index is None:
            raise ValueError("search expected rows to be added before, got none")
        return padded(self.index.search(prepared(queries, self.metric), k)[0], k)

    def nbytes(self) -> Nbytes:
        """By the layout that its open headers give; the flat index is not saved, and tells no size."""
        c = self.config
        if "leanvec_dims" not in c or self.index is None:
            return Nbytes(_lvq_size(self.dim, c["primary"], c["residual"]), 0.0, 4 * self.dim, None)
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(*(str(Path(folder) / part) for part in ("config", "graph", "data")))
            graph, file = folder_bytes(Path(folder) / "graph"), folder_bytes(folder)
        return Nbytes(_leanvec_size(self.dim, c["leanvec_dims"]), graph / self.index.size, 8 * self.dim * c["leanvec_dims"], file)
