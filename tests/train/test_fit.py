"""Training as callers have it: what it gains, the same again from the same seed, checkpoints, pairs, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import bits

import vecpress as vp

torch = pytest.importorskip("torch")
SIZE = (1500, 24)
FEW = {"anchors": 64, "near": 8, "far": 128, "judge_every": 10}


def vectors(n: int, seed: int = 0, d: int = SIZE[1]) -> np.ndarray:
    """float32[n, d]: of length 1, in a few directions more than in others, off the origin."""
    rng = np.random.default_rng((7, seed))
    x = rng.standard_normal((n, d)) * 0.9 ** np.arange(d) + 0.2
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def state(codec: vp.Codec) -> list[bytes]:
    return [bits(getattr(codec, name)) for name in codec.state]


def found(codec: vp.Codec, x: np.ndarray, q: np.ndarray, symmetric: bool) -> float:
    index = vp.Index(codec)
    index.add(x)
    return vp.recall(index.search(q, 10, symmetric=symmetric)[1], vp.exact(q, x)[1])


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return vectors(SIZE[0])


def options(recipe: str = "improved", **changes):
    return vp.train.Options.for_recipe(recipe, **(FEW | {"steps": 30} | changes))


def test_training_finds_more_than_what_it_started_from_where_queries_are_short():
    """Queries of a few directions alone: the sample says so, the principal directions of the rows do not."""
    d = 24
    x = vectors(3000)
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((d, d)))[0]
    turned = (x @ turn).astype(np.float32)
    few = np.zeros((d, d), np.float32)
    few[12:18, 12:18] = np.eye(6)
    asked, judged = ((vectors(n, seed) @ few @ turn).astype(np.float32) for n, seed in ((400, 1), (200, 2)))
    steps = options(steps=120, rate=3e-3, temperature=0.02, symmetric=0.0)
    codec = vp.RecurrentBinary(16, 1)
    trained = vp.train.fit(codec, turned, queries=asked, options=steps)
    plain = vp.RecurrentBinary(16, 1, recipe="rotation").fit(turned)
    assert found(trained, turned, judged, False) > found(plain, turned, judged, False) + 0.05


def test_the_improved_recipe_finds_more_than_the_published_one(x):
    q = vectors(100, 1)
    improved = vp.train.fit(vp.RecurrentBinary(20, 1), x, options=options())
    published = vp.train.fit(vp.RecurrentBinary(20, 1, recipe="bebr"), x, options=options("bebr", steps=60))
    for symmetric in (False, True):
        assert found(improved, x, q, symmetric) > found(published, x, q, symmetric)


def test_the_published_recipe_learns(x):
    q = vectors(100, 1)
    untrained, trained = (
        vp.train.fit(vp.RecurrentBinary(32, 1, recipe="bebr"), x, options=options("bebr", steps=steps, patience=20))
        for steps in (1, 80)
    )
    assert found(trained, x, q, True) > found(untrained, x, q, True) + 0.05


@pytest.mark.parametrize("recipe, metric, hidden", [("improved", "l2", None), ("improved", "cos", 16), ("bebr", "ip", None)])
def test_the_same_seed_gives_the_same_codec(x, recipe, metric, hidden):
    codec = vp.RecurrentBinary(10, 1, recipe=recipe, metric=metric, hidden=hidden)
    steps = options(recipe, steps=12, judge_every=6, queue=400, contrastive=1.0)
    first = vp.train.fit(codec, x, options=steps)
    torch.manual_seed(99)  # of others: it does not matter
    assert state(vp.train.fit(codec, x, options=steps)) == state(first)
    other = vp.train.fit(type(codec)(**(codec.config() | {"seed": 1})), x, options=steps)
    assert state(other) != state(first)


def test_fit_of_the_codec_is_training(x):
    assert state(vp.RecurrentBinary(8, 0, seed=3).fit(x[:60])) == state(vp.train.fit(vp.RecurrentBinary(8, 0, seed=3), x[:60]))


# ---- checkpoints


class Stopped(Exception):
    pass


@pytest.mark.parametrize("queue", [0, 300])
def test_a_resumed_training_ends_as_an_uninterrupted_one(x, tmp_path, queue):
    codec, path = vp.RecurrentBinary(10, 1, hidden=12), tmp_path / "state"
    steps = options(steps=40, queue=queue, contrastive=1.0)
    whole = vp.train.fit(codec, x, options=steps)
    seen = []

    def stop(judgement):
        seen.append(judgement.step)
        if judgement.step == 30:
            raise Stopped

    with pytest.raises(Stopped):
        vp.train.fit(codec, x, options=steps, checkpoint=path, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["state"]  # nothing half-written
    resumed = vp.train.fit(codec, x, options=steps, checkpoint=path, resume=True, progress=lambda j: seen.append(j.step))
    assert seen == [0, 10, 20, 30, 30, 40]  # the last was not saved before it was told
    assert state(resumed) == state(whole)


def test_checkpoints_of_other_trainings_are_refused(x, tmp_path):
    codec, path = vp.RecurrentBinary(10, 1), tmp_path / "state"
    vp.train.fit(codec, x, options=options(steps=10), checkpoint=path)
    with pytest.raises(ValueError, match="is there already; resume=True"):
        vp.train.fit(codec, x, options=options(steps=10), checkpoint=path)
    for other in (
        lambda: vp.train.fit(codec, x, options=options(steps=20), checkpoint=path, resume=True),
        lambda: vp.train.fit(codec, x[1:], options=options(steps=10), checkpoint=path, resume=True),
        lambda: vp.train.fit(vp.RecurrentBinary(11, 1), x, options=options(steps=10), checkpoint=path, resume=True),
        lambda: vp.train.fit(vp.RecurrentBinary(10, 1, metric="cos"), x, options=options(steps=10), checkpoint=path, resume=True),
        lambda: vp.train.fit(codec, x[::-1], options=options(steps=10), checkpoint=path, resume=True),
    ):
        with pytest.raises(ValueError, match="is of another training"):
            other()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="cannot be read"):
        vp.train.fit(codec, x, options=options(steps=10), checkpoint=path, resume=True)


# ---- what trains, what judges


def test_of_many_rows_some_are_learned_from_and_all_that_pairs_name(x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    some = options(steps=5, rows=300)
    whole = vp.train.fit(vp.RecurrentBinary(10), x, options=some)
    assert state(vp.train.fit(vp.RecurrentBinary(10), tmp_path / "x.npy", options=some)) == state(whole)
    pairs = (x[1000:1100], np.arange(1400, 1500))
    vp.train.fit(vp.RecurrentBinary(10), x, pairs=pairs, options=some)
    few = np.union1d(np.random.Generator(np.random.PCG64(0)).choice(len(x), 300, replace=False), pairs[1])
    own = (pairs[0], np.searchsorted(few, pairs[1]))
    by_hand = vp.train.fit(vp.RecurrentBinary(10), x[few], pairs=own, options=options(steps=5, rows=len(few)))
    given = vp.train.fit(vp.RecurrentBinary(10), x, pairs=pairs, options=some)
    assert [len(a) for a in state(by_hand)] == [len(a) for a in state(given)]


def test_a_bar_or_lines_show_how_training_goes(x, capsys, monkeypatch):
    vp.train.fit(vp.RecurrentBinary(6), x, options=options(steps=10), progress=True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    vp.train.fit(vp.RecurrentBinary(6), x, options=options(steps=10), progress=True)
    shown = capsys.readouterr()
    assert "step 10 of 10: loss " in shown.err and not shown.out


def test_training_ends_early_where_nothing_is_gained(x):
    seen = []
    vp.train.fit(vp.RecurrentBinary(10), x, options=options(steps=500, rate=1e-9, patience=2), progress=seen.append)
    assert seen[-1].last and seen[-1].step <= 30 and not any(j.last for j in seen[:-1])
    assert "step" in str(seen[-1]) and "done" in str(seen[-1])


def test_pairs_teach_what_vectors_do_not_say():
    """Questions are answered by rows that are far from them, by a fixed turn that no vector alone tells."""
    x = vectors(800, d=12)
    answers = np.random.default_rng(0).integers(0, 800, 600)
    asked = np.ascontiguousarray(x[answers][:, ::-1])
    contrast = {"distillation": 0.0, "contrastive": 1.0, "asymmetric": 0.0, "symmetric": 1.0, "hardest": 50}
    steps = options(steps=250, rate=3e-3, patience=99, **contrast)
    codec = vp.RecurrentBinary(24, 1, hidden=48, seed=1)
    seen = []
    vp.train.fit(codec, x, pairs=(asked, answers), options=steps, progress=seen.append)
    assert seen[-1].loss < 0.8 * seen[1].loss and seen[-1].best > 1.5 * seen[0].recall  # judged by answers of other questions


def test_labels_judge_and_are_kept_where_losses_go_by_them():
    """Answers agree with questions in 12 of 40 columns; the rest is noise, by which float neighbours go."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 40)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rows = rng.permutation(900)[:700]
    asked = np.concatenate((x[rows, :12], 0.15 * rng.standard_normal((700, 28))), axis=1).astype(np.float32)
    steps = options(steps=120, rate=3e-3, contrastive=1.0, distillation=0.0, hardest=50, patience=99)
    codec = vp.train.fit(vp.RecurrentBinary(32, 1, seed=1), x, pairs=(asked[:500], rows[:500]), options=steps)
    shares = []
    for one in (codec, vp.RecurrentBinary(32, 1, recipe="rotation", seed=1).fit(x)):
        index = vp.Index(one)
        index.add(x)
        shares.append(vp.success(index.search(asked[500:], 10)[1], rows[500:, None], 10))
    assert shares[0] > shares[1] + 0.05


