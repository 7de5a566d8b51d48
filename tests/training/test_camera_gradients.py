"""The gradient of the whole training loss by cameras, against central differences in float64."""

import dataclasses

import numpy as np
import pytest

import nerf_mini.models.nerf as nerf_module
from autodiff import tree
from nerf_mini.config import from_preset
from nerf_mini.geometry.cameras import LENS_PARAMETERS, Cameras
from nerf_mini.geometry.corrections import CORRECTIONS, no_correction
from nerf_mini.geometry.poses import look_at
from nerf_mini.geometry.space import Space
from nerf_mini.models import make_model
from nerf_mini.scenes import BLACK, PixelBatch, SceneCameras
from nerf_mini.training.step import Batch, loss_and_gradient

TINY_NERF = {
    "depth": 2, "width": 6, "position_frequencies": 2, "direction_frequencies": 1, "coarse_samples": 6,
    "fine_samples": 5,
}  # fmt: skip
TINY_OCCUPANCY = {"march_steps": 32, "samples_per_step": 512, "occupancy_resolution": 8}
MODELS = {
    "nerf": ("small", TINY_NERF),
    "nerf-occupancy": ("small", {**TINY_NERF, **TINY_OCCUPANCY, "sampler": "occupancy"}),
    "instant": (
        "quick",
        {**TINY_OCCUPANCY, "levels": 2, "log2_entries": 8, "base_resolution": 2, "finest_resolution": 4,
         "hidden_width": 6},
    ),
}  # fmt: skip

AROUND = ((3.0, 1.0, 2.0), (-1.0, 3.2, 1.0), (0.5, -3.0, 2.5))
AHEAD = ((0.4, 0.1, 0.2), (-0.3, 0.2, 0.0), (0.1, -0.4, -0.1))
SPACES = {
    "box": (None, AROUND),
    "unbounded": (Space("unbounded", radius=1.2), AROUND),
    "forward": (Space("forward", radius=1.5), AHEAD),
}
NESTED, FINER = {"occupancy_resolution": 32}, {"march_steps": 256, "samples_per_step": 2048}
CASES = {
    **{f"{name} box": (*model, "box") for name, model in MODELS.items()},
    "nerf unbounded": (*MODELS["nerf"], "unbounded"),
    "instant unbounded": (MODELS["instant"][0], {**MODELS["instant"][1], **NESTED}, "unbounded"),
    "nerf forward": (*MODELS["nerf"], "forward"),
    "instant forward": (MODELS["instant"][0], {**MODELS["instant"][1], **FINER}, "forward"),
}

pytestmark = pytest.mark.usefixtures("one_thread")


def three_cameras(space: str = "box") -> Cameras:
    """They differ in place, focal length, size and lens."""
    places = SPACES[space][1]
    poses = np.stack([look_at(p, (0.1, 0.0, 0.0) if space != "forward" else (0.1, 0.0, -6.0)) for p in places])
    return Cameras.make(
        poses, size=[(12, 10), (9, 14), (11, 11)], focal=[(14.0, 15.0), (12.0, 12.0), (13.0, 14.0)], near=2.0, far=6.0,
        lens=["radial-tangential", "pinhole", "radial-tangential"],
        lens_parameters=np.linspace(-0.03, 0.04, 3 * LENS_PARAMETERS).reshape(3, LENS_PARAMETERS),
    )  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def problem(request, monkeypatch):
    """A function of corrections of cameras: the loss and its gradient, at fixed distances along the rays."""
    preset, settings, space = request.param
    config = from_preset(preset, precision="float32", distortion=0.1, **settings)
    cameras, rng = three_cameras(space), np.random.default_rng(5)
    model = make_model(config, SceneCameras({"train": cameras}, BLACK, SPACES[space][0]))
    single = model.init(rng)
    field = tree.map_leaves(lambda p: 1.5 * p.astype(np.float64) + 0.3 * rng.standard_normal(p.shape), single)
    view = np.array([0, 1, 2, 2, 0])
    pixels = PixelBatch(
        view, np.array([2, 7, 5, 6, 9]), np.array([3, 8, 5, 2, 6]), rng.integers(0, 256, (5, 4), np.uint8)
    )
    batch = Batch(pixels, rng.random((5, 3)))
    plan = model.sample(single, Batch(pixels, batch.background.astype(np.float32)).rays(cameras), rng)
    chosen, samples = (
        plan[0],
        dataclasses.replace(plan[1], t=plan[1].t.astype(np.float64), delta=plan[1].delta.astype(np.float64)),
    )
    assert len(chosen) == 5 and len(samples) > 10
    monkeypatch.setattr(model, "sample", lambda *_: (chosen, samples))
    frozen = []

    def frozen_fine_samples(*args):  # their positions are constants to the gradient
        frozen.append(original(*args))
        return frozen[0]

    original = nerf_module.fine_samples
    monkeypatch.setattr(nerf_module, "fine_samples", frozen_fine_samples)

    def evaluate(correction):
        parameters = {"field": field, "cameras": correction}
        return loss_and_gradient(model, parameters, cameras, batch, config.losses, None)

    return evaluate


@pytest.mark.parametrize("start", ["at zero", "off zero"])
@pytest.mark.parametrize("what", CORRECTIONS)
def test_gradient_of_the_training_loss_by_cameras(problem, what, start):
    correction = no_correction(three_cameras(), [what], np.float64)
    if start == "off zero":
        correction[what] += 0.02 * np.random.default_rng(1).standard_normal(correction[what].shape)
    found = problem(correction).gradient["cameras"][what]
    wanted, step = np.zeros_like(found), 1e-6
    for index in np.ndindex(found.shape):
        kept = correction[what][index]
        correction[what][index] = kept + step
        ahead = problem(correction).terms.total
        correction[what][index] = kept - step
        wanted[index] = (ahead - problem(correction).terms.total) / (2 * step)
        correction[what][index] = kept
    used = np.abs(wanted) > 1e-9
    assert used.sum() >= {"poses": 15, "focal": 5, "lens": 8}[what], "the loss should depend on the cameras"
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-8)


def test_cameras_that_are_not_learnt_leave_no_trace(problem):
    """Without corrections there is no gradient by cameras, and the loss is that of corrections that are zero."""
    with_cameras = problem(no_correction(three_cameras(), dtype=np.float64))
    without = problem({})
    assert without.gradient["cameras"] == {}
    assert without.terms.total == pytest.approx(with_cameras.terms.total, rel=1e-12)
