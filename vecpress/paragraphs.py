"""Binary paragraph vectors: codes and real vectors of texts, learned from the words of texts alone."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from .checks import check_int, check_number, check_path
from .codec import Codec
from .codecs.itq import ITQ
from .codecs.raw import Raw
from .codecs.sign import Sign
from .container import Part, Reader, write
from .errors import NotFittedError
from .index import Index

KIND = "paragraphs"  # of files
WORD = re.compile(r"[^\W\d_]{2,}")  # two letters or more, of any script
SUBSAMPLED = 1e-3  # share of all words from which on a word counts less, as the square root of its share grows
MOST_SEED = 2**63 - 1
MOST_BITS = 4096
STEPS, RATE = 60, 0.1  # of Adam, that fit a new document's vector
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8  # its constants
BATCH = 64  # documents at a time; what is left is filled up, so that every document meets the same products


class Encoded(NamedTuple):
    """codes uint8[n, ceil(bits / 8)], bits in the order of `ops.pack_bits`; vectors float32[n, real or bits]."""

    codes: np.ndarray
    vectors: np.ndarray


class ParagraphVectors:
    """Learns codes of texts straight from their words: a text's code is what foretells its words best.

        model = vp.ParagraphVectors(bits=64, real=128).fit(texts)
        index = model.index(texts)
        scores, ids = index.search(model.encode(questions).vectors, k=10, symmetric=True, rerank=100)

    A text has a vector h. Its code is b = 1 where h @ projection_ > 0, else 0 (without `real`, where h > 0). Words are foretold
    by softmax(code_words_ @ b + bias_), and with `real` by softmax(real_words_ @ h + bias_) too, so that one vector serves both:
    the short code for the shortlist, the real vector for the ranking. In training the rounding passes the sigmoid's gradient.
    New texts get their h with the words' weights fixed. Word order does not count.

    Words are runs of two letters or more, in lower case. Of a word with more than 1/1000 of all words, occurrences count as the
    square root of that: frequent words say little, and there are many.

    Parameters
    ----------
    bits : of a code, 1 to 4096
    real : columns of the real vectors, at least `bits`; None: codes alone, whose vectors are what was rounded
    min_count : words that are rarer in all texts are left out
    most_words : the most frequent that are kept at most; the softmax is over all of them
    epochs, batch : passes over the texts; texts a step
    decay : of real vectors h: decay / 2 |h|^2 is added to a text's loss, and as much for the words' weights, over the number of
        texts. It keeps real vectors from telling single texts apart; far above .2 they lose what topics have in common
    seed : of what training starts from and of the order of texts, 0 .. 2^63 - 1

    Learned: words_, the words known, most frequent first; weights_ float32[V], what an occurrence counts; bias_ float32[V],
    code_words_ float32[V, bits]; with `real` projection_ float32[real, bits] and real_words_ float32[V, real].

    `fit` needs torch, nothing else does. Source: Grzegorczyk, Kurdziel, "Binary paragraph vectors", RepL4NLP 2017 (arXiv
    1611.01116): binary PV-DBOW and its real-binary form. Here the softmax is exact and over all words of a document at once, the
    two losses have equal weights, and the vectors of the texts learned from are not kept: `encode` infers every text's alike.
    """

    words_: tuple[str, ...]
    weights_: np.ndarray
    bias_: np.ndarray
    code_words_: np.ndarray
    projection_: np.ndarray
    real_words_: np.ndarray

    def __init__(
        self, bits: int = 128, real: int | None = None, *, min_count: int = 2, most_words: int = 20_000, epochs: int = 40,
        batch: int = 64, decay: float = 0.1, seed: int = 0,
    ):  # fmt: skip
        where = type(self).__name__
        self.bits = check_int(where, "bits", bits, 1, MOST_BITS)
        self.real = None if real is None else check_int(where, "real", real, self.bits, MOST_BITS)
        self.min_count = check_int(where, "min_count", min_count, 1)
        self.most_words = check_int(where, "most_words", most_words, 1, 1 << 24)
        self.epochs = check_int(where, "epochs", epochs, 1)
        self.batch = check_int(where, "batch", batch, 1)
        self.decay = check_number(where, "decay", decay, 0, 1e6)
        self.seed = check_int(where, "seed", seed, 0, MOST_SEED)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON values."""
        names = ("bits", "real", "min_count", "most_words", "epochs", "batch", "decay", "seed")
        return {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"

    # ---- learning

    def fit(self, texts: Iterable[str], *, progress: bool | Callable[[str], object] | None = None) -> Self:
        """Learns from texts; progress is called with a line of text an epoch, or is True to print it.

        Raises TypeError if a text is no str, ValueError if no word is there `min_count` times, ImportError without torch.
        Cost: vecpress/train/paragraphs.py.
        """
        listed = [_tokens("fit", i, text) for i, text in enumerate(_texts("fit", texts))]
        counts = Counter(word for words in listed for word in words)
        kept = sorted(((word, c) for word, c in counts.items() if c >= self.min_count), key=lambda item: (-item[1], item[0]))
        if not kept:
            raise ValueError(f"fit: texts expected a word that is there min_count={self.min_count} times, got none")
        kept = kept[: self.most_words]
        share = np.array([count for _, count in kept], np.float64)
        share /= share.sum()
        from .train import paragraphs

        words, weights = tuple(word for word, _ in kept), np.minimum(1, np.sqrt(SUBSAMPLED / share)).astype(np.float32)
        numbers, counted = {word: i for i, word in enumerate(words)}, share * weights
        learned = paragraphs.learn(
            paragraphs.Words(*_bags([own for own in listed if not numbers.keys().isdisjoint(own)], numbers, weights)),
            counted / counted.sum(), self.bits, self.real, self.decay, epochs=self.epochs, batch=self.batch,
            seed=self.seed, progress=_told(progress),
        )  # fmt: skip
        self._hold(words, {"weights_": weights, **learned})
        return self

    def _hold(self, words: tuple[str, ...], arrays: dict[str, np.ndarray]) -> None:
        self.words_, self._numbers = words, {word: i for i, word in enumerate(words)}
        for name, array in arrays.items():
            array.setflags(write=False)
            setattr(self, name, array)

    def __getattr__(self, name: str) -> Any:
        if isinstance(getattr(type(self), name, None), property):
            return getattr(type(self), name).fget(self)  # it raised NotFittedError, an AttributeError: let that through
        if name.endswith("_") and not name.startswith("_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted: {name.rstrip('_')} is known after fit(texts)")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # ---- codes

    def encode(self, texts: Iterable[str]) -> Encoded:
        """The codes and vectors of texts. A text without a known word has a vector of zeros and a code of zeros.

        The vector is fitted by 60 steps of Adam from zeros, of the loss that training has. It depends on the text and the model,
        and up to the last bits of matrix products on the machine. Raises TypeError if a text is no str, NotFittedError before
        `fit`. Cost: 240 V (bits + real) multiply-adds a text.
        """
        bias = self.bias_
        listed = [_tokens("encode", i, text) for i, text in enumerate(_texts("encode", texts))]
        offsets, numbers, weights = _bags(listed, self._numbers, self.weights_)
        vectors = np.zeros((len(listed), self.real or self.bits), np.float32)
        for start in range(0, len(listed), BATCH):
            rows = range(start, min(start + BATCH, len(listed)))
            wanted = np.zeros((BATCH, len(bias)), np.float32)
            for row, i in enumerate(rows):
                part = slice(offsets[i], offsets[i + 1])
                wanted[row, numbers[part]] = weights[part]
            found = wanted.any(axis=1, keepdims=True)
            vectors[rows.start : rows.stop] = np.where(found, self._inferred(wanted), 0)[: len(rows)]
        return Encoded(self.codec.encode(vectors), vectors)

    def _inferred(self, wanted: np.ndarray) -> np.ndarray:
        """float32[BATCH, columns]: the vectors that foretell the words wanted, float32[BATCH, V]."""
        h = np.zeros((len(wanted), self.real or self.bits), np.float32)
        mean, square = np.zeros_like(h), np.zeros_like(h)
        for step in range(1, STEPS + 1):
            slope = self._slope(h, wanted)
            mean += (1 - FIRST) * (slope - mean)
            square += (1 - SECOND) * (slope * slope - square)
            rate = RATE * (1 - (step - 1) / STEPS)
            h -= rate * (mean / (1 - FIRST**step)) / (np.sqrt(square / (1 - SECOND**step)) + TINY)
        return h

    def _slope(self, h: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """The gradient of each text's loss by its vector, the rounding taken for the sigmoid: float32[n, columns]."""
        z = h @ self.projection_ if self.real else h
        s = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
        slope = self._gradient((z > 0).astype(np.float32), self.code_words_, wanted) * (s * (1 - s))
        if self.real:
            slope = slope @ self.projection_.T + self._gradient(h, self.real_words_, wanted) + np.float32(self.decay) * h
        return slope

    def _gradient(self, x: np.ndarray, words: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Of the cross entropy under softmax(x @ words.T + bias_), by x."""
        scores = x @ words.T + self.bias_
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        scores -= wanted
        return scores @ words

    @property
    def codec(self) -> Codec:
        """What makes codes of vectors, fitted: a `Sign`, or with `real` an `ITQ` of the learned directions; metric "cos".

        For `symmetric=True`, whose order is the Hamming order: the codes stand for words, not for directions of the vectors.
        """
        zeros, level = np.zeros(self.bits, np.float32), np.ones(1, np.float32)
        if not self.real:
            self.bias_  # noqa: B018  raises NotFittedError
            return Sign.restore({"metric": "cos"}, self.bits, {"mean_": zeros, "level_": level})
        arrays = {"mean_": np.zeros(self.real, np.float32), "components_": self.projection_}
        arrays |= {"inner_mean_": zeros, "inner_level_": level}
        return ITQ.restore({"bits": self.bits, "metric": "cos", "seed": 0}, self.real, arrays)

    def index(self, texts: Iterable[str], ids: Any = None) -> Index:
        """An index of the texts' codes, their vectors in float16 beside them as its store.

        `search(model.encode(q).vectors, k, symmetric=True, rerank=candidates)`: a shortlist by Hamming distance, ranked by the
        cosine of the vectors. Raises as `encode` and `Index.add` do.
        """
        vectors = self.encode(texts).vectors
        codec = self.codec
        index = Index(codec, store=Raw.restore({"dtype": "float16", "metric": "cos"}, codec.dim, {}))
        index.add(vectors, ids)
        return index

    # ---- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a .vpz file (vecpress/container.py), complete or not at all, of kind "paragraphs". Raises OSError."""
        check_path("save", path)
        raw = "\n".join(self.words_).encode()
        parts = {name: Part.of(getattr(self, name)) for name in self._state()}
        parts["words"] = Part.of(np.frombuffer(raw, np.uint8))
        write(path, {"kind": KIND, "config": json.dumps(self.config())}, parts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model of a file that `save` wrote. Raises TypeError if `path` is no path, OSError if there is no file to read, and
        CorruptFileError, which says what and where, for anything that is not a whole, consistent file of this kind."""
        check_path("load", path)
        with Reader(path) as file:
            kind = file.metadata.get("kind")
            if kind != KIND or "config" not in file.metadata:
                file.fail("metadata: kind", f"expected {KIND!r} with its config, got {kind!r}")
            try:
                model = cls(**file.json(file.metadata["config"], "metadata: config"))
            except (TypeError, ValueError) as error:
                file.fail("metadata: config", str(error))
            state = model._state()
            if set(file.entries) != {*state, "words"}:
                file.fail("arrays", f"expected {', '.join(sorted({*state, 'words'}))}, got {', '.join(sorted(file.entries))}")
            arrays = {}
            for name in ("words", *state):
                arrays[name] = file.read(name)
                file.check(name, arrays[name])
            try:
                words = tuple(arrays.pop("words").tobytes().decode().split("\n"))
            except UnicodeDecodeError as error:
                file.fail("array 'words'", f"expected UTF-8: {error}")
            if len(set(words)) < len(words):
                file.fail("array 'words'", "expected different words")
            for name, shape in state.items():
                got, wanted = arrays[name], tuple(len(words) if length is None else length for length in shape)
                if got.dtype != np.float32 or got.shape != wanted or not np.isfinite(got).all():
                    file.fail(f"array '{name}'", f"expected finite float32{wanted}, got {got.dtype}{got.shape}")
            if (arrays["weights_"] <= 0).any():
                file.fail("array 'weights_'", "expected numbers above 0")
        model._hold(words, {name: np.array(array) for name, array in arrays.items()})
        return model

    def _state(self) -> dict[str, tuple[int | None, ...]]:
        """The learned arrays and their shapes; None: as many as words."""
        shapes: dict[str, tuple[int | None, ...]] = {"weights_": (None,), "bias_": (None,), "code_words_": (None, self.bits)}
        if self.real:
            shapes |= {"projection_": (self.real, self.bits), "real_words_": (None, self.real)}
        return shapes


def _texts(call: str, texts: Any) -> Iterable[Any]:
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise TypeError(f"{call}: texts expected texts, a list of str, got {type(texts).__name__}")
    return texts


def _tokens(call: str, i: int, text: Any) -> list[str]:
    """The words of a text, in order."""
    if not isinstance(text, str):
        raise TypeError(f"{call}: texts expected str, got {type(text).__name__} for text {i}")
    return WORD.findall(text.lower())


def _bags(
    listed: list[list[str]], numbers: dict[str, int], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Texts' known words and their weights, which sum to 1 a text: offsets int64[n + 1], int64[r] and float32[r]."""
    offsets, known = [0], []
    shares: list[float] = []
    for words in listed:
        found = sorted(Counter(numbers[word] for word in words if word in numbers).items())
        own = np.array([count * float(weights[i]) for i, count in found])
        known += [i for i, _ in found]
        shares += (own / own.sum()).tolist() if found else []
        offsets.append(len(known))
    return np.array(offsets, np.int64), np.array(known, np.int64), np.array(shares, np.float32)


def _told(progress: bool | Callable[[str], object] | None) -> Callable[[str], object]:
    if callable(progress):
        return progress
    return lambda line: print(line, file=sys.stderr, flush=True) if progress else None
