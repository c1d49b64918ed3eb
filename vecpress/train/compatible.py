"""Training of the maps by which a new model's queries and documents meet an old model's codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..alignment import (
    MAX_SEED,
    METHODS,
    Moments,
    Pairs,
    Trial,
    as_pairs,
    best_pull,
    check_more,
    closed_form,
    coded,
    held_out,
    strengths,
)  # fmt: skip
from ..checks import check_choice, check_int
from ..codec import Codec
from ..codecs.aligned import Aligned, Maps
from ..dispatch import check_threads
from ..heldout import LEAST_QUERIES
from .losses import distillation, true_scores
from .options import Options
from .progress import Judgement, Progress, shown

BLOCK = 1 << 25  # scores at a time
RISE = 0.1  # share of the steps in which the rate rises
TINY = 1e-30


def compatible(
    x: Any, old_codec: Codec, *, old_codes: Any = None, old_vectors: Any = None, queries: Any = None, method: str = "trained",
    more: int = 0, options: Options | None = None, seed: int = 0, progress: bool | Progress | None = None,
    num_threads: int | None = None,
) -> Aligned:  # fmt: skip
    """An `Aligned` codec, as `vecpress.align` gives it, whose maps are trained from there on.

    x, old_codec, old_codes, old_vectors, more, seed : as in `vecpress.align`
    queries : [nq, d], a sample of the new model's queries: from 32 on half of them train and the others judge, at most 512;
        without, rows that are held out judge, and are learned from nowhere
    method : "trained", or "ridge" or "procrustes": those of `vecpress.align`, which are not trained
    options : of it steps, anchors, near, far, rate, decay, clip, temperature, judge_every, patience and device; the rate is
        relative to a map's mean size, the temperature to the mean difference between an anchor's scores of the nearest of its
        `near` documents and of the last; half of the steps for documents. None: `Options.for_recipe("compatible")`, to which
        changes can be given
    progress : True for a bar, or a function that is called with a `Judgement`: of old codes, then of mixed ones

    First the queries' map, so that the softmax of anchors' scores of old codes is that of the new model's float scores; then the
    documents' map, the same with half of the candidates coded anew, through whose codes the gradient passes as if they were not
    coded. Of either the state of most recall of held-out anchors is kept, that of the closed form being the first.

    Returns the fitted codec. Raises TypeError or ValueError for bad input, NotFittedError where old_codec is not fitted.
    The result depends on the seed; on the CPU also on torch's release, threads and instruction set, as its sums do.

    Cost: beside that of `align` and n d multiply-adds a row for the nearest rows, a step takes about 3 anchors c p, c documents
    that are near or far, and in the second half the coding of c / 2.
    Source: `vecpress.train.losses.distillation`; old codes as candidates of new anchors: the published code of Gan et al.,
    "Binary Embedding-based Retrieval at Tencent", KDD 2023 (train_binary_bct.py).
    """
    call = "train.compatible"
    check_choice(call, "method", method, ("trained", *METHODS))
    seed = check_int(call, "seed", seed, 0, MAX_SEED)
    num_threads = check_threads(num_threads)
    options = Options.for_recipe("compatible") if options is None else options
    if not isinstance(options, Options):
        raise TypeError(f"{call}: options expected Options, got {type(options).__name__}")
    pairs = as_pairs(call, x, old_codec, old_codes, old_vectors, queries, seed, num_threads)
    check_more(old_codec, more)
    maps = None
    if method == "trained":
        judged, asked = _halves(pairs, seed)
        trial, learned = held_out(judged, seed)
        method = "ridge"  # where training finds no more
        if trial is not None:
            with shown(progress) as told:
                maps = _Trainer(learned, asked, trial, old_codec, options, seed, told, num_threads).run()
    codec = Aligned.of(old_codec, closed_form(pairs, old_codec, method, seed, num_threads) if maps is None else maps)
    return codec.widened(pairs.x, more, seed, num_threads) if more else codec


def _halves(pairs: Pairs, seed: int) -> tuple[Pairs, np.ndarray | None]:
    """The pairs with the queries that judge, and the queries that train."""
    if pairs.queries is None or len(pairs.queries) < 2 * LEAST_QUERIES:
        return replace(pairs, queries=None), pairs.queries
    queries = pairs.queries[np.random.Generator(np.random.PCG64([seed, 2])).permutation(len(pairs.queries))]
    half = len(queries) // 2
    return replace(pairs, queries=queries[:half]), queries[half:]


@dataclass
class _Anchors:
    """Who asks: x [na, d]; row int64[na], the document that each is, -1 for none; near int64[na, k], documents nearest to it."""

    x: Tensor
    row: Tensor
    near: np.ndarray


class _Trainer:
    """Trains the maps on anchors and documents; keeps those of most recall of the judges."""

    def __init__(
        self, pairs: Pairs, asked: np.ndarray | None, trial: Trial, old: Codec, options: Options, seed: int,
        progress: Progress, num_threads: int | None,
    ):  # fmt: skip
        self.trial, self.old, self.options, self.progress = trial, old, options, progress
        self.num_threads, self.device = num_threads, torch.device(options.device)
        self.moments = Moments(pairs)
        self.ratio = self.moments.ratio or 1.0
        self.l2 = self.moments.ratio is not None
        mean_x, mean_z = (mean.astype(np.float32) for mean in (self.moments.mean_x, self.moments.mean_z))
        self.mean_z = mean_z
        self.about = mean_x if self.l2 else np.zeros_like(mean_x)  # where distances are taken from: scores differ by a constant
        self.x, self.z = self._tensor(pairs.x - self.about), self._tensor(pairs.z - mean_z)
        self.rng = np.random.Generator(np.random.PCG64([seed, 3]))
        kinds = [(self.x, torch.arange(len(self.x), device=self.device))]
        if asked is not None and len(asked):
            kinds.append((self._tensor(asked - self.about), torch.full((len(asked),), -1, device=self.device)))
        found = [self._nearest(a, row) for a, row in kinds]
        self.anchors = [_Anchors(a, row, near) for (a, row), (near, _) in zip(kinds, found, strict=True)]
        self.temperature = options.temperature * max(float(np.mean([spread for _, spread in found])), TINY)

    def _tensor(self, a: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(self.device)

    def _nearest(self, a: Tensor, row: Tensor) -> tuple[np.ndarray, float]:
        """int64[na, near]: documents by the new model, but for the anchors themselves; the mean spread of their scores."""
        count, step = min(self.options.near, len(self.x) - 1), max(1, BLOCK // len(self.x))
        places, found, spread = torch.arange(len(self.x), device=self.device), [], 0.0
        for some, own in zip(a.split(step), row.split(step), strict=True):
            scores = true_scores(some, self.x, self.trial.base.metric)
            best = scores.masked_fill(own[:, None] == places, -torch.inf).topk(count, dim=1)
            spread += float((best.values[:, 0] - best.values[:, -1]).sum())
            found.append(best.indices.cpu().numpy())
        return np.concatenate(found), spread / len(a)

    # ---- both halves

    def run(self) -> Maps | None:
        """The maps; None where training finds no more than the closed form."""
        trial, moments = self.trial, self.moments
        ridge, kind, _ = strengths(trial, moments, self.old, self.num_threads)
        start = moments.with_queries(moments.maps(ridge), kind)

        def queries(weights: list[Tensor]) -> Maps:
            own, shift = self._affine(weights)
            return replace(start, query_map=own, query_shift=shift + (self.mean_z if self.l2 else 0))

        first = self._about(start.query_map, start.query_shift - (self.mean_z if self.l2 else 0))
        steps = self.options.steps
        back, better = self._train(steps, first, self._old_scores, lambda w: trial.recall(queries(w)))
        maps = queries(back)
        maps = moments.with_documents(maps, best_pull(trial, moments, maps, self.old, self.num_threads))

        def documents(weights: list[Tensor]) -> Maps:
            own, shift = self._affine(weights)
            return replace(maps, document_map=own, document_shift=shift + self.mean_z)

        first = self._about(maps.document_map, maps.document_shift - self.mean_z)
        forward, more = self._train(
            -(-steps // 2), first, lambda w, a, columns: self._mixed_scores(back, w, a, columns),
            lambda w: trial.mixed(documents(w), self.old, self.num_threads),
        )  # fmt: skip
        return documents(forward) if better or more else None

    def _about(self, own: np.ndarray, shift: np.ndarray) -> list[Tensor]:
        """x @ own + shift as a map of x - about."""
        return [self._tensor(own), self._tensor(shift + self.about @ own)]

    def _affine(self, weights: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
        own, shift = (w.detach().cpu().numpy() for w in weights)
        return own, shift - self.about @ own

    def _train(
        self, steps: int, start: list[Tensor], scores: Callable[[list[Tensor], Tensor, Tensor], Tensor],
        recall: Callable[[list[Tensor]], float],
    ) -> tuple[list[Tensor], bool]:  # fmt: skip
        """The weights of most recall, and whether these are others than the first."""
        options = self.options
        size = max(float(start[0].abs().mean()), TINY)  # steps are of one size whatever the units
        free = [nn.Parameter(w / size) for w in start]
        optimiser = torch.optim.AdamW(free, lr=options.rate, weight_decay=options.decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))

        def weights() -> list[Tensor]:
            return [w * size for w in free]

        best, most, first, waited, loss = start, recall(start), True, 0, float("nan")
        self.progress(Judgement(0, steps, loss, most, most, False))
        for step in range(1, steps + 1):
            loss = self._step(free, weights, scores, optimiser)
            schedule.step()
            if step % options.judge_every and step < steps:
                continue
            now = [w.detach() for w in weights()]
            found = recall(now)
            waited += 1
            if found > most:
                best, most, first, waited = now, found, False, 0
            last = waited >= options.patience or step >= steps
            self.progress(Judgement(step, steps, loss, found, most, last))
            if last:
                break
        return best, not first

    def _step(
        self, free: list[nn.Parameter], weights: Callable[[], list[Tensor]],
        scores: Callable[[list[Tensor], Tensor, Tensor], Tensor], optimiser: torch.optim.Optimizer,
    ) -> float:  # fmt: skip
        options = self.options
        each = -(-options.anchors // len(self.anchors))
        drawn = [(kind, self.rng.integers(0, len(kind.x), each)) for kind in self.anchors]
        some = self.rng.integers(0, len(self.x), options.far)
        columns = torch.from_numpy(np.unique(np.concatenate([some, *(kind.near[rows].ravel() for kind, rows in drawn)])))
        columns = columns.to(self.device)
        a = torch.cat([kind.x[torch.from_numpy(rows).to(self.device)] for kind, rows in drawn])
        row = torch.cat([kind.row[torch.from_numpy(rows).to(self.device)] for kind, rows in drawn])
        true = true_scores(a, self.x[columns], self.trial.base.metric)
        loss = distillation(scores(weights(), a, columns), true, row[:, None] == columns, self.temperature)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(free, options.clip)
        optimiser.step()
        return float(loss.detach())

    # ---- scores, differentiable

    def _scores(self, a: Tensor, back: list[Tensor], z: Tensor) -> Tensor:
        """Of z [c, p], less its mean, for anchors [na, d]; what is the same for all rows is left out."""
        products = (a @ back[0] + back[1]) @ z.T
        return products if not self.l2 else self.ratio * (2 * products - z.pow(2).sum(dim=1))

    def _old_scores(self, weights: list[Tensor], a: Tensor, columns: Tensor) -> Tensor:
        return self._scores(a, weights, self.z[columns])

    def _mixed_scores(self, back: list[Tensor], weights: list[Tensor], a: Tensor, columns: Tensor) -> Tensor:
        """Of old codes, and in half of the places of new ones, which count as what they decode to but for the gradient."""
        z = self.z[columns]
        new = torch.from_numpy(self.rng.random(len(columns)) < 0.5).to(self.device)
        mapped = self.x[columns[new]] @ weights[0] + weights[1]
        given = mapped.detach().cpu().numpy() + self.mean_z
        point = self._tensor(coded(self.old, given, self.num_threads) - self.mean_z)
        straight = mapped + (point - mapped.detach())
        return self._scores(a, back, z.index_put((torch.nonzero(new)[:, 0],), straight))


def _rate(step: int, steps: int) -> float:
    """Rises, and falls as a cosine does."""
    rising = max(1, round(RISE * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + float(np.cos(np.pi * min((step - rising) / max(1, steps - rising), 1.0))))
