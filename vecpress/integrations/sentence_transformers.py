"""sentence-transformers: its quantization functions for any codec, and a module that makes models emit codes.

docs/integrations/sentence-transformers.md
"""

from __future__ import annotations

import os
import time
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

try:
    from sentence_transformers.base.modules import Module
    from sentence_transformers.util import quantization as theirs
except ImportError:  # version 5 has them elsewhere
    from sentence_transformers import quantization as theirs
    from sentence_transformers.models import Module

from ..arrays import as_array
from ..checks import check_choice, check_int
from ..codec import Codec
from ..errors import NotFittedError
from ..index import Index
from ..io import load

__all__ = ["PressModule", "quantize_embeddings", "semantic_search_faiss", "semantic_search_usearch"]

FILE = "codec.vpz"
OUTPUTS = ("codes", "decoded")
Results = list[list[dict[str, Any]]]


def quantize_embeddings(
    embeddings: Any, precision: str | Codec, ranges: np.ndarray | None = None, calibration_embeddings: Any = None
) -> Any:
    """`sentence_transformers.quantize_embeddings`, whose precision may be a codec.

    embeddings : [n, d], a tensor or an array, or a list of vectors; or a list of matrices (multi-vector), which gives a list
    precision : one of theirs, "float32", "int8", "uint8", "binary", "ubinary", done by them; or a codec, fitted, or fitted here,
        in place, by `calibration_embeddings`
    ranges : theirs

    Returns uint8[n, code_size] for a codec, a NumPy array whatever came. A codec has its calibration inside: one embedding is
    coded as it is in a batch. Raises NotFittedError for an unfitted codec without calibration_embeddings, as ranges of what is to
    be coded would be no ranges of what is coded later; ValueError for `ranges` beside a codec; as `Codec.encode` does.
    """
    if not isinstance(precision, Codec):
        return theirs.quantize_embeddings(embeddings, precision, ranges, calibration_embeddings)
    codec = precision
    if ranges is not None:
        raise ValueError("quantize_embeddings: ranges expected None beside a codec, which has its own")
    if not codec.is_fitted:
        if calibration_embeddings is None:
            name = type(codec).__name__
            raise NotFittedError(f"quantize_embeddings: {name} is not fitted: call fit(x) first or give calibration_embeddings")
        codec.fit(_numpy(calibration_embeddings, "calibration_embeddings"))
    if isinstance(embeddings, list):
        if not embeddings:
            return []
        embeddings = [_numpy(e, "embeddings") for e in embeddings]
        if embeddings[0].ndim == 2:
            return [codec.encode(matrix) for matrix in embeddings]
        embeddings = np.stack(embeddings)
    return codec.encode(_numpy(embeddings, "embeddings"))


