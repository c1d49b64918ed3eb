"""Words for components: reverse water-filling, a search through all sequences of words, bytes that add up, errors that fall."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from vecpress.allocation import Allocation, allocate, word_sizes
from vecpress.ops.encode_trellis import encode_trellis, steps_of
from vecpress.ops.trellis_levels import ERRORS, LEVELS, SECOND_ERRORS, SECOND_GAINS, UNITS


def spectrum(kind: str, d: int) -> np.ndarray:
    """float64[d], falling."""
    if kind == "exponential":
        return np.exp(-8 * np.arange(d) / d)
    if kind == "power":
        return 1 / (1 + np.arange(d)) ** 1.5
    return np.ones(d) if kind == "flat" else np.sort(np.random.default_rng(d).exponential(size=d))[::-1]


KINDS = ("exponential", "power", "flat", "random")


def reaches(plan: Allocation, d: int) -> list[slice]:
    """The components of each word."""
    both = zip(plan.first.tolist(), steps_of(plan.words).tolist(), strict=True)
    return [slice(first, min(first + steps, d)) for first, steps in both]


def left(plan: Allocation, variances: np.ndarray) -> np.ndarray:
    """float64[d]: what the words leave of each component."""
    out = variances.copy()
    for reach, (size, rate) in zip(reaches(plan, len(out)), plan.words.tolist(), strict=True):
        out[reach] *= ERRORS[size - 1, rate - 1]
    return out


def rates(plan: Allocation, d: int) -> np.ndarray:
    """float64[d]: bits of each component."""
    out = np.zeros(d)
    for reach, (size, _), steps in zip(reaches(plan, d), plan.words.tolist(), steps_of(plan.words).tolist(), strict=True):
        out[reach] += 8 * size / steps
    return out


def water_filling(variances: np.ndarray, bits: float) -> tuple[np.ndarray, float]:
    """The rates of least error by Kolmogorov, and their common level, by bisection."""
    low, high = variances.min() * 1e-12, variances.max()
    for _ in range(200):
        level = np.sqrt(low * high)
        found = np.maximum(np.log2(variances / level) / 2, 0)
        low, high = (level, high) if found.sum() > bits else (low, level)
    return found, level


def test_sizes_of_words():
    for nbytes in range(200):
        sizes = word_sizes(nbytes)
        assert sum(sizes) == nbytes and len(sizes) == -(-nbytes // 8)
        assert sizes == sorted(sizes, reverse=True)
        assert not sizes or (sizes[0] <= 8 and sizes[0] - 1 <= sizes[-1] >= 1)


@pytest.mark.parametrize("bits_each", [0.5, 1, 2, 3])
@pytest.mark.parametrize("kind", ["exponential", "random"])
def test_rates_follow_reverse_water_filling(kind, bits_each):
    """But for whole bits and whole words; a trellis word has the error of a little less than its bits."""
    d = 768
    variances = spectrum(kind, d)
    nbytes = int(d * bits_each / 8)
    plan = allocate(variances, nbytes, ERRORS)
    wanted, level = water_filling(variances, 8 * nbytes)
    got = rates(plan, d)
    inner = slice(1, d - 64)  # of the very strongest, and where the last word ends, a word is coarse
    assert np.abs(got - wanted)[inner].max() < 1.05 and np.abs(got - wanted).mean() < 0.35
    assert (np.diff(got) < 0.1).all()  # 3.05 and 3.2 bits are one rate
    bound = np.minimum(variances, level).sum()
    assert bound < plan.error < 1.6 * bound


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 3, 5, 8, 16, 17, 33, 64, 100, 299, 300])
def test_bytes_add_up_and_the_error_is_that_of_the_words(d, kind):
    variances = spectrum(kind, d)
    for nbytes in range(0, 2 * d + 1, 1 if d < 20 else d // 11):
        plan = allocate(variances, nbytes, ERRORS)
        assert plan.words.dtype == np.uint8 and plan.words.shape == (len(plan.first), 2)
        sizes = plan.words[:, 0].astype(int).tolist()
        assert sum(sizes) == nbytes
        used = nbytes - sizes[-1] if sizes and plan.first[-1] == d else nbytes  # some may be idle
        either = [nbytes, used]
        assert any(sizes[: len(word_sizes(n))] in (word_sizes(n), [8] * (n // 8) + [n % 8]) for n in either)
        assert ((plan.words[:, 1] >= 1) & (plan.words[:, 1] <= 4)).all() and 0 <= plan.layers <= len(plan.words)
        assert plan.error == pytest.approx(left(plan, variances).sum(), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [7, 40, 130])
def test_a_layer_gives_a_component_one_value(d, kind):
    """The words of a layer follow each other from the first component on."""
    for nbytes in range(1, 2 * d, max(d // 20, 1)):
        plan = allocate(spectrum(kind, d), nbytes, ERRORS)
        for words in (slice(0, plan.layers), slice(plan.layers, None)):
            at = 0
            for first, steps in zip(plan.first[words].tolist(), steps_of(plan.words[words]).tolist(), strict=True):
                assert first == at or first == d
                at = min(first + steps, d)


def test_every_dimension_and_size():
    for d in range(1, 301, 13):
        variances = spectrum("random", d)
        for nbytes in {0, 1, 2, 3, d // 4, d // 2, d - 1, d, d + 1, 3 * d // 2, 2 * d - 1, 2 * d}:
            plan = allocate(variances, nbytes, ERRORS)
            assert plan.words[:, 0].sum(dtype=int) == nbytes and plan.error <= variances.sum() * (1 + 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("d", "most"), [(7, 2.0), (16, 0.5), (300, 0.5), (768, 0.5)])  # bytes a dimension
def test_the_error_falls_with_every_byte(d, most, kind):
    variances = spectrum(kind, d)
    errors = [allocate(variances, nbytes, ERRORS).error for nbytes in range(int(d * most) + 1)]
    assert errors[0] == pytest.approx(variances.sum())
    assert (np.diff(errors) <= (0.02 if d == 300 else 0.01) * np.array(errors[:-1])).all()
    assert errors[-1] < 0.02 * errors[0]


@pytest.mark.parametrize("second", [1, 2, 3, 4])
def test_a_second_layer_leaves_what_is_expected(second):
    """Of what rate 4 leaves, which has long tails: expected as normal numbers it would be up to five times too little."""
    x = np.random.default_rng(0).standard_normal((500, 192)).astype(np.float32)
    expected = 1.0
    for rate, errors, gains in ((4, ERRORS[7], np.ones(4)), (second, SECOND_ERRORS, SECOND_GAINS)):
        unit = np.float32(np.sqrt(expected) / UNITS[rate - 1] * gains[rate - 1])
        words = np.array([[8, rate]], np.uint8)
        steps = 64 // rate
        x = x.ravel()[: x.size // steps * steps].reshape(-1, steps)
        x = x - encode_trellis(x / unit, words, LEVELS)[1] * unit
        expected *= errors[rate - 1]
    assert np.square(x).mean() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("d", "kind"), [(16, "flat"), (64, "power"), (33, "power"), (100, "flat")])
def test_the_error_falls_with_every_byte_in_few_dimensions(d, kind):
    """A byte more may make words shorter, which then fit the components less well: then it is left idle."""
    errors = np.array([allocate(spectrum(kind, d), nbytes, ERRORS).error for nbytes in range(2 * d + 1)])
    assert (np.diff(errors) <= 0.01 * errors[:-1]).all()


def layer_errors(variances: np.ndarray, sizes: list[int]) -> list[tuple[float, int, np.ndarray]]:
    """(error, words, what is left) of every sequence of some of the words, the first ones."""
    out = [(float(variances.sum()), 0, variances)]
    for count in range(1, len(sizes) + 1):
        for chosen in itertools.product(range(1, 5), repeat=count):
            rest, at = variances.copy(), 0
            for size, rate in zip(sizes, chosen, strict=False):
                if at >= len(variances):
                    break
                rest[at : at + 8 * size // rate] *= ERRORS[size - 1, rate - 1]
                at += 8 * size // rate
            else:
                out.append((float(rest.sum()), count, rest))
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3, 9, 20, 50])
def test_as_good_as_the_best_of_all_sequences(d, kind):
    variances = spectrum(kind, d)
    for nbytes in (1, 3, 8, 9, 16, 20, 27, 32):
        plan = allocate(variances, nbytes, ERRORS)
        sizes = plan.words[plan.first < d, 0].tolist()  # the others are idle
        single = layer_errors(variances, sizes)
        least = min(error for error, *_ in single)
        best = min(min(second for second, *_ in layer_errors(rest, sizes[count:])) for _, count, rest in single)
        assert best * (1 - 1e-9) <= plan.error <= least * (1 + 1e-9)
        coded = int((plan.first < d).sum())
        if plan.layers == coded:  # one layer
            assert plan.error == pytest.approx(least, rel=1e-9)
        assert plan.error <= 2 * best  # the first layer is the best by itself


def test_a_flat_spectrum_has_equal_rates():
    for d, nbytes, rate in ((256, 32, 1), (256, 64, 2), (256, 128, 4), (64, 8, 1), (64, 16, 2), (64, 32, 4)):
        plan = allocate(np.ones(d), nbytes, ERRORS)
        np.testing.assert_array_equal(rates(plan, d), rate)  # 4 bits may be two layers of 2
        assert plan.error <= d * ERRORS[7, rate - 1] * (1 + 1e-9)
        assert rate == 4 or plan.layers == len(plan.words)


def test_components_without_variance_are_coded_last():
    """But for those that a word reaches beside others."""
    for there in (1, 5, 16, 40):
        variances = np.concatenate((spectrum("exponential", there), np.zeros(200)))
        for nbytes in range(1, 2 * there + 1):
            plan = allocate(variances, nbytes, ERRORS)
            got = rates(plan, len(variances))
            idle = [reach for reach in reaches(plan, len(variances)) if there <= reach.start < len(variances)]
            assert not idle or (got[:there] > 0).all()
        assert allocate(variances, 4 * there + 8, ERRORS).error < 0.05 * variances.sum()


def test_nothing_varies():
    for d in (1, 10):
        plan = allocate(np.zeros(d), 20, ERRORS)
        assert plan.error == 0 and plan.words[:, 0].sum() == 20


def test_scale_changes_no_words():
    variances = spectrum("random", 90)
    for nbytes in (5, 20, 45, 100):
        one, other = allocate(variances, nbytes, ERRORS), allocate(variances * 2.0**60, nbytes, ERRORS)
        np.testing.assert_array_equal(one.words, other.words)
        np.testing.assert_array_equal(one.first, other.first)
        assert other.error == one.error * 2.0**60
