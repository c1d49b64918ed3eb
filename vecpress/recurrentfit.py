"""How recurrent binary codes are learned but for training: what is coded, directions that signs lose least of, tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .normal_levels import normal_levels
from .pca import nearest_rotation, principal, random_rotation
from .recurrent import Network, grid_levels, grid_unit, linear_network, network_state
from .scales import SHORT, scale_table, square_table, store_scales, stored_scales

RECIPES = ("improved", "rotation", "bebr")
ROTATION_ROWS = 16384  # that directions are turned by
STEPS = 30
TABLE_ROWS = 16384  # that tables are made from
REACHED = 1.1  # how far beyond the furthest number a table goes
PAIRS = 512  # rows whose products with each other say what a product of numbers stands for


def split(x: np.ndarray, codec: Any, num_threads: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of rows float32[n, d]: t float32[n] along axis_, the rest y float32[n, d], and y scaled to length 1.

    What is shorter than 2^-100 becomes 0. "bebr" codes rows as they are, so y = x and t = 0.
    """
    if codec.recipe == "bebr":
        t, y = np.zeros(len(x), np.float32), x
    else:
        y = x - codec.mean_
        t = ops.project(y, codec.axis_[:, None], num_threads=num_threads)[:, 0]
        y -= t[:, None] * codec.axis_
    norms = ops.norms(y, num_threads=num_threads)
    f = y * np.where(norms >= SHORT, 1 / np.maximum(norms, np.float32(SHORT)), np.float32(0))[:, None]
    return t, y, f


def learn_split(codec: Any, x: np.ndarray) -> None:
    """Sets mean_ and axis_ from rows float32[n, d]."""
    mean = x.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    codec.mean_ = mean.astype(np.float32)
    along = np.zeros(len(mean)) if codec.metric == "l2" or codec.recipe == "bebr" or length < SHORT else mean / length
    codec.axis_ = along.astype(np.float32)


def turned_directions(f: np.ndarray, y: np.ndarray, m: int, u: int, rank: int, seed: int) -> np.ndarray:
    """float32[d, m]: `rank` principal directions of y, turned so that numbers of u + 1 bits lie near the products with f.

    Orthonormal columns where m is `rank` at most; beyond, the rows are those of a tight frame: more signs than directions.
    For one bit that is iterative quantization: Gong et al., "Iterative quantization", PAMI 2013; with more the grid's points
    take the place of signs.
    """
    directions = principal(y)[1][:, : min(m, rank)]
    rotation = random_rotation(m, np.random.Generator(np.random.PCG64(seed)))[: directions.shape[1]]
    few = f[:: -(-len(f) // ROTATION_ROWS)]
    z = (few @ directions.astype(np.float32)).astype(np.float32)
    levels, thresholds = grid_levels(u), _thresholds(u)
    for _ in range(STEPS):
        turned = z @ rotation.astype(np.float32)
        unit = np.float32(grid_unit(turned, u))
        points = levels[np.searchsorted(thresholds, turned / unit)]
        rotation = nearest_rotation(z.T @ points)
    return (directions @ rotation).astype(np.float32)


def _thresholds(u: int) -> np.ndarray:
    levels = grid_levels(u)
    return (levels[1:] + levels[:-1]) / 2


def set_network(codec: Any, network: Network) -> None:
    """Sets the learned arrays of the blocks, and form_."""
    codec.form_ = np.array([network.rounds, network.maps[2].shape[2]], np.int64)
    for name, array in zip(network_state(), (*network.maps, *network.backs), strict=True):
        setattr(codec, name, np.ascontiguousarray(array, np.float32))


def initial(codec: Any, x: np.ndarray, rounds: int, num_threads: int | None) -> tuple[Network, np.ndarray]:
    """The network of the turned principal directions, of so many rounds, and its decoder float32[m, d]. Sets mean_ and axis_."""
    learn_split(codec, x)
    _, y, f = split(x, codec, num_threads)
    rank = max(1, x.shape[1] - bool(codec.axis_.any()))  # there is nothing along the axis
    directions = turned_directions(f, y, codec.m, codec.u, rank, codec.seed)
    unit = grid_unit(f @ directions, codec.u)
    back = np.ascontiguousarray(directions.T) * np.float32(unit)
    return linear_network(directions / unit, back, codec.u, rounds), back


def learn_tables(codec: Any, x: np.ndarray, num_threads: int | None) -> None:
    """Sets scales_, means_, unit_ and gram_ from rows float32[n, d], once all else is there."""
    x = x[:: -(-len(x) // TABLE_ROWS)]
    t, y, f = split(x, codec, num_threads)
    v = codec.levels_of(codec.labels(f, num_threads))
    scales = codec._scales(y, v, num_threads)
    codec.scales_ = scale_table(scales, 1)
    codec.means_ = _normal_table(t)
    s = stored_scales(store_scales(scales, codec.scales_, 1), codec.scales_)
    away = ops.project(v * s[:, None], codec.decoder_, num_threads=num_threads)
    codec.unit_ = square_table(np.square(ops.norms(away, num_threads=num_threads), dtype=np.float64), 2)[:1]
    some = slice(0, PAIRS)
    products, sums = away[some] @ away[some].T, (v * s[:, None])[some] @ (v * s[:, None])[some].T
    off = ~np.eye(len(products), dtype=bool)
    square = float((sums[off].astype(np.float64) ** 2).sum())
    gram = float((products[off].astype(np.float64) * sums[off]).sum()) / square if square > 0 else 1.0
    codec.gram_ = np.array([1.0 if codec.recipe == "bebr" or not gram > 0 else gram], np.float32)


def _normal_table(t: np.ndarray) -> np.ndarray:
    """float32[256], ascending: the best levels of normal numbers, as wide as numbers like these ask for or wider."""
    centre = float(t.mean(dtype=np.float64))
    away = t.astype(np.float64) - centre
    levels = normal_levels(8)
    spread = max(float(np.sqrt(np.square(away).mean())), REACHED * float(np.abs(away).max(initial=0.0)) / levels[-1], 1e-30)
    return (centre + spread * levels).astype(np.float32)


def learn(codec: Any, x: np.ndarray, num_threads: int | None) -> None:
    """Sets all learned arrays of the recipe "rotation" from rows float32[n, d]."""
    network, codec.decoder_ = initial(codec, x, 0, num_threads)
    set_network(codec, network)
    learn_tables(codec, x, num_threads)
