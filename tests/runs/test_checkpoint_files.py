"""Which files of a folder are checkpoints, and which of them is the newest."""

from nerf_mini.runs.checkpoint import checkpoint_files

BY_STEP = ["step-0000002.npz", "step-9999999.npz", "step-10000000.npz"]


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path):
    for name in reversed(BY_STEP):
        (tmp_path / name).touch()
    assert [path.name for path in checkpoint_files(tmp_path)] == BY_STEP


def test_what_is_called_after_no_step_is_no_checkpoint(tmp_path):
    """A copy made by hand would otherwise pass for the newest."""
    for name in (*BY_STEP, "step-x.npz", "step-9999999 (copy).npz", "step-.npz", "step--1.npz", "step-\u0663.npz"):
        (tmp_path / name).touch()
    assert [path.name for path in checkpoint_files(tmp_path)] == BY_STEP