def test_pairs_bring_the_contrastive_loss_with_them(x, monkeypatch):
    from vecpress.train import losses

    calls = []
    monkeypatch.setattr(losses, "contrastive", lambda scores, *rest: calls.append(1) or scores.sum() * 0)
    monkeypatch.setattr(vp.train.Options, "for_recipe", classmethod(lambda cls, recipe, **c: cls(**(FEW | {"steps": 2} | c))))
    vp.train.fit(vp.RecurrentBinary(8), x, pairs=(x[:100], np.arange(100)))
    assert len(calls) == 8  # two steps, two ways of scoring, both ways round
    calls.clear()
    vp.train.fit(vp.RecurrentBinary(8), x)
    assert not calls


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_the_unit_of_the_vectors_does_not_matter(x, metric):
    codec = vp.RecurrentBinary(12, 1, metric=metric)
    told: dict[float, list[float]] = {}
    for unit in (1.0, 2.0**10, 2.0**-10):
        seen: list = []
        vp.train.fit(codec, x * np.float32(unit), options=options(steps=20), progress=seen.append)
        told[unit] = [v for one in seen[1:] for v in (one.loss, one.recall)]
    for unit in (2.0**10, 2.0**-10):
        np.testing.assert_allclose(told[unit], told[1.0], rtol=0.02)


