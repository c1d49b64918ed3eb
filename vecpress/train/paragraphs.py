"""Training of binary paragraph vectors: documents' vectors and words' weights, so that a rounded code foretells the words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SPREAD = 0.1  # deviation of what training starts from
VECTOR_RATE, WEIGHT_RATE = 0.1, 0.01  # Adam's, of documents' vectors, which are seen once an epoch, and of what all share


class Words(NamedTuple):
    """The known words of documents, row by row: document i has words[offsets[i] : offsets[i + 1]], whose weights sum to 1.

    offsets : int64[n + 1]; words : int64[r]; weights : float32[r]
    """

    offsets: np.ndarray
    words: np.ndarray
    weights: np.ndarray

    def dense(self, which: np.ndarray, count: int) -> np.ndarray:
        """float32[len(which), count]: the weights of some documents, a column a word."""
        out = np.zeros((len(which), count), np.float32)
        for row, i in zip(out, which, strict=True):
            part = slice(self.offsets[i], self.offsets[i + 1])
            row[self.words[part]] = self.weights[part]
        return out


class _Rounded(torch.autograd.Function):
    """1 where x > 0, else 0: the sigmoid of x, rounded; the gradient is the sigmoid's, as if it had not been rounded.

    Source: Krizhevsky, Hinton, "Using very deep autoencoders for content-based image retrieval", ESANN 2011.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return gradient * s * (1 - s)


def learn(
    documents: Words, frequency: np.ndarray, bits: int, real: int | None, decay: float, *, epochs: int, batch: int, seed: int,
    progress: Callable[[str], object],
) -> dict[str, np.ndarray]:  # fmt: skip
    """What foretells words: code_words_ float32[V, bits], bias_ float32[V], and with real vectors projection_ float32[real, bits]
    and real_words_ float32[V, real].

    frequency : float64[V], each word's share of all words, above 0; what a document's vector adds is learned beside it

    Without real vectors the document's vector [bits] is rounded itself. With them the real vector h foretells the words, and so
    does the rounded code of h @ projection_; the losses, cross entropies, are added. The same on every run with one number of
    threads. Cost: an epoch 6 V (bits + real) multiply-adds a document.
    """
    generator = torch.Generator().manual_seed(seed)
    n, count = len(documents.offsets) - 1, len(frequency)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * SPREAD

    vectors = torch.nn.Embedding(n, real or bits, sparse=True, _weight=drawn(n, real or bits))
    shared = {"code_words_": drawn(count, bits), "bias_": torch.from_numpy(np.log(frequency).astype(np.float32))}
    if real:
        shared |= {"projection_": drawn(real, bits) * (1 / SPREAD / real**0.5), "real_words_": drawn(count, real)}
    for tensor in shared.values():
        tensor.requires_grad_(True)
    own, common = torch.optim.SparseAdam(vectors.parameters(), lr=VECTOR_RATE), torch.optim.Adam(shared.values(), lr=WEIGHT_RATE)
    rng = np.random.Generator(np.random.PCG64(seed))
    for epoch in range(epochs):
        order, total = rng.permutation(n), 0.0
        for optimiser, rate in ((own, VECTOR_RATE), (common, WEIGHT_RATE)):
            optimiser.param_groups[0]["lr"] = rate * (1 - epoch / epochs)
        for start in range(0, n, batch):
            which = order[start : start + batch]
            wanted = torch.from_numpy(documents.dense(which, count))
            h = vectors(torch.from_numpy(which))
            code = _Rounded.apply(h @ shared["projection_"] if real else h)
            loss = _surprise(code, shared["code_words_"], shared["bias_"], wanted)
            if real:
                size = h.pow(2).sum(dim=1).mean() + shared["real_words_"].pow(2).sum() / n
                loss = loss + _surprise(h, shared["real_words_"], shared["bias_"], wanted) + decay / 2 * size
            own.zero_grad(set_to_none=True)
            common.zero_grad(set_to_none=True)
            loss.backward()
            own.step()
            common.step()
            total += float(loss.detach()) * len(which)
        progress(f"epoch {epoch + 1} of {epochs}: loss {total / n:.4f}")
    return {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in shared.items()}


def _surprise(x: Tensor, words: Tensor, bias: Tensor, wanted: Tensor) -> Tensor:
    """The cross entropy of documents' words under the softmax of x @ words.T + bias, mean over documents."""
    return -(wanted * functional.log_softmax(x @ words.T + bias, dim=1)).sum(dim=1).mean()
