"""The terms of the loss: their formulas, what they do not depend on, and how they add up."""

import numpy as np
import pytest

from autodiff import check_grads, grad
from nerf_mini.config import LossConfig
from nerf_mini.geometry.rays import Rays
from nerf_mini.geometry.regions import Box
from nerf_mini.rendering.volume import Rendering
from nerf_mini.samplers import Samples, pack
from nerf_mini.training.losses import HUBER, LossTerms, loss_terms, photometric, ray_spread

BOX = Box((0.0, 0.0, 0.0), 1.0)


def make_rays(near, far):
    near, far = np.asarray(near, float), np.asarray(far, float)
    return Rays(np.zeros((len(near), 3)), np.zeros((len(near), 3)), near, far, np.zeros(len(near), np.int64))


def make_rendering(samples, weights, color=None):
    return Rendering(color, None, None, weights, samples)


def random_problem(rng, rays=5, samples=7, near=2.0, far=6.0):
    """Rays with packed samples and weights of their own."""
    near, far = np.full(rays, near), np.full(rays, far)
    t = np.sort(rng.uniform(near[:, None], far[:, None], (rays, samples)), axis=1)
    return make_rays(near, far), pack(t, far), rng.dirichlet(np.ones(samples + 1), rays)[:, :-1].reshape(-1)


def spread_by_definition(weights, edges):
    """Barron et al. 2022, eq. 15: sum_ij w_i w_j |m_i - m_j| + sum_i w_i^2 d_i / 3 of one ray; edges (n, 2)."""
    middle, length = edges.mean(axis=1), np.diff(edges, axis=1)[:, 0]
    pairs = np.abs(middle[:, None] - middle) * weights[:, None] * weights
    return pairs.sum() + np.sum(weights**2 * length) / 3


# -- photometric -------------------------------------------------------------------------------------------------------


def test_the_photometric_loss_is_the_mean_over_rays_and_channels():
    color = np.array([[0.5, 0.5, 0.5], [1.0, 0.0, 0.2]])
    target = np.array([[0.5, 0.0, 0.5], [1.0, 1.0, 0.0]])
    assert photometric(Rendering(color, None, None), target) == pytest.approx((0.25 + 1 + 0.04) / 6)
    assert photometric(Rendering(target, None, None), target) == 0


# -- distortion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("near", "far"), [(2.0, 6.0), (0.0, 1.0), (0.1, 300.0)])
def test_the_spread_is_that_of_the_paper_in_distances_from_near_to_far(rng, near, far):
    rays, samples, weights = random_problem(rng, near=near, far=far)
    wanted = []
    for ray in range(len(rays)):
        mine = slice(samples.starts[ray], samples.starts[ray] + samples.counts[ray])
        edges = np.stack([samples.t[mine], samples.t[mine] + samples.delta[mine]], axis=1)
        wanted.append(spread_by_definition(weights[mine], (edges - near) / (far - near)))
    found = ray_spread(make_rendering(samples, weights), rays, BOX)
    assert found == pytest.approx(np.mean(wanted), rel=1e-10)
    assert 0 < found < 1


def test_rays_with_bounds_of_their_own_count_alike(rng):
    """Each is measured between its own bounds: stretching one with its samples changes nothing."""
    rays, samples, weights = random_problem(rng)
    stretch = np.array([1.0, 3.0, 0.2, 1.0, 7.0])
    stretched = make_rays(stretch * rays.near, stretch * rays.far)
    longer = Samples(
        samples.t * stretch[samples.ray_index], samples.delta * stretch[samples.ray_index], samples.ray_index,
        samples.starts, samples.counts,
    )  # fmt: skip
    found = ray_spread(make_rendering(longer, weights), stretched, BOX)
    assert found == pytest.approx(ray_spread(make_rendering(samples, weights), rays, BOX), rel=1e-12)


def test_the_spread_does_not_depend_on_the_unit_of_length_or_on_where_the_weight_is():
    """One interval alone has w^2 / 3 of its share of the way, wherever it lies."""
    rays, one, index = make_rays([2.0, 2.0], [6.0, 6.0]), np.ones(1, np.int64), np.zeros(1, np.int64)
    for start in (2.0, 3.7, 5.6):
        single = Samples(np.array([start]), np.array([0.4]), index, index, one)
        found = ray_spread(make_rendering(single, np.array([0.5])), rays[:1], BOX)
        assert found == pytest.approx(0.25 * 0.1 / 3)