def test_queues_and_batches_hide_what_is_no_negative(x, monkeypatch):
    """An anchor's own row, its positive, and what else answers its question are hidden wherever they stand, both ways."""
    from vecpress.train import losses
    from vecpress.train.loop import Trainer

    shown = []
    true = losses.contrastive

    def contrastive(scores, positive, masked, *rest):
        shown.append((scores.detach(), positive, masked))
        return true(scores, positive, masked, *rest)

    ids = []
    inner = Trainer._contrastive

    def recorded(self, score, scores, chosen, columns, masked):
        there = torch.cat([columns, *(one for _, one in self.queue)]).numpy()
        ids.append((there, self.anchors.row[chosen], self.anchors.positive[chosen], self.anchors.question[chosen], self.anchors))
        return inner(self, score, scores, chosen, columns, masked)

    monkeypatch.setattr(losses, "contrastive", contrastive)
    monkeypatch.setattr(Trainer, "_contrastive", recorded)
    rows = np.arange(120)  # each answers two questions of 40, which are rows themselves
    asked = np.repeat(np.arange(100, 140), 3), np.roll(np.repeat(np.arange(100, 140), 3), 60)
    steps = options(steps=3, queue=2000, contrastive=1.0, symmetric=0.0)
    vp.train.fit(vp.RecurrentBinary(10), x, pairs=(x[np.concatenate(asked)], np.tile(rows, 2)), options=steps)
    assert len(ids) == 3 and len(shown) == 6
    for (there, own, positive, question, anchors), (scores, at, masked) in zip(ids, shown[::2], strict=True):
        assert scores.shape == masked.shape == (len(own), len(there))
        columns = scores.shape[1]
        for i in range(len(own)):
            hidden = (there == own[i]) | (there == positive[i])
            if question[i] >= 0:
                hidden |= np.isin(there, anchors.answers[question[i]])
            hidden[at[i]] = masked[i, at[i]] = False
            assert (masked[i].numpy() == hidden).all()
    assert columns > len(set(ids[-1][0]))  # the queue was there
    seen = {"own": 0, "answers": 0}
    for (_, own, positive, question, anchors), (scores, at, masked) in zip(ids, shown[1::2], strict=True):
        assert scores.shape == masked.shape == (len(own), len(own)) and (at == torch.arange(len(own))).all()
        for i in range(len(own)):  # of positives, against anchors
            for j in set(range(len(own))) - {i}:
                asks = question[j] >= 0
                answers = asks and positive[i] in anchors.answers[question[j]]
                same = positive[i] == positive[j] or (asks and question[i] == question[j])
                assert bool(masked[i, j]) == bool(same or answers or own[j] == positive[i])
                seen["own"] += bool(own[j] == positive[i] and not same)
                seen["answers"] += bool(answers and not same)
    assert all(seen.values())


