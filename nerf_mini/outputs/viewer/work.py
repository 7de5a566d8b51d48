"""One job after the other, in the thread that launches kernels."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from nerf_mini.errors import UserError, readable
from nerf_mini.outputs.viewer.jobs import Job, Jobs, Outcome
from nerf_mini.outputs.viewer.requests import FrameRequest
from nerf_mini.outputs.viewer.stage import Stage


def work_off(
    jobs: Jobs,
    stage: Stage,
    seconds: float,
    accept: Callable[[FrameRequest], bool] = lambda request: True,
    limit: float = math.inf,
    stop: Callable[[], bool] = lambda: False,
) -> Job | None:
    """Render the next frame that is asked for and accepted, waiting for it for some seconds; returns its job.

    limit: seconds after which a sharp frame is given up. stop: whether any frame is to be given up.
    """
    job = jobs.take(seconds, accept)
    if job is not None:
        outcome: Outcome = "superseded"
        try:
            outcome = _outcome(job, stage, limit if job.request.final else math.inf, stop)
        finally:  # also where Ctrl-C ends the process: nobody waits for a frame that never comes
            jobs.done(job, outcome)
    return job


def _outcome(job: Job, stage: Stage, limit: float, stop: Callable[[], bool]) -> Outcome:
    end = time.perf_counter() + limit
    try:
        frame = stage.frame(job.request, lambda: job.cancelled or time.perf_counter() > end or stop())
    except UserError as error:
        return error
    except Exception as error:  # a frame that fails ends neither the server nor the training that serves it
        print(readable(f"viewer: a frame failed with {type(error).__name__}: {error}"), file=sys.stderr)
        return "failed"
    if frame is not None:
        return frame
    return "superseded" if job.cancelled else "late"
