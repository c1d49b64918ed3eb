"""The binary passage retriever's losses: the margin by hand, and codes that learn which passages answer."""

import numpy as np
import pytest

import vecpress as vp

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::vecpress.SmallTrainingSetWarning")


def test_the_margin_by_hand():
    from vecpress.train.losses import margin_ranking

    scores = torch.tensor([[0.5, 0.45, 0.9, 0.0], [0.2, 0.3, 0.1, 0.25]], requires_grad=True)
    masked = torch.tensor([[False, False, False, False], [False, False, True, False]])
    loss = margin_ranking(scores, torch.tensor([0, 1]), masked, 0.1)
    # first: .05 is short of .1, .9 is above by .4, 0 is far below; second: .2 just reaches .1 apart, .25 does not
    expected = ((0.1 - 0.05) + (0.1 + 0.4) + 0 + 0 + (0.1 - 0.05)) / 5
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert scores.grad[0, 0] < 0 < scores.grad[0, 2] and scores.grad[0, 3] == 0 and scores.grad[1, 2] == 0


def answered(seed=0, n=600, d=24):
    """Passages, and questions that tell of a passage's first half alone; their second half is noise."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    rows = rng.permutation(n)[: n // 2]
    q = np.concatenate((x[rows, : d // 2], rng.standard_normal((len(rows), d - d // 2))), axis=1)
    q = q + 0.3 * rng.standard_normal(q.shape)
    return x, q.astype(np.float32), rows


def test_codes_learn_which_passages_answer():
    from vecpress import train

    x, q, rows = answered()
    learned, judged = slice(0, 200), slice(200, 300)
    options = train.Options.for_passages(steps=60, anchors=64, judge_every=20, rate=5e-3)
    before = vp.RecurrentBinary(24, 0, recipe="rotation").fit(x)
    after = train.fit(vp.RecurrentBinary(24, 0), x, pairs=(q[learned], rows[learned]), options=options)

    def found(codec):
        index = vp.Index(codec)
        index.add(x)
        ids = index.search(q[judged], 10, symmetric=True, rerank=40)[1]
        return vp.success(ids, rows[judged, None], 10)

    assert found(after) > found(before) + 0.1


def test_a_question_trains_or_judges_with_all_its_pairs():
    from vecpress.train.data import asked_and_judging

    x, q, _ = answered()
    codec = vp.RecurrentBinary(24, 0, recipe="rotation").fit(x)
    thrice = np.repeat(np.arange(40), 3)
    anchors, judges = asked_and_judging(codec, x, q[thrice], np.arange(120), 0, 512, 1)
    trained, judged = ({tuple(row) for row in part.x.tolist()} for part in (anchors, judges))
    assert len(judged) == 10 and len(trained) == 30 and not trained & judged
    assert len(anchors.x) == 90 and (anchors.row == -1).all() and set(anchors.positive) | set(judges.positive) == set(range(120))
    for part in (anchors, judges):  # each knows all answers of its question
        for question, positive in zip(part.question, part.positive, strict=True):
            assert set(part.answers[question]) == {positive // 3 * 3 + i for i in range(3)}


def test_a_question_that_is_a_row_does_not_count_against_itself():
    from vecpress.train.data import asked_and_judging

    x, _, _ = answered()
    codec = vp.RecurrentBinary(24, 0, recipe="rotation").fit(x)
    rows = np.arange(40)
    for away, expected in ((0, -1), (1, None)):  # of a row that answers itself that would hide the positive
        for part in asked_and_judging(codec, x, x[rows], rows + away, 0, 512, 1):
            np.testing.assert_array_equal(part.row, part.positive - 1 if expected is None else np.full(len(part.row), expected))


def test_judges_of_pairs_go_by_the_labels():
    from vecpress.train.data import Anchors, Documents, mined

    x, q, rows = answered()
    codec = vp.RecurrentBinary(24, 0, recipe="rotation").fit(x)
    documents = Documents.of(codec, x, 1)
    for by_labels in (False, True):
        judges = Anchors.joined([Anchors.of(codec, q[:20], None, rows[:20], 1), Anchors.of(codec, x[:5], np.arange(5), None, 1)])
        mined(judges, documents, 0, "cpu", by_labels=by_labels)
        assert (judges.true[:20] == rows[:20, None]).all() == by_labels
        assert len(np.unique(judges.true[20])) == 10
    perfect = judges.true.copy()
    assert judges.share_found(perfect) == 1
    perfect[0] = (rows[0] + 1) % len(x)
    assert judges.share_found(perfect) == pytest.approx(24 / 25)


def test_options():
    from vecpress import train

    options = train.Options.for_passages(steps=7)
    assert options.steps == 7 and options.ranking and options.pairs_alone and not options.distillation
    with pytest.raises(TypeError, match="Options: pairs_alone expected a bool, got int"):
        train.Options(pairs_alone=1)
    for name in ("ranking", "margin"):
        with pytest.raises(ValueError, match=f"Options: {name} expected a number of 0 or more, got -1"):
            train.Options(**{name: -1})