def test_pairs_alone_train(x, monkeypatch):
    """With the published recipe as it is, with others where options say so; nothing is mined for it."""
    from vecpress.train.loop import Trainer

    seen = []
    inner = Trainer._batch

    def batch(self):
        chosen, columns = inner(self)
        seen.append((self.anchors, columns.numpy(), chosen))
        return chosen, columns

    monkeypatch.setattr(Trainer, "_batch", batch)
    pairs = x[1000:1100], np.arange(100)
    alone = options(steps=1, pairs_alone=True, near=0, far=0, contrastive=1.0)
    for recipe, own in (("bebr", options("bebr", steps=1, near=0, far=0)), ("improved", alone)):
        vp.train.fit(vp.RecurrentBinary(8, recipe=recipe), x, pairs=pairs, options=own)
        anchors, columns, chosen = seen.pop()
        assert len(anchors.x) == 75 and (anchors.question >= 0).all() and not anchors.near.size
        np.testing.assert_array_equal(columns, np.unique(anchors.positive[chosen]))
        assert (anchors.row == anchors.positive + 1000).all()  # questions are rows
    vp.train.fit(vp.RecurrentBinary(8), x, pairs=pairs, options=options(steps=1))
    assert len(seen.pop()[0].x) > 1000


def test_without_pairs_the_nearest_row_is_the_positive(x, monkeypatch):
    from vecpress.train.loop import Trainer

    seen = []
    monkeypatch.setattr(Trainer, "run", lambda self, *_: seen.append(self.anchors) or self.net)
    vp.train.fit(vp.RecurrentBinary(8, recipe="bebr"), x, options=vp.train.Options.for_recipe("bebr"))
    anchors = seen[0]
    others = x @ anchors.x[:20].T
    others[anchors.row[:20], np.arange(20)] = -np.inf
    np.testing.assert_array_equal(anchors.positive[:20], others.argmax(axis=0))


def test_few_rows_are_taken_as_they_are():
    x = vectors(20, d=8)
    codec = vp.RecurrentBinary(6, 1).fit(x)
    assert codec.encode(x).shape == (20, codec.code_size)


