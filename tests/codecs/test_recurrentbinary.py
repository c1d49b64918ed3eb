"""What only RecurrentBinary promises: the recurrence, an even grid, its layout, the law of symmetric scores, training."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import bits, clustered, runnable, scan_all

import vecpress as vp
from vecpress import ops
from vecpress.ops.pack_codes import packed_size
from vecpress.pca import random_rotation
from vecpress.recurrent import Network, grid_levels, linear_network

ROUNDS = range(4)


def numbers(codec: vp.RecurrentBinary, codes: np.ndarray) -> np.ndarray:
    """uint8[n, m]: the codes' numbers of u + 1 bits."""
    return ops.unpack_codes(np.ascontiguousarray(codes[:, codec.head :]), codec.m, codec.u + 1)


def grid_points(n: int, d: int, m: int, u: int, draw: int = 0, noise: float = 0.03) -> np.ndarray:
    """float32[n, d]: near points of the grid of u + 1 bits in m turned dimensions, of length 1 or so, in d dimensions."""
    turn = random_rotation(d, np.random.default_rng(1))[:m]
    rng = np.random.default_rng((2, draw))
    levels = grid_levels(u)[rng.integers(2 ** (u + 1), size=(n, m))]
    return (0.3 * (levels + noise * rng.standard_normal((n, m))) @ turn).astype(np.float32)


def naive(network: Network, f: np.ndarray) -> np.ndarray:
    """float64[n, m]: v, as the recurrence is written."""

    def block(x, arrays, i):
        skip, bias, inward, inward_bias, outward = (a[i].astype(np.float64) for a in arrays)
        out = np.maximum(x @ inward + inward_bias, 0) @ outward + bias
        return out + x @ skip if skip.shape[0] else out

    f = f.astype(np.float64)
    v = np.where(block(f, network.maps, 0) > 0, 1.0, -1.0)
    for i in range(network.rounds):
        rebuilt = block(v, network.backs, i)
        if network.unit:
            rebuilt /= np.linalg.norm(rebuilt, axis=1, keepdims=True)
        v += 2.0 ** -(i + 1) * np.where(block(f - rebuilt, network.maps, i + 1) > 0, 1.0, -1.0)
    return v


def random_network(d: int, m: int, rounds: int, hidden: int, *, skip: bool = True, unit: bool = False) -> Network:
    rng = np.random.default_rng((d, m, rounds, hidden))

    def drawn(count, p, r):
        shapes = ((p if skip else 0, r), (r,), (p, hidden), (hidden,), (hidden, r))
        return tuple(rng.standard_normal((count, *shape)).astype(np.float32) for shape in shapes)

    return Network(drawn(rounds + 1, d, m), drawn(rounds, m, d), unit)


# ---- the recurrence


@pytest.mark.parametrize("u", ROUNDS)
def test_levels_are_an_even_grid_whose_first_sign_is_the_highest_bit(u):
    levels = grid_levels(u)
    for number in range(2 ** (u + 1)):
        signs = [1 if number >> (u - i) & 1 else -1 for i in range(u + 1)]
        assert levels[number] == sum(sign * 2.0**-i for i, sign in enumerate(signs))
    assert (levels == -levels[::-1]).all() and len(set(np.diff(levels))) == 1


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("hidden, skip", [(0, True), (9, True), (9, False)])
@pytest.mark.parametrize("rounds", ROUNDS)
def test_networks_are_the_recurrence(rounds, hidden, skip, unit):
    network = random_network(7, 5, rounds, hidden, skip=skip, unit=unit)
    f = np.random.default_rng(0).standard_normal((700, 7)).astype(np.float32)
    labels = network.labels(f)
    assert (grid_levels(rounds)[labels] == naive(network, f)).mean() > 0.999  # but where rounding decides
    assert bits(network.labels(f[300:301])) == bits(labels[300:301])
    assert (network.first().labels(f) == labels >> rounds).all()


