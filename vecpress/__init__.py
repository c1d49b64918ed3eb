"""vecpress: compress embedding vectors to a few bytes each and search the bytes directly.

codec = vp.PQ(m=48).fit(x)          # learn from a sample
index = vp.Index(codec)
index.add(x)                        # encode and keep the codes
scores, ids = index.search(q, k=10)
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import codecs as _codecs  # noqa: F401  defines and registers every codec
from . import datasets
from .alignment import align
from .auto import auto
from .codec import Codec, Query, codec_class, codecs
from .dispatch import backends, explain, use
from .errors import BackendError, CorruptFileError, NotFittedError, SmallTrainingSetWarning
from .evaluate import evaluate, exact, recall
from .index import Index
from .io import load
from .keys import KeyedIndex
from .relevance import ndcg, success

if TYPE_CHECKING:
    from . import synthetic, train  # noqa: F401  train is no part of `import *`, as it needs torch
    from .compatibility import evaluate_compatibility
    from .diagnostics import diagnose
    from .paragraphs import ParagraphVectors

__version__ = "0.1.0"

for _cls in codecs():
    globals()[_cls.__name__] = _cls


_LATER = {
    "ParagraphVectors": "paragraphs", "diagnose": "diagnostics", "evaluate_compatibility": "compatibility", "synthetic": None,
    "train": None,
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """What is used now and then is imported then: modules, and names of modules."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_LATER[name] or name}", __name__)
    return getattr(module, name) if _LATER[name] else module


__all__ = [
    "BackendError", "Codec", "CorruptFileError", "Index", "KeyedIndex", "NotFittedError", "ParagraphVectors", "Query",
    "SmallTrainingSetWarning", "align", "auto", "backends", "codec_class", "codecs", "datasets", "diagnose", "evaluate",
    "evaluate_compatibility", "exact", "explain", "load", "ndcg", "recall", "success", "synthetic", "use",
    *(cls.__name__ for cls in codecs()),
]  # fmt: skip
