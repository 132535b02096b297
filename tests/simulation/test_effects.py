"""What a LiDAR reports of known surfaces."""

from __future__ import annotations

import numpy as np
import pytest

from pcdet_poly.simulation.lidar.effects import ELONGATION_STEP, RANGE_NOISE_M, RETURNS_APART_M, measure_returns
from pcdet_poly.simulation.lidar.noise import combine_seeds, draw_normal, draw_uniform, mix_hash
from pcdet_poly.simulation.lidar.rays import Hits
from pcdet_poly.simulation.lidar.sensor import Lidar, build_waymo_lidars
from pcdet_poly.simulation.solids.materials import REFLECTIONS, Material
from tests.tolerances import FLOAT32_ROUNDING, error_of_mean, error_of_spread

TINT = np.array([1.0, 4.0])


def wall(range_m: float, material: Material, *, owner: int = 0) -> tuple[Lidar, Hits]:
    top = build_waymo_lidars(0, top_shape=(64, 500))[0]
    hits = Hits.empty(top.shape)
    hits.range_m[0], hits.material[0], hits.cosine[0], hits.owner[0] = range_m, material, 1.0, owner
    return top, hits


def test_range_noise_and_intensity_of_a_wall() -> None:
    first, second = measure_returns(*wall(10.0, Material.CONCRETE), TINT, np.uint64(1))
    seen = first[..., 0] > 0
    assert seen.mean() > 0.95
    assert (second == -1).all()
    ranges, logarithms = first[seen][:, 0], np.log(first[seen][:, 1])
    num, concrete = len(ranges), REFLECTIONS[Material.CONCRETE]
    assert ranges.mean() == pytest.approx(10.0, abs=error_of_mean(RANGE_NOISE_M, num))
    assert ranges.std() == pytest.approx(RANGE_NOISE_M, rel=error_of_spread(num))
    # A median errs by sqrt(pi / 2) = 1.25 times as much as a mean.
    assert np.median(logarithms) == pytest.approx(
        np.log(concrete.intensity), abs=1.25 * error_of_mean(concrete.spread, num)
    )
    assert logarithms.std() == pytest.approx(concrete.spread, rel=error_of_spread(num))


def test_elongation_is_in_waymos_steps() -> None:
    first, _ = measure_returns(*wall(10.0, Material.GRASS), TINT, np.uint64(1))
    steps = first[..., 2][first[..., 0] > 0] / ELONGATION_STEP
    np.testing.assert_allclose(steps, np.round(steps), atol=4 * 255 * FLOAT32_ROUNDING)  # two roundings on either side
    assert steps.min() >= 0
    assert steps.max() <= 255


def test_far_and_dark_surfaces_are_lost_first() -> None:
    def seen(range_m: float, material: Material) -> float:
        return float((measure_returns(*wall(range_m, material), TINT, np.uint64(2))[0][..., 0] > 0).mean())

    near, far = seen(10.0, Material.RUBBER), seen(70.0, Material.RUBBER)
    assert far < 0.8 * near
    assert far < 0.9 * seen(70.0, Material.FACADE)
    assert seen(1.0, Material.FACADE) == 0  # nearer than the LiDAR can
    assert seen(80.0, Material.FACADE) == 0  # farther


def test_tint_scales_paint_but_not_asphalt() -> None:
    def median(material: Material, owner: int) -> float:
        image = measure_returns(*wall(8.0, material, owner=owner), TINT, np.uint64(3))[0]
        return float(np.median(image[..., 1][image[..., 0] > 0]))

    # Two medians, of at least half of the wall's 32,000 pixels each.
    error = 2 * 1.25 * error_of_mean(REFLECTIONS[Material.CAR_PAINT].spread, 16_000)
    assert median(Material.CAR_PAINT, 1) / median(Material.CAR_PAINT, 0) == pytest.approx(4.0, rel=error)
    assert median(Material.ASPHALT, 1) == median(Material.ASPHALT, 0)


def test_second_returns_come_from_behind_an_edge() -> None:
    top, hits = wall(30.0, Material.FACADE)
    hits.range_m[0][:, 200:300] = 10.0
    first, second = measure_returns(top, hits, TINT, np.uint64(4))
    rows, columns = np.nonzero(second[..., 0] > 0)
    assert len(rows) > 10
    assert set(columns) == {200, 299}  # the pixels of the near surface beside the far one
    both = (first[..., 0] > 0) & (second[..., 0] > 0)
    assert (second[both][:, 0] - first[both][:, 0] > RETURNS_APART_M).all()


def test_second_returns_go_through_leaves() -> None:
    top, hits = wall(10.0, Material.LEAVES)
    hits.range_m[1], hits.material[1] = 14.0, Material.FACADE
    _, second = measure_returns(top, hits, TINT, np.uint64(5))
    seen = second[..., 0] > 0
    assert 0.2 < seen.mean() < 0.6
    assert second[seen][:, 0].mean() == pytest.approx(14.0, abs=error_of_mean(RANGE_NOISE_M, int(seen.sum())))


def test_draws_are_uniform_and_normal_and_repeat() -> None:
    seed = combine_seeds(3, 4)
    draws = np.array([draw_uniform(seed, k) for k in range(4000)])
    assert draws.mean() == pytest.approx(0.5, abs=error_of_mean(1 / np.sqrt(12), 4000))
    assert np.histogram(draws, 8, (0, 1))[0].min() > 400
    normals = np.array([draw_normal(seed, k) for k in range(4000)])
    assert normals.mean() == pytest.approx(0.0, abs=error_of_mean(1.0, 4000))
    assert normals.std() == pytest.approx(1.0, rel=error_of_spread(4000))
    assert mix_hash(seed, 5) == mix_hash(combine_seeds(3, 4), 5)
    assert len({int(mix_hash(seed, k)) for k in range(4000)}) == 4000