@pytest.mark.parametrize("hidden", [None, 32])
def test_a_network_is_distilled_where_that_loses_little(x, hidden):
    """One affine map stands for the network, or the network stays."""
    steps = options(steps=10)
    published = vp.RecurrentBinary(20, 1, recipe="bebr", hidden=hidden, distill=True)
    kept = vp.train.fit(published, x, options=options("bebr", steps=10))
    codec = vp.train.fit(vp.RecurrentBinary(20, 1, hidden=hidden, distill=True), x, options=steps)
    q = vectors(100, 1)
    whole = vp.train.fit(vp.RecurrentBinary(20, 1, hidden=hidden), x, options=steps)
    assert found(codec, x, q, False) > found(whole, x, q, False) - 0.03
    for fitted in (kept, codec):
        assert tuple(fitted.form_) in ((0, 0), (1, fitted.hidden_columns))
        assert fitted.encode(x).shape == (len(x), fitted.code_size)


def test_lower_precision_trains_too(x):
    codec = vp.train.fit(vp.RecurrentBinary(10, 1, hidden=8), x, options=options(steps=10, precision="bfloat16"))
    assert all(np.isfinite(getattr(codec, name)).all() for name in codec.state)


def test_codes_are_what_the_network_says_after_training(x):
    """`keep the better` may go back to the start; both ways decode and search."""
    codec = vp.train.fit(vp.RecurrentBinary(20, 2), x, options=options(steps=20))
    error = np.square(codec.decode(codec.encode(x)) - x).sum() / np.square(x - x.mean(axis=0)).sum()
    assert error < 0.15


# ---- bad input


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: vp.train.fit(vp.PQ(4), x), TypeError, "codec expected a RecurrentBinary, got PQ"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4, recipe="rotation"), x), ValueError, "recipe 'improved' or 'bebr'"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x[:0]), ValueError, "at least one row"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, pairs=x), TypeError, "pairs expected"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, pairs=(x, np.zeros(3))), TypeError, r"pairs\[1\] expected 1500 whole"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, pairs=(x[:2], np.array([0, 1500]))), ValueError, "rows 0..1499"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, pairs=(x[[1, 1]], np.arange(2))), ValueError, "two different queries"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, options={"steps": 3}), TypeError, "options expected Options, got dict"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, resume=True), ValueError, "resume=True expected a checkpoint"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, checkpoint=3), TypeError, "checkpoint: path expected"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, checkpoint="no/where"), FileNotFoundError, "expected a folder"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), iter([x]), pairs=(x, np.zeros(1500, int))), TypeError, "got an iterator"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4, recipe="bebr"), x[:40]), ValueError, "at least 64 rows with recipe='bebr'"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4), x, x * np.float32(1e38)), ValueError, "expected finite losses"),
        (lambda x: vp.train.fit(vp.RecurrentBinary(4, recipe="bebr"), x, options=options()), ValueError, "expected asymmetric=0"),
        (lambda x: vp.train.Options(follow=1.5), ValueError, "follow expected at most 1"),
        (lambda x: vp.train.Options(device=5), TypeError, "device expected a str"),
        (lambda x: vp.train.Options.for_recipe("beber"), ValueError, "recipe expected one of"),
        (lambda x: vp.train.Options(steps=0), ValueError, "steps expected"),
        (lambda x: vp.train.Options(rate=-1.0), ValueError, "rate expected a number of 0 or more, got -1.0"),
        (lambda x: vp.train.Options(temperature=0), ValueError, "temperature expected a number above 0"),
        (lambda x: vp.train.Options(optimiser="lion"), ValueError, "optimiser expected one of"),
        (lambda x: vp.train.Options(distillation=0), ValueError, "distillation or contrastive"),
        (lambda x: vp.train.Options(symmetric=0, asymmetric=0), ValueError, "symmetric or asymmetric"),
    ],
)
def test_bad_input_is_told(call, error, message):
    with pytest.raises(error, match=message):
        call(vectors(1500))
