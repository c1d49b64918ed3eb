"""A small library that misbehaves as it is told: what the suite's tests run beside ours."""

from __future__ import annotations

import functools
import os
import sys
import time

import numpy as np

from ..contender import Contender, Nbytes, Profile, System

NAME = "fake"


def version():
    return None if os.environ.get("FAKE_IS_MISSING") else "1.2.3"


HOWS = ("exact", "noisy", "crash", "raise", "hang", "hungry", "twice", "short", "exit", "write")


def contenders(profile, budgets):
    size = 4 * profile.dim
    if not any(0.8 * budget <= size <= budget for budget in budgets):
        return []
    return [Contender(NAME, "Fake", {"how": how}, size, functools.partial(Fake, how), seeded=how == "noisy") for how in HOWS]


class Fake(System):
    def __init__(self, how: str, profile: Profile, seed: int, threads: int):
        self.how, self.seed, self.threads = how, seed, threads

    def fit(self, train, queries):
        assert os.environ["OMP_NUM_THREADS"] == str(self.threads) and os.environ["OMP_WAIT_POLICY"] == "passive"
        if self.how == "crash":
            print("the last words", file=sys.stderr, flush=True)
            os.abort()
        if self.how == "raise":
            raise RuntimeError("first line\nthe reason")
        if self.how == "hang":
            time.sleep(1000)
        if self.how == "exit":
            sys.exit(3)
        if self.how == "hungry":
            held = [np.ones(1 << 22) for _ in range(1000)]
            raise AssertionError(f"32 GB were given: {len(held)}")

    def add(self, base):
        if self.how == "write":
            base *= 1000  # its own copy, not that of others
        self.base = np.array(base)
        if self.how == "noisy":
            rng = np.random.default_rng(self.seed)
            self.base += 0.5 * base.std() * rng.standard_normal(base.shape).astype(np.float32)

    def search(self, queries, k):
        ids = np.argsort(-(queries @ self.base.T), axis=1, kind="stable")[:, :k]
        if self.how == "twice":
            ids[:, 1:] = ids[:, :1]
        return ids[:, :-1] if self.how == "short" else ids

    def nbytes(self):
        return Nbytes(4 * self.base.shape[1], 0, 0, None)
