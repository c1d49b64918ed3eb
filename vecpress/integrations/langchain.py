"""LangChain: a vector store and a retriever whose vectors are codes. docs/integrations/langchain.md."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ..codec import Codec
from .documents import DocumentIndex

__all__ = ["VecpressRetriever", "VecpressVectorStore"]

Filter = dict[str, Any] | Callable[[Document], bool]


class VecpressVectorStore(VectorStore):
    """Documents whose embeddings are held as codes and searched there, exhaustively.

        store = VecpressVectorStore.from_texts(texts, embedding, codec=vp.RaBitQ(4, metric="cos"))
        store.press()  # from here on codes; before, float16
        store.similarity_search("a question", k=4, filter={"lang": "en"})

    embedding : the embedding model
    codec : as in `DocumentIndex`: fitted, it codes from the first document on; unfitted, vectors are held in float16 until
        `press()` fits it on all of them; None: float16 and cosines

    A filter is a dict of metadata that must be equal, all of them, or a function of a Document; it is applied before the search,
    so k documents come back where k are allowed. It costs a call a document. Scores are cosines or inner products, or squared
    distances, as the codec's metric says. The async methods are LangChain's own, which run these in an executor.

    Raises TypeError if `codec` is none or `embedding` no Embeddings.
    """

    def __init__(self, embedding: Embeddings, codec: Codec | None = None):
        if not isinstance(embedding, Embeddings):
            raise TypeError(f"VecpressVectorStore: embedding expected Embeddings, got {type(embedding).__name__}")
        self._embedding = embedding
        self._documents = DocumentIndex(codec)

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    @property
    def codec(self) -> Codec:
        """How vectors are held now, a copy."""
        return self._documents.codec

    @property
    def documents(self) -> DocumentIndex:
        """The documents and their index, for what LangChain has no word for; their number is its length."""
        return self._documents

    def __repr__(self) -> str:
        return f"<VecpressVectorStore of {self._documents!r}>"

    # ---- change

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        codec: Codec | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store of texts; kwargs as in `add_texts`. `press()` is not called."""
        store = cls(embedding, codec)
        store.add_texts(texts, metadatas, ids=ids, **kwargs)
        return store

    def add_documents(self, documents: list[Document], *, ids: list[str] | None = None, **kwargs: Any) -> list[str]:
        """Embeds documents and adds them; those with an id that is there take its place. Returns the ids.

        ids : one each; else the documents' own, and a new UUID for one that has none

        Raises ValueError for another number of ids, TypeError for unknown arguments; then nothing is added.
        """
        if kwargs:
            raise TypeError(f"add_documents: unexpected argument {next(iter(kwargs))!r}")
        if ids is not None and len(ids) != len(documents):
            raise ValueError(f"add_documents: ids expected one for each of {len(documents)} documents, got {len(ids)}")
        if not documents:
            return []
        given = [document.id for document in documents] if ids is None else ids
        keys = [str(uuid.uuid4()) if key is None else key for key in given]
        vectors = self._embedding.embed_documents([document.page_content for document in documents])
        if len(vectors) != len(documents):
            raise ValueError(f"add_documents: embedding expected {len(documents)} vectors, got {len(vectors)}")
        new = {
            key: Document(id=key, page_content=document.page_content, metadata=copy.deepcopy(document.metadata))
            for key, document in zip(keys, documents, strict=True)
        }
        self._documents.upsert(new, dict(zip(keys, vectors, strict=True)))
        return keys

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """The same for texts. Raises ValueError for another number of metadatas or ids."""
        texts = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise ValueError(f"add_texts: {name} expected one for each of {len(texts)} texts, got {len(given)}")
        every = metadatas or [{} for _ in texts]
        documents = [Document(page_content=text, metadata=metadata) for text, metadata in zip(texts, every, strict=True)]
        return self.add_documents(documents, ids=ids, **kwargs)

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Removes the documents of those ids that are there. None: all of them."""
        if ids is None:
            self._documents.clear()
        else:
            self._documents.remove(ids)
        return True

    def press(self, codec: Codec | None = None, queries: list[str] | None = None) -> Self:
        """Fits the codec on the embeddings that are held, codes them, and lets go of what was held. Returns the store.

        codec : instead of the constructor's
        queries : a sample of questions, which are embedded, for codecs that learn from them

        Raises as `DocumentIndex.press`.
        """
        q = None if queries is None else np.array([self._embedding.embed_query(query) for query in queries], np.float32)
        self._documents.press(codec, q)
        return self

    # ---- read

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of those ids that are there, in the order asked for."""
        return [_copied(document) for _, document in self._documents.get(ids)]

    def similarity_search(self, query: str, k: int = 4, *, filter: Filter | None = None, **kwargs: Any) -> list[Document]:
        """The k documents that are nearest to the query, best first; kwargs: `rerank`, `symmetric`, `num_threads`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same with scores."""
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, filter=filter, **kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The same for an embedding."""
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, filter=filter, **kwargs)]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same for an embedding, with scores."""
        found = self._documents.search(embedding, k, _where(filter), **kwargs)
        return [(_copied(document), score) for _, document, score in found]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """k of the fetch_k nearest documents, that are near to the query and unlike each other; by what the codes decode to."""
        embedding = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(embedding, k, fetch_k, lambda_mult, filter=filter, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The same for an embedding."""
        found = self._documents.search(embedding, fetch_k, _where(filter), **kwargs)
        decoded = self._documents.vectors_of([key for key, _, _ in found])
        there = [(document, decoded[key]) for key, document, _ in found if key in decoded]
        if not there:
            return []
        q = np.asarray(embedding, np.float32)
        chosen = maximal_marginal_relevance(q, [vector for _, vector in there], lambda_mult=lambda_mult, k=k)
        return [_copied(there[i][0]) for i in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Scores to 0 .. 1: a cosine, or an inner product of vectors of length 1, itself, below 0 as 0; 1 / (1 + distance^2)."""
        if self._documents.metric == "l2":
            return lambda score: 1 / (1 + max(score, 0.0))
        return lambda score: min(max(score, 0.0), 1.0)

    # ---- files

    def save(self, path: Any) -> None:
        """Writes a folder: the index (.vpz), the documents (JSON lines). Whole or not at all; no pickle.

        Metadata must be JSON values: TypeError or ValueError names the first document whose is not. OSError.
        """
        self._documents.save(path, lambda document: {"page_content": document.page_content, "metadata": document.metadata})

    @classmethod
    def load(cls, path: Any, embedding: Embeddings, *, mmap: bool = False) -> Self:
        """The store of a folder. Raises as `DocumentIndex.load`; nothing in the folder is trusted or run.

        mmap : leave the codes in the file, to be read when a search needs them; the store can then only be read
        """
        store = cls(embedding)
        store._documents, _ = DocumentIndex.load(path, _parse, mmap=mmap)
        return store


class VecpressRetriever(BaseRetriever):
    """The k nearest documents of a store as a retriever; `store.as_retriever()` is LangChain's own, which has more search types.

    vectorstore : the store
    k : how many; `invoke(query, k=...)` overrules it
    filter : as in the store, likewise
    """

    vectorstore: VecpressVectorStore
    k: int = 4
    filter: Any = None

    model_config = {"arbitrary_types_allowed": True}  # noqa: RUF012  pydantic's way to say it

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self.vectorstore.similarity_search(query, **{"k": self.k, "filter": self.filter} | kwargs)


def _where(filter: Any) -> Callable[[Document], Any] | None:
    if filter is None or callable(filter):
        return filter
    if not isinstance(filter, dict):
        raise TypeError(f"similarity_search: filter expected a dict or a function of a Document, got {type(filter).__name__}")
    items: Iterable[tuple[str, Any]] = list(filter.items())
    missing = object()
    return lambda document: all(document.metadata.get(name, missing) == value for name, value in items)


def _copied(document: Document) -> Document:
    """What callers may change without changing the store."""
    return document.model_copy(update={"metadata": copy.deepcopy(document.metadata)})


def _parse(key: str, value: Any) -> Document:
    if not isinstance(value["page_content"], str) or not isinstance(value["metadata"], dict):
        raise ValueError("document expected page_content and metadata")
    return Document(id=key, page_content=value["page_content"], metadata=value["metadata"])
