"""Rows to words of a trellis code: every component's level is named by bits that it shares with its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dispatch import empty, reference, run
from .numerics import array, fma32

WINDOWS = (6, 8)  # bits that name a level, of which a code has one or the other
RATES = (1, 2, 3, 4)  # bits a component
MAX_BYTES = 8  # of a word
WARM = 24  # steps before a word's first that find out how it may begin
TURNED = (8,)  # windows whose words are searched from their middle, too
FARTHEST = np.float32(1000)  # components beyond count as it: no level is so far away


def encode_trellis(
    y: np.ndarray, words: np.ndarray, levels: np.ndarray, *, num_threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The words whose levels are near to a row, by a search that is exact but for where a word begins.

    A word of `size` bytes, read as a little-endian number, is a ring of 8 size bits. At rate K it names T = 8 size // K
    components, step t by the window of L = 6 or 8 bits, as `levels` has 2^L of them, from bit K t on (bit i of the window is bit
    (K t + i) mod 8 size of the ring; so in a word of one byte a window of 8 bits is the whole ring, from another bit on):

        value[t] = levels[K - 1, window[t]]

    Neighbouring windows share L - K bits, the state; so a word of K bits a component chooses among 2^L levels, not 2^K. The
    search runs over the S = 2^(L - K) states with float32 costs, for y between -1000 and 1000 (what lies beyond counts as that):

        step t: new[s] = least over the windows w with w >> K == s of cost[w % S] + fma(-2 y[t], level[w], level[w]^2)
                         the lowest w where several are least

    1. from costs of 0 for every state over the last min(T, 24) steps: how costly it is for the word to begin in each state
    2. from these over all steps; the least costly end leads back to a state at the beginning, which is where the word begins
    3. from a cost of 0 for that state and infinity for the others over all steps; the word is the least costly way to an end that
       closes the ring (the lowest state where several are): the bits of the end that lie beyond the ring are its first
    4. windows of 8 bits alone: the same from the state that step T // 2 of this word begins in, over the steps from there on and
       then those before, back to it; between the last step and the first, each state at the beginning takes the least cost of the
       ends that go with it (of the lowest where several are)

    Where T K is less than the ring's bits, the `rest` between them is part of the last windows alone, and state e at the end goes
    with every state at the beginning of whose bits the lowest L - K - rest are e >> rest.

    Parameters
    ----------
    y : float32[n, m], in units of the levels; m the steps of all words
    words : uint8[w, 2], each word's bytes, 1 to 8, and rate, 1 to 4
    levels : int8[4, 64] or int8[4, 256], by rate, -127 to 127 (`vecpress.ops.trellis_levels`)

    Returns
    -------
    codes uint8[n, bytes of all words], values int8[n, m]

    Cost: 2^L multiply-adds and comparisons a component and pass, 16 rows side by side; windows of 8 bits take 2.6 to 4.9 times
    as long as windows of 6. Squared errors of normal numbers are above the bound by 0.7, 1.1, 1.6 and 2.2 dB in words of 8 bytes
    (rates of 64 / T bits), with windows of 8 bits by 0.6, 0.9, 1.3 and 1.6, where the best single levels (`LloydMax`) are by
    1.6, 2.7, 3.5 and 3.9. Words of one or two bytes, with windows of 8 bits of three, are far from the best ring.
    Source: Marcellin and Fischer, "Trellis coded quantization of memoryless and Gauss-Markov sources", 1990; Tseng et al.,
    "QTIP", NeurIPS 2024, for levels named by overlapping windows of a ring.
    """
    y = array("encode_trellis", "y", y, np.float32, (None, None))
    words, levels = check_words("encode_trellis", words, levels)
    if y.shape[1] != steps_of(words).sum():
        raise ValueError(
            f"encode_trellis: y expected {steps_of(words).sum()} columns, the steps of the words, got shape {y.shape}"
        )
    codes = empty((len(y), int(words[:, 0].sum())), np.uint8)
    values = empty(y.shape, np.int8)
    run("encode_trellis", codes, values, y, words, levels, num_threads=num_threads)
    return codes, values


