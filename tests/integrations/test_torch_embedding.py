"""Pressed embedding tables against torch's own modules on the decoded table."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import clustered

import vecpress as vp

pytest.importorskip("torch")

import torch
from torch import nn

from vecpress.integrations.torch import PressedEmbedding, PressedEmbeddingBag

N, D = 300, 24
PROJECTED = ("OPQ", "LowRankPQ", "ITQ", "Truncate", "Weighted")  # whose rows are products, summed by torch in another order
ON_DEVICE = {"PQ", "OPQ", "LowRankPQ", "Sign", "ITQ", "SQ"}


@pytest.fixture(scope="module")
def table():
    return torch.from_numpy(clustered(0, N, D))


@pytest.fixture(scope="module")
def codec(table):
    return vp.PQ(6, 4, metric="l2").fit(table)


def examples() -> list[vp.Codec]:
    known = [cls for cls in vp.codecs() if cls.__module__.startswith("vecpress.")]
    return [codec for cls in known for codec in cls.examples() if codec.metric != "cos"]


@pytest.mark.parametrize("codec", examples(), ids=repr)
def test_rows_are_the_decoded_rows(codec, table):
    codec = copy.deepcopy(codec).fit(table)
    pressed = PressedEmbedding(codec, codec.encode(table))
    decoded = codec.decode(pressed.codes)
    ids = torch.tensor([[0, 7, 7], [N - 1, 3, 0]])
    rows = pressed(ids)
    assert rows.dtype == torch.float32 and rows.shape == (2, 3, D)
    if pressed.decodes_on == "host" or type(codec).__name__ not in PROJECTED:
        assert torch.equal(rows, decoded[ids])
    else:
        torch.testing.assert_close(rows, decoded[ids], rtol=1e-5, atol=1e-5)
    assert pressed.decodes_on == "device" or type(codec).__name__ not in ON_DEVICE or getattr(codec, "n_bits", 0) == 16


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_embedding_parity(codec, table, dtype):
    pressed = PressedEmbedding.from_pretrained_table(table, codec, padding_idx=3)
    plain = nn.Embedding.from_pretrained(codec.decode(codec.encode(table)), padding_idx=3)
    for shape in ((), (5,), (2, 3), (0,), (2, 0, 3)):
        ids = torch.randint(N, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        assert torch.equal(pressed(ids), plain(ids))
    for bad in (N, -1):
        with pytest.raises(IndexError):
            plain(torch.tensor([bad]))
        with pytest.raises(IndexError):
            pressed(torch.tensor([bad]))


@pytest.mark.parametrize("padding", [None, 3, -2])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("last", [False, True])
def test_bag_parity(codec, table, mode, padding, last):
    options = {"mode": mode, "padding_idx": padding, "include_last_offset": last}
    pressed = PressedEmbeddingBag.from_pretrained_table(table, codec, **options)
    plain = nn.EmbeddingBag.from_pretrained(codec.decode(codec.encode(table)), **options)
    ids = torch.randint(N, (60,), generator=torch.Generator().manual_seed(1))
    ids[::7] = 3
    ids[1::7] = N - 2
    offsets = torch.tensor([0, 7, 7, 30, 59, *([60] if last else [])])  # an empty bag among them
    weights = torch.rand(60, generator=torch.Generator().manual_seed(2)) if mode == "sum" else None
    assert torch.equal(pressed(ids, offsets, weights), plain(ids, offsets, weights))
    if not last:
        assert torch.equal(pressed(ids.reshape(6, 10)), plain(ids.reshape(6, 10)))
        assert torch.equal(pressed(ids.int(), offsets.int()), plain(ids.int(), offsets.int()))
    nothing = torch.zeros(0, dtype=torch.int64)
    offsets = torch.tensor([0, 0]) if last else torch.tensor([0])
    assert torch.equal(pressed(nothing, offsets), plain(nothing, offsets))
    with pytest.raises(IndexError):
        pressed(torch.tensor([N]), torch.tensor([0, 1][: 1 + last]))


def test_gradients_reach_the_weights_of_samples(codec, table):
    ids = torch.tensor([[0, 1, 2], [3, 3, 4]])
    grads = []
    for bag in (
        PressedEmbeddingBag.from_pretrained_table(table, codec, mode="sum"),
        nn.EmbeddingBag.from_pretrained(codec.decode(codec.encode(table)), mode="sum"),
    ):
        weights = torch.ones(2, 3, requires_grad=True)
        bag(ids, per_sample_weights=weights).square().sum().backward()
        grads.append(weights.grad)
    assert torch.equal(*grads)
    assert not list(PressedEmbedding.from_pretrained_table(table, codec).parameters())


def test_only_rows_that_are_asked_for_are_decoded(table, monkeypatch):
    codec = vp.RaBitQ(4, metric="l2").fit(table)
    bag = PressedEmbeddingBag.from_pretrained_table(table, codec, mode="sum")
    assert bag.decodes_on == "host"
    seen = []
    decode = vp.RaBitQ._decode
    monkeypatch.setattr(vp.RaBitQ, "_decode", lambda self, codes: (seen.append(len(codes)), decode(self, codes))[1])
    bag(torch.tensor([[5, 5, 9], [9, 5, 5]]))
    assert seen == [2]


def test_half(codec, table):
    pressed = PressedEmbedding.from_pretrained_table(table, codec).half()
    assert pressed.codes.dtype == torch.uint8
    assert torch.equal(pressed(torch.arange(9)), codec.decode(codec.encode(table))[:9].half())
    hosted = PressedEmbedding.from_pretrained_table(table, vp.RaBitQ(metric="l2")).to(torch.bfloat16)
    assert hosted(torch.arange(9)).dtype == torch.bfloat16


@pytest.mark.parametrize("unfitted", [vp.OPQ(6, 4, metric="l2"), vp.RaBitQ(4, metric="l2")], ids=["device", "host"])
def test_state_dict_and_safetensors(unfitted, table, tmp_path):
    model = nn.Sequential(PressedEmbeddingBag.from_pretrained_table(table, unfitted, mode="max"), nn.Linear(D, 2))
    ids = torch.arange(60).reshape(6, 10)
    assert set(model.state_dict()) == {"0.codes", "0.codec_file", "1.weight", "1.bias"}

    def other() -> nn.Module:  # the same shapes, other content
        changed = table.flip(0) * 2
        return nn.Sequential(PressedEmbeddingBag.from_pretrained_table(changed, unfitted, mode="max"), nn.Linear(D, 2))

    second = other()
    assert not torch.equal(second(ids), model(ids))
    second.load_state_dict(model.state_dict())
    assert torch.equal(second(ids), model(ids)) and second[0].codec == model[0].codec
    files = pytest.importorskip("safetensors.torch")
    files.save_model(model, tmp_path / "model.safetensors")
    third = other()
    files.load_model(third, tmp_path / "model.safetensors")
    assert torch.equal(third(ids), model(ids))
    alone = PressedEmbeddingBag.from_state_dict(files.load_file(tmp_path / "model.safetensors"), "0.", mode="max")
    assert torch.equal(alone(ids), model[0](ids)) and alone.codec == model[0].codec
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(again(ids), model(ids))


def test_states_that_do_not_fit(codec, table):
    pressed = PressedEmbedding.from_pretrained_table(table, codec)
    before = pressed.weight_decoded()
    state = pressed.state_dict()
    broken = state["codec_file"].clone()
    broken[-1] ^= 1
    shorter = PressedEmbedding.from_pretrained_table(table[:9], codec).state_dict()
    narrow = PressedEmbedding.from_pretrained_table(table[:, :12], vp.PQ(6, 4, metric="l2")).state_dict()
    for bad, message in [
        ({**state, "codec_file": broken}, "checksum"),
        (shorter, r"expected 300 rows of 24 columns, got codes \(9, 3\)"),
        (narrow, r"expected 300 rows of 24 columns, got codes \(300, 3\) .* for 12 columns"),
        ({"codes": state["codes"]}, "Missing key.*codec_file"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            pressed.load_state_dict(bad)
        assert torch.equal(pressed.weight_decoded(), before)
    with pytest.raises(ValueError, match="state expected a tensor 'codes', got x"):
        PressedEmbedding.from_state_dict({"x": state["codes"]})


def test_bad_arguments(codec, table):
    with pytest.raises(TypeError, match="PressedEmbedding: codec expected a Codec, got str"):
        PressedEmbedding.from_pretrained_table(table, "pq")
    with pytest.raises(TypeError, match="PressedEmbedding: codec expected a Codec, got int"):
        PressedEmbedding(3, np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match="metric 'ip' or 'l2', got 'cos', which keeps no lengths"):
        PressedEmbedding.from_pretrained_table(table, vp.PQ(6, 4, metric="cos"))
    with pytest.raises(ValueError, match="not fitted"):
        PressedEmbedding(vp.PQ(6, 4), np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match="codes expected code_size=3 columns"):
        PressedEmbedding(codec, np.zeros((1, 4), np.uint8))
    with pytest.raises(ValueError, match="padding_idx expected -300 to 299, got 300"):
        PressedEmbedding.from_pretrained_table(table, codec, padding_idx=300)
    with pytest.raises(ValueError, match="mode expected one of 'sum', 'mean', 'max', got 'min'"):
        PressedEmbeddingBag.from_pretrained_table(table, codec, mode="min")
    with pytest.raises(ValueError, match=r"encode: x expected d=24 columns, got shape \(300, 12\)"):
        PressedEmbedding.from_pretrained_table(table[:, :12], codec)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("unfitted", [vp.PQ(6, 4, metric="l2"), vp.OPQ(6, 4, metric="l2"), vp.RaBitQ(4, metric="l2")], ids=repr)
def test_on_a_device(unfitted, table):
    here = PressedEmbeddingBag.from_pretrained_table(table, unfitted, mode="sum", padding_idx=3)
    there = copy.deepcopy(here).cuda()
    ids = torch.randint(N, (6, 10))
    rows = there.rows(ids.cuda().reshape(-1))
    assert rows.is_cuda and there.codebooks.is_cuda
    torch.testing.assert_close(rows.cpu(), here.rows(ids.reshape(-1)), rtol=1e-5, atol=1e-5)
    plain = nn.EmbeddingBag.from_pretrained(there.weight_decoded(), mode="sum", padding_idx=3)
    weights = torch.rand(6, 10).cuda()
    torch.testing.assert_close(there(ids.cuda(), None, weights), plain(ids.cuda(), None, weights), rtol=1e-5, atol=1e-5)
    made = PressedEmbedding.from_pretrained_table(table.cuda(), unfitted)
    assert made.codes.is_cuda and torch.equal(made.codes.cpu(), here.codes)
    assert PressedEmbedding.from_state_dict(made.state_dict()).codes.is_cuda
