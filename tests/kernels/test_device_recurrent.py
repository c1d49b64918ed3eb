"""Recurrent binary codes on the device: those of the codec, byte for byte; by torch's own products all but a few signs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hard_values import FINITE
from tensors import same

import vecpress as vp
from vecpress.ops.factors import to_u2
from vecpress.recurrent import Network
from vecpress.recurrentfit import set_network


def network(seed: int, d: int, m: int, rounds: int, hidden: int, skip: bool, unit: bool) -> Network:
    rng = np.random.default_rng(seed)

    def blocks(count, p, r):
        shapes = ((count, p if skip or not hidden else 0, r), (count, r), (count, p, hidden), (count, hidden), (count, hidden, r))
        return tuple((rng.standard_normal(shape) / np.sqrt(max(shape[-2], 1))).astype(np.float32) for shape in shapes)

    return Network(blocks(rounds + 1, d, m), blocks(rounds, m, d), unit)


def with_network(codec: vp.RecurrentBinary, base, seed=0, hidden=0) -> vp.RecurrentBinary:
    """The codec with a random network in place of what training would find, as training leaves it."""
    plain = vp.RecurrentBinary(codec.m, codec.u, recipe="rotation", metric=codec.metric).fit(base)
    for name in plain.state:
        setattr(codec, name, getattr(plain, name))
    codec.dim_ = plain.dim
    codec.form_ = np.array([codec.u, hidden], np.int64)
    bebr = codec.recipe == "bebr"
    set_network(codec, network(seed, codec.dim, codec.m, codec.u, hidden, not bebr, bebr))
    codec._freeze()
    return codec


def codecs(base):
    for u, metric in ((0, "ip"), (0, "l2"), (1, "cos"), (2, "l2"), (3, "ip")):  # of many directions: few are searched for long
        yield f"rotation {u} {metric}", vp.RecurrentBinary(35, u, recipe="rotation", metric=metric).fit(base)
    for u, metric, hidden in ((0, "ip", 0), (1, "l2", 0), (2, "ip", 20), (3, "cos", 0)):
        codec = vp.RecurrentBinary(21, u, recipe="improved", metric=metric, hidden=hidden)
        yield f"improved {u} {metric} {hidden}", with_network(codec, base, u, hidden)
    for u, hidden in ((0, 16), (2, 16), (1, 0)):
        codec = vp.RecurrentBinary(19, u, recipe="bebr", metric="cos", hidden=hidden)
        yield f"bebr {u} {hidden}", with_network(codec, base, u, hidden)


@pytest.mark.filterwarnings("ignore::vecpress.errors.SmallTrainingSetWarning")
def test_codes_are_those_of_the_codec(modules, put, base):
    x = np.concatenate((base[:9], np.zeros((1, base.shape[1]), np.float32), base[:1] * np.float32(1e-30)))
    for name, codec in codecs(base):
        encoder = modules.recurrent.RecurrentEncoder(codec, put(x).device)
        codes = encoder.encode(put(x))
        if codes.cpu().numpy().tobytes() != codec.encode(x).tobytes():
            pytest.fail(name)
        assert tuple(encoder.encode(put(x[:0])).shape) == (0, codec.code_size)


def test_labels_of_a_network(modules, put, base):
    for n in (0, 1, 33):
        codec = with_network(vp.RecurrentBinary(70, 2, recipe="improved", hidden=9), base, n, 9)
        f = np.random.default_rng(n).standard_normal((n, base.shape[1])).astype(np.float32)
        same(modules.recurrent.RecurrentEncoder(codec, put(f).device).labels(put(f)), codec.labels(f))


def test_products_of_torch_give_nearly_the_same_signs(modules, put, base):
    codec = with_network(vp.RecurrentBinary(64, 1, recipe="improved", hidden=0), base)
    encoder = modules.recurrent.RecurrentEncoder(codec, put(base).device, exact=False)
    f = np.random.default_rng(1).standard_normal((300, base.shape[1])).astype(np.float32)
    labels = encoder.labels(put(f)).cpu().numpy()
    z = f @ codec.maps_skip_[0] + codec.maps_bias_[0]
    clear = np.abs(z) > 1e-4 * np.abs(z).max()
    first = dataclasses.replace(codec.network).first().labels(f)
    assert ((labels >> 1) == first)[clear].all()
    assert (labels == codec.labels(f)).mean() > 0.999
    assert encoder.encode(put(base)).shape == (len(base), codec.code_size)


def test_lengths_in_two_bytes(modules, put):
    ties = (np.arange(1, 40, dtype=np.uint32) << 12 | 0x3F800000).view(np.float32)  # halfway between two, and those themselves
    x = np.concatenate((np.abs(FINITE), np.nextafter(ties, np.float32(0)), ties, np.nextafter(ties, np.float32(4))))
    got = modules.recurrent._to_u2(put(x)).cpu().numpy().astype(np.uint8)
    assert got.tobytes() == to_u2(x).tobytes()


def test_bad_arguments(modules, put, base):
    with pytest.raises(TypeError, match="RecurrentEncoder: codec expected a RecurrentBinary, got Sign"):
        modules.recurrent.RecurrentEncoder(vp.Sign().fit(base))
    with pytest.raises(vp.NotFittedError):
        modules.recurrent.RecurrentEncoder(vp.RecurrentBinary(4, recipe="rotation"))
    encoder = modules.recurrent.RecurrentEncoder(vp.RecurrentBinary(4, 0, recipe="rotation").fit(base), put(base).device)
    with pytest.raises(ValueError, match=r"RecurrentEncoder: x expected shape \(any, 24\), got \(400, 23\)"):
        encoder.encode(put(base[:, :23]))
