"""The training loop: batches around anchors, steps, judgements by recall, early stop, checkpoints."""

from __future__ import annotations

import copy
import os
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
        self.mean = torch.from_numpy(codec.mean_.copy()).to(self.device)
        self.axis = torch.from_numpy(codec.axis_.copy()).to(self.device)
        self.rng = np.random.Generator(np.random.PCG64([codec.seed, 2]))
        self.optimiser, self.schedule = self._optimiser()
        self.slow = copy.deepcopy(self.net) if options.queue else None
        self.queue: list[tuple[Tensor, Tensor]] = []  # codes of the slow copy, scaled, and their ids
        self.step = 0
        self.best, self.best_recall, self.waited = copy.deepcopy(self.net), -1.0, 0
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=options.precision == "float16")

    # ---- the run

    def run(self, checkpoint: Any, resume: bool) -> RecurrentNet:
        """The net of most recall. Raises ValueError for a checkpoint of another training."""
        path = None if checkpoint is None else Path(checkpoint)
        if path is not None and resume and path.exists():
            self._restore(path)
        elif path is not None and path.exists() and not resume:
            raise ValueError(f"train.fit: checkpoint {path} is there already; resume=True goes on with it")
        if self.step == 0:
            self._judge(float("nan"))
        options = self.options
        loss = float("nan")
        while self.step < options.steps and self.waited < options.patience:
            loss = self._train_step()
            self.step += 1
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
        near = self.anchors.near[chosen][:, : options.near].ravel()
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
        masked = own[:, None] == columns[None]
        loss = torch.zeros((), device=device)
        kinds = []
        if options.asymmetric:
            kinds.append((options.asymmetric, losses.asymmetric_scores(a, documents, space)))
        if options.symmetric:
            kinds.append((options.symmetric, losses.symmetric_scores(asked, documents, space)))
        true = losses.true_scores(a, docs.x[columns], self.metric) if options.distillation else None
        for weight, scores in kinds:
            if true is not None:
                loss = loss + weight * options.distillation * losses.distillation(scores, true, masked, options.temperature)
            if options.contrastive:
                loss = loss + weight * options.contrastive * self._contrastive(scores, asked, columns, positive, masked, space)
        if options.ranking:
            scores, at = losses.symmetric_scores(asked, documents, space), torch.searchsorted(columns, positive)
            loss = loss + options.ranking * losses.margin_ranking(scores, at, masked, options.margin)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(net.parameters(), options.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        if self.slow is not None:
            self._follow(f, columns)
        return float(loss.detach())

    def _contrastive(
        self, scores: Tensor, asked: Coded, columns: Tensor, positive: Tensor, masked: Tensor, space: Space
    ) -> Tensor:  # fmt: skip
        """Both ways: anchors among the documents and the queue, and their positives among the anchors."""
        options = self.options
        at = torch.searchsorted(columns, positive)
        if self.queue:
            codes = torch.cat([codes for codes, _ in self.queue])
            ids = torch.cat([ids for _, ids in self.queue])
            queued = Coded(codes, torch.ones(len(codes), device=codes.device), torch.zeros(len(codes), device=codes.device))
            more = losses.symmetric_scores(asked, queued, space)
            wide = torch.cat((scores, more), dim=1)
            same = torch.cat((masked, ids[None] == positive[:, None]), dim=1)
        else:
            wide, same = scores, masked
        there = losses.contrastive(wide, at, same, options.temperature, options.hardest)
        others = positive[:, None] == positive[None]  # anchors of one document do not count against each other
        back = scores[:, at].T
        straight = torch.arange(len(at), device=scores.device)
        return there + losses.contrastive(back, straight, others, options.temperature, options.hardest)

    @torch.no_grad()
    def _follow(self, f: Tensor, columns: Tensor) -> None:
        """Moves the slow copy, and puts its codes of this step's documents behind the queue."""
        assert self.slow is not None
        keep = self.options.follow
        for slow, fast in zip(self.slow.state_dict().values(), self.net.state_dict().values(), strict=True):
            if slow.dtype.is_floating_point:
                slow.mul_(keep).add_(fast, alpha=1 - keep)
            else:
                slow.copy_(fast)
        self.slow.eval()
        v = self.slow(f)
        self.queue.append((v / v.norm(dim=1, keepdim=True).clamp_min(losses.TINY), columns))
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
            "format": FORMAT, "what": self._what(), "step": self.step,
            "net": self.net.state_dict(), "best": self.best.state_dict(),
            "slow": None if self.slow is None else self.slow.state_dict(), "queue": self.queue,
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
        import ast

        try:
            state = torch.load(path, map_location=self.device, weights_only=True)  # tensors and plain values alone: never code
            what, form = state["what"], state["format"]
        except Exception as error:
            raise ValueError(f"train.fit: checkpoint {path} cannot be read: {error}") from None
        if form != FORMAT or what != self._what():
            raise ValueError(f"train.fit: checkpoint {path} is of another training: it has {what}, this one {self._what()}")
        self.net.load_state_dict(state["net"])
        self.best.load_state_dict(state["best"])
        if self.slow is not None:
            self.slow.load_state_dict(state["slow"])
        self.queue = [(codes, ids) for codes, ids in state["queue"]]
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.best_recall, self.waited = state["step"], state["best_recall"], state["waited"]
        self.rng.bit_generator.state = ast.literal_eval(state["rng"])

    def _what(self) -> str:
        """What a checkpoint must be of: the options, the sizes, and sums of the data."""
        x = self.documents.x
        shapes = [tuple(p.shape) for p in self.net.parameters()]
        data = f"n={len(x)} sum={float(x.double().sum()):.9g} anchors={len(self.anchors.x)}"
        return f"{self.options} seed={self.seed} {data} {shapes}"
