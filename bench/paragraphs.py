"""Binary paragraph vectors beside signs of projected tf-idf: how many of the texts found are of the question's class.

    python -m bench.paragraphs -o RESULT.json [--set topics|docstrings ...] [--epochs 40] [--markdown]

Sets, of which a random third are questions: `topics`, made texts (`vecpress.synthetic.topic_texts`), and `docstrings`, those of
20 words or more in Python's own library, whose class is the top-level module or package, of those with 25 or more. Figures are
the share of the ten nearest that have the question's class, mean over questions. tf-idf itself, with cosines of float vectors as
long as the vocabulary, is beside them as a bar, not as a code.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecpress as vp
from vecpress.paragraphs import WORD, ParagraphVectors

from .run_one import commit

K, CANDIDATES = 10, 100
LEAST_WORDS, LEAST_TEXTS, MOST_TEXTS = 20, 25, 150  # of a docstring, of a class, of a class again: large ones are thinned
NOT_OURS = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "ensurepip"}
SIZES = ((32, None), (128, None), (32, 128), (128, 256))  # bits and columns of real vectors


@dataclass(frozen=True)
class Texts:
    """Texts and questions, and the class of each."""

    name: str
    base: list[str]
    classes: np.ndarray
    questions: list[str]
    asked: np.ndarray

    @classmethod
    def split(cls, name: str, texts: list[str], classes: np.ndarray) -> Texts:
        order = np.random.default_rng(0).permutation(len(texts))
        asked, kept = order[: len(texts) // 3], order[len(texts) // 3 :]
        return cls(name, [texts[i] for i in kept], classes[kept], [texts[i] for i in asked], classes[asked])

    def share(self, ids: np.ndarray) -> float:
        return float((self.classes[ids[:, :K]] == self.asked[:, None]).mean())


def topics() -> Texts:
    return Texts.split("topics", *vp.synthetic.topic_texts(1500, topics=40, words=2000, seed=0, share=0.3))


def docstrings() -> Texts:
    root = Path(sysconfig.get_paths()["stdlib"])
    by_class: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not NOT_OURS & set(parts):
            by_class.setdefault(parts[0].removesuffix(".py"), []).extend(_docstrings(path))
    texts, classes = [], []
    rng = np.random.default_rng(0)
    large = [own for _, own in sorted(by_class.items()) if len(own) >= LEAST_TEXTS]
    for number, own in enumerate(large):
        chosen = rng.permutation(len(own))[:MOST_TEXTS]
        texts += [own[i] for i in chosen]
        classes += [number] * len(chosen)
    return Texts.split("docstrings", texts, np.array(classes))


def _docstrings(path: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node) or ""
            if len(WORD.findall(text)) >= LEAST_WORDS:
                yield text


SETS: dict[str, Callable[[], Texts]] = {"topics": topics, "docstrings": docstrings}


def tf_idf(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """Of texts and questions, float32[n, V], rows of length 1: (1 + log of a word's count) by the log of its rarity."""
    bags = [[Counter(WORD.findall(text.lower())) for text in part] for part in (texts.base, texts.questions)]
    among = Counter(word for bag in bags[0] for word in bag)
    words = {word: i for i, word in enumerate(sorted(word for word, count in among.items() if count > 1))}
    rarity = np.log(len(texts.base) / np.array([among[word] for word in words]))
    out = []
    for part in bags:
        x = np.zeros((len(part), len(words)), np.float32)
        for row, bag in zip(x, part, strict=True):
            for word, count in bag.items():
                if word in words:
                    row[words[word]] = (1 + np.log(count)) * rarity[words[word]]
        out.append(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12))
    return out[0], out[1]


def rows(texts: Texts, epochs: int) -> Iterator[dict[str, Any]]:
    about: dict[str, Any] = {"set": texts.name, "texts": len(texts.base), "questions": len(texts.questions)}
    about |= {"classes": len(np.unique(texts.classes))}
    about |= {"chance": float(np.mean([(texts.classes == own).mean() for own in texts.asked]))}
    base, asked = tf_idf(texts)
    yield about | {"codes": "tf-idf, cosine", "code_bytes": 4 * base.shape[1], "share": texts.share(vp.exact(asked, base, K)[1])}
    for bits in sorted({bits for bits, _ in SIZES}):
        projection = np.random.default_rng(0).standard_normal((base.shape[1], bits)).astype(np.float32)
        b, q = base @ projection, asked @ projection
        index = vp.Index(vp.Sign().fit(b))
        index.add(b)
        share = texts.share(index.search(q, K, symmetric=True)[1])
        yield about | {"codes": f"signs of tf-idf's projections, {bits} bits", "code_bytes": bits // 8, "share": share}
    for bits, real in SIZES:
        model = ParagraphVectors(bits, real, epochs=epochs).fit(texts.base, progress=lambda line: print(f"  {line}", flush=True))
        index, q = model.index(texts.base), model.encode(texts.questions).vectors
        own = about | {"model": repr(model), "words": len(model.words_), "code_bytes": bits // 8}
        name = f"paragraph vectors, {bits} bits"
        if real is None:
            yield own | {"codes": name, "share": texts.share(index.search(q, K, symmetric=True)[1])}
            continue
        name += f" of {real} real columns"
        yield own | {"codes": name, "share": texts.share(index.search(q, K, symmetric=True)[1])}
        found = index.search(q, K, symmetric=True, rerank=CANDIDATES)[1]
        more = {"store_bytes": 2 * real, "share": texts.share(found)}
        yield own | {"codes": f"{name}, {CANDIDATES} candidates ranked by these"} | more
        found = index.search(q, K, symmetric=True, rerank=len(texts.base))[1]
        yield own | {"codes": f"{name}, these alone"} | more | {"share": texts.share(found)}


def markdown(result: dict[str, Any]) -> str:
    """The table of a result."""
    lines = ["| set | codes | bytes | of the question's class among the ten nearest |", "|---|---|--:|--:|"]
    for row in (row for own in result["sets"].values() for row in own):
        size = f"{row['code_bytes']:,}" + (f" + {row['store_bytes']}" if "store_bytes" in row else "")
        lines.append(f"| {row['set']} | {row['codes']} | {size} | {row['share']:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--set", action="append", choices=list(SETS))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--markdown", action="store_true", help="print the table of the result in the end")
    arguments = parser.parse_args()
    out = Path(arguments.out)
    result = json.loads(out.read_text()) if out.exists() else {"sets": {}}
    for name in arguments.set or SETS:
        done = []
        for row in rows(SETS[name](), arguments.epochs):
            done.append(row | {"commit": commit()})
            print(json.dumps(done[-1]), flush=True)
            result["sets"][name] = done
            result["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            result["python"] = platform.python_version()
            out.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.markdown:
        print(markdown(result))


if __name__ == "__main__":
    main()
