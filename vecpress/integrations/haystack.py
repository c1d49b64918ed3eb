"""Haystack: a document store whose embeddings are codes, and its embedding retriever. docs/integrations/haystack.md."""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy, FilterPolicy, apply_filter_policy
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

from ..checks import check_int
from ..codec import Codec, codec_class
from .documents import MANIFEST, DocumentIndex, KnownKey

__all__ = ["VecpressDocumentStore", "VecpressEmbeddingRetriever"]

Filters = dict[str, Any] | None
EXISTING = {
    DuplicatePolicy.NONE: "fail",
    DuplicatePolicy.FAIL: "fail",
    DuplicatePolicy.SKIP: "skip",
    DuplicatePolicy.OVERWRITE: "replace",
}


def _async(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method in a thread, to be awaited."""

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(method, *args, **kwargs)

    return call


class VecpressDocumentStore:
    """Documents whose embeddings are held as codes and searched there, exhaustively; those without one are held too.

        store = VecpressDocumentStore(vp.RaBitQ(4, metric="cos"))
        store.write_documents(documents)
        store.press()  # from here on codes; before, float16
        VecpressEmbeddingRetriever(store, top_k=10).run(query_embedding)

    codec : as in `DocumentIndex`: fitted, it codes from the first document on; unfitted, vectors are held in float16 until
        `press()` fits it on all of them; None: float16 and cosines
    path : a folder that `save` wrote, which is loaded if it is there, codec and all; where `save()` writes
    return_embedding : documents come with what the codes of their embeddings decode to, under "cos" of length about 1; else
        without embedding

    Filters are those of Haystack, applied before the search; they cost a call a document. The field `embedding` is None to them.
    Methods whose names end in `_async` run the others in a thread.

    Raises TypeError if `codec` is none; what `DocumentIndex.load` raises.
    """

    def __init__(self, codec: Codec | None = None, *, path: Any = None, return_embedding: bool = False):
        self.path, self.return_embedding = path, return_embedding
        self._documents = DocumentIndex(codec)
        self._was_fitted = codec is not None and codec.is_fitted
        if path is not None and (Path(path) / MANIFEST).exists():
            self._documents, _ = DocumentIndex.load(path, _parsed)

    @property
    def codec(self) -> Codec:
        """How vectors are held now, a copy."""
        return self._documents.codec

    @property
    def documents(self) -> DocumentIndex:
        """The documents and their index, for what Haystack has no word for."""
        return self._documents

    def __repr__(self) -> str:
        return f"<VecpressDocumentStore of {self._documents!r}>"

    # ---- the protocol

    def count_documents(self) -> int:
        """How many there are, with and without embedding."""
        return len(self._documents)

    def filter_documents(self, filters: Filters = None) -> list[Document]:
        """The documents that the filters hold for, in the order in which they came. FilterError for bad filters."""
        return self._returned([(key, document, None) for key, document in self._documents.select(_where(filters))])

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Adds documents and returns how many were written, replacements counted.

        policy : for ids that are there, or twice in `documents`: NONE and FAIL raise DuplicateDocumentError, SKIP keeps the
            first, OVERWRITE the last

        Raises ValueError for what is no list of Documents, and for an embedding of another width. Nothing is written then.
        """
        if isinstance(documents, str) or not isinstance(documents, Iterable):
            raise ValueError(f"write_documents: documents expected a list of Document, got {type(documents).__name__}")
        documents = list(documents)
        wrong = next((d for d in documents if not isinstance(d, Document)), None)
        if wrong is not None:
            raise ValueError(f"write_documents: documents expected Document, got {type(wrong).__name__}")
        existing = EXISTING[DuplicatePolicy(policy)]
        new: dict[str, Document] = {}
        for document in documents:
            if document.id in new and existing != "replace":
                if existing == "fail":
                    raise DuplicateDocumentError(f"write_documents: id {document.id!r} is there twice")
                continue
            new[document.id] = document
        vectors = {key: document.embedding for key, document in new.items() if document.embedding is not None}
        try:
            written = self._documents.upsert(
                {key: _copied(d, None, d.score) for key, d in new.items()}, vectors, existing=existing
            )
        except KnownKey as error:
            raise DuplicateDocumentError(f"write_documents: id {error.key!r} is there already") from None
        return len(documents) if existing == "replace" else written

    def delete_documents(self, document_ids: list[str]) -> None:
        """Removes the documents of those ids that are there."""
        self._documents.remove(document_ids)

    def to_dict(self) -> dict[str, Any]:
        """The constructor's arguments, JSON values: the codec's configuration, and `path`; no documents.

        Raises ValueError for a store that was made with a fitted codec and has no path: a configuration does not say what was
        learned, a folder does.
        """
        if self._was_fitted and self.path is None:
            raise ValueError("to_dict: a store of a fitted codec expected a path, a folder that save() writes, got None")
        codec = self._documents.wanted
        return default_to_dict(
            self,
            codec={"name": type(codec).__name__, "config": codec.config()},
            path=None if self.path is None else str(self.path),
            return_embedding=self.return_embedding,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The store of `to_dict`; with a path whose folder is there, its documents too."""
        given = dict(data.get("init_parameters", {}))
        codec = given.get("codec")
        if isinstance(codec, dict):
            given["codec"] = codec_class(codec["name"])(**codec["config"])
        return default_from_dict(cls, {**data, "init_parameters": given})

    # ---- beyond it

    def delete_all_documents(self) -> None:
        """Removes everything; the codec stays."""
        self._documents.clear()

    def delete_by_filter(self, filters: Filters) -> int:
        """Removes the documents that the filters hold for, and returns how many."""
        return self._documents.remove([key for key, _ in self._documents.select(_where(filters))])

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Adds to the meta of the documents that the filters hold for, and returns how many they are."""
        return self._documents.change(_where(filters), lambda d: replace(d, meta={**d.meta, **copy.deepcopy(meta)}))

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents the filters hold for."""
        return len(self._documents.select(_where(filters)))

    def embedding_retrieval(
        self,
        query_embedding: list[float],
        filters: Filters = None,
        top_k: int = 10,
        return_embedding: bool | None = None,
        **options: Any,
    ) -> list[Document]:
        """The top_k documents nearest to the embedding, best first, each with its score.

        return_embedding : instead of the store's
        options : rerank, symmetric, num_threads, as `Index.search` has them

        Scores are cosines or inner products; under "l2" squared distances, negated. Raises as `Index.search`; FilterError.
        """
        found = self._documents.search(query_embedding, top_k, _where(filters), **options)
        sign = -1.0 if self._documents.metric == "l2" else 1.0
        return self._returned([(key, document, sign * score) for key, document, score in found], return_embedding)

    def press(self, codec: Codec | None = None, queries: Any = None) -> Self:
        """Fits the codec on the embeddings that are held, codes them, and lets go of what was held. Returns the store.

        codec : instead of the constructor's
        queries : [nq, d], embeddings of a sample of questions, for codecs that learn from them

        Raises as `DocumentIndex.press`.
        """
        self._documents.press(codec, queries)
        return self

    def save(self, path: Any = None) -> None:
        """Writes a folder: the index (.vpz), the documents (JSON lines). Whole or not at all; no pickle.

        path : None for the store's, which this one becomes if it had none

        Raises ValueError without a path; TypeError or ValueError that names the first document whose meta is no JSON; OSError.
        """
        path = self.path if path is None else path
        if path is None:
            raise ValueError("save: path expected a folder, for the store has none")
        self._documents.save(path, lambda document: document.to_dict(flatten=False))
        self.path = path if self.path is None else self.path

    count_documents_async = _async(count_documents)
    filter_documents_async = _async(filter_documents)
    write_documents_async = _async(write_documents)
    delete_documents_async = _async(delete_documents)
    delete_all_documents_async = _async(delete_all_documents)
    delete_by_filter_async = _async(delete_by_filter)
    update_by_filter_async = _async(update_by_filter)
    count_documents_by_filter_async = _async(count_documents_by_filter)
    embedding_retrieval_async = _async(embedding_retrieval)

    def _returned(self, found: list[tuple[str, Document, float | None]], embedding: bool | None = None) -> list[Document]:
        """Copies, which callers may change."""
        wanted = self.return_embedding if embedding is None else embedding
        vectors = self._documents.vectors_of([key for key, _, _ in found]) if wanted else {}
        return [
            _copied(document, vectors[key].tolist() if key in vectors else None, document.score if score is None else score)
            for key, document, score in found
        ]


@component
class VecpressEmbeddingRetriever:
    """The documents of a store that are nearest to an embedding, as a component of pipelines.

    document_store : the store
    filters, top_k : unless a run says otherwise
    filter_policy : whether filters of a run replace those, or are merged with them

    Raises TypeError if it is no such store, ValueError for top_k below 1.
    """

    def __init__(
        self,
        document_store: VecpressDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: FilterPolicy = FilterPolicy.REPLACE,
    ):
        if not isinstance(document_store, VecpressDocumentStore):
            got = type(document_store).__name__
            raise TypeError(f"VecpressEmbeddingRetriever: document_store expected a VecpressDocumentStore, got {got}")
        self.document_store, self.filters, self.filter_policy = document_store, filters, filter_policy
        self.top_k = check_int("VecpressEmbeddingRetriever", "top_k", top_k, 1)

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """{"documents": the nearest, best first}."""
        filters = apply_filter_policy(self.filter_policy, self.filters, filters)
        found = self.document_store.embedding_retrieval(query_embedding, filters, self.top_k if top_k is None else top_k)
        return {"documents": found}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.run, query_embedding, filters, top_k)

    def to_dict(self) -> dict[str, Any]:
        """As `VecpressDocumentStore.to_dict`."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The retriever of `to_dict`."""
        given = dict(data.get("init_parameters", {}))
        if isinstance(given.get("document_store"), dict):
            given["document_store"] = VecpressDocumentStore.from_dict(given["document_store"])
        if isinstance(given.get("filter_policy"), str):
            given["filter_policy"] = FilterPolicy.from_str(given["filter_policy"])
        return default_from_dict(cls, {**data, "init_parameters": given})


def _where(filters: Filters) -> Callable[[Document], bool] | None:
    if not filters:
        return None
    if not isinstance(filters, dict) or ("operator" not in filters and "conditions" not in filters):
        raise FilterError(f"filters: expected a comparison or a condition as Haystack has them, got {str(filters)[:80]}")

    def holds(document: Document) -> bool:
        try:
            return document_matches_filter(filters, document)
        except KeyError as error:  # of older versions
            raise FilterError(f"filters: expected an operator of Haystack, got {error}") from None

    return holds


def _copied(document: Document, embedding: list[float] | None, score: float | None) -> Document:
    return replace(document, meta=copy.deepcopy(document.meta), embedding=embedding, score=score)


def _parsed(key: str, value: Any) -> Document:
    document = Document.from_dict(value)
    if document.id != key:
        raise ValueError(f"document expected id {key!r}, got {document.id!r}")
    return document
