"""Training of recurrent binary codes from float vectors alone, or with queries, or with pairs of queries and documents."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .. import ops
from ..arrays import Rows
from ..checks import check_path
from ..codec import Codec
from ..errors import SmallTrainingSetWarning
from ..recurrent import Network, linear_network
from ..recurrentfit import initial, learn_split, learn_tables, set_network, split
from ..sources import Stream, sample
from .data import MOST_MINED, Anchors, Documents, asked_and_judging, mined
from .loop import Trainer
from .network import RecurrentNet, hidden_network, xavier_network
from .options import Options
from .progress import Progress, shown

HELD_OUT = 512  # anchors that judge, at most
LEAST_ROWS = 64  # with fewer there is nothing to hold out
LOST = 0.005  # recall that a single affine map may lose


def fit(
    codec: Any, x: Any, queries: Any = None, *, pairs: Any = None, options: Options | None = None, checkpoint: Any = None,
    resume: bool = False, progress: bool | Progress | None = None, num_threads: int | None = None,
) -> Any:  # fmt: skip
    """A fitted copy of a `RecurrentBinary`, trained as the options say.

    codec : its configuration; "improved" or "bebr"
    x : [n, d], the vectors to learn from: documents; as in `Codec.fit`. Of more than `options.rows` so many are drawn
    queries : [nq, d], a sample of queries; half of them train as anchors, at most 512 judge
    pairs : (queries [np, d], int[np]), queries and for each a row of x that answers it: anchors with their positives. What else
        answers an equal query counts neither way, nor does a row that equals it. Without pairs a row's positive is the row
        nearest to it. With "bebr" pairs alone train (`Options.pairs_alone`)
    options : None for those of the recipe, with pairs the contrastive loss beside them. Where a loss goes by labels, a quarter of
        the pairs' queries judges, by the rows that answer them
    checkpoint : a file to which the state of training goes at every judgement; written beside it and renamed
    resume : goes on from `checkpoint` where it is there: the result is that of an uninterrupted run
    progress : True for a bar, or lines where rich is not installed, with the recall of held-out anchors; or a function that is
        called with a `Judgement` of step, loss and recall
    num_threads : of the kernels that make tables and judge; torch has threads of its own

    The result depends on the codec's seed, and not on what trained before; on the CPU also on torch's release and instruction
    set, as its sums do. Raises TypeError or ValueError for bad input, and for a checkpoint of another training.

    Cost: a step codes anchors * (near + 1) + far rows and scores them, forward and back: for 384 columns and 184 directions about
    10 GFLOP; mining (n d) per row once.
    """
    from ..codecs.recurrentbinary import RecurrentBinary

    if not isinstance(codec, RecurrentBinary):
        raise TypeError(f"train.fit: codec expected a RecurrentBinary, got {type(codec).__name__}")
    if codec.recipe == "rotation":
        raise ValueError("train.fit: codec expected recipe 'improved' or 'bebr', got 'rotation', which is not trained: call fit")
    if options is not None and not isinstance(options, Options):
        raise TypeError(f"train.fit: options expected Options, got {type(options).__name__}")
    _check_checkpoint(checkpoint, resume)
    fresh = type(codec)(**codec.config())
    most = (options or Options()).rows
    source = fresh._source(x, "train.fit: x", None, num_threads)
    if isinstance(source, Stream):
        if pairs is not None:
            raise TypeError("train.fit: x expected an array or a path with pairs, which name its rows, got an iterator")
        source = sample(source, most, fresh.seed)
    if source.n == 0 or source.dim is None:
        raise ValueError("train.fit: x expected at least one row, got none")
    fresh.dim_ = source.dim
    fresh._check_dim(source.dim)
    if source.n < fresh.enough_rows:
        short = f"train.fit: x has {source.n} rows, {fresh!r} wants at least {fresh.enough_rows}"
        warnings.warn(short, SmallTrainingSetWarning, stacklevel=2)
    asked = None if queries is None else fresh._query_rows(queries, "train.fit: queries", source.dim, num_threads).all()
    given = None if pairs is None else _checked_pairs(fresh, pairs, source, num_threads)
    rows, given = _learned_from(source, given, most, fresh.seed)
    fit_in_place(
        fresh, rows, asked, pairs=given, options=options, checkpoint=checkpoint, resume=resume, progress=progress,
        num_threads=num_threads,
    )  # fmt: skip
    fresh._freeze()
    return fresh


def _check_checkpoint(checkpoint: Any, resume: bool) -> None:
    if checkpoint is None:
        if resume:
            raise ValueError("train.fit: resume=True expected a checkpoint to go on from, got None")
        return
    check_path("train.fit: checkpoint", checkpoint)
    path = Path(os.fsdecode(checkpoint))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"train.fit: checkpoint expected a folder that is there, got {path.parent}")
    if path.exists() and not resume:
        raise ValueError(f"train.fit: checkpoint {path} is there already; resume=True goes on with it")


def _learned_from(source: Rows, pairs: Any, most: int, seed: int) -> tuple[np.ndarray, Any]:
    """At most so many rows, those that pairs name on top, and the pairs by their places among these."""
    if source.n <= most or pairs is None:
        return source.sample(most, seed), pairs
    drawn = np.random.Generator(np.random.PCG64(seed)).choice(source.n, most, replace=False)
    which = np.union1d(drawn, pairs[1])
    return source.take(which), (pairs[0], np.searchsorted(which, pairs[1]))


def _checked_pairs(codec: Codec, pairs: Any, rows: Any, num_threads: int | None) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(pairs, (tuple, list)) or len(pairs) != 2:
        raise TypeError("train.fit: pairs expected (queries, rows of x), two arrays")
    asked = codec._query_rows(pairs[0], "train.fit: pairs[0]", rows.dim, num_threads).all()
    answers = np.asarray(pairs[1])
    if answers.dtype.kind not in "iu" or answers.shape != (len(asked),):
        raise TypeError(f"train.fit: pairs[1] expected {len(asked)} whole numbers, got {answers.dtype} of shape {answers.shape}")
    if len(answers) and not (0 <= answers.min() and answers.max() < rows.n):
        raise ValueError(f"train.fit: pairs[1] expected rows 0..{rows.n - 1} of x, got {answers.min()}..{answers.max()}")
    if len(np.unique(asked, axis=0)) < 2:
        raise ValueError("train.fit: pairs expected at least two different queries, of which one judges")
    return asked, answers.astype(np.int64)


def fit_in_place(
    codec: Any, x: np.ndarray, queries: np.ndarray | None, *, pairs: tuple[np.ndarray, np.ndarray] | None = None,
    options: Options | None = None, checkpoint: Any = None, resume: bool = False, progress: bool | Progress | None = None,
    num_threads: int | None = None,
) -> None:  # fmt: skip
    """Sets the learned arrays of a codec whose dim_ is known, from checked rows. Arguments as in `fit`."""
    if options is None:
        labels = {"contrastive": 1.0} if pairs is not None else {}
        options = Options.for_recipe(codec.recipe, **labels)
    if codec.recipe == "bebr" and options.asymmetric:
        got = f"got {options.asymmetric}: it has no decoder"
        raise ValueError(f"train.fit: options expected asymmetric=0 with recipe='bebr', {got}")
    start, decoder = _start(codec, x, num_threads)
    set_network(codec, start)
    codec.decoder_ = decoder
    if len(x) < LEAST_ROWS:
        if codec.recipe == "bebr":
            raise ValueError(f"RecurrentBinary: x expected at least {LEAST_ROWS} rows with recipe='bebr', got {len(x)}")
        _finish(codec, x, num_threads)
        return
    by_labels = pairs is not None and bool(options.contrastive or options.ranking)
    documents = Documents.of(codec, x, num_threads)
    anchors, judges = _anchors(codec, x, queries, pairs, options, by_labels, num_threads)
    if options.near or (anchors.positive < 0).any():  # a row's positive is the nearest one
        mined(anchors, documents, max(options.near, 1), options.device)
    mined(judges, documents, 0, options.device, by_labels)
    net = RecurrentNet(start, decoder, options.window)
    with shown(progress) as told:
        trainer = Trainer(net, codec, documents, anchors, judges, options, told)
        best = trainer.run(checkpoint, resume)
    set_network(codec, best.export())
    codec.decoder_ = _off_axis(trainer.decoder(best), codec.axis_)
    _finish(codec, x, num_threads)
    if codec.recipe == "improved":
        _keep_better(codec, x, judges, documents, num_threads)
    if codec.distill:
        _distill(codec, x, judges, num_threads)


def _start(codec: Any, x: np.ndarray, num_threads: int | None) -> tuple[Network, np.ndarray]:
    """Where training starts. Sets mean_ and axis_."""
    hidden, skip = codec.hidden_columns, codec.recipe != "bebr" or not codec.hidden_columns
    if codec.recipe == "improved":
        network, decoder = initial(codec, x, codec.u, num_threads)
        return (hidden_network(network, hidden, skip, codec.seed) if hidden else network), decoder
    learn_split(codec, x)
    network = hidden_network(xavier_network(x.shape[1], codec.m, codec.u, codec.seed), hidden, skip, codec.seed)
    return network, np.zeros((codec.m, x.shape[1]), np.float32)


def _anchors(
    codec: Any, x: np.ndarray, queries: np.ndarray | None, pairs: tuple[np.ndarray, np.ndarray] | None, options: Options,
    by_labels: bool, num_threads: int | None,
) -> tuple[Anchors, Anchors]:  # fmt: skip
    """Who asks in training, and who judges.

    Rows, queries and pairs, those that there are; queries judge rather than rows, and where losses go by labels pairs alone. With
    `pairs_alone` nothing else asks: rows, whose only positive is the nearest, undo what labels teach a passage retriever.
    """
    asked = judging = None
    if pairs is not None:
        asked, judging = asked_and_judging(codec, x, *pairs, [codec.seed, 3], HELD_OUT, num_threads)
        if options.pairs_alone:
            return Anchors.joined([asked]), Anchors.joined([judging])
    rng = np.random.Generator(np.random.PCG64([codec.seed, 1]))
    order = rng.permutation(len(x))
    count = min(HELD_OUT, len(x) // 8)
    learned = order[count:][:MOST_MINED]
    judges = [Anchors.of(codec, x[order[:count]], order[:count], None, num_threads)]
    anchors = [Anchors.of(codec, x[learned], learned, None, num_threads)]
    if queries is not None and len(queries) >= 2:
        queries = queries[rng.permutation(len(queries))]
        half = min(len(queries) // 2, HELD_OUT)
        judges = [Anchors.of(codec, queries[:half], None, None, num_threads)]
        anchors.append(Anchors.of(codec, queries[half:], None, None, num_threads))
    if asked is not None and judging is not None:
        anchors.append(asked)
        judges = [judging] if by_labels else [*judges, judging]
    return Anchors.joined(anchors), Anchors.joined(judges)


def _off_axis(decoder: np.ndarray, axis: np.ndarray) -> np.ndarray:
    wide = decoder.astype(np.float64)
    return (wide - np.outer(wide @ axis, axis)).astype(np.float32)


def _finish(codec: Any, x: np.ndarray, num_threads: int | None) -> None:
    """The published method has no decoder: directions v / |v| get that of least squares, about the mean of what is left."""
    if codec.recipe == "bebr":
        few = x[:: -(-len(x) // 32768)]
        labels = codec.labels(few / np.maximum(ops.norms(few), np.float32(1e-30))[:, None], num_threads)
        v = codec.levels_of(labels)
        v = (v / np.sqrt(np.square(v).sum(axis=1, keepdims=True))).astype(np.float64)
        about = v.mean(axis=0)
        centred = v - about
        gram = centred.T @ centred
        gram[np.diag_indices_from(gram)] += 1e-3 * max(float(np.trace(gram)) / len(gram), 1e-12)
        mean = few.mean(axis=0, dtype=np.float64)
        decoder = np.linalg.solve(gram, centred.T @ (few - mean))
        codec.decoder_, codec.mean_ = decoder.astype(np.float32), (mean - about @ decoder).astype(np.float32)
    learn_tables(codec, x, num_threads)


def _recall(codec: Any, x: np.ndarray, judges: Anchors, num_threads: int | None) -> float:
    """Of held-out anchors among the judges' documents, both ways of scoring, through the codec itself."""
    base = x[judges.among]
    blocks = ops.Blocks.pack(codec._encode(base, num_threads), codec.head)
    found = 0.0
    for query in (codec._query(judges.x, num_threads), codec._symmetric_query(judges.x, num_threads)):
        ids = query.search(blocks, judges.neighbours + 1, num_threads=num_threads)[1]
        found += judges.share_found(judges.among[ids])
    return found / 2


