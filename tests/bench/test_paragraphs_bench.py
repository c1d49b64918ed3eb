"""The comparison of codes of texts: its tf-idf by hand, docstrings with their classes, the rows of a small set."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress.bench import paragraphs


def test_tf_idf_by_hand():
    texts = paragraphs.Texts("a set", ["aa bb bb", "aa cc", "bb dd"], np.array([0, 1, 0]), ["cc aa aa ee"], np.array([1]))
    base, asked = paragraphs.tf_idf(texts)
    rare = np.log(3 / 2)  # aa and bb are in two of three texts; what is in one alone is left out
    first = np.array([rare, (1 + np.log(2)) * rare])
    np.testing.assert_allclose(base, [first / np.linalg.norm(first), [1, 0], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(asked, [[1, 0]])
    assert texts.share(np.array([[1, 0] + [0] * 8])) == pytest.approx(0.1)


def test_docstrings_have_their_modules_as_classes(tmp_path):
    long = "word " * paragraphs.LEAST_WORDS
    (tmp_path / "one.py").write_text(f'"""{long}"""\ndef f():\n    """short"""\nclass C:\n    """{long} more"""\n')
    assert [text.split()[-1] for text in paragraphs._docstrings(tmp_path / "one.py")] == ["word", "more"]
    (tmp_path / "two.py").write_text("def (")
    assert not list(paragraphs._docstrings(tmp_path / "two.py"))


def test_rows(monkeypatch):
    pytest.importorskip("torch")
    texts = paragraphs.Texts.split("topics", *vp.synthetic.topic_texts(240, topics=6, words=300, seed=0, share=0.4))
    monkeypatch.setattr(paragraphs, "SIZES", ((16, None), (16, 32)))
    found = {row["codes"]: row for row in paragraphs.rows(texts, 10)}
    assert len(found) == 6 and all(0 <= row["share"] <= 1 for row in found.values())
    assert found["paragraph vectors, 16 bits"]["share"] > found["signs of tf-idf's projections, 16 bits"]["share"]
    assert "paragraph vectors, 16 bits" in paragraphs.markdown({"sets": {"topics": list(found.values())}})