def test_weight_pulled_together_has_less_spread():
    """All weight in one of nine intervals: 1 / 27 of an interval's share, far from the third of an even ray."""
    far = np.array([6.0])
    rays, samples = make_rays([2.0], far), pack(2 + np.arange(9)[None] * 4 / 9, far)
    even, peaked = np.full(9, 1 / 9), np.eye(9)[4]
    spread = [ray_spread(make_rendering(samples, weights), rays, BOX) for weights in (even, peaked)]
    np.testing.assert_allclose(spread, [1 / 3, 1 / 27], rtol=1e-12)


def test_a_ray_without_samples_has_no_spread_but_counts(rng):
    rays, samples, weights = random_problem(rng, rays=1)
    two = Samples(samples.t, samples.delta, samples.ray_index, np.array([0, 7]), np.array([7, 0]))
    half = ray_spread(make_rendering(two, weights), make_rays([2.0, 2.0], [6.0, 6.0]), BOX)
    assert half == pytest.approx(0.5 * ray_spread(make_rendering(samples, weights), rays, BOX), rel=1e-12)


def test_the_spread_keeps_the_precision_of_the_samples(rng):
    for bounds in ((np.full(5, 2.0), np.full(5, 6.0)), (np.linspace(1, 2, 5), np.full(5, 6.0))):
        _, samples, weights = random_problem(rng)
        single = Samples(
            samples.t.astype(np.float32), samples.delta.astype(np.float32), samples.ray_index, samples.starts,
            samples.counts,
        )  # fmt: skip
        found = ray_spread(make_rendering(single, weights.astype(np.float32)), make_rays(*bounds), BOX)
        assert np.asarray(found).dtype == np.float32
        assert found == pytest.approx(ray_spread(make_rendering(samples, weights), make_rays(*bounds), BOX), rel=1e-5)


def test_the_spread_is_differentiable_in_weights(rng):
    rays, samples, weights = random_problem(rng)
    check_grads(lambda weights: ray_spread(make_rendering(samples, weights), rays, BOX), (weights,))


# -- the sum -----------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_sum_of_its_terms(rng):
    """Every rendering counts, the last as the fine one; the spread is that of the last alone, with its weight."""
    rays, samples, weights = random_problem(rng)
    target, colors = rng.random((5, 3)), rng.random((3, 5, 3))
    renderings = [make_rendering(samples, (k + 1) * weights / 3, color) for k, color in enumerate(colors)]
    terms = loss_terms(renderings, rays, BOX, target, LossConfig(distortion=0.3))
    errors = [np.mean((color - target) ** 2) for color in colors]
    assert terms.fine == pytest.approx(errors[2])
    assert terms.coarse == pytest.approx(errors[0] + errors[1])
    assert terms.distortion == pytest.approx(0.3 * ray_spread(renderings[-1], rays, BOX))
    assert terms.total == pytest.approx(terms.fine + terms.coarse + terms.distortion)


def test_one_rendering_has_no_coarse_term_and_no_weight_no_distortion():
    """Nothing of the samples is looked at where the distortion has no weight."""
    terms = loss_terms(
        [Rendering(np.ones((2, 3)), None, None)], make_rays([2.0], [6.0]), BOX, np.zeros((2, 3)), LossConfig()
    )
    assert terms == LossTerms(1.0) and terms.coarse == terms.distortion == 0 and terms.total == 1


# -- Huber -------------------------------------------------------------------------------------------------------------


def test_the_huber_loss_is_the_mse_up_to_its_threshold_and_linear_beyond(rng):
    target = rng.random((50, 3))

    def loss(difference, kind):
        return photometric(Rendering(target + difference, None, None), target, kind)

    small = rng.uniform(-HUBER, HUBER, (50, 3))
    assert loss(small, "huber") == pytest.approx(loss(small, "mse"), rel=1e-12)
    large = rng.uniform(HUBER, 5, (50, 3)) * rng.choice([-1, 1], (50, 3))
    assert loss(large, "huber") == pytest.approx(np.mean(HUBER * (2 * np.abs(large) - HUBER)), rel=1e-12)
    assert loss(large, "huber") < loss(large, "mse")
    mixed = np.concatenate([small, large])
    target = np.concatenate([target, target])
    check_grads(lambda color: photometric(Rendering(color, None, None), target, "huber"), (target + mixed,))
    single = photometric(Rendering((target + mixed).astype(np.float32), None, None), target.astype(np.float32), "huber")
    assert single.dtype == np.float32


def test_the_slope_of_the_huber_loss_is_bounded():
    target = np.zeros((1, 3))
    slope = grad(lambda color: photometric(Rendering(color, None, None), target, "huber"))
    for size in (0.05, 0.1, 0.3, 1e6):
        np.testing.assert_allclose(slope(np.full((1, 3), size)), 2 * min(size, HUBER) / 3, rtol=1e-9)
