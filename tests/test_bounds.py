"""The rate-distortion bound: equal to the white formula and to a brute-force solver, and beaten by no codec on its source."""

from __future__ import annotations

import numpy as np
import pytest

import vecpress as vp
from vecpress import bounds, synthetic

RNG = np.random.default_rng(2)
SPECTRA = {
    "white": np.full(7, 3.0),
    "power": synthetic.power_law_variances(60, 1.3),
    "zeros": np.array([0.0, 5.0, 0.0, 1.0, 1.0, 1e-9]),
    "random": RNG.exponential(size=33) ** 3,
    "one": np.array([2.0]),
    "wide": 10.0 ** RNG.uniform(-12, 6, 40),
}


def brute_force(variances: np.ndarray, bits: float) -> float:
    """The distortion by bisection for the water level, from the two sums of the definition."""
    low, high = -400.0, float(np.log2(variances.max()))
    for _ in range(300):
        level = (low + high) / 2
        rate = sum(max(0.0, 0.5 * (np.log2(v) - level)) for v in variances if v > 0)
        low, high = (level, high) if rate > bits else (low, level)
    return sum(min(v, 2.0**high) for v in variances) / variances.sum()


@pytest.mark.parametrize("bits", [0.0, 0.5, 1.0, 3.7])
def test_white_is_the_formula(bits: float) -> None:
    d = 24
    assert bounds.white(bits) == 2 ** (-2 * bits)
    assert bounds.reachable(np.full(d, 0.3), bits * d / 8) == pytest.approx(2 ** (-2 * bits), rel=1e-12)
    assert bounds.needed_bytes(np.full(d, 0.3), 2 ** (-2 * bits)) == pytest.approx(bits * d / 8, abs=1e-12)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("nbytes", [0.01, 0.5, 1, 2, 7.5, 40])
def test_reverse_water_filling_is_what_a_brute_force_solver_finds(name: str, nbytes: float) -> None:
    variances = SPECTRA[name]
    found = bounds.reachable(variances, nbytes)
    assert found == pytest.approx(brute_force(variances, 8 * nbytes), rel=1e-9)
    parts = bounds.components(variances, 8 * nbytes)
    assert (parts <= variances).all() and parts.sum() / variances.sum() == pytest.approx(found)
    live = variances > 0
    rate = 0.5 * np.log2(variances[live] / parts[live]).sum()
    assert rate == pytest.approx(8 * nbytes, rel=1e-9)
    if found > 1e-12:
        assert bounds.needed_bytes(variances, found) == pytest.approx(nbytes, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("distortion", [1.0, 0.9, 0.5, 0.1, 1e-3])
def test_the_water_level_gives_the_distortion(name: str, distortion: float) -> None:
    variances = SPECTRA[name]
    level = bounds.water_level(variances, distortion)
    assert np.minimum(variances, level).sum() == pytest.approx(distortion * variances.sum(), rel=1e-9)
    nbytes = bounds.needed_bytes(variances, distortion)
    assert bounds.reachable(variances, nbytes) == pytest.approx(distortion, rel=1e-9)


def test_the_ends() -> None:
    variances = SPECTRA["power"]
    assert bounds.reachable(variances, 0) == 1 and bounds.needed_bytes(variances, 1) == 0
    assert bounds.needed_bytes(variances, 0) == np.inf
    assert bounds.reachable(np.zeros(3), 4) == 0 and bounds.needed_bytes(np.zeros(3), 0.5) == 0
    np.testing.assert_array_equal(bounds.components(np.zeros(3), 8), np.zeros(3))
    for call in (lambda: bounds.reachable([-1.0], 1), lambda: bounds.reachable([[1.0]], 1), lambda: bounds.reachable([], 1)):
        with pytest.raises(ValueError, match="variances expected a vector of finite numbers of at least 0"):
            call()
    with pytest.raises(ValueError, match="bits expected at least 0, got -8"):
        bounds.reachable(variances, -1)
    with pytest.raises(ValueError, match=r"distortion expected 0 to 1, got 1\.5"):
        bounds.needed_bytes(variances, 1.5)


def test_no_codec_beats_the_bound_on_its_source() -> None:
    d = 32
    for data, variances in (
        (synthetic.gaussian(6000, d, 10, 1), np.ones(d)),
        (synthetic.power_law(6000, d, 10, 1, alpha=1.5), synthetic.power_law_variances(d, 1.5)),
    ):
        fresh = data.base[4000:]  # not learned from
        codecs = [
            vp.PQ(m=8, n_bits=4),
            vp.PQ(m=8, n_bits=8),
            vp.OPQ(m=8, n_bits=4),
            vp.SQ(n_bits=4),
            vp.LloydMax(n_bits=2),
            vp.Sign(),
        ]
        for codec in codecs:
            codec.fit(data.base[:4000])
            error = np.square(fresh - codec.decode(codec.encode(fresh)), dtype=np.float64).sum(axis=1).mean() / variances.sum()
            bound = bounds.reachable(variances, codec.code_size)
            assert error > bound, codec
            if isinstance(codec, vp.OPQ):
                assert error < 2.5 * bound  # and the bound is not absurdly low
