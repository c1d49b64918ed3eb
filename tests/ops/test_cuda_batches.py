"""Scans on a device with as many queries as its matrix units take at once, and more: equal to the reference, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from calls import ALLOW, DATA, FACTORS, IDS, SCANS, scan_call
from test_equality import check, outputs

import vecpress as vp
from vecpress import dispatch

COUNTS = (16, 17, 64, 65, 70, 131)  # queries
ROWS = (1, 31, 65, 300, 700)
PAYLOADS = (1, 9, 16, 24, 47, 130)
CALLS = 6

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(vp.backends()["cuda"] != "ok", reason="there is no device, nor a library that does without"),
]


@pytest.mark.parametrize("part", range(6))
@pytest.mark.parametrize("op", [op for op in SCANS if "cuda" in dispatch.operations()[op]])
def test_batches(op, part):
    rng = np.random.default_rng((part, SCANS.index(op)))
    for i in range(CALLS):
        names = {"factors": FACTORS, "allow": ALLOW, "ids": IDS, "data": DATA, "nq": COUNTS, "k": ("1", "3", "n + 5")}
        mix = {name: of[rng.integers(len(of))] for name, of in names.items()}
        n, payload = (int(of[rng.integers(len(of))]) for of in (ROWS, PAYLOADS))
        call = scan_call(op, (i, part, SCANS.index(op)), n, payload, mix)
        with vp.use("reference"):
            wanted = outputs(call, 1)
        check(call, wanted, "cuda")


@pytest.mark.parametrize("payload, part", [(9, 0), (9, 1), (9, 4), (300, 0)])
@pytest.mark.parametrize("op", [op for op in SCANS if "cuda" in dispatch.operations()[op]])
def test_more_queries_than_a_launch_takes(op, payload, part):
    """200 where the processor runs it; on a device 65,535."""
    mix = {"factors": FACTORS[0], "allow": ALLOW[0], "ids": IDS[0], "data": DATA[0], "nq": 260, "k": "3"}
    call = scan_call(op, (payload, SCANS.index(op), part), 40, payload, mix)
    with vp.use("reference"):
        wanted = outputs(call, 1)
    check(call, wanted, "cuda")
