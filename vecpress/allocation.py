"""How many bits each component of a transform gets: reverse water-filling in whole words of a trellis code.

Of independent normal components, those get bits whose variance lies above a common level, log2(variance / level) / 2 each, and
the others none (Kolmogorov 1956). A word gives one rate to as many neighbouring components as it holds, so the best sequence of
words over components of falling variance is found by dynamic programming; what one word leaves of the strongest components may be
coded by another, as their rates go up to 8 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .ops.encode_trellis import MAX_BYTES, RATES

CHEAP = 4e6  # components times squared bytes up to which codes with idle bytes are tried too, which takes eight times as long
PATIENCE = 3  # more words in the second layer that bring nothing, before it is left


class Allocation(NamedTuple):
    """Words of a code, and what each codes.

    words : uint8[w, 2], bytes and rate of each
    first : int64[w], the first component of each; word i codes components first[i], first[i] + 1, ... as far as there are any.
        Words that nothing is left for begin behind the last one
    layers : words of the first layer; the others code what these leave
    error : the expected squared error of all components together
    """

    words: np.ndarray
    first: np.ndarray
    layers: int
    error: float


def word_sizes(nbytes: int) -> list[int]:
    """`nbytes` in as few words as there can be, of nearly equal sizes, the longer ones first."""
    count = -(-nbytes // MAX_BYTES)
    return [nbytes // count + (i < nbytes % count) for i in range(count)] if count else []


def allocate(variances: np.ndarray, nbytes: int, errors: np.ndarray, second_errors: np.ndarray | None = None) -> Allocation:
    """The words of `nbytes` bytes that leave the least squared error.

    variances : float64[d], by falling size
    errors : float64[8, 4], of a component of variance 1 in a word of 1 to 8 bytes at rate 1 to 4
    second_errors : the same of the second layer, whose components are no normal numbers; None: as of the first

    Where components and bytes are few, up to 7 bytes may stay idle: words of other sizes may end where components do.

    Cost: 4 d operations a word, and for w words about w^2 / 8 times that for the second layer.
    """
    second_errors = errors if second_errors is None else second_errors
    best = _of_all_bytes(variances, nbytes, errors, second_errors)
    if len(variances) * nbytes**2 <= CHEAP:
        for idle in range(1, min(MAX_BYTES, nbytes + 1)):
            plan = _of_all_bytes(variances, nbytes - idle, errors, second_errors)
            best = _with_idle(plan, [idle], len(variances)) if plan.error < best.error else best
    return best


def _of_all_bytes(variances: np.ndarray, nbytes: int, errors: np.ndarray, second_errors: np.ndarray) -> Allocation:
    equal = word_sizes(nbytes)
    full = [MAX_BYTES] * (nbytes // MAX_BYTES) + [nbytes % MAX_BYTES]  # sometimes better, though its last word may be short
    plans = [_plan(variances, equal, errors, second_errors)]
    if nbytes > MAX_BYTES and full[-1] and sorted(full) != sorted(equal):
        plans.append(_plan(variances, full, errors, second_errors))
    return min(plans, key=lambda plan: plan.error)


def _plan(variances: np.ndarray, sizes: list[int], errors: np.ndarray, second_errors: np.ndarray) -> Allocation:
    """The best of words of these sizes."""
    first_layer = _Layer(variances, sizes, errors)
    best, since = first_layer.best(len(sizes)), 0
    for second in range(1, len(sizes) // 2 + 1):
        one = first_layer.best(len(sizes) - second)
        left = variances.copy()
        for (size, rate), first in zip(one.words.tolist(), one.first.tolist(), strict=True):
            left[first : first + 8 * size // rate] *= errors[size - 1, rate - 1]
        two = _Layer(left, sizes[len(one.words) : len(one.words) + second], second_errors).best(second)
        if two.error < best.error:
            best, since = Allocation(np.vstack((one.words, two.words)), np.append(one.first, two.first), one.layers, two.error), 0
        elif (since := since + 1) == PATIENCE:
            break
    return _with_idle(best, sizes[len(best.words) :], len(variances))


def _with_idle(plan: Allocation, sizes: list[int], end: int) -> Allocation:
    """With words of these sizes that code nothing, as they begin behind the last component."""
    words = np.array([(size, RATES[-1]) for size in sizes], np.uint8).reshape(-1, 2)
    return plan._replace(words=np.vstack((plan.words, words)), first=np.append(plan.first, [end] * len(sizes)).astype(np.int64))


class _Layer:
    """The least error of the first p components in the first w words, for all p and w."""

    def __init__(self, variances: np.ndarray, sizes: list[int], errors: np.ndarray):
        self.sizes, d = sizes, len(variances)
        below = np.concatenate(([0.0], np.cumsum(variances)))  # variance of the components before
        self.left = below[-1] - below
        self.least = [np.where(np.arange(d + 1) == 0, 0.0, np.inf)]
        self.rate: list[np.ndarray] = []  # of the word that ends at p, and where it begins
        self.begin: list[np.ndarray] = []
        for size in sizes:
            before = self.least[-1]
            least, rate, begin = np.full(d + 1, np.inf), np.zeros(d + 1, np.int64), np.zeros(d + 1, np.int64)
            for r in RATES:
                steps, kept = 8 * size // r, errors[size - 1, r - 1]
                open_ends = before - kept * below  # plus kept * below at the end
                ends = np.arange(min(steps, d + 1), d + 1)
                cost = np.full(d + 1, np.inf)
                start = np.arange(d + 1) - steps
                cost[ends] = open_ends[ends - steps] + kept * below[ends]
                if d:  # a word that is not filled ends at d
                    short = np.arange(max(d - steps, 0), d)
                    last = short[np.argmin(open_ends[short])]
                    cost[d], start[d] = open_ends[last] + kept * below[d], last
                better = cost < least
                least[better], rate[better], begin[better] = cost[better], r, start[better]
            self.least.append(least)
            self.rate.append(rate)
            self.begin.append(begin)

    def best(self, count: int) -> Allocation:
        """With the first `count` words; fewer if all components are coded before."""
        count = min(count, len(self.sizes))
        while count and not np.isfinite(self.least[count]).any():
            count -= 1
        total = self.least[count] + self.left
        end = int(np.argmin(total))
        error, words, first = float(total[end]), [], []
        for w in range(count - 1, -1, -1):
            words.append((self.sizes[w], int(self.rate[w][end])))
            end = int(self.begin[w][end])
            first.append(end)
        return Allocation(np.array(words[::-1], np.uint8).reshape(-1, 2), np.array(first[::-1], np.int64), count, error)