@pytest.mark.parametrize("u", ROUNDS)
def test_rounds_of_affine_blocks_are_the_search_on_the_grid(u):
    """Each round halves what is left, so the recurrence of a map and its inverse is a uniform quantizer of u + 1 bits."""
    turn = random_rotation(12, np.random.default_rng(0))[:8].astype(np.float32)
    f = np.random.default_rng(1).standard_normal((500, 12)).astype(np.float32)
    recurrent = linear_network(turn.T, turn, u, u).labels(f)
    z = f @ turn.T
    nearest = np.abs(z[:, :, None] - grid_levels(u)).argmin(axis=2)
    assert (recurrent == nearest).mean() > 0.999


# ---- codes


@pytest.mark.parametrize("metric", ["ip", "l2", "cos"])
@pytest.mark.parametrize("m, u", [(1, 0), (13, 0), (13, 1), (9, 2), (20, 3), (30, 1)])
def test_a_code_is_head_and_m_numbers(m, u, metric):
    x = clustered(0, 400, 20)
    codec = vp.RecurrentBinary(m, u, recipe="rotation", metric=metric).fit(x)
    codes = codec.encode(x)
    assert codec.head == (3 if metric == "l2" else 2)
    assert codes.shape[1] == codec.code_size == codec.planned(20)[0] == codec.head + packed_size(m, u + 1)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True) if metric == "cos" else x
    y = unit - codec.mean_
    t = y @ codec.axis_
    y -= t[:, None] * codec.axis_
    length = np.linalg.norm(y, axis=1)
    labels = codec.labels((y / length[:, None]).astype(np.float32))
    assert (numbers(codec, codes) == labels).mean() > 0.99
    v = grid_levels(u)[numbers(codec, codes)].astype(np.float64)
    away = v @ codec.decoder_.astype(np.float64)
    product, coded = (y * away).sum(axis=1), np.linalg.norm(away, axis=1)
    scale = np.where(product > 0, np.minimum(length**2 / product, 4 * length / coded), 0)
    rebuilt = codec.decode(codes) - codec.mean_
    along = rebuilt @ codec.axis_
    if metric != "l2":  # the part along the mean has a byte of its own
        assert np.abs(along - t).max() < 0.05 * t.std() + 1e-6
    found = np.linalg.norm(rebuilt - along[:, None] * codec.axis_, axis=1)
    np.testing.assert_allclose(found, scale * coded, rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("u", ROUNDS)
def test_points_of_a_turned_grid_are_found(u):
    """Then the numbers say which point, and decoding misses by the noise alone."""
    codec = vp.RecurrentBinary(6, u, recipe="rotation", metric="l2").fit(grid_points(6000, 10, 6, u))
    fresh = grid_points(500, 10, 6, u, 1)
    error = np.square(codec.decode(codec.encode(fresh)) - fresh).sum() / np.square(fresh).sum()
    assert error < (0.01, 0.1, 0.03, 0.01)[u]


def test_more_rounds_lose_less():
    x, q = clustered(0, 2000, 24), clustered(0, 50, 24, draw=1)
    errors = []
    for u in ROUNDS:
        codec = vp.RecurrentBinary(24, u, recipe="rotation").fit(x)
        scores = scan_all(codec, codec.encode(x), codec.query(q))
        errors.append(np.square(scores - q @ x.T).mean())
    assert errors == sorted(errors, reverse=True) and errors[3] < 0.1 * errors[0]


@pytest.mark.parametrize("u", ROUNDS)
def test_float_queries_find_more_than_coded_ones(u):
    rng = np.random.default_rng(0)
    spread = 0.95 ** np.arange(32)
    x, q = ((rng.standard_normal((n, 32)) * spread + 0.3).astype(np.float32) for n in (3000, 100))
    truth = vp.exact(q, x)[1]
    index = vp.Index(vp.RecurrentBinary(32, u, recipe="rotation").fit(x))
    index.add(x)
    asymmetric, symmetric = (vp.recall(index.search(q, 10, symmetric=s)[1], truth) for s in (False, True))
    assert asymmetric > symmetric


# ---- scores of coded queries


@pytest.mark.parametrize("metric", ["ip", "cos"])
@pytest.mark.parametrize("u", [0, 1, 3])
def test_symmetric_scores_are_the_law_of_the_docstring(u, metric):
    x, q = clustered(0, 300, 20), clustered(0, 20, 20, draw=1)
    codec = vp.RecurrentBinary(24, u, recipe="rotation", metric=metric).fit(x)
    codes, asked = codec.encode(x), codec.encode(q)
    query = codec.query(q, symmetric=True)
    assert query.scan == "sdc"
    mean, gram = float(np.linalg.norm(codec.mean_.astype(np.float64))), float(codec.gram_[0])
    (ta, sa, va), (tb, sb, vb) = (
        (t.astype(np.float64), s.astype(np.float64), grid_levels(u)[labels].astype(np.float64))
        for t, s, labels in (codec._parts(c) for c in (asked, codes))
    )  # fmt: skip
    wanted = mean**2 + mean * ta[:, None] + (mean + ta)[:, None] * tb + gram * sa[:, None] * sb * (va @ vb.T)
    np.testing.assert_allclose(scan_all(codec, codes, query), wanted, rtol=1e-4, atol=2e-4 * np.abs(wanted).max())


def test_symmetric_scores_are_near_those_of_decoded_queries():
    x, q = clustered(0, 2000, 32), clustered(0, 30, 32, draw=1)
    codec = vp.RecurrentBinary(32, 3, recipe="rotation").fit(x)
    codes = codec.encode(x)
    symmetric = scan_all(codec, codes, codec.query(q, symmetric=True))
    decoded = codec.decode(codec.encode(q)) @ codec.decode(codes).T
    assert np.square(symmetric - decoded).mean() < 1e-3 * decoded.var()


@pytest.mark.parametrize("u, metric", [(1, "l2"), (2, "ip")])
def test_where_there_is_no_scan_of_codes_queries_are_decoded(u, metric):
    x, q = clustered(0, 300, 20), clustered(0, 20, 20, draw=1)
    codec = vp.RecurrentBinary(24, u, recipe="rotation", metric=metric).fit(x)
    codes = codec.encode(x)
    decoded = codec._query(codec.decode(codec.encode(q)), None)
    assert bits(scan_all(codec, codes, codec.query(q, symmetric=True))) == bits(scan_all(codec, codes, decoded))


# ---- configuration


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: vp.RecurrentBinary(0), ValueError, "m expected"),
        (lambda: vp.RecurrentBinary(8193), ValueError, "m expected"),
        (lambda: vp.RecurrentBinary(8, 4), ValueError, "u expected"),
        (lambda: vp.RecurrentBinary(8, 1.0), TypeError, "u expected"),
        (lambda: vp.RecurrentBinary(8, recipe="best"), ValueError, "recipe expected one of"),
        (lambda: vp.RecurrentBinary(8, hidden=-1), ValueError, "hidden expected"),
        (lambda: vp.RecurrentBinary(8, distill=1), TypeError, "distill expected a bool"),
        (lambda: vp.RecurrentBinary(8, recipe="bebr", metric="l2"), ValueError, "metric expected 'ip' or 'cos'"),
        (lambda: vp.RecurrentBinary(8, recipe="rotation", hidden=4), ValueError, "hidden expected None or 0"),
    ],
)
def test_bad_configurations_are_told(make, error, message):
    with pytest.raises(error, match=f"RecurrentBinary: {message}"):
        make()


