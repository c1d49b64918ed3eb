"""sentence-transformers' own quantization: `quantize_embeddings`, searched by its two functions, rescored by float queries.

Importing it imports torch. Its searches need faiss-cpu ("ubinary", "uint8") or usearch ("int8").
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..contender import Contender, Nbytes, Profile, System
from ._common import installed, nearest, passive_threads, prepared

NAME = "sentence-transformers"
DEPENDS = ("torch", "faiss-cpu", "usearch")
RESCORE = 4  # times k candidates, as its examples have it


def version() -> str | None:
    return installed(NAME)


def contenders(profile: Profile, budgets: Sequence[int]) -> list[Contender]:
    """Inner products only. Its index of uint8 is faiss's IndexFlatIP, which keeps every byte as a float."""
    if profile.metric == "l2":
        return []
    d = profile.dim
    found = []
    for precision, size, notes in (
        ("ubinary", -(-d // 8), "queries are coded too, then rescored"),
        ("int8", d, "queries are coded too, then rescored; builds usearch's graph, searches without it"),
        ("uint8", 4 * d, "queries are coded too, then rescored; its index keeps bytes as floats"),
    ):
        config = {"precision": precision, "rescore_multiplier": RESCORE, "exact": True}
        for _, chosen in nearest(budgets, [(size, config)]):
            make = partial(_make, precision)
            found.append(Contender(NAME, f"quantize_embeddings {precision}", chosen, size, make, False, 0.1, notes))
    return found


def _make(precision: str, profile: Profile, seed: int, threads: int) -> System:
    passive_threads(threads)
    return SentenceTransformers(precision, profile, threads)


class SentenceTransformers(System):
    """One index, handed to its search function with every call; ranges of int8 and uint8 come from the training rows."""

    def __init__(self, precision: str, profile: Profile, threads: int):
        import torch
        from sentence_transformers.util import quantization

        torch.set_num_threads(threads)
        self.precision, self.metric, self.dim, self.threads = precision, profile.metric, profile.dim, threads
        self.quantize, self.count = quantization.quantize_embeddings, 0
        self.ranges: np.ndarray | None = None
        if precision == "int8":
            from usearch.index import Index

            self.index: Any = Index(ndim=self.dim, metric="ip", dtype="i8")
            self.find = quantization.semantic_search_usearch
            return
        import faiss

        faiss.omp_set_num_threads(threads)
        self.faiss, self.find = faiss, quantization.semantic_search_faiss
        columns = -(-self.dim // 8) * 8
        self.index = faiss.IndexBinaryFlat(columns) if precision == "ubinary" else faiss.IndexFlatIP(self.dim)

    def fit(self, train: np.ndarray, queries: np.ndarray | None) -> None:
        x = prepared(train, self.metric)
        self.ranges = np.vstack([x.min(axis=0), x.max(axis=0)])

    def add(self, base: np.ndarray) -> None:
        codes = self.quantize(prepared(base, self.metric), precision=self.precision, ranges=self.ranges)
        if self.precision == "int8":
            self.index.add(np.arange(self.count, self.count + len(codes)), codes, threads=self.threads)
        else:
            self.index.add(codes)
        self.count += len(codes)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        found, *_ = self.find(
            prepared(queries, self.metric), corpus_index=self.index, corpus_precision=self.precision, top_k=k, ranges=self.ranges,
            rescore_multiplier=RESCORE, exact=True,
        )  # fmt: skip
        out = np.full((len(found), k), -1, np.int64)
        for row, hits in zip(out, found, strict=True):
            row[: len(hits)] = [hit["corpus_id"] for hit in hits]
        return out

    def nbytes(self) -> Nbytes:
        if self.precision == "int8":  # beside the codes: keys and the graph
            file = len(self.index.save())
            return Nbytes(self.dim, self.index.memory_usage / self.count - self.dim, 0, file)
        binary = self.precision == "ubinary"
        serialize = self.faiss.serialize_index_binary if binary else self.faiss.serialize_index
        return Nbytes(self.index.code_size, 0.0, 0, serialize(self.index).nbytes)
