"""PillarEncoder against a loop over pillars in numpy float64."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from pcdet_poly.models.layers.pillar_encoder import PillarEncoder
from pcdet_poly.ops.pillars import sort_and_decorate
from pcdet_poly.ops.voxelize import voxelize
from pcdet_poly.structures import Grid
from tests.models.scenes import random_points
from tests.tolerances import NETWORK

GRID = Grid((-10.0, -8.0, -2.0), (10.0, 8.0, 4.0), (0.5, 0.5, 6.0))


def encoder_with_statistics(channels: tuple[int, ...]) -> PillarEncoder:
    torch.manual_seed(0)
    encoder = PillarEncoder(5, channels)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return encoder


def naive_pillars(points: np.ndarray, frame: np.ndarray) -> dict[tuple[int, int, int], list[int]]:
    """Point positions by (frame, row, column), cells of 0.5 m."""
    pillars: dict[tuple[int, int, int], list[int]] = {}
    for n, (x, y, z, *_) in enumerate(points.tolist()):
        if -10 <= x < 10 and -8 <= y < 8 and -2 <= z < 4:
            pillars.setdefault((int(frame[n]), int((y + 8) // 0.5), int((x + 10) // 0.5)), []).append(n)
    return pillars


def norm(values: np.ndarray, layer: nn.Module, training: bool) -> np.ndarray:
    mean, var = layer.norm.running_mean.double().numpy(), layer.norm.running_var.double().numpy()
    if training:
        mean, var = values.mean(0), values.var(0)
    weight, bias = layer.norm.weight.detach().double().numpy(), layer.norm.bias.detach().double().numpy()
    return (values - mean) / np.sqrt(var + 1e-3) * weight + bias


def naive_encode(encoder: PillarEncoder, points: np.ndarray, frame: np.ndarray, training: bool) -> np.ndarray:
    pillars = naive_pillars(points, frame)
    rows, owner = [], []
    for number, key in enumerate(sorted(pillars)):
        inside = points[pillars[key]].astype(np.float64)
        centre = np.array([-10 + (key[2] + 0.5) * 0.5, -8 + (key[1] + 0.5) * 0.5, 1.0])
        for point in inside:
            rows.append(np.concatenate([point, point[:3] - inside[:, :3].mean(0), point[:3] - centre]))
            owner.append(number)
    features, owner = np.array(rows), np.array(owner)
    for depth, layer in enumerate(encoder.layers):
        linear = features @ layer.linear.weight.detach().double().numpy().T
        features = np.maximum(norm(linear, layer, training), 0)
        highest = np.array([features[owner == number].max(0) for number in range(len(pillars))])
        if depth < len(encoder.layers) - 1:
            features = np.concatenate([features, highest[owner]], axis=1)
    return highest


@pytest.mark.parametrize("channels", [(8,), (8, 6), (8, 8, 4)])
@pytest.mark.parametrize("training", [False, True])
def test_equals_a_loop_over_pillars(channels, training):
    rng = np.random.default_rng(1)
    points = random_points(rng, 700)
    frame = np.sort(rng.choice([0, 2], len(points)))  # frame 1 has no points
    encoder = encoder_with_statistics(channels).train(training)
    voxels = voxelize(torch.from_numpy(points), torch.from_numpy(frame), GRID, 4)
    expected = naive_encode(encoder, points, frame, training)
    with torch.no_grad():
        np.testing.assert_allclose(encoder(torch.from_numpy(points), voxels).numpy(), expected, **NETWORK)


@pytest.mark.parametrize("training", [False, True])
def test_gradients_equal_finite_differences(training):
    points = torch.from_numpy(random_points(np.random.default_rng(2), 60)).double()
    voxels = voxelize(points.float(), torch.zeros(60, dtype=torch.int64), GRID, 1)
    encoder = encoder_with_statistics((4, 4)).double().train(training)
    parameters = tuple(encoder.parameters())

    def output(*_: torch.Tensor) -> torch.Tensor:
        return encoder(points, voxels)

    assert torch.autograd.gradcheck(output, parameters)


def test_running_statistics_are_those_of_torch():
    points = torch.from_numpy(random_points(np.random.default_rng(3), 500))
    voxels = voxelize(points, torch.zeros(500, dtype=torch.int64), GRID, 1)
    encoder = encoder_with_statistics((8, 8)).train()
    reference = deepcopy(encoder)
    for _ in range(3):
        encoder(points, voxels)
        features, pillars = sort_and_decorate(points, voxels)
        features = features[:, :-1]
        for layer in reference.layers:
            values = layer.norm(layer.linear(features)).relu()
            highest = torch.stack([part.amax(0) for part in values.split(pillars.num_points.tolist())])
            features = torch.cat([values, highest[pillars.pillar_of_row]], dim=1)
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(encoder.get_buffer(name), buffer, **NETWORK)


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_few_points(count, training):
    points = torch.full((count, 5), 0.1)
    encoder = PillarEncoder(5, (8, 8)).train(training)
    voxels = voxelize(points, torch.zeros(count, dtype=torch.int64), GRID, 2)
    features = encoder(points, voxels)
    assert features.shape == (min(count, 1), 8)
    assert features.isfinite().all()
    features.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())


def test_statistics_survive_a_batch_without_points():
    encoder = PillarEncoder(5, (8, 8)).train()
    encoder(torch.zeros(0, 5), voxelize(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), GRID, 1))
    assert all(buffer.float().isfinite().all() for buffer in encoder.buffers())
