"""Scores of recurrent binary codes, differentiable, and the losses that are taken of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

MASKED = -1e4  # score of a pair that does not count
TINY = 1e-12


class Coded(NamedTuple):
    """Rows as codes have them: v [n, m], scale [n], and the part t [n] along the axis."""

    v: Tensor
    scale: Tensor
    t: Tensor


class Space(NamedTuple):
    """What scores need beside codes: mean and axis [d], decoder [m, d] without its part along the axis, gram, which scores."""

    mean: Tensor
    axis: Tensor
    decoder: Tensor
    gram: Tensor
    metric: str
    directions: bool  # cosines of codes: the published method


def coded(v: Tensor, y: Tensor, t: Tensor, space: Space) -> Coded:
    """The codes' numbers with their scales: |y|^2 / <y, D^T v>, or 1 / |v| where directions are compared."""
    if space.directions:
        return Coded(v, 1 / v.norm(dim=1).clamp_min(TINY), t)
    product = (y * (v @ space.decoder)).sum(dim=1)
    square = y.pow(2).sum(dim=1)
    fit = product > 2.0**-20 * square
    return Coded(v, torch.where(fit, square / torch.where(fit, product, 1.0), 0.0), t)


def asymmetric_scores(a: Tensor, documents: Coded, space: Space) -> Tensor:
    """Scores [na, n] of float anchors [na, d] against codes, less what is the same for all codes."""
    if space.metric == "l2":
        away = (documents.v @ space.decoder) * documents.scale[:, None]
        return 2 * (a - space.mean) @ away.T - away.pow(2).sum(dim=1)
    scores = (a @ space.decoder.T) @ (documents.v * documents.scale[:, None]).T
    return scores if space.directions else scores + (a @ space.axis)[:, None] * documents.t


def symmetric_scores(anchors: Coded, documents: Coded, space: Space) -> Tensor:
    """Scores [na, n] of coded anchors against codes, less what is the same for all codes."""
    if space.metric == "l2":
        ours, theirs = ((c.v @ space.decoder) * c.scale[:, None] for c in (anchors, documents))
        return 2 * ours @ theirs.T - theirs.pow(2).sum(dim=1)
    scores = space.gram * (anchors.v * anchors.scale[:, None]) @ (documents.v * documents.scale[:, None]).T
    return scores if space.directions else scores + (space.mean.norm() + anchors.t)[:, None] * documents.t


def true_scores(a: Tensor, x: Tensor, metric: str) -> Tensor:
    """Scores [na, n] of float anchors against float rows, up to what is the same for all rows."""
    return a @ x.T if metric != "l2" else 2 * a @ x.T - x.pow(2).sum(dim=1)


def _hidden(scores: Tensor, masked: Tensor) -> Tensor:
    """Less the largest of each row, so that MASKED is below all."""
    return (scores - scores.amax(dim=1, keepdim=True).detach()).masked_fill(masked, MASKED)


def distillation(scores: Tensor, true: Tensor, masked: Tensor, temperature: float) -> Tensor:
    """Divergence of softmax(scores) from softmax(true), mean over anchors: listwise ranking, without labels.

    masked : [na, n], pairs that do not count. Source: Cao et al., "Learning to rank: from pairwise approach to listwise
    approach", ICML 2007 (top-one probabilities); Hinton et al., "Distilling the knowledge in a neural network", 2015.
    """
    wanted = functional.softmax(_hidden(true, masked) / temperature, dim=1)
    logs = functional.log_softmax(_hidden(scores, masked) / temperature, dim=1)
    return functional.kl_div(logs, wanted, reduction="batchmean")


def contrastive(scores: Tensor, positive: Tensor, masked: Tensor, temperature: float, hardest: int) -> Tensor:
    """InfoNCE of each anchor's positive against its hardest negatives, mean over anchors.

    scores : [na, n]; positive : int64[na], the column of each anchor's positive; masked : [na, n], columns that are neither, such
    as other documents of the same id. Source: Gan et al., KDD 2023, section 3.3; the published code's vfp/loss.py.
    """
    scores = _hidden(scores, masked.scatter(1, positive[:, None], False))
    own = scores.gather(1, positive[:, None])
    others = scores.scatter(1, positive[:, None], MASKED)
    hard = others.topk(min(hardest, others.shape[1]), dim=1).values
    logits = torch.cat((own, hard), dim=1) / temperature
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def margin_ranking(scores: Tensor, positive: Tensor, masked: Tensor, margin: float) -> Tensor:
    """By how much each negative comes within `margin` of the anchor's positive, or above it, mean over anchors and all negatives.

    Arguments as in `contrastive`. Source: Yamada, Asai, Hajishirzi, "Efficient passage retrieval with hashing for open-domain
    question answering", ACL 2021, the loss of candidates.
    """
    own = scores.gather(1, positive[:, None])
    negative = ~masked.scatter(1, positive[:, None], True)
    short = functional.relu(margin - own + scores)
    return (short * negative).sum() / negative.sum().clamp_min(1)
