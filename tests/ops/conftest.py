"""Shared by the operations' tests."""

from __future__ import annotations

import pytest

import vecpress as vp


@pytest.fixture
def need_backend():
    """Skips, with the reason, a test for a backend that cannot run here."""

    def need(name: str) -> None:
        if vp.backends()[name] != "ok":
            pytest.skip(f"{name}: {vp.backends()[name]}")

    return need
