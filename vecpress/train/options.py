"""What can be steered in training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from ..checks import check_choice, check_int

PRECISIONS = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Options:
    """How recurrent binary codes are trained; `for_recipe` gives what each recipe is best with.

    steps : optimiser's steps at most; each sees `anchors` anchors and the documents around them
    rows : that are learned from, at most, drawn by the codec's seed; those that pairs name come on top
    anchors : per step; rows that ask, drawn from the queries or pairs, and from the rows themselves
    near, far : documents per step, beside the anchors' own: so many nearest of every anchor, and so many drawn at random
    pairs_alone : with pairs these alone ask; without it rows, and queries where there are some, do beside them
    rate, decay, momentum : learning rate at its highest, weight decay, momentum
    optimiser : "adam", at a rate that rises and falls, or "sgd" with Nesterov's momentum, at a rate that falls to a tenth after
        six tenths of the steps
    clip : the largest norm of a step's gradient
    distillation : weight of the ranking loss: the divergence of the softmax of the code's scores from that of the float scores
    contrastive : weight of the contrastive loss of anchors and their positives, both ways
    symmetric, asymmetric : weights in both losses of scores of coded and of float anchors
    temperature : that scores are divided by in softmaxes, in units of the rows' mean squared length, for l2 of that from the mean
    hardest : negatives that the contrastive loss takes, the highest-scored ones
    ranking, margin : weight of the loss of coded anchors whose negatives come within `margin` of their positive, scores apart
    queue : codes of earlier steps that are negatives too, made by a copy of the network that follows slowly
    follow : share of itself that this copy keeps in a step
    window : arguments of a sign whose absolute value is above have no gradient
    judge_every, patience : recall on held-out rows is taken every so many steps; training stops after so many without gain
    device : "cpu", "cuda", ...; precision : of the network's products, "float32", "bfloat16" or "float16"
    """

    steps: int = 400
    rows: int = 65536
    anchors: int = 256
    near: int = 24
    far: int = 1024
    pairs_alone: bool = False
    rate: float = 5e-4
    decay: float = 0.0
    momentum: float = 0.9
    optimiser: str = "adam"
    clip: float = 5.0
    distillation: float = 1.0
    contrastive: float = 0.0
    symmetric: float = 0.3
    asymmetric: float = 1.0
    temperature: float = 0.08
    hardest: int = 5
    ranking: float = 0.0
    margin: float = 0.1
    queue: int = 0
    follow: float = 0.99
    window: float = 1.0
    judge_every: int = 50
    patience: int = 6
    device: str = "cpu"
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "rows", "anchors", "hardest", "judge_every", "patience"):
            check_int("Options", name, getattr(self, name), 1)
        for name in ("near", "far", "queue"):
            check_int("Options", name, getattr(self, name), 0)
        check_choice("Options", "optimiser", self.optimiser, ("adam", "sgd"))
        check_choice("Options", "precision", self.precision, PRECISIONS)
        weights = ("distillation", "contrastive", "symmetric", "asymmetric", "ranking", "margin")
        for name in ("rate", "decay", "momentum", "clip", "follow", *weights):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < float("inf"):
                raise ValueError(f"Options: {name} expected a number of 0 or more, got {value!r}")
        for name in ("temperature", "window"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
                raise ValueError(f"Options: {name} expected a number above 0, got {value!r}")
        for name in ("follow", "momentum"):
            if getattr(self, name) > 1:
                raise ValueError(f"Options: {name} expected at most 1, got {getattr(self, name)!r}")
        if not isinstance(self.pairs_alone, bool):
            raise TypeError(f"Options: pairs_alone expected a bool, got {type(self.pairs_alone).__name__}")
        if not isinstance(self.device, str):
            raise TypeError(f"Options: device expected a str such as 'cpu' or 'cuda', got {type(self.device).__name__}")
        if not self.distillation and not self.contrastive:
            raise ValueError("Options: distillation or contrastive expected above 0, got 0 for both")
        if not self.symmetric and not self.asymmetric:
            raise ValueError("Options: symmetric or asymmetric expected above 0, got 0 for both")

    @classmethod
    def for_recipe(cls, recipe: str, **changes: Any) -> Options:
        """The options of a recipe of `RecurrentBinary`, but for those that are given.

        "bebr" has the numbers of the published configuration (configs/ and train.py of the paper's code): SGD with Nesterov's
        momentum .9 at .08, decay 1e-3, gradients clipped at 5, temperature .05, five hardest negatives, window 1; cosines of
        codes on both sides. With `pairs` these alone ask. Not the published ones: half the batch, 1,024 anchors, and `steps` with
        an early stop where that has ten epochs of 2,048 pairs a step. "compatible" is for `vecpress.train.compatible`.
        """
        check_choice("Options.for_recipe", "recipe", recipe, ("improved", "bebr", "compatible"))
        if recipe == "compatible":
            return replace(cls(steps=400, rate=3e-3, near=12, temperature=0.5), **changes)
        if recipe == "bebr":
            published = cls(
                rate=0.08, decay=1e-3, optimiser="sgd", distillation=0.0, contrastive=1.0, asymmetric=0.0, temperature=0.05,
                anchors=1024, near=0, far=0, pairs_alone=True, window=1.0, queue=0,
            )  # fmt: skip
            return replace(published, **changes)
        return replace(cls(), **changes)

    @classmethod
    def for_passages(cls, **changes: Any) -> Options:
        """The losses of the binary passage retriever, for `pairs` of questions and passages and a `RecurrentBinary` of u = 0.

        Coded questions rank coded passages by a margin, against all negatives of a step, for the shortlist; float questions do by
        the cross entropy of their scores of coded passages, for the ranking of it: `search(symmetric=True, rerank=candidates)`.
        Negatives are the answers of the step's other questions and the passage nearest to each. Pairs alone train, and a quarter
        of the questions judge, by their labels. Signs pass gradients straight through, one of the two ways of the paper. Source:
        Yamada, Asai, Hajishirzi, "Efficient passage retrieval with hashing for open-domain question answering", ACL 2021.
        """
        return replace(cls(
            distillation=0.0, contrastive=1.0, symmetric=0.0, asymmetric=1.0, ranking=1.0, hardest=1 << 20, near=1, far=0,
            pairs_alone=True,
        ), **changes)  # fmt: skip
