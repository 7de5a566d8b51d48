"""Training: the loss and its gradient, the optimiser, and the loop over steps. Nothing here knows a file."""

from nerf_mini.training.calibration import Calibration
from nerf_mini.training.memory import memory_needed
from nerf_mini.training.state import TrainingState
from nerf_mini.training.trainer import EndReason, StepReport, Trainer

__all__ = ["Calibration", "EndReason", "StepReport", "Trainer", "TrainingState", "memory_needed"]
