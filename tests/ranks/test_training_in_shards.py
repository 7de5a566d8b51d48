"""Steps in shards: the same bits for any number of ranks, from any checkpoint, and one rank that writes."""

import copy
import json
import math

import numpy as np
import pytest
from teams import on_ranks

from autodiff import tree
from nerf_mini.config import with_settings
from nerf_mini.errors import UserError
from nerf_mini.ranks import ALONE, Exchange
from nerf_mini.runs.session import resume, start
from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer
from nerf_mini.training.losses import LossTerms
from nerf_mini.training.sharded_steps import ShardedSteps

SHARDS = 4
LEARNT_BESIDE = {"refine": "poses+focal", "refine_from": 3, "exposure": "per-image", "supersampling_from": 5}


@pytest.fixture(scope="module")
def scene(blobs):
    return load_scene(blobs)


@pytest.fixture(scope="module")
def config_of(tiny, tiny_config):
    """A function that returns a tiny configuration in shards; keywords replace settings."""

    def make(method, **settings):
        settings = {"shards": SHARDS, "max_steps": 8, **settings}
        if method == "nerf":
            return tiny_config(**settings)
        return with_settings(tiny, **settings, **LEARNT_BESIDE)

    return make


def bits(trainer):
    """All bits of a trainer's state, but the seconds it took."""
    state = trainer.whole_state()
    parts = (state.parameters, state.optimiser.mean, state.optimiser.variance, state.sampler)
    arrays = tree.flatten([dict(sorted(part.items())) for part in parts])[0]
    return [array.tobytes() for array in arrays], state.step, json.dumps(state.rng.bit_generator.state)


METHODS = pytest.mark.parametrize("method", ["nerf", "instant"])


@METHODS
def test_bits_do_not_depend_on_the_number_of_ranks(scene, config_of, method):
    def trained(team):
        trainer = Trainer(config_of(method), scene.cameras, scene, communicator=team)
        assert trainer.train() == "steps"
        return bits(trainer)

    expected = trained(ALONE)
    for ranks in (2, 3, 4):
        assert on_ranks(ranks, trained) == [expected] * ranks


def test_the_dense_exchange_gives_the_same_bits(scene, config_of, monkeypatch):
    def trained(team):
        trainer = Trainer(config_of("instant", max_steps=4), scene.cameras, scene, communicator=team)
        trainer.train()
        return bits(trainer), team.sent

    sparse = on_ranks(3, trained)
    usual = Exchange.__init__
    monkeypatch.setattr(Exchange, "__init__", lambda self, *rest, sparse: usual(self, *rest, sparse=False))
    dense = on_ranks(3, trained)
    assert all(found == sparse[0][0] for found, _ in [*sparse, *dense])
    assert sum(sent for _, sent in sparse) < sum(sent for _, sent in dense)


@METHODS
def test_another_number_of_ranks_goes_on_from_a_checkpoint(scene, config_of, method):
    config = config_of(method)

    def trained(state, steps):
        def work(team):
            trainer = Trainer(config, scene.cameras, scene, copy.deepcopy(state), team)
            trainer.train(on_step=lambda report: report.step >= steps - 1)  # wishes travel with the step after
            return bits(trainer), copy.deepcopy(trainer.whole_state())

        return work

    (_, saved), *_ = on_ranks(4, trained(None, 5))
    assert saved.step == 5
    expected, _ = trained(None, 8)(ALONE)
    for ranks in (1, 2, 3):
        assert [found for found, _ in on_ranks(ranks, trained(saved, 8))] == [expected] * ranks


def test_one_shard_is_a_step_in_one_piece_and_several_are_another_run(scene, config_of):
    def parameters(shards):
        trainer = Trainer(config_of("nerf", shards=shards, max_steps=2), scene.cameras, scene)
        trainer.train()
        return tree.flatten(trainer.state.parameters)[0]

    assert any((a != b).any() for a, b in zip(parameters(1), parameters(2), strict=True))


