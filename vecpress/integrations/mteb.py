"""MTEB: a search backend that holds a corpus as codes, so that tasks say what a byte budget costs. docs/integrations/mteb.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import is_torch
from ..auto import auto
from ..checks import Metric, check_choice, check_int
from ..codec import METRICS, Codec
from ..index import Index

__all__ = ["Held", "VecpressSearchIndex"]


@dataclass(frozen=True)
class Held:
    """What a corpus was held as: the codec, its documents, bytes a document, and bytes that were learned, once for all."""

    codec: str
    documents: int
    code_size: int
    state_nbytes: int


class VecpressSearchIndex:
    """A backend for `mteb.models.SearchEncoderWrapper`: the corpus as codes, an exhaustive scan, the queries as they are.

        backend = VecpressSearchIndex(code_size=48)
        result = mteb.evaluate(SearchEncoderWrapper(model, index_backend=backend), tasks, cache=None)
        backend.held  # a line for each corpus

    codec : fitted, it codes every corpus; unfitted, one like it is fitted on each corpus
    code_size : instead of a codec: bytes a document that `vecpress.auto` chooses a codec for, on each corpus, without its queries
    metric : of that codec; MTEB's models mostly say "cos"
    options : rerank, symmetric, num_threads, as `Index.search` has them

    Results are cached by MTEB under the model's name, which the backend is no part of: hand in `cache=None`, or a cache for each
    budget. Scores are by the codec's metric, whatever the model's similarity is; under "l2" distances, negated.

    Raises TypeError or ValueError unless exactly one of codec and code_size is given.
    """

    def __init__(self, codec: Codec | None = None, *, code_size: int | None = None, metric: Metric = "cos", **options: Any):
        if (codec is None) == (code_size is None):
            raise ValueError("VecpressSearchIndex: exactly one of codec and code_size expected")
        if codec is not None and not isinstance(codec, Codec):
            raise TypeError(f"VecpressSearchIndex: codec expected a Codec, got {type(codec).__name__}")
        self.codec, self.options = codec, options
        self.code_size = None if code_size is None else check_int("VecpressSearchIndex", "code_size", code_size, 1)
        self.metric: Metric = check_choice("VecpressSearchIndex", "metric", metric, METRICS) if codec is None else codec.metric
        self.held: list[Held] = []
        self._index: Index | None = None
        self._names: list[str] = []

    def add_documents(self, embeddings: Any, idxs: Sequence[str]) -> None:
        """Codes documents; the first that come after `clear` are those that an unfitted codec learns from.

        embeddings : [n, d], NumPy or torch; idxs : their n ids, all different

        Raises TypeError or ValueError for bad input, and then adds nothing; what `fit` and `auto` raise.
        """
        x, names = _host(embeddings), [str(name) for name in idxs]
        if x.ndim != 2 or len(x) != len(names):
            raise ValueError(f"add_documents: idxs expected one for each row of embeddings {x.shape}, got {len(names)}")
        index = self._index
        if index is None:
            index = Index(self._fitted(x))
        first = len(self._names)
        index.add(x, np.arange(first, first + len(names)))
        self._index, self._names = index, self._names + names
        last = Held(repr(index.codec), len(index), index.codec.code_size, index.codec.state_nbytes)
        self.held = [*(self.held if first == 0 else self.held[:-1]), last]

    def search(
        self,
        embeddings: Any,
        top_k: int,
        similarity_fn: Callable[[Any, Any], Any] | None = None,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        query_idx_to_id: Mapping[int, str] | None = None,
    ) -> tuple[list[list[float]], list[list[int]]]:
        """Scores and places of the top_k documents for each query, best first: in the order added, or within `top_ranked`.

        embeddings : [nq, d]; similarity_fn is not used: scores are by the codec's metric
        top_ranked : ids to choose from by query id, with query_idx_to_id; a query without any finds nothing

        Raises ValueError before `add_documents`, for unknown ids, and as `Index.search`.
        """
        if self._index is None:
            raise ValueError("search: expected documents, add_documents was not called")
        q = _host(embeddings)
        if top_ranked is None:
            allow, places = None, None
        else:
            if query_idx_to_id is None:
                raise ValueError("search: query_idx_to_id expected with top_ranked, got None")
            allow, places = self._allowed(q, top_ranked, query_idx_to_id)
        scores, ids = self._index.search(q, top_k, allow=allow, **self.options)
        if self.metric == "l2":
            scores = -np.sqrt(np.maximum(scores, 0))
        out: tuple[list[list[float]], list[list[int]]] = ([], [])
        for row in range(len(q)):
            there = ids[row] >= 0
            found = ids[row][there].tolist()
            out[0].append(scores[row][there].tolist())
            out[1].append(found if places is None else [places[row][i] for i in found])
        return out

    def clear(self) -> None:
        """Forgets the documents; `held` stays."""
        self._index, self._names = None, []

    def _fitted(self, x: np.ndarray) -> Codec:
        if self.codec is None:
            return auto(x, code_size=self.code_size, metric=self.metric)[0]
        return self.codec if self.codec.is_fitted else type(self.codec)(**self.codec.config()).fit(x)

    def _allowed(
        self, q: np.ndarray, top_ranked: Mapping[str, Sequence[str]], names: Mapping[int, str]
    ) -> tuple[list[np.ndarray], list[dict[int, int]]]:
        """For each query the ids to choose from, and where each stands among its candidates."""
        number = {name: i for i, name in enumerate(self._names)}
        allow, places = [], []
        for row in range(len(q)):
            candidates = [str(name) for name in top_ranked.get(names[row]) or ()]
            unknown = next((name for name in candidates if name not in number), None)
            if unknown is not None:
                raise ValueError(f"search: top_ranked expected ids that were added, {unknown!r} is unknown")
            allow.append(np.array([number[name] for name in candidates], np.int64))
            places.append({number[name]: place for place, name in reversed(list(enumerate(candidates)))})
        return allow, places


def _host(x: Any) -> np.ndarray:
    if is_torch(x):
        x = x.detach().float().cpu().numpy()
    return np.asarray(x)
