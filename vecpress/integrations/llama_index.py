"""LlamaIndex: a vector store that holds nodes, and their embeddings as codes. docs/integrations/llama-index.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    DEFAULT_PERSIST_FNAME,
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from ..checks import check_int, check_number
from ..codec import Codec
from ..keys import KeyedIndex
from .documents import DocumentIndex

__all__ = ["VecpressVectorStore"]

PREFETCH = 4.0  # candidates of MMR for each node that is wanted


class VecpressVectorStore(BasePydanticVectorStore):
    """Nodes whose embeddings are held as codes and searched there, exhaustively; the texts are here too.

        store = VecpressVectorStore(vp.RaBitQ(4, metric="cos"))
        index = VectorStoreIndex.from_documents(documents, StorageContext.from_defaults(vector_store=store))
        store.press()  # from here on codes; before, float16

    codec : as in `DocumentIndex`: fitted, it codes from the first node on; unfitted, vectors are held in float16 until `press()`
        fits it on all of them; None: float16 and cosines

    Filters are applied before the search, so as many nodes come back as are wanted, where so many are allowed; they cost a call a
    node. Similarities are cosines or inner products; under "l2" squared distances, negated. The async methods are LlamaIndex's
    own, which call these. Raises TypeError if `codec` is none.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    _documents: DocumentIndex = PrivateAttr()

    def __init__(self, codec: Codec | None = None):
        super().__init__()
        self._documents = DocumentIndex(codec)

    @classmethod
    def class_name(cls) -> str:
        return "VecpressVectorStore"

    @property
    def client(self) -> KeyedIndex | None:
        """The index, to be read, not changed; None while no vector has come and the codec is not fitted."""
        return self._documents.index

    @property
    def codec(self) -> Codec:
        """How vectors are held now, a copy."""
        return self._documents.codec

    @property
    def documents(self) -> DocumentIndex:
        """The nodes and their index; how many is its length, as LlamaIndex takes a store of length 0 for no store."""
        return self._documents

    def __repr__(self) -> str:
        return f"<VecpressVectorStore of {self._documents!r}>"

    # ---- change

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Adds nodes, each with its embedding; those with an id that is there take its place. Returns the ids.

        Raises ValueError for a node without an embedding or with one of another width, and then adds nothing.
        """
        vectors = {node.node_id: node.get_embedding() for node in nodes}
        self._documents.upsert({node.node_id: _dumped(node) for node in nodes}, vectors)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Removes the nodes of a document, where there are any. Cost: a look at every node."""
        self._documents.remove([key for key, _ in self._documents.select(lambda node: node["ref_doc_id"] == ref_doc_id)])

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Removes the nodes of those ids that are there and that the filters hold for. ValueError without either: `clear`."""
        if node_ids is None and filters is None:
            raise ValueError("delete_nodes: expected node_ids or filters; clear() removes all")
        self._documents.remove([key for key, _ in self._chosen(node_ids, filters)])

    def clear(self) -> None:
        """Removes all nodes; the codec stays."""
        self._documents.clear()

    def press(self, codec: Codec | None = None, queries: Any = None) -> Self:
        """Fits the codec on the embeddings that are held, codes them, and lets go of what was held. Returns the store.

        codec : instead of the constructor's
        queries : [nq, d], embeddings of a sample of questions, for codecs that learn from them

        Raises as `DocumentIndex.press`.
        """
        self._documents.press(codec, queries)
        return self

    # ---- read

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes of those ids that are there and that the filters hold for, in the order in which they came."""
        return [_parsed(node) for _, node in self._chosen(node_ids, filters)]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes nearest to the query's embedding, best first.

        query : similarity_top_k, filters, node_ids and doc_ids (documents of the nodes) are heeded; mode DEFAULT or MMR, with
            mmr_threshold (1: nearness alone, 0: difference alone; 0.5), of what the codes of mmr_prefetch_factor (4) times as
            many nodes decode to
        kwargs : mmr_threshold, mmr_prefetch_factor; rerank, symmetric, num_threads of `Index.search`

        Raises ValueError for another mode, a filter that cannot be applied, or no embedding.
        """
        if query.query_embedding is None:
            raise ValueError("query: query_embedding expected a vector, got None")
        if query.mode not in (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
            raise ValueError(f"query: mode expected default or mmr, got {getattr(query.mode, 'value', query.mode)}")
        threshold, prefetch = kwargs.pop("mmr_threshold", query.mmr_threshold), kwargs.pop("mmr_prefetch_factor", PREFETCH)
        k = check_int("query", "similarity_top_k", query.similarity_top_k, 0)
        mmr = query.mode == VectorStoreQueryMode.MMR
        if mmr:
            wide = int(k * check_number("query", "mmr_prefetch_factor", prefetch, 1, 1e6))
        where = _where(query.node_ids, query.filters, query.doc_ids)
        found = self._documents.search(query.query_embedding, wide if mmr else k, where, **kwargs)
        if mmr and found:
            decoded = self._documents.vectors_of([key for key, _, _ in found])
            there = {key: node for key, node, _ in found if key in decoded}
            similarities, keys = get_top_k_mmr_embeddings(
                query.query_embedding, [decoded[key].tolist() for key in there], similarity_top_k=k, embedding_ids=list(there),
                mmr_threshold=threshold,
            )  # fmt: skip
            found = [(key, there[key], score) for key, score in zip(keys, similarities, strict=True)]
        elif self._documents.metric == "l2":
            found = [(key, node, -score) for key, node, score in found]
        return VectorStoreQueryResult(
            nodes=[_parsed(node) for _, node, _ in found],
            similarities=[float(score) for _, _, score in found],
            ids=[key for key, _, _ in found],
        )

    def _chosen(self, node_ids: list[str] | None, filters: MetadataFilters | None) -> list[tuple[str, Any]]:
        where = _where(None, filters, None)
        if node_ids is None:
            return self._documents.select(where)
        return [(key, node) for key, node in self._documents.get(dict.fromkeys(node_ids)) if where is None or where(node)]

    # ---- files

    def persist(self, persist_path: str = os.path.join(DEFAULT_PERSIST_DIR, DEFAULT_PERSIST_FNAME), fs: Any = None) -> None:
        """Writes a folder of that name: the index (.vpz), the nodes (JSON lines). Whole or not at all; no pickle.

        fs : None, or fsspec's local one: ValueError for any other. OSError.
        """
        _check_local("persist", fs)
        self._documents.save(persist_path, lambda node: node)

    @classmethod
    def from_persist_path(cls, persist_path: str, fs: Any = None, *, mmap: bool = False) -> Self:
        """The store of a folder. Raises as `DocumentIndex.load`; nothing in the folder is trusted or run.

        mmap : leave the codes in the file, to be read when a search needs them; the store can then only be read
        """
        _check_local("from_persist_path", fs)
        store = cls()
        store._documents, _ = DocumentIndex.load(persist_path, _checked, mmap=mmap)
        return store

    @classmethod
    def from_persist_dir(cls, persist_dir: str = DEFAULT_PERSIST_DIR, namespace: str = "default", fs: Any = None) -> Self:
        """The store that `StorageContext.persist(persist_dir)` wrote."""
        return cls.from_persist_path(os.path.join(persist_dir, f"{namespace}__{DEFAULT_PERSIST_FNAME}"), fs)


def _check_local(call: str, fs: Any) -> None:
    protocol = "file" if fs is None else fs.protocol
    if "file" not in ((protocol,) if isinstance(protocol, str) else protocol):
        raise ValueError(f"{call}: fs expected None or the local file system, got {type(fs).__name__}")


def _dumped(node: BaseNode) -> dict[str, Any]:
    """A node without its embedding, as JSON values."""
    return {"id": node.node_id, "ref_doc_id": node.ref_doc_id, "metadata": node_to_metadata_dict(node)}


def _parsed(value: dict[str, Any]) -> BaseNode:
    return metadata_dict_to_node(value["metadata"])


def _checked(key: str, value: Any) -> dict[str, Any]:
    node = _parsed(value)
    if (key, value["id"], value["ref_doc_id"]) != (node.node_id, node.node_id, node.ref_doc_id):
        raise ValueError(f"node expected id {node.node_id!r} of document {node.ref_doc_id!r}")
    return {name: value[name] for name in ("id", "ref_doc_id", "metadata")}


# ---- filters


def _where(
    node_ids: Sequence[str] | None, filters: MetadataFilters | None, doc_ids: Sequence[str] | None
) -> Callable[[dict[str, Any]], bool] | None:
    tests: list[Callable[[dict[str, Any]], bool]] = []
    if node_ids:  # an index that leaves its texts to the store hands in an empty list for all
        these = set(node_ids)
        tests.append(lambda node: node["id"] in these)
    if doc_ids:
        documents = set(doc_ids)
        tests.append(lambda node: node["ref_doc_id"] in documents)
    if filters is not None and filters.filters:
        _check_filters(filters)
        tests.append(lambda node: _holds(filters, node["metadata"]))
    return (lambda node: all(test(node) for test in tests)) if tests else None


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda got, value: got == value,
    "!=": lambda got, value: got != value,
    ">": lambda got, value: got > value,
    ">=": lambda got, value: got >= value,
    "<": lambda got, value: got < value,
    "<=": lambda got, value: got <= value,
    "in": lambda got, value: got in value,
    "nin": lambda got, value: got not in value,
    "any": lambda got, value: any(one in got for one in value),
    "all": lambda got, value: all(one in got for one in value),
    "contains": lambda got, value: value in got,
    "text_match": lambda got, value: _text(value) in _text(got),
    "text_match_insensitive": lambda got, value: _text(value).lower() in _text(got).lower(),
}
LISTS = ("in", "nin", "any", "all")


def _check_filters(filters: MetadataFilters) -> None:
    """Raises ValueError for what no node could be tested by."""
    condition = _word(filters.condition) or "and"
    if condition not in ("and", "or", "not"):
        raise ValueError(f"filters: condition expected and, or, not, got {condition!r}")
    for one in filters.filters:
        if isinstance(one, MetadataFilters):
            _check_filters(one)
            continue
        operator = _word(one.operator)
        if operator not in OPERATORS and operator != "is_empty":
            known = ", ".join(OPERATORS)
            raise ValueError(f"filters: operator of {one.key!r} expected one of {known}, is_empty, got {operator!r}")
        if operator in LISTS and not isinstance(one.value, list):
            raise ValueError(f"filters: value of {one.key!r} expected a list for {operator!r}, got {type(one.value).__name__}")


def _word(value: Any) -> str | None:
    return getattr(value, "value", value)


def _holds(filters: MetadataFilters, metadata: dict[str, Any]) -> bool:
    results = (_holds(f, metadata) if isinstance(f, MetadataFilters) else _one_holds(f, metadata) for f in filters.filters)
    condition = _word(filters.condition) or "and"
    if condition == "and":
        return all(results)
    return any(results) if condition == "or" else not any(results)


def _one_holds(one: Any, metadata: dict[str, Any]) -> bool:
    got, operator = metadata.get(one.key), _word(one.operator)
    if operator == "is_empty":
        return got is None or got == "" or got == []
    if got is None:  # as LlamaIndex's own store has it: nothing differs from everything
        return operator in ("!=", "nin")
    try:
        return bool(OPERATORS[str(operator)](got, one.value))
    except TypeError:
        kinds = f"{type(got).__name__} and {type(one.value).__name__}"
        raise ValueError(f"filters: operator {operator!r} of {one.key!r} cannot compare {kinds}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