def _keep_better(codec: Any, x: np.ndarray, judges: Anchors, documents: Documents, num_threads: int | None) -> None:
    """Goes back to the affine map that training started from, with numbers found by search, where that finds more."""
    names = [*codec.state]
    trained = {name: getattr(codec, name) for name in names}
    before = _recall(codec, x, judges, num_threads)
    start, decoder = initial(codec, x, 0, num_threads)
    set_network(codec, start)
    codec.decoder_ = decoder
    learn_tables(codec, x, num_threads)
    if _recall(codec, x, judges, num_threads) <= before:
        for name in names:
            setattr(codec, name, trained[name])


def _distill(codec: Any, x: np.ndarray, judges: Anchors, num_threads: int | None) -> None:
    """One affine map for the network, of least squares of its numbers, where that loses little recall."""
    if not codec.rounds and not codec.hidden_columns:
        return
    names = [*codec.state]
    kept = {name: getattr(codec, name) for name in names}
    before = _recall(codec, x, judges, num_threads)
    few = x[:: -(-len(x) // 32768)]
    f = split(few, codec, num_threads)[2].astype(np.float64)
    v = codec.levels_of(codec.labels(f.astype(np.float32), num_threads)).astype(np.float64)
    gram = f.T @ f
    gram[np.diag_indices_from(gram)] += 1e-4 * float(np.trace(gram)) / len(gram)
    affine = np.linalg.solve(gram, f.T @ v).astype(np.float32)
    set_network(codec, linear_network(affine, affine.T, codec.u, 0))
    learn_tables(codec, x, num_threads)
    if _recall(codec, x, judges, num_threads) < before - LOST:
        for name in names:
            setattr(codec, name, kept[name])