class Fixed:
    """A shard of a step that found a given gradient on so many pixels."""

    rays_per_pixel = 1

    def __init__(self, pixels, gradient):
        self.pixels, self.gradient = pixels, gradient
        self.terms, self.squared_error = LossTerms(float(pixels)), 0.5

    def __len__(self):
        return self.pixels


def test_the_gradient_is_the_mean_over_all_pixels(scene, config_of):
    trainer = Trainer(config_of("nerf"), scene.cameras, scene)
    steps, pixels = trainer._steps, [10, 30, 40, 20]
    assert isinstance(steps, ShardedSteps)
    rng = np.random.default_rng(0)
    shape_of = trainer.state.parameters
    gradients = [tree.map_leaves(lambda leaf: rng.standard_normal(leaf.shape, np.float32), shape_of) for _ in pixels]
    shards = [Fixed(count, gradient) for count, gradient in zip(pixels, gradients, strict=True)]
    waiting = iter(shards)

    def draw(rng, part):
        assert shards[part] is next(waiting)
        return shards[part], shards[part]

    found = steps.find(draw, step=0)
    assert found.terms.total == pytest.approx(np.average(pixels, weights=pixels)) and found.rays == found.drawn == 100
    expected = [np.average(leaves, axis=0, weights=pixels) for leaves in zip(
        *(tree.flatten(gradient)[0] for gradient in gradients), strict=True)]  # fmt: skip
    for leaf, mean in zip(steps.layout.views(steps._gradient), expected, strict=True):
        np.testing.assert_allclose(leaf, mean, atol=1e-5)


def test_shards_have_random_numbers_of_their_own_whatever_their_number_of_ranks(scene, config_of):
    trainer = Trainer(config_of("nerf"), scene.cameras, scene)
    drawn = []
    real = trainer._draw

    def draw(crop, supersampling, rng, part):
        drawn.append((real(crop, supersampling, rng, part), rng.random()))
        return drawn[-1][0]

    trainer._draw = draw
    for _ in range(2):
        trainer.step()
    assert len({number for _, number in drawn}) == 2 * SHARDS
    assert trainer.state.drawn == 2 * trainer.config.model.rays == sum(len(batch) for batch, _ in drawn)
    pixels = [batch.pixels for batch, _ in drawn]
    places = {place for p in pixels for place in zip(p.view, p.row, p.column, strict=True)}
    assert len(places) == 2 * trainer.config.model.rays, "no pixel comes twice before all have come"


def test_a_wish_of_one_rank_stops_all_after_the_same_step(scene, config_of):
    def trained(team):
        trainer = Trainer(config_of("nerf"), scene.cameras, scene, communicator=team)
        end = trainer.train(on_step=lambda report: team.rank == 1 and report.step >= 3)
        return end, trainer.step_count

    assert on_ranks(3, trained) == [("stopped", 4)] * 3


def test_the_clock_of_rank_0_ends_a_training(scene, config_of):
    def trained(team):
        trainer = Trainer(config_of("nerf", max_steps=None), scene.cameras, scene, communicator=team)
        ticks = iter(range(10_000))
        trainer.clock.read = lambda: (100.0 if team.rank else 1.0) * next(ticks)  # others' clocks run away
        end = trainer.train(max_seconds=4.0)
        return end, trainer.step_count, trainer.state.seconds, bits(trainer)

    first, *others = on_ranks(3, trained)
    assert first[0] == "time" and 1 < first[1] < 12 and others == [first] * 2


def test_a_gradient_that_is_not_finite_is_refused_by_all_ranks_alike(scene, config_of, monkeypatch):
    def trained(team):
        trainer = Trainer(config_of("nerf"), scene.cameras, scene, communicator=team)
        trainer.train(max_steps=2)
        if team.rank == 1:  # what one rank finds, all are told
            real = trainer._loss_and_gradient

            def poisoned(batch, rng):
                found = real(batch, rng)
                tree.flatten(found.gradient)[0][0].flat[0] = math.nan
                return found

            trainer._loss_and_gradient = poisoned
        try:
            trainer.train(max_steps=4)
        except UserError as error:
            assert all(np.isfinite(leaf).all() for leaf in tree.flatten(trainer.state.parameters)[0])
            return trainer.step_count, str(error)

    (step, text), *others = on_ranks(3, trained)
    assert step == 2 and "the gradient is not finite at step 3" in text and others == [(step, text)] * 2


