"""The recurrence as a torch module: straight-through signs, batch normalisation that is folded away in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..recurrent import Network

USUAL = 0.05  # deviation of a parameter's entries; what they stand for is this times a fixed scale, so that one rate suits all


class _Sign(torch.autograd.Function):
    """1 where x > 0, else -1, never 0; the gradient passes where |x| is at most `window`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: float) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        ctx.window = window
        return torch.where(x > 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return gradient * (x.abs() <= ctx.window), None


def sign(x: Tensor, window: float = 1.0) -> Tensor:
    """1 where x > 0, else -1; straight-through gradient where |x| <= window."""
    out: Tensor = _Sign.apply(x, window)
    return out


class Scaled(nn.Module):
    """A matrix [p, r] as a parameter whose entries are about USUAL, times a fixed number."""

    scale: Tensor

    def __init__(self, matrix: Tensor):
        super().__init__()
        size = float(matrix.pow(2).mean().sqrt()) if matrix.numel() else 0.0
        self.register_buffer("scale", torch.tensor(size / USUAL if size > 0 else 1.0))
        self.entries = nn.Parameter(matrix / self.scale)

    def forward(self) -> Tensor:
        return self.entries * self.scale


class Block(nn.Module):
    """x @ skip + relu(batch-normalised (x @ inward)) @ outward + bias, started from the arrays of a `recurrent.Network`."""

    def __init__(self, skip: Tensor, bias: Tensor, inward: Tensor, outward: Tensor):
        super().__init__()
        self.skip = Scaled(skip) if skip.numel() else None
        self.bias = nn.Parameter(bias.clone())
        self.hidden = inward.shape[1] > 0
        if self.hidden:
            self.inward, self.outward = nn.Parameter(inward.clone()), nn.Parameter(outward.clone())
            self.normal = nn.BatchNorm1d(inward.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        out = self.bias if self.skip is None else x @ self.skip() + self.bias
        if self.hidden:
            out = torch.relu(self.normal(x @ self.inward)) @ self.outward + out
        return out

    @torch.no_grad()
    def arrays(self, p: int, r: int) -> tuple[np.ndarray, ...]:
        """skip, bias, inward, inward_bias and outward, batch normalisation folded into the hidden columns."""
        device = self.bias.device
        skip = torch.zeros((0, r), device=device) if self.skip is None else self.skip()
        if not self.hidden:
            folded = torch.zeros((p, 0)), torch.zeros(0), torch.zeros((0, r))
        else:
            normal = self.normal
            assert normal.running_var is not None and normal.running_mean is not None
            gain = normal.weight / torch.sqrt(normal.running_var + normal.eps)
            folded = self.inward * gain, normal.bias - normal.running_mean * gain, self.outward
        tensors = (skip, self.bias, *folded)
        return tuple(np.ascontiguousarray(a.detach().float().cpu().numpy()) for a in tensors)


class RecurrentNet(nn.Module):
    """v = r_0 + r_1 / 2 + ... of rows f [n, d], and the decoder D [m, d]; see `vecpress.recurrent.Network`.

    window : arguments of a sign whose absolute value is above get no gradient
    """

    def __init__(self, network: Network, decoder: np.ndarray, window: float = 1.0):
        super().__init__()
        self.window, self.unit = window, network.unit
        self.shape = (decoder.shape[1], decoder.shape[0])

        def blocks(arrays: tuple[np.ndarray, ...]) -> nn.ModuleList:
            tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]
            return nn.ModuleList(
                Block(skip, bias, inward, outward) for skip, bias, inward, _, outward in zip(*tensors, strict=True)
            )

        self.maps, self.backs = blocks(network.maps), blocks(network.backs)
        self.decoder = Scaled(torch.from_numpy(np.ascontiguousarray(decoder)))

    def forward(self, f: Tensor) -> Tensor:
        total = sign(self.maps[0](f), self.window)
        for i, (back, residual) in enumerate(zip(self.backs, list(self.maps)[1:], strict=True)):
            rebuilt = back(total)
            if self.unit:
                rebuilt = nn.functional.normalize(rebuilt, dim=1)
            total = total + 2.0 ** -(i + 1) * sign(residual(f - rebuilt), self.window)
        return total

    def export(self) -> Network:
        """The network as arrays, batch normalisation folded in."""
        d, m = self.shape

        def stacked(blocks: nn.ModuleList, p: int, r: int, like: nn.ModuleList) -> tuple[np.ndarray, ...]:
            rows = [block.arrays(p, r) for block in blocks]  # type: ignore[operator]
            if rows:
                return tuple(np.stack(parts) for parts in zip(*rows, strict=True))
            skip, _, inward, *_ = like[0].arrays(r, p)  # type: ignore[operator]
            hidden, inner = inward.shape[1], p if skip.shape[0] else 0
            shapes = ((inner, r), (r,), (p, hidden), (hidden,), (hidden, r))
            return tuple(np.zeros((0, *shape), np.float32) for shape in shapes)

        maps = stacked(self.maps, d, m, self.maps)
        return Network(maps, stacked(self.backs, m, d, self.maps), self.unit)  # type: ignore[arg-type]


def hidden_network(network: Network, hidden: int, skip: bool, seed: int) -> Network:
    """`network` with hidden columns drawn anew: inward Xavier-normal; outward 0 beside a skip, Xavier-normal without one."""
    generator = torch.Generator().manual_seed(seed % 2**63)

    def drawn(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        affine, bias = arrays[:2]
        count, p, r = affine.shape
        inward = torch.randn((count, p, hidden), generator=generator) * (2 / max(p + hidden, 1)) ** 0.5
        outward = torch.randn((count, hidden, r), generator=generator) * (2 / max(hidden + r, 1)) ** 0.5
        if skip or not hidden:
            outward = outward * 0
        kept = affine if skip else affine[:, :0]
        return kept, bias, inward.numpy(), np.zeros((count, hidden), np.float32), outward.numpy()

    return Network(drawn(network.maps), drawn(network.backs), network.unit)


def xavier_network(d: int, m: int, rounds: int, seed: int) -> Network:
    """Affine blocks drawn as Xavier-normal, without hidden columns: where the published recipe starts."""
    rng = np.random.Generator(np.random.PCG64(seed))
    deviation = (2 / (d + m)) ** 0.5

    def drawn(count: int, p: int, r: int) -> tuple[np.ndarray, ...]:
        zeros = (np.zeros((count, p, 0)), np.zeros((count, 0)), np.zeros((count, 0, r)))
        arrays = (rng.standard_normal((count, p, r)) * deviation, np.zeros((count, r)), *zeros)
        return tuple(a.astype(np.float32) for a in arrays)

    return Network(drawn(rounds + 1, d, m), drawn(rounds, m, d), unit=True)
