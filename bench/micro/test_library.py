"""Whole codecs on the shipped embeddings: searches with their recall, encodings and fits with their distortion."""

from __future__ import annotations

import pytest

from .conftest import rows


@pytest.mark.parametrize(("case", "backend"), rows("search", "encode", "fit"))
def test_library(measure, case, backend):
    measure(case, backend)
