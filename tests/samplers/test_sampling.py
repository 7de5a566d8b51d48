"""Where rays are sampled: distributions, limits, order, reproducibility, and no gradient through positions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff import vjp
from nerf_mini.geometry.rays import Rays
from nerf_mini.kernels.sampling import sample_forward
from nerf_mini.ops import sample_histogram
from nerf_mini.samplers import StratifiedSampler, fine_samples, pack, pack_part, stratified_samples


def draw(edges, weights, u):
    """Samples of one histogram."""
    return sample_histogram(edges[None], weights[None], u[None])[0]


def jittered(rng, n):
    """One quantile in each of n equally likely shares."""
    return (np.arange(n) + rng.random(n)) / n


def stratified(near, far, rays, samples, rng=None, dtype=np.float32):
    """Stratified samples of rays that are all bounded alike."""
    return stratified_samples(np.full(rays, near), np.full(rays, far), samples, rng, dtype)


def kolmogorov_smirnov(samples, cumulative):
    """The largest distance between the empirical distribution of sorted samples and a cumulative distribution."""
    n, expected = len(samples), cumulative(samples)
    return max(np.max(np.arange(1, n + 1) / n - expected), np.max(expected - np.arange(n) / n))


# -- the inverse of a histogram's cumulative ---------------------------------------------------------------------------


def test_a_million_samples_have_the_distribution_of_the_histogram(rng):
    """S1: 16 bins, some of zero width, some of zero weight; histograms at an angle of at most .5 degrees, and a
    Jensen-Shannon divergence of at most 1e-5; samples sorted and inside.
    """
    widths, weights = rng.uniform(0.1, 1, 16), rng.uniform(0.1, 1, 16)
    widths[[3, 11]] = 0
    weights[[0, 5, 6, 15]] = 0
    edges = 2 + np.concatenate([[0], np.cumsum(widths)])
    samples = draw(edges, weights, jittered(rng, 10**6))
    assert np.all(np.diff(samples) >= 0) and edges[0] <= samples[0] and samples[-1] <= edges[-1]

    found = np.array([
        np.sum(samples == low) if low == high else np.sum((samples > low) & (samples < high))
        for low, high in itertools.pairwise(edges)
    ]) / 1e6  # fmt: skip
    wanted = weights / weights.sum()
    cosine = found @ wanted / np.linalg.norm(found) / np.linalg.norm(wanted)
    assert np.degrees(np.arccos(min(1, cosine))) <= 0.5
    mixture = (found + wanted) / 2
    divergence = sum(
        0.5 * np.sum(p[p > 0] * np.log(p[p > 0] / mixture[p > 0])) for p in (found, wanted)
    )  # fmt: skip
    assert divergence <= 1e-5
    assert not found[weights == 0].any()


def test_all_samples_fall_into_the_only_full_bin(rng):
    """S2: bins [0, 1, 3, 6, 10], 625 samples."""
    edges = np.array([0.0, 1.0, 3.0, 6.0, 10.0])
    for hot in range(4):
        samples = draw(edges, np.eye(4)[hot], jittered(rng, 625))
        assert np.all((samples >= edges[hot]) & (samples <= edges[hot + 1]))
        assert kolmogorov_smirnov(samples, lambda x, k=hot: (x - edges[k]) / (edges[k + 1] - edges[k])) <= 2 / 625


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_equal_bins_give_even_samples(rng, dtype):
    """S3: 100,000 flat bins, 100 samples: Kolmogorov-Smirnov distance from even at most .2."""
    edges = np.linspace(0, 1, 100_001, dtype=dtype)
    samples = draw(edges, np.ones(100_000, dtype), rng.random(100).astype(dtype))
    assert kolmogorov_smirnov(np.sort(samples), lambda x: x) <= 0.2


def test_a_bin_of_half_the_mass_gets_half_the_samples(rng):
    """S4: one of 100,000 bins weighs as much as the others together."""
    edges, weights = np.linspace(0, 1, 100_001), np.full(100_000, 1 / 99_999)
    weights[61_803] = 1
    samples = draw(edges, weights, rng.random(1000))
    inside = (samples >= edges[61_803]) & (samples <= edges[61_804])
    assert np.mean(inside) == pytest.approx(0.5, abs=0.05)


def test_bins_are_those_of_a_search_and_the_ends_stay_in_range(rng):
    """S5: C_k <= u W < C_{k+1}; u = 0 is the first edge of positive weight, u = 1 the last."""
    edges, weights = np.sort(rng.random((20, 13)), axis=1), rng.uniform(0.1, 1, (20, 12))
    u = np.concatenate([rng.random((20, 30)), np.zeros((20, 1)), np.ones((20, 1))], axis=1)
    samples, bins = np.empty_like(u), np.empty(u.shape, np.int64)
    sample_forward(edges, weights, u, samples, bins)
    for row in range(20):
        cumulative = np.concatenate([[0], np.cumsum(weights[row])])
        wanted = np.searchsorted(cumulative, u[row] * cumulative[-1], side="right") - 1
        np.testing.assert_array_equal(bins[row], np.minimum(wanted, 11))
        np.testing.assert_allclose(samples[row], np.interp(u[row] * cumulative[-1], cumulative, edges[row]), rtol=1e-12)
    np.testing.assert_array_equal(samples[:, -2], edges[:, 0])
    np.testing.assert_allclose(samples[:, -1], edges[:, -1], rtol=1e-15)

    empty_ends = np.array([0.0, 0.0, 2.0, 1.0, 0.0])
    ends = draw(np.arange(6.0), empty_ends, np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, [2.0, 4.0])


def test_quantiles_are_the_percentiles_of_the_samples(rng):
    """S6: the weighted percentile equals the empirical one of 10^6 samples within 1e-4."""
    edges, weights = np.cumsum(rng.uniform(0.02, 0.1, 17)), rng.uniform(0.1, 1, 16)
    samples = draw(edges, weights, jittered(rng, 10**6))
    percent = np.arange(5.0, 100, 5)
    np.testing.assert_allclose(draw(edges, weights, percent / 100), np.percentile(samples, percent), atol=1e-4)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=12).filter(lambda weights: sum(weights) > 1e-3),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=12),
    st.sampled_from([np.float32, np.float64]),
)
def test_samples_lie_in_bins_of_positive_weight_and_in_order(weights, quantiles, dtype):
    weights, u = np.array(weights, dtype), np.sort(np.array(quantiles, dtype))
    edges = np.arange(len(weights) + 1, dtype=dtype)
    samples = draw(edges, weights, u)
    assert np.isfinite(samples).all() and np.all(np.diff(samples) >= 0)
    for s in samples:
        neighbours = {int(np.floor(s)), int(np.ceil(s)) - 1} & set(range(len(weights)))
        assert any(weights[k] > 0 for k in neighbours), (s, weights)


# -- stratified --------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.floats(0, 20, width=32), st.floats(0.125, 50, width=32), st.integers(1, 200), st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_stratified_samples_lie_one_in_each_bin(near, length, samples, seed, dtype):
    """t_i in [near + i h, near + (i + 1) h], h = (far - near) / samples, up to rounding; ascending in [near, far]."""
    far = near + length
    t = stratified(near, far, 3, samples, np.random.default_rng(seed), dtype)
    assert t.shape == (3, samples) and t.dtype == dtype
    lower = near + np.arange(samples) * (length / samples)
    rounding = 8 * np.finfo(dtype).eps * far
    assert np.all(t >= lower - rounding) and np.all(t <= lower + length / samples + rounding)
    assert np.all(np.diff(t, axis=1) >= 0) and np.all(t >= dtype(near)) and np.all(t <= dtype(far))


def test_without_a_generator_stratified_samples_are_the_middles_of_the_bins():
    t = stratified(2.0, 6.0, 2, 8)
    np.testing.assert_array_equal(t, np.tile(np.float32(2.25 + 0.5 * np.arange(8)), (2, 1)))


def test_stratified_samples_are_uniform_in_their_bins(rng):
    t = stratified(0.0, 8.0, 20_000, 8, rng, np.float64)
    for i in range(8):
        assert kolmogorov_smirnov(np.sort(t[:, i]), lambda x, i=i: x - i) < 1.63 / np.sqrt(20_000)  # 1 % level
    assert np.abs(np.corrcoef(t.T) - np.eye(8)).max() < 0.04  # bins are drawn independently


def test_each_ray_is_sampled_between_its_own_bounds(rng):
    near, far = rng.uniform(0, 3, 50), rng.uniform(4, 9, 50)
    together = stratified_samples(near, far, 7, np.random.default_rng(1), np.float64)
    within = np.random.default_rng(1).random((50, 7))
    for ray in range(50):
        edges = np.linspace(near[ray], far[ray], 8)
        np.testing.assert_allclose(together[ray], edges[:-1] + within[ray] * np.diff(edges), rtol=1e-12)


def test_the_stratified_sampler_samples_every_ray_alike(rng):
    sampler, ends = StratifiedSampler(rays=30, samples=5), (np.linspace(1, 2, 30), np.linspace(5, 9, 30))
    assert sampler.rays_of_step() == 30 and sampler.state == {}
    for dtype in (np.float32, np.float64):
        rays = Rays(np.zeros((30, 3), dtype), np.ones((30, 3), dtype), *ends, np.zeros(30, np.int64))
        chosen, samples = sampler.sample(rays, None, np.random.default_rng(4))
        np.testing.assert_array_equal(chosen, np.arange(30))
        wanted = pack(stratified_samples(*ends, 5, np.random.default_rng(4), dtype), ends[1])
        for name in ("t", "delta", "ray_index", "starts", "counts"):
            np.testing.assert_array_equal(getattr(samples, name), getattr(wanted, name))
        assert samples.t.dtype == samples.delta.dtype == dtype
    _, middles = sampler.sample(rays, None, None)
    np.testing.assert_allclose(middles.t.reshape(30, 5)[:, 2], np.mean(ends, axis=0))


# -- packed ------------------------------------------------------------------------------------------------------------


def test_packed_intervals_reach_to_the_next_sample_and_the_last_to_far():
    t, far = np.array([[2.0, 3.0, 5.0], [2.5, 2.5, 6.0]]), np.array([6.0, 6.5])
    samples = pack(t, far)
    np.testing.assert_array_equal(samples.delta, [1, 2, 1, 0, 3.5, 0.5])
    np.testing.assert_array_equal(samples.t, t.reshape(-1))
    np.testing.assert_array_equal(samples.ray_index, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal((samples.starts, samples.counts), ([0, 3], [3, 3]))
    assert len(samples) == 6 and pack(t.astype(np.float32), far).delta.dtype == np.float32
    origins, directions = np.array([[1.0, 0, 0], [0, 0, 0]]), np.array([[0.0, 0, -1], [0, 1, 0]])
    points = samples.points(Rays(origins, directions, np.full(2, 2.0), far, np.zeros(2, np.int64)))
    np.testing.assert_array_equal(points[1], [1, 0, -3])
    np.testing.assert_array_equal(points[5], [0, 6, 0])


# -- hierarchical ------------------------------------------------------------------------------------------------------


@pytest.fixture
def coarse(rng):
    """Distances of 16 coarse samples on 40 rays, and weights that favour some."""
    t = stratified(2.0, 6.0, 40, 16, rng)
    return t, (rng.random((40, 16)) ** 6).astype(np.float32)


def test_fine_samples_are_sorted_and_contain_the_coarse_ones(coarse, rng):
    t, weights = coarse
    for generator in (None, rng):
        fine = fine_samples(t, weights, 24, generator)
        assert fine.shape == (40, 40) and fine.dtype == np.float32
        assert np.all(np.diff(fine, axis=1) >= 0)
        assert all(np.isin(t[ray], fine[ray]).all() for ray in range(40))
        assert fine.min() >= 2 and fine.max() <= 6


def test_fine_samples_gather_where_the_weight_is(rng):
    """All weight on coarse sample 6: the new ones lie between the mid-points to its neighbours."""
    t = stratified(2.0, 6.0, 5, 16, rng, np.float64)
    weights = np.zeros((5, 16))
    weights[:, 6] = 1
    fine = fine_samples(t, weights, 64, rng)
    middles = (t[:, 1:] + t[:, :-1]) / 2
    inside = (fine >= middles[:, 5:6]) & (fine <= middles[:, 6:7])
    assert np.all(inside.sum(axis=1) >= 64)  # and the coarse one itself


def test_fine_samples_are_shared_out_in_proportion_to_the_weights(rng):
    t = np.tile(np.linspace(2, 6, 9), (1, 1))
    weights = np.array([[5.0, 1, 3, 0, 4, 0, 0, 2, 5]])  # the ends have no bin of their own
    fine = np.setdiff1d(fine_samples(t, weights, 10_000, rng), t)
    middles = (t[0, 1:] + t[0, :-1]) / 2
    found = np.histogram(fine, middles)[0] / len(fine)
    np.testing.assert_allclose(found, weights[0, 1:-1] / 10, atol=2e-3)


def test_an_empty_ray_is_sampled_evenly():
    t = stratified(2.0, 6.0, 1, 16, dtype=np.float64)
    new = np.setdiff1d(fine_samples(t, np.zeros((1, 16)), 140, None), t)
    np.testing.assert_allclose(np.diff(new), (6 - 2) * 14 / 16 / 140, rtol=1e-6)


def test_no_gradient_flows_through_the_positions(coarse):
    t, weights = coarse

    def fine(t, weights):
        return fine_samples(t, weights, 4, None) + 0 * weights[:, :1]

    positions, pullback = vjp(fine, t, weights)
    by_t, by_weights = pullback(np.ones_like(positions))
    assert not by_t.any() and not by_weights.any()


def test_the_same_seed_gives_the_same_samples(coarse):
    t, weights = coarse
    for sample in (
        lambda seed: stratified(2.0, 6.0, 10, 8, np.random.default_rng(seed)),
        lambda seed: fine_samples(t, weights, 8, np.random.default_rng(seed)),
    ):
        np.testing.assert_array_equal(sample(1), sample(1))
        assert np.any(sample(1) != sample(2))


def test_hierarchical_sampling_needs_three_coarse_samples():
    with pytest.raises(ValueError, match="at least 3 coarse samples, got 2"):
        fine_samples(np.ones((1, 2)), np.ones((1, 2)), 4)


def test_a_part_of_the_samples_keeps_their_lengths(rng):
    """pack_part drops samples, not intervals: what is kept stands for the same length as before."""
    t = np.sort(rng.uniform(2, 6, (5, 9)), axis=1)
    kept = rng.random((5, 9)) < 0.4
    kept[2] = False
    far = np.full(5, 6.0)
    whole, part = pack(t, far), pack_part(t, far, kept)
    for field in ("t", "delta", "ray_index"):
        np.testing.assert_array_equal(getattr(part, field), getattr(whole, field)[kept.reshape(-1)])
    np.testing.assert_array_equal(part.counts, kept.sum(axis=1))
    for ray in range(5):
        mine = slice(part.starts[ray], part.starts[ray] + part.counts[ray])
        np.testing.assert_array_equal(part.t[mine], t[ray, kept[ray]])
