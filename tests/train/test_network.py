"""The recurrence in torch: signs that are never 0, straight-through gradients, and the same numbers after export as before."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vecpress.recurrent import grid_levels, linear_network  # noqa: E402
from vecpress.train.network import RecurrentNet, hidden_network, sign, xavier_network  # noqa: E402


def rows(n: int, d: int, seed: int = 0) -> np.ndarray:
    f = np.random.default_rng(seed).standard_normal((n, d))
    return (f / np.linalg.norm(f, axis=1, keepdims=True)).astype(np.float32)


def net_of(d: int, m: int, rounds: int, hidden: int, skip: bool) -> RecurrentNet:
    network = hidden_network(xavier_network(d, m, rounds, 3), hidden, skip, 3)
    return RecurrentNet(network, np.random.default_rng(1).standard_normal((m, d)).astype(np.float32))


def test_the_sign_of_nothing_is_minus_one_and_never_zero():
    """torch.sign(0) is 0: a code has no bit for that. Sign codes say 1 above the threshold, else -1."""
    assert sign(torch.tensor([0.0, -0.0, 1e-30, -1e-30])).tolist() == [-1, -1, 1, -1]


def test_gradients_pass_straight_through_within_the_window():
    x = torch.tensor([-2.0, -1.0, -0.3, 0.0, 0.9, 1.1], requires_grad=True)
    (sign(x) * torch.arange(1.0, 7)).sum().backward()
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 0]
    y = torch.tensor([1.1, 3.1], requires_grad=True)
    sign(y, 3.0).sum().backward()
    assert y.grad.tolist() == [1, 0]


@pytest.mark.parametrize("hidden, skip", [(0, True), (24, True), (24, False)])
@pytest.mark.parametrize("rounds", range(4))
def test_what_is_exported_gives_the_numbers_of_the_net(rounds, hidden, skip):
    """Batch normalisation has seen data by then, so that its means and deviations count."""
    net = net_of(10, 6, rounds, hidden, skip)
    f = rows(600, 10)
    net.train()
    for _ in range(5):
        net(torch.from_numpy(f) * 3 + 0.2)
    net.eval()
    with torch.no_grad():
        v = net(torch.from_numpy(f)).numpy()
    labels = net.export().labels(f)
    assert (grid_levels(rounds)[labels] == v).mean() > 0.999  # but where rounding decides
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("rounds", range(4))
def test_a_net_starts_as_the_network_that_it_is_given(rounds):
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((9, 6)))[0].astype(np.float32)
    network = linear_network(turn * 5, turn.T / 5, rounds, rounds)
    net = RecurrentNet(hidden_network(network, 20, True, 0), turn.T.copy())
    net.eval()
    f = rows(300, 9)
    with torch.no_grad():
        v = net(torch.from_numpy(f)).numpy()
    assert (v == grid_levels(rounds)[network.labels(f)]).mean() > 0.999
    np.testing.assert_allclose(net.decoder().detach().numpy(), turn.T, rtol=1e-5)


def test_gradients_reach_every_block():
    net = net_of(10, 6, 2, 12, False)  # beside a skip hidden columns start at 0
    net.train()
    (net(torch.from_numpy(rows(200, 10))) * torch.randn(200, 6)).sum().backward()
    for name, parameter in net.named_parameters():
        if not name.startswith("decoder"):
            assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name