def test_sizes_for_a_budget_fit_it():
    for metric in ("ip", "l2", "cos"):
        for size in (4, 8, 48, 95, 192):
            found = vp.RecurrentBinary.sized(384, size, metric)
            assert found and all(codec.planned(384)[0] <= size for codec in found)
    assert [c.m for c in vp.RecurrentBinary.sized(384, 48, "ip") if (c.u, c.recipe) == (1, "rotation")] == [184]


# ---- trained codecs, without torch


@pytest.fixture(scope="module")
def trained() -> dict[str, vp.RecurrentBinary]:
    pytest.importorskip("torch")
    x = clustered(3, 800, 16)
    untrained = {
        "improved": vp.RecurrentBinary(12, 1, hidden=8),
        "u3": vp.RecurrentBinary(12, 3, metric="cos"),
        "bebr": vp.RecurrentBinary(12, 1, recipe="bebr"),
        "hash": vp.RecurrentBinary(12, 0, recipe="bebr", hidden=20),
        "u2": vp.RecurrentBinary(12, 2, recipe="bebr", hidden=0),
    }
    options = {recipe: vp.train.Options.for_recipe(recipe, steps=10, judge_every=5) for recipe in ("improved", "bebr")}
    return {name: vp.train.fit(codec, x, options=options[codec.recipe]) for name, codec in untrained.items()}


