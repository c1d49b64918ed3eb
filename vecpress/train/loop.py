"""The training loop: batches around anchors, steps, judgements by recall, early stop, checkpoints."""

from __future__ import annotations

import ast
import copy
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import losses
from .data import Anchors, Documents
from .losses import Coded, Space
from .network import RecurrentNet
from .options import Options
from .progress import Judgement, Progress

RISE = 0.1  # share of the steps in which the rate rises
FALL = 0.6  # share of the steps after which "sgd" goes on at a tenth of the rate
FORMAT = 1


class Trainer:
    """Trains a net on anchors and documents, and keeps the state of most recall of the judges."""

    def __init__(
        self, net: RecurrentNet, codec: Any, documents: Documents, anchors: Anchors, judges: Anchors, options: Options,
        progress: Progress,
    ):  # fmt: skip
        self.options, self.device = options, torch.device(options.device)
        self.net = net.to(self.device)
        self.documents = documents.to(options.device)
        self.anchors, self.judges = anchors, judges
        self.progress = progress
        self.metric, self.directions, self.seed = codec.metric, codec.recipe == "bebr", codec.seed
        self.config = {name: value for name, value in codec.config().items() if name != "distill"}
        # scores are in units of this, so that temperature and margin do not depend on the vectors' unit
        spread = self.documents.y if codec.metric == "l2" else self.documents.x
        self.size = 1.0 if self.directions else max(float(spread.pow(2).sum(dim=1).mean()), losses.TINY)
        self.mean = torch.from_numpy(codec.mean_.copy()).to(self.device)
        self.axis = torch.from_numpy(codec.axis_.copy()).to(self.device)
        self.rng = np.random.Generator(np.random.PCG64([codec.seed, 2]))
        self.optimiser, self.schedule = self._optimiser()
        self.slow = copy.deepcopy(self.net) if options.queue else None
        self.queue: list[tuple[Coded, Tensor]] = []  # codes of the slow copy, and their ids
        self.step = 0
        self.best, self.best_recall, self.waited = copy.deepcopy(self.net), -1.0, 0
        self.what = self._what()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.precision == "float16")

    # ---- the run

    def run(self, checkpoint: Any, resume: bool) -> RecurrentNet:
        """The net of most recall. Raises ValueError for a checkpoint of another training."""
        path = None if checkpoint is None else Path(os.fsdecode(checkpoint))
        if path is not None and resume and path.exists():
            self._restore(path)
        if self.step == 0:
            self._judge(float("nan"))
        options = self.options
        loss = float("nan")
        while self.step < options.steps and self.waited < options.patience:
            loss = self._train_step()
            self.step += 1
            if not np.isfinite(loss):
                about = "are queries or the rate too large?"
                raise ValueError(f"train.fit: expected finite losses, got {loss} in step {self.step}: {about}")
            if self.step % options.judge_every == 0 or self.step == options.steps:
                self._judge(loss)
                if path is not None:
                    self._save(path)
        return self.best

    def decoder(self, net: RecurrentNet) -> np.ndarray:
        with torch.no_grad():
            return np.ascontiguousarray(net.decoder().float().cpu().numpy())

    def _optimiser(self) -> tuple[torch.optim.Optimizer, Any]:
        options = self.options
        if options.optimiser == "adam":
            adam = torch.optim.AdamW(self.net.parameters(), lr=options.rate, weight_decay=options.decay)
            rising = max(1, round(RISE * options.steps))

            def rate(step: int) -> float:
                if step < rising:
                    return (step + 1) / rising
                done = (step - rising) / max(1, options.steps - rising)
                return 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0))))

            return adam, torch.optim.lr_scheduler.LambdaLR(adam, rate)
        wide = [p for p in self.net.parameters() if p.ndim > 1]
        flat = [p for p in self.net.parameters() if p.ndim <= 1]  # biases and normalisations are not decayed
        groups = [{"params": wide, "weight_decay": options.decay}, {"params": flat, "weight_decay": 0.0}]
        sgd = torch.optim.SGD(groups, lr=options.rate, momentum=options.momentum, nesterov=options.momentum > 0)
        return sgd, torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: 1.0 if step < FALL * options.steps else 0.1)

    # ---- a step

    def _space(self, net: RecurrentNet) -> Space:
        decoder = net.decoder()
        decoder = decoder - torch.outer(decoder @ self.axis, self.axis)
        # the published method knows no decoder
        gram = torch.ones((), device=self.device) if self.directions else decoder.pow(2).sum() / decoder.shape[0]
        return Space(self.mean, self.axis, decoder, gram, self.metric, self.directions)

    def _batch(self) -> tuple[np.ndarray, Tensor]:
        """Anchors, and documents around them, each once."""
        options, groups = self.options, self.anchors.groups
        each = -(-options.anchors // len(groups))
        chosen = np.concatenate([self.rng.integers(group.start, group.stop, each) for group in groups])[: options.anchors]
        some = self.rng.integers(0, len(self.documents.x), options.far)
        near = self.anchors.near[chosen][:, : options.near].ravel() if options.near else chosen[:0]
        columns = np.unique(np.concatenate((near, self.anchors.positive[chosen], some)))
        return chosen, torch.from_numpy(columns)

    def _train_step(self) -> float:
        options, net, device = self.options, self.net, self.device
        net.train()
        chosen, columns = self._batch()
        own = torch.from_numpy(self.anchors.row[chosen]).to(device)
        positive = torch.from_numpy(self.anchors.positive[chosen]).to(device)
        a = torch.from_numpy(self.anchors.x[chosen]).to(device)
        ta, ya, fa = (torch.from_numpy(part[chosen]).to(device) for part in self.anchors.split)
        columns = columns.to(device)
        docs = self.documents
        t, y, f = docs.t[columns], docs.y[columns], docs.f[columns]
        lower = options.precision != "float32"
        with torch.autocast(device.type, getattr(torch, options.precision) if lower else torch.bfloat16, enabled=lower):
            both = net(torch.cat((f, fa)))  # one batch, for batch normalisation sees both kinds
        v, va = both[: len(f)].float(), both[len(f) :].float()
        space = self._space(net)
        documents, asked = losses.coded(v, y, t, space), losses.coded(va, ya, ta, space)
        masked = (own[:, None] == columns[None]) | self._answers(chosen, columns)
        loss = torch.zeros((), device=device)

        def asymmetric(rows: Coded) -> Tensor:
            return losses.asymmetric_scores(a, rows, space) / self.size

        def symmetric(rows: Coded) -> Tensor:
            return losses.symmetric_scores(asked, rows, space) / self.size

        true = losses.true_scores(a, docs.x[columns], self.metric) / self.size if options.distillation else None
        for weight, score in ((options.asymmetric, asymmetric), (options.symmetric, symmetric)):
            if not weight:
                continue
            scores = score(documents)
            if true is not None:
                loss = loss + weight * options.distillation * losses.distillation(scores, true, masked, options.temperature)
            if options.contrastive:
                loss = loss + weight * options.contrastive * self._contrastive(score, scores, chosen, columns, masked)
        if options.ranking:
            at = torch.searchsorted(columns, positive)
            loss = loss + options.ranking * losses.margin_ranking(symmetric(documents), at, masked, options.margin)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(net.parameters(), options.clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.get_scale() >= scale:  # else this step's gradients overflowed, and it was left out
            self.schedule.step()
        if self.slow is not None:
            self._follow(f, y, t, columns)
        return float(loss.detach())

    def _answers(self, chosen: np.ndarray, ids: Tensor) -> Tensor:
        """bool[na, n]: which rows also answer an anchor's question, but for its positive: neither right nor wrong for it."""
        masked = np.zeros((len(chosen), len(ids)), bool)
        there = ids.cpu().numpy()
        for row, question, positive in zip(masked, self.anchors.question[chosen], self.anchors.positive[chosen], strict=True):
            if question >= 0:
                row[:] = np.isin(there, self.anchors.answers[question]) & (there != positive)
        return torch.from_numpy(masked).to(self.device)

    def _contrastive(
        self, score: Callable[[Coded], Tensor], scores: Tensor, chosen: np.ndarray, columns: Tensor, masked: Tensor
    ) -> Tensor:  # fmt: skip
        """Both ways: anchors among the documents and the queue, and their positives among the anchors."""
        options, device = self.options, self.device
        positive = torch.from_numpy(self.anchors.positive[chosen]).to(device)
        at = torch.searchsorted(columns, positive)
        wide, same = scores, masked
        if self.queue:
            own = torch.from_numpy(self.anchors.row[chosen]).to(device)
            ids = torch.cat([ids for _, ids in self.queue])
            queued = Coded(*(torch.cat(parts) for parts in zip(*(codes for codes, _ in self.queue), strict=True)))
            known = (ids[None] == positive[:, None]) | (ids[None] == own[:, None]) | self._answers(chosen, ids)
            wide, same = torch.cat((scores, score(queued)), dim=1), torch.cat((masked, known), dim=1)
        there = losses.contrastive(wide, at, same, options.temperature, options.hardest)
        # anchors that a document answers too, and those of one question, do not count against each other
        question = torch.from_numpy(self.anchors.question[chosen]).to(device)
        others = (positive[:, None] == positive[None]) | ((question[:, None] == question[None]) & (question[:, None] >= 0))
        others = others | masked[:, at].T
        straight = torch.arange(len(at), device=device)
        return there + losses.contrastive(scores[:, at].T, straight, others, options.temperature, options.hardest)

    @torch.no_grad()
    def _follow(self, f: Tensor, y: Tensor, t: Tensor, columns: Tensor) -> None:
        """Moves the slow copy, and puts its codes of this step's documents behind the queue."""
        assert self.slow is not None
        keep = self.options.follow
        for slow, fast in zip(self.slow.state_dict().values(), self.net.state_dict().values(), strict=True):
            if slow.dtype.is_floating_point:
                slow.mul_(keep).add_(fast, alpha=1 - keep)
            else:
                slow.copy_(fast)
        self.slow.eval()
        self.queue.append((losses.coded(self.slow(f), y, t, self._space(self.slow)), columns))
        while sum(len(ids) for _, ids in self.queue) > self.options.queue and len(self.queue) > 1:
            self.queue.pop(0)

    # ---- judgement

    @torch.no_grad()
    def _judge(self, loss: float) -> None:
        recall = self._recall()
        better = recall > self.best_recall
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best_recall = recall
            self.best = copy.deepcopy(self.net)
        last = self.waited >= self.options.patience or self.step >= self.options.steps
        self.progress(Judgement(self.step, self.options.steps, loss, recall, self.best_recall, last))

    def _recall(self) -> float:
        """10@10 of the judges: the mean of both ways of scoring; with "bebr" of coded anchors alone."""
        net, judges, docs = self.net, self.judges, self.documents
        net.eval()
        space = self._space(net)
        among = torch.from_numpy(judges.among).to(self.device)
        parts = [losses.coded(net(docs.f[i]), docs.y[i], docs.t[i], space) for i in among.split(8192)]
        base = Coded(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
        a = torch.from_numpy(judges.x).to(self.device)
        t, y, f = (torch.from_numpy(part).to(self.device) for part in judges.split)
        found = [losses.symmetric_scores(losses.coded(net(f), y, t, space), base, space)]
        if not self.directions:
            found.append(losses.asymmetric_scores(a, base, space))
        count = min(judges.neighbours + 1, len(among))
        recalls = [judges.share_found(judges.among[scores.topk(count, dim=1).indices.cpu().numpy()]) for scores in found]
        return float(np.mean(recalls))

    # ---- checkpoints

    def _save(self, path: Path) -> None:
        state = {
            "format": FORMAT, "what": self.what, "step": self.step,
            "net": self.net.state_dict(), "best": self.best.state_dict(),
            "slow": None if self.slow is None else self.slow.state_dict(), "queue": [(*codes, ids) for codes, ids in self.queue],
            "optimiser": self.optimiser.state_dict(), "schedule": self.schedule.state_dict(), "scaler": self.scaler.state_dict(),
            "best_recall": self.best_recall, "waited": self.waited, "rng": repr(self.rng.bit_generator.state),
        }  # fmt: skip
        partial = path.with_name(path.name + ".partial")
        with open(partial, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def _restore(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)  # tensors and plain values alone: never code
            what, form = state["what"], state["format"]
        except Exception as error:
            raise ValueError(f"train.fit: checkpoint {path} cannot be read: {error}") from None
        if form != FORMAT or what != self.what:
            raise ValueError(f"train.fit: checkpoint {path} is of another training: it has {what}, this one {self.what}")
        try:
            self.net.load_state_dict(state["net"])
            self.best.load_state_dict(state["best"])
            if self.slow is not None:
                self.slow.load_state_dict(state["slow"])
            self.queue = [(Coded(*codes), ids) for *codes, ids in state["queue"]]
            self.optimiser.load_state_dict(state["optimiser"])
            self.schedule.load_state_dict(state["schedule"])
            self.scaler.load_state_dict(state["scaler"])
            self.step, self.best_recall, self.waited = state["step"], state["best_recall"], state["waited"]
            self.rng.bit_generator.state = ast.literal_eval(state["rng"])
        except Exception as error:
            raise ValueError(f"train.fit: checkpoint {path} is not whole: {error!r}") from None

    def _what(self) -> str:
        """What a checkpoint must be of: configuration, options, and digests of the data."""
        shapes = [tuple(p.shape) for p in self.net.parameters()]
        digest = hashlib.sha256()
        asked, judges = self.anchors, self.judges
        for a in (self.documents.x.cpu().numpy(), asked.x, asked.row, asked.positive, judges.x, judges.true):
            digest.update(np.ascontiguousarray(a).tobytes())
        return f"{self.options} {self.config} {digest.hexdigest()} {shapes}"
