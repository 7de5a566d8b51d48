"""The curve that pages show keeps its shape and never grows without bound."""

from itertools import pairwise

from nerf_mini.outputs.viewer.news import MOST_POINTS, News, State


def curve(count):
    return [(step, 20.0 + 1e-3 * step, 1.0 / (1 + step)) for step in range(1, count + 1)]


def test_a_short_curve_is_told_whole_and_then_only_what_is_new():
    news = News(State(training=True), curve(5))
    assert news.since(-1)["history"] == curve(5)
    news.update((6, 21.0, 0.1), step=6, psnr=21.0)
    told = news.since(5)
    assert told["history"] == [(6, 21.0, 0.1)] and told["step"] == 6 and told["training"]
    assert news.since(6)["history"] == []


def test_a_long_curve_is_thinned_evenly():
    news = News(State())
    for point in curve(50_000):
        news.update(point)
    steps = [point[0] for point in news.since(-1)["history"]]
    assert MOST_POINTS // 2 <= len(steps) <= MOST_POINTS
    gaps = {b - a for a, b in pairwise(steps)}
    assert len(gaps) == 1 and steps[0] == 1 and steps[-1] > 50_000 - 2 * max(gaps)


def test_the_state_that_is_handed_out_is_a_copy():
    news = News(State())
    state = news.state
    news.update(step=9)
    assert state.step == 0 and news.state.step == 9