def test_trained_codecs_load_and_search_without_torch(trained, tmp_path):
    x, q = clustered(3, 200, 16, draw=1), clustered(3, 5, 16, draw=2)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "q.npy", q)
    for name, codec in trained.items():
        codec.save(tmp_path / f"{name}.vpz")
        index = vp.Index(codec)
        index.add(x)
        for symmetric in (False, True):
            np.save(tmp_path / f"{name}{symmetric}.npy", np.array(index.search(q, 7, symmetric=symmetric)))
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np, vecpress as vp
folder = {str(tmp_path)!r} + "/"
x, q = np.load(folder + "x.npy"), np.load(folder + "q.npy")
for name in {list(trained)}:
    codec = vp.load(folder + name + ".vpz")
    index = vp.Index(codec)
    index.add(x)
    for symmetric in (False, True):
        assert np.array_equal(np.load(f"{{folder}}{{name}}{{symmetric}}.npy"), np.array(index.search(q, 7, symmetric=symmetric)))
try:
    vp.RecurrentBinary(8).fit(x)
except ImportError as error:
    assert "vecpress[train]" in str(error)
else:
    raise AssertionError("trained without torch")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_trained_codecs_give_the_same_codes_and_results_on_all_backends(trained):
    x, q = clustered(3, 200, 16, draw=1), clustered(3, 5, 16, draw=2)
    for codec in trained.values():
        got = set()
        for backend in runnable():
            with vp.use(backend):
                codes = codec.encode(x)
                results = [bits(scan_all(codec, codes, codec.query(q, symmetric=s))) for s in (False, True)]
            got.add((bits(codes), *results))
        assert len(got) == 1


@pytest.mark.parametrize("name", ["bebr", "hash", "u2"])
def test_the_published_method_scores_by_the_cosine_of_codes(trained, name):
    codec = trained[name]
    x, q = clustered(3, 200, 16, draw=1), clustered(3, 5, 16, draw=2)
    codes, asked = codec.encode(x), codec.encode(q)
    v, w = (grid_levels(codec.u)[numbers(codec, c)].astype(np.float64) for c in (codes, asked))
    cosine = (w @ v.T) / (np.linalg.norm(w, axis=1)[:, None] * np.linalg.norm(v, axis=1))
    rounding = 0.0 if codec.u == 0 else 0.03  # two scales of 256 levels
    np.testing.assert_allclose(scan_all(codec, codes, codec.query(q, symmetric=True)), cosine, rtol=rounding, atol=1e-5)
    assert codec.head == (0 if codec.u == 0 else 1)


@pytest.mark.parametrize(
    "name, value",
    [("gram_", 3e38), ("gram_", 0.0), ("unit_", -1.0), ("scales_", -1.0), ("scales_", 3e38), ("means_", 3e38)],
)
def test_arrays_that_no_training_gives_are_refused(name, value):
    codec = vp.RecurrentBinary(6, 2, recipe="rotation").fit(clustered(0, 100, 8))
    arrays = codec.arrays()
    arrays[name] = arrays[name].copy()
    arrays[name][0] = value
    with pytest.raises(ValueError, match=name):
        vp.RecurrentBinary.restore(codec.config(), 8, arrays)
