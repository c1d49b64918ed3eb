"""What every test gets: poisoned outputs, and small clustered data."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import clustered, poisoned

from vecpress import dispatch


@pytest.fixture(autouse=True)
def poison(monkeypatch):
    """What an operation leaves unwritten shows."""
    monkeypatch.setattr(dispatch, "_allocate", poisoned)


@pytest.fixture(scope="session")
def base() -> np.ndarray:
    """float32[400, 24], clustered; read-only."""
    x = clustered(1, 400, 24)
    x.flags.writeable = False
    return x


@pytest.fixture(scope="session")
def queries() -> np.ndarray:
    """float32[7, 24] from the base's source; read-only."""
    x = clustered(1, 7, 24, draw=1)
    x.flags.writeable = False
    return x
