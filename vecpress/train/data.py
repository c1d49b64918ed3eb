"""Who asks and what is found in training: documents, anchors with their nearest documents, and judges that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..recurrentfit import split
from .losses import true_scores

NEIGHBOURS = 10  # of a judge
AMONG = 32768  # documents that judges search, at most
MOST_MINED = 32768  # anchors whose nearest documents are looked for
BLOCK = 1 << 25  # scores at a time


@dataclass
class Documents:
    """Rows as they are, x [n, d], and split as codes split them: t [n], y [n, d], f [n, d]."""

    x: Tensor
    t: Tensor
    y: Tensor
    f: Tensor
    metric: str

    @classmethod
    def of(cls, codec: Any, x: np.ndarray, num_threads: int | None) -> Documents:
        whole = x if x.flags.writeable and x.flags.c_contiguous else x.copy()  # torch warns of what it may not write to
        own, t, y, f = (torch.from_numpy(np.ascontiguousarray(a)) for a in (whole, *split(x, codec, num_threads)))
        return cls(own, t, y, f, codec.metric)

    def to(self, device: str) -> Documents:
        return Documents(self.x.to(device), self.t.to(device), self.y.to(device), self.f.to(device), self.metric)


@dataclass
class Anchors:
    """Rows that ask.

    x : float32[na, d]; split : their t, y and f
    row : int64[na], the document that an anchor is itself, -1 for none; positive : int64[na], the document that answers it, -1
        for its nearest
    question : int64[na], an anchor's place in `answers`, -1 for none; answers : for each question the documents that answer it
    near : int64[na, near], nearest documents, filled by `mined`; for judges `among`, documents that are searched, and `true`,
        int64[na, NEIGHBOURS], documents
    """

    x: np.ndarray
    split: tuple[np.ndarray, np.ndarray, np.ndarray]
    row: np.ndarray
    positive: np.ndarray
    question: np.ndarray
    answers: list[np.ndarray] = field(default_factory=list)
    near: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    among: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    true: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    groups: list[slice] = field(default_factory=list)

    @classmethod
    def of(
        cls, codec: Any, x: np.ndarray, row: np.ndarray | None, positive: np.ndarray | None, num_threads: int | None
    ) -> Anchors:  # fmt: skip
        none = np.full(len(x), -1, np.int64)
        return cls(
            x, split(x, codec, num_threads), none if row is None else row.astype(np.int64),
            none.copy() if positive is None else positive, none.copy(), groups=[slice(0, len(x))],
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Anchors]) -> Anchors:
        """Several kinds of anchors, from which batches draw alike; one of them at most has questions."""
        ends = np.cumsum([0, *(len(part.x) for part in parts)])
        splits = tuple(np.concatenate(columns) for columns in zip(*(part.split for part in parts), strict=True))
        return cls(
            np.concatenate([part.x for part in parts]), splits,  # type: ignore[arg-type]
            np.concatenate([part.row for part in parts]), np.concatenate([part.positive for part in parts]),
            np.concatenate([part.question for part in parts]), next((part.answers for part in parts if part.answers), []),
            groups=[slice(a, b) for a, b in pairwise(ends) if b > a],
        )  # fmt: skip

    @property
    def neighbours(self) -> int:
        return self.true.shape[1]

    def share_found(self, found: np.ndarray) -> float:
        """Mean share of the true documents among those found, int64[na, neighbours + 1], an anchor's own row left out."""
        shares = []
        for own, row, true in zip(found, self.row, self.true, strict=True):
            shares.append(len(np.intersect1d(own[own != row][: self.neighbours], true)) / max(len(np.unique(true)), 1))
        return float(np.mean(shares)) if shares else 0.0


def asked_and_judging(
    codec: Any, x: np.ndarray, queries: np.ndarray, rows: np.ndarray, seed: Any, most: int, num_threads: int | None
) -> tuple[Anchors, Anchors]:  # fmt: skip
    """Queries that the documents `rows` of x answer, to train and to judge: of equal queries all pairs are on one side.

    A quarter of the queries judges, at most `most`. A query that equals a document does not count against it, unless it is its
    own answer: it would be its hardest negative. Of several equal documents that is the last.
    """
    which = np.unique(queries, axis=0, return_inverse=True)[1].ravel()
    count = int(which.max()) + 1
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    judging = np.isin(which, order[: max(1, min(count // 4, most))])
    by_question = np.argsort(which, kind="stable")
    answers = np.split(rows[by_question], np.cumsum(np.bincount(which, minlength=count))[:-1])
    parts = []
    row_of = dict.fromkeys((query.tobytes() for query in queries), -1)
    row_of.update((key, i) for i, key in enumerate(map(np.ndarray.tobytes, x)) if key in row_of)
    own = np.array([row_of[query.tobytes()] for query in queries], np.int64)
    own[own == rows] = -1
    for side in (~judging, judging):
        part = Anchors.of(codec, queries[side], own[side], rows[side], num_threads)
        part.question, part.answers = which[side].astype(np.int64), answers
        parts.append(part)
    return parts[0], parts[1]


def mined(anchors: Anchors, documents: Documents, near: int, device: str, by_labels: bool = False) -> None:
    """Fills `near` with each anchor's nearest documents but itself; with near = 0 `among` and `true`, for judges.

    by_labels : what judges of pairs are to find is the document that answers them, not those that are nearest

    Of more than 32,768 anchors only so many stay, drawn evenly. Cost: anchors * n * d multiply-adds.
    """
    n = len(documents.x)
    if near and len(anchors.x) > MOST_MINED:
        _thin(anchors)
    among = np.arange(n) if near else np.unique(np.linspace(0, n - 1, min(n, AMONG)).astype(np.int64))
    labelled = anchors.positive >= 0 if by_labels and not near else np.zeros(len(anchors.x), bool)
    among = np.union1d(among, anchors.positive[labelled]) if labelled.any() else among
    base = documents.x[torch.from_numpy(among)].to(device)
    count = min(near or NEIGHBOURS, max(len(among) - 1, 1))
    found = np.empty((len(anchors.x), count), np.int64)
    step = max(1, BLOCK // max(len(among), 1))
    for start in range(0, len(found), step):
        part = slice(start, start + step)
        scores = true_scores(torch.from_numpy(anchors.x[part]).to(device), base, documents.metric)
        best = among[scores.topk(min(count + 1, len(among)), dim=1).indices.cpu().numpy()]
        for i, (row, own) in enumerate(zip(best, anchors.row[part], strict=True)):
            others = row[row != own][:count]
            found[start + i] = np.pad(others, (0, count - len(others)), mode="edge") if len(others) else 0
    if near:
        anchors.near = found
        anchors.positive = np.where(anchors.positive < 0, found[:, 0], anchors.positive)
    else:
        found[labelled] = anchors.positive[labelled, None]
        anchors.among, anchors.true = among, found


def _thin(anchors: Anchors) -> None:
    kept, groups, end = [], [], 0
    for group in anchors.groups:
        size = group.stop - group.start
        share = max(1, round(MOST_MINED * size / len(anchors.x)))
        which = group.start + np.unique(np.linspace(0, size - 1, min(size, share)).astype(np.int64))
        kept.append(which)
        groups.append(slice(end, end + len(which)))
        end += len(which)
    which = np.concatenate(kept)
    anchors.x, anchors.row, anchors.positive = anchors.x[which], anchors.row[which], anchors.positive[which]
    anchors.question = anchors.question[which]
    anchors.split = tuple(a[which] for a in anchors.split)  # type: ignore[assignment]
    anchors.groups = groups
