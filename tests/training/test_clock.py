"""Training time leaves out what is done while the clock is stopped."""

import time
from types import SimpleNamespace

import pytest

from nerf_mini.scenes import load_scene
from nerf_mini.training import Trainer, clock
from nerf_mini.training.clock import Clock


def test_a_stopped_clock_stands_still(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock()
    began = clock.now()
    now[0] += 3.0
    with clock.stopped():
        now[0] += 50.0
    now[0] += 4.0
    assert clock.now() - began == pytest.approx(7.0)
    with pytest.raises(KeyError), clock.stopped():
        now[0] += 5.0
        raise KeyError
    assert clock.now() - began == pytest.approx(7.0), "also where the body fails"


def test_what_is_done_aside_takes_nothing_from_a_training(blobs, tiny_config, monkeypatch):
    """Time decides when this training ends and how its learning rate decays: both are those of one not held up."""
    scene, now = load_scene(blobs), [0.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def rates(aside):
        trainer, found = Trainer(tiny_config(max_steps=None, decay_steps=None), scene.cameras, scene), []

        def on_step(report):
            found.append(report.learning_rate)
            now[0] += 1.0
            with trainer.clock.stopped():
                now[0] += aside

        assert trainer.train(max_seconds=10.5, on_step=on_step) == "time"
        assert trainer.state.seconds == pytest.approx(10.0, abs=1.1)
        return found

    alone = rates(0.0)
    assert len(alone) == 11 and rates(50.0) == pytest.approx(alone)