def test_a_larger_batch_has_more_rays_and_longer_steps(scene, config_of):
    one, four = (
        Trainer(config_of("nerf", shards=1, batch=batch, max_steps=1), scene.cameras, scene) for batch in (1, 4)
    )
    reports = []
    for trainer in (one, four):
        trainer.train(on_step=lambda report: reports.append(report))
    assert reports[1].rays == 4 * reports[0].rays
    assert reports[1].learning_rate == 2 * reports[0].learning_rate
    many = Trainer(config_of("instant", shards=2, batch=4), scene.cameras, scene)
    assert many.model.sampler.full_budget == 2 * many.config.model.occupancy.samples_per_step


def test_shards_that_are_too_small_are_refused(scene, config_of):
    for method, shards, text in (("nerf", 129, "128 rays.*raise --rays"), ("instant", 9, "227 samples.*128.*--batch")):
        with pytest.raises(UserError, match=f"--shards.*{text}"):
            Trainer(config_of(method, shards=shards), scene.cameras, scene)
    with pytest.raises(UserError, match=r"2 ranks.*--shards 1"):
        raise on_ranks(2, lambda team: Trainer(config_of("nerf", shards=1), scene.cameras, scene, None, team))[1]


def test_ranks_that_begin_with_something_else_are_refused(scene, config_of):
    def trained(team):
        views = scene.splits["train"]
        if team.rank == 1:
            pixels = views.pixels.copy()
            pixels[0] ^= 1
            other = type(views)(views.cameras, pixels, views.names)
            return Trainer(config_of("nerf"), scene.cameras, type(scene)(**{**vars(scene), "splits": {"train": other}}),
                           communicator=team)  # fmt: skip
        return Trainer(config_of("nerf", seed=team.rank // 2), scene.cameras, scene, communicator=team)

    def told(ranks):
        errors = on_ranks(ranks, trained)
        assert all(isinstance(error, UserError) and str(error) == str(errors[0]) for error in errors)
        return str(errors[0])

    assert "rank 1" in told(2) and "another data set than rank 0" in told(2)


def test_rank_0_alone_writes_a_run_that_any_number_resumes(blobs, config_of, tmp_path, monkeypatch):
    import nerf_mini.runs.session as session_module

    writers, current = [], []
    monkeypatch.setattr(session_module, "save", lambda *rest, real=session_module.save: writers.append(current[0])
                        or real(*rest))  # fmt: skip

    def trained(folder, going_on):
        def work(team):
            config = config_of("nerf", max_steps=10, checkpoint_every=4, validate_every=5, log_every=2)
            session = resume(folder, communicator=team) if going_on else start(blobs, folder, config, communicator=team)
            real = team.lead
            team.lead = lambda job: real(lambda: current.__setitem__(slice(None), [team.rank]) or job())
            session.train(on_step=lambda report: None if going_on or report.step < 5 else setattr(
                session, "interrupted", lambda: team.rank == 2))  # fmt: skip
            return session.trainer.step_count, bits(session.trainer)

        return work

    assert {step for step, _ in on_ranks(3, trained(tmp_path / "run", False))} == {6}
    (step, found), *_ = on_ranks(2, trained(tmp_path / "run", True))
    assert step == 10 and set(writers) == {0}
    whole = start(blobs, tmp_path / "whole", config_of("nerf", max_steps=10))
    whole.train()
    assert found == bits(whole.trainer)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps) and steps.count(10) == 2, "a line of metrics and one of validation, once each"


def test_what_rank_0_may_not_write_all_are_told(blobs, config_of, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("keep me")
    errors = on_ranks(2, lambda team: start(blobs, tmp_path / "run", config_of("nerf"), communicator=team))
    assert all("holds another run, or other files" in str(error) for error in errors)