def decode_trellis(codes: np.ndarray, words: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """int8[n, m]: the values that codes uint8[n, bytes of all words] name. Arguments as in `encode_trellis`."""
    words, levels = check_words("decode_trellis", words, levels)
    codes = array("decode_trellis", "codes", codes, np.uint8, (None, int(words[:, 0].sum())))
    return levels[np.repeat(words[:, 1] - 1, steps_of(words)), windows_of(codes, words, window_of(levels))]


def window_of(levels: np.ndarray) -> int:
    """How many bits name one of `levels`."""
    return levels.shape[1].bit_length() - 1


def windows_of(codes: np.ndarray, words: np.ndarray, window: int) -> np.ndarray:
    """uint8[n, m]: the windows, of so many bits, of canonical codes."""
    out = np.empty((len(codes), int(steps_of(words).sum())), np.uint8)
    byte = first = 0
    for size, rate in words.tolist():
        ring = np.unpackbits(codes[:, byte : byte + size], axis=1, bitorder="little")
        steps = 8 * size // rate
        out[:, first : first + steps] = sum(ring[:, (rate * np.arange(steps) + i) % (8 * size)] << i for i in range(window))
        byte, first = byte + size, first + steps
    return out


def steps_of(words: np.ndarray) -> np.ndarray:
    """int64[w]: components of each word."""
    return 8 * words[:, 0].astype(np.int64) // words[:, 1]


def check_words(op: str, words: Any, levels: Any) -> tuple[np.ndarray, np.ndarray]:
    words = array(op, "words", words, np.uint8, (None, 2))
    levels = array(op, "levels", levels, np.int8, (None, None))
    check_level_shape(op, levels.shape)
    check_word_sizes(op, words)
    if (levels == -128).any():
        raise ValueError(f"{op}: levels expected -127 to 127, got -128")
    return words, levels


def check_level_shape(op: str, shape: tuple[int, ...]) -> None:
    if shape not in [(len(RATES), 2**window) for window in WINDOWS]:
        raise ValueError(f"{op}: levels expected shape (4, 64) or (4, 256), got {shape}")


def check_word_sizes(op: str, words: np.ndarray) -> None:
    if words.size and not ((words >= 1).all() and (words[:, 0] <= MAX_BYTES).all() and (words[:, 1] <= RATES[-1]).all()):
        raise ValueError(f"{op}: words expected 1 to {MAX_BYTES} bytes and rates of 1 to {RATES[-1]}, got {words.tolist()}")


@reference("encode_trellis")
def _encode_trellis(codes: np.ndarray, values: np.ndarray, y: np.ndarray, words: np.ndarray, levels: np.ndarray) -> None:
    byte = first = 0
    for size, rate in words.tolist():
        steps = 8 * size // rate
        x = np.clip(y[:, first : first + steps], -FARTHEST, FARTHEST) * np.float32(-2)
        ring = _search(x, size, rate, levels[rate - 1].astype(np.float32))
        codes[:, byte : byte + size] = np.packbits(ring, axis=1, bitorder="little")
        byte, first = byte + size, first + steps
    values[:] = decode_trellis(codes, words, levels)


def _search(x: np.ndarray, size: int, rate: int, level: np.ndarray) -> np.ndarray:
    """uint8[n, 8 size]: the bits of one word, for x float32[n, T], -2 y."""
    n, steps = x.shape
    length, window = len(level).bit_length() - 1, np.arange(len(level))
    bits, states = 8 * size, 2 ** (length - rate)
    rest = bits - steps * rate
    shared = 2 ** (length - rate - rest)
    ends, begins = np.arange(states) >> rest, np.arange(states) % shared

    def step(cost: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        way = cost[:, window % states] + fma32(x[:, t : t + 1], level, level * level)
        way = way.reshape(n, states, 2**rate)
        taken = way.argmin(axis=2)
        return np.take_along_axis(way, taken[:, :, None], 2)[:, :, 0], taken + (np.arange(states) << rate)

    def walk(cost: np.ndarray, first: int = 0, last: int = steps) -> tuple[np.ndarray, list[np.ndarray]]:
        taken = []
        for t in range(first, last):
            cost, chosen = step(cost, t)
            taken.append(chosen)
        return cost, taken

    def back(taken: list[np.ndarray], end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The windows uint8[n, steps walked], and where they begin."""
        found, state = np.empty((n, len(taken)), np.uint8), end
        for t in range(len(taken) - 1, -1, -1):
            found[:, t] = taken[t][np.arange(n), state]
            state = found[:, t] % states
        return found, state

    def only(state: np.ndarray) -> np.ndarray:
        return np.where(np.arange(states) == state[:, None], np.float32(0), np.float32(np.inf))

    def across(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Costs of the states at the beginning from those at the end, and which end each comes from."""
        from_end = np.stack([cost[:, ends == begin].argmin(axis=1) + (begin << rest) for begin in begins], axis=1)
        return np.take_along_axis(cost, from_end, 1), from_end

    cost = np.zeros((n, states), np.float32)
    for t in range(max(steps - WARM, 0), steps):
        cost, _ = step(cost, t)
    cost, taken = walk(across(cost)[0])
    _, start = back(taken, cost.argmin(axis=1))
    cost, taken = walk(only(start))
    closing = ends == start[:, None] % shared
    windows, _ = back(taken, np.where(closing, cost, np.float32(np.inf)).argmin(axis=1))
    if length in TURNED:
        middle = steps // 2
        turn = windows[:, middle].astype(np.int64) % states
        cost, later = walk(only(turn), middle)
        cost, from_end = across(cost)
        _, earlier = walk(cost, 0, middle)
        front, begin = back(earlier, turn)
        rear, _ = back(later, from_end[np.arange(n), begin])
        windows = np.hstack((front, rear))
    ring = np.zeros((n, bits), np.uint8)
    for t in range(steps - 1, -1, -1):
        for i in range(length):
            if rate * t + i < bits:
                ring[:, rate * t + i] = windows[:, t] >> i & 1
    return ring