def semantic_search_faiss(
    query_embeddings: Any,
    corpus_embeddings: Any = None,
    corpus_index: Any = None,
    corpus_precision: str | Codec = "float32",
    top_k: int = 10,
    ranges: np.ndarray | None = None,
    calibration_embeddings: Any = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> tuple[Any, ...]:
    """`sentence_transformers.util.semantic_search_faiss`, whose precision may be a codec and whose index a `vecpress.Index`.

    With neither it is theirs. With one of them:

    query_embeddings : [nq, d] floats, or uint8[nq, code_size], the codes of queries
    corpus_embeddings : codes uint8[n, code_size]; embeddings of other dtypes are coded first
    corpus_index : an Index, instead; its ids are the corpus ids
    corpus_precision : a fitted codec; not needed with an index
    rescore : queries stay floats, which scores every vector as theirs scores candidates again; with an index that has a store the
        best `top_k * rescore_multiplier` are reranked by it. False: queries are coded, as codes of queries are anyway
    exact : False changes nothing: the scan is exhaustive
    ranges, calibration_embeddings : None, as a codec has its own

    Returns ([[{"corpus_id": int, "score": float}, ...], ...], seconds, and the Index with output_index). Scores are those of the
    codec's metric: larger is better, but for "l2" smaller. Raises TypeError or ValueError for other input.
    """
    arguments = (ranges, calibration_embeddings, rescore, rescore_multiplier, exact, output_index)
    if isinstance(corpus_precision, Codec) or isinstance(corpus_index, Index):
        return _search(
            "semantic_search_faiss", query_embeddings, corpus_embeddings, corpus_index, corpus_precision, top_k, *arguments
        )
    return theirs.semantic_search_faiss(query_embeddings, corpus_embeddings, corpus_index, corpus_precision, top_k, *arguments)


def semantic_search_usearch(
    query_embeddings: Any,
    corpus_embeddings: Any = None,
    corpus_index: Any = None,
    corpus_precision: str | Codec = "float32",
    top_k: int = 10,
    ranges: np.ndarray | None = None,
    calibration_embeddings: Any = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> tuple[Any, ...]:
    """`sentence_transformers.util.semantic_search_usearch`, likewise: see `semantic_search_faiss`."""
    arguments = (ranges, calibration_embeddings, rescore, rescore_multiplier, exact, output_index)
    if isinstance(corpus_precision, Codec) or isinstance(corpus_index, Index):
        return _search(
            "semantic_search_usearch", query_embeddings, corpus_embeddings, corpus_index, corpus_precision, top_k, *arguments
        )
    return theirs.semantic_search_usearch(query_embeddings, corpus_embeddings, corpus_index, corpus_precision, top_k, *arguments)


class PressModule(Module):  # type: ignore[misc]
    """The last module of a SentenceTransformer, by which `encode` returns codes.

        model.append(PressModule(codec))
        codes = model.encode(texts)  # uint8[n, code_size]

    codec : fitted on embeddings of the modules before it
    output : "codes", or "decoded": float vectors, what the codes decode to, for what needs vectors

    `model.save_pretrained(path)` writes the codec as codec.vpz in the module's folder; `SentenceTransformer(path,
    trust_remote_code=True)` reads it, checked as `vecpress.load` checks a file. (Version 6 wants that flag for every module that
    is not its own; what runs is the installed vecpress.) Nothing is trained through it: codes have no gradient.
    `normalize_embeddings`, `truncate_dim` and `precision` of `encode` work on what comes out and are not meant for codes.
    """

    config_keys: list[str] = ["output"]  # noqa: RUF012  as their class has it
    config_file_name = "config.json"

    def __init__(self, codec: Codec, output: str = "codes"):
        super().__init__()
        if not isinstance(codec, Codec):
            raise TypeError(f"PressModule: codec expected a Codec, got {type(codec).__name__}")
        codec.check_fitted()
        self.codec = codec
        self.output = check_choice("PressModule", "output", output, OUTPUTS)

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """`sentence_embedding` float[n, d] becomes uint8[n, code_size], or float32[n, d] with "decoded", on its device."""
        codes = self.codec.encode(features["sentence_embedding"].detach())
        features["sentence_embedding"] = codes if self.output == "codes" else self.codec.decode(codes)
        return features

    def get_embedding_dimension(self) -> int:
        """Columns of what comes out."""
        return self.codec.code_size if self.output == "codes" else self.codec.dim

    def get_sentence_embedding_dimension(self) -> int:
        """The same, as version 5 calls it."""
        return self.get_embedding_dimension()

    def get_config_dict(self) -> dict[str, Any]:
        return {"output": self.output}

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Writes config.json and codec.vpz."""
        self.save_config(output_path)
        self.codec.save(os.path.join(output_path, FILE))

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **kwargs: Any) -> Self:
        """Reads what `save` wrote. Raises FileNotFoundError without codec.vpz, CorruptFileError if it is not whole."""
        hub = {name: kwargs[name] for name in ("token", "cache_folder", "revision", "local_files_only") if name in kwargs}
        config = cls.load_config(model_name_or_path, subfolder=subfolder, **hub)
        path = cls.load_file_path(model_name_or_path, filename=FILE, subfolder=subfolder, **hub)
        if path is None:
            where = os.path.join(model_name_or_path, subfolder)
            raise FileNotFoundError(2, f"there is no {FILE}, which PressModule needs", where)
        codec = load(path)
        if not isinstance(codec, Codec):
            raise ValueError(f"{path}: expected a codec, got an {type(codec).__name__}")
        return cls(codec, **{key: value for key, value in config.items() if key in cls.config_keys})

    def __repr__(self) -> str:
        return f"PressModule({self.codec!r}, output={self.output!r})"


def _search(
    call: str, queries: Any, corpus: Any, index: Any, precision: Any, top_k: int, ranges: Any, calibration: Any, rescore: bool,
    multiplier: int, exact: bool, output_index: bool,
) -> tuple[Any, ...]:  # fmt: skip
    if (corpus is None) == (index is None):
        got = "both" if index is not None else "neither"
        raise ValueError(f"{call}: expected one of corpus_embeddings and corpus_index, got {got}")
    if ranges is not None or calibration is not None:
        name = "ranges" if ranges is not None else "calibration_embeddings"
        raise ValueError(f"{call}: {name} expected None beside a codec, which has its own")
    top_k = check_int(call, "top_k", top_k, 1)
    multiplier = check_int(call, "rescore_multiplier", multiplier, 1)
    if index is None:
        index = Index(precision)
        corpus = _numpy(corpus, "corpus_embeddings")
        if corpus.dtype == np.uint8:
            index.add_codes(corpus)
        else:
            index.add(corpus)
    elif not isinstance(index, Index):
        raise TypeError(f"{call}: corpus_index expected a vecpress.Index for a codec, got {type(index).__name__}")
    elif isinstance(precision, Codec) and precision != index.codec:
        raise ValueError(f"{call}: corpus_precision expected the index's codec, {index.codec!r}, got {precision!r}")
    queries = _numpy(queries, "query_embeddings")
    options: dict[str, Any] = {}
    if queries.dtype == np.uint8:
        codes, codec = np.atleast_2d(queries), index.codec
        queries = codec.decode(codes)
        # else what they decode to is scored, in the same order
        options["symmetric"] = np.array_equal(codec.encode(queries), codes)
    elif not rescore:
        options["symmetric"] = True
    elif index.store is not None:
        options["rerank"] = top_k * multiplier
    start = time.perf_counter()
    scores, ids = index.search(queries, top_k, **options)
    seconds = time.perf_counter() - start
    found = [
        [{"corpus_id": int(i), "score": float(s)} for s, i in zip(row_scores, row, strict=True) if i >= 0]
        for row_scores, row in zip(scores, ids, strict=True)
    ]
    return (found, seconds, index) if output_index else (found, seconds)


def _numpy(x: Any, what: str) -> np.ndarray:
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    if isinstance(x, list) and x and isinstance(x[0], Tensor):
        return np.stack([_numpy(row, what) for row in x])
    return as_array(x, what)
