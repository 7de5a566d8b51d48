"""`python -m tests.hostile.endurance --minutes 120 --output FOLDER`: a long training that is watched, and what it uses.

A scene is trained on, watched by pages that come and go, each on a connection of its own; every minute or so the
training ends, pictures are rendered from its run folder, and it is resumed. All the while memory, threads, file handles
and files are counted (on Linux, from /proc). FOLDER gets endurance.csv and endurance.svg; exit code 1 where something
has grown.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

os.environ.setdefault("NUMBA_NUM_THREADS", "1")  # before Numba is imported

EVERY = 5.0  # seconds between two samples
TRAINED = 40.0  # seconds of training between two interruptions
RENDERED = 250  # pictures in between
SIZE = 64  # pixels
WARM = 0.25  # share of the samples that do not count: caches fill
MOST_GROWTH = 0.05  # of memory, over the rest
STYLE = (
    "text{font:11px sans-serif;fill:#555}.middle{text-anchor:middle}.end{text-anchor:end}"
    ".grid{stroke:#ddd}.axis,.tick{stroke:#888}.curve{fill:none;stroke:#26a;stroke-width:1.5}svg{overflow:visible}"
)


@dataclass(frozen=True)
class Sample:
    """What the process uses at a moment: memory in megabytes, and counts. Validation pictures, one more every thousand
    steps, are not among the files."""

    minutes: float
    memory: float
    threads: int
    handles: int
    files: int
    steps: int
    frames: int


class Counters:
    """How far it is: steps trained, and pictures rendered or served."""

    steps = 0
    frames = 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    with _sampled(given.output / "run", samples, given.output / "endurance.csv") as counters:
        _live(given.output, time.monotonic() + 60.0 * given.minutes, counters)
    (given.output / "endurance.svg").write_text(drawn(samples), encoding="utf-8")
    found = growth(samples)
    print(f"{samples[-1].steps} steps, {samples[-1].frames} pictures in {samples[-1].minutes:.0f} minutes")
    print("\n".join(found) or "nothing has grown")
    return int(bool(found))


def _live(output: Path, end: float, counters: Counters) -> None:
    from nerf_mini.config import from_preset
    from nerf_mini.runs.session import resume, start
    from nerf_mini.scenes.synthetic import make_scene

    for name in ("scene", "run"):
        shutil.rmtree(output / name, ignore_errors=True)
    scene = make_scene("shapes", output / "scene", size=SIZE, views=20)
    config = from_preset(
        "quick",
        levels=8,
        log2_entries=14,
        samples_per_step=1 << 14,
        max_steps=10**7,
        log_every=10**5,
        checkpoint_every=500,
        validate_every=1000,
    )
    session = start(scene, output / "run", config)
    while True:
        _train(session, min(TRAINED, end - time.monotonic()), counters)
        _render(output / "run", end, counters)
        if time.monotonic() >= end:
            return
        session = resume(output / "run")


def _train(session: Any, seconds: float, counters: Counters) -> None:
    """Train for a while, watched by pages that come and go."""
    from nerf_mini.outputs.viewer.listening import listen
    from nerf_mini.outputs.viewer.watching import Watching

    watching, over = Watching(session), threading.Event()
    server = listen(watching.service, "127.0.0.1", 0)
    server.start()
    visitor = threading.Thread(target=_visit, args=(server.port, over, counters))
    visitor.start()

    def on_step(report: Any) -> None:
        watching.step(report)
        counters.steps = report.step

    try:
        session.train(max_seconds=max(seconds, 0.1), on_step=on_step)
    finally:
        over.set()
        server.stop()
        visitor.join()


def _visit(port: int, over: threading.Event, counters: Counters) -> None:
    """Pages that connect, ask for what pages ask for, and go, one of three without waiting for an answer."""
    from nerf_mini.geometry.poses import look_at

    pose, seq = look_at((0.5, 4.0, 1.0), (0.0, 0.0, 0.0)).reshape(-1).tolist(), 0
    while not over.wait(0.5):
        seq += 1
        asked = {"client": f"page{seq % 7}", "seq": seq, "pose": pose, "fov": 0.7, "width": 48, "height": 36}
        with suppress(OSError, http.client.HTTPException):
            page = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                for path in ("/", "/info"):
                    page.request("GET", path)
                    page.getresponse().read()
                page.request("POST", "/frame", json.dumps(asked), {"Content-Type": "application/json"})
                if seq % 3:
                    counters.frames += page.getresponse().status == 200
            finally:
                page.close()


def _render(run: Path, end: float, counters: Counters) -> None:
    """Render pictures as `nerf-mini render` does, over those of the last time."""
    from nerf_mini.geometry.paths import orbit_like
    from nerf_mini.io.images import write_image
    from nerf_mini.runs.restoring import load_trainer

    trainer = load_trainer(run)
    train = trainer.cameras.train
    path = train.at(orbit_like(train.poses, RENDERED))
    for view in range(RENDERED):
        if time.monotonic() >= end:
            return
        write_image(run / "renders" / "orbit" / f"{view % 10}.png", trainer.render(path, view).color)
        counters.frames += 1


# ----------------------------------------------------------------------------------------------------------------------
# Sampling


@contextmanager
def _sampled(run: Path, samples: list[Sample], table: Path) -> Iterator[Counters]:
    """Sample in the body, and write each sample into a table at once."""
    counters, over, began = Counters(), threading.Event(), time.monotonic()

    def sample() -> None:
        with open(table, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(field.name for field in fields(Sample))
            while not over.wait(EVERY):
                samples.append(_now((time.monotonic() - began) / 60.0, run, counters))
                writer.writerow(asdict(samples[-1]).values())
                file.flush()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield counters
    finally:
        over.set()
        thread.join()


def _now(minutes: float, run: Path, counters: Counters) -> Sample:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    memory, threads = int(values["VmRSS"].split()[0]) / 1000.0, int(values["Threads"])
    handles = len(os.listdir("/proc/self/fd"))
    files = sum(len(names) for place, _, names in os.walk(run) if not place.endswith("validation"))
    return Sample(round(minutes, 3), memory, threads, handles, files, counters.steps, counters.frames)


def growth(samples: Sequence[Sample]) -> list[str]:
    """What is more in the last quarter than in the second one, in sentences: mean memory, and the least of each count,
    which is what remains while nothing is going on. The usual count depends on how long trainings and renderings take.
    """
    quarter = int(len(samples) * WARM)
    if quarter < 4:
        return ["too short to tell"]
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    found = []
    before, after = (sum(s.memory for s in part) / len(part) for part in (early, late))
    if after > before * (1.0 + MOST_GROWTH):
        found.append(f"memory has grown from {before:.0f} to {after:.0f} MB")
    for name in ("threads", "handles", "files"):
        before, after = (min(getattr(s, name) for s in part) for part in (early, late))
        if after > before:
            found.append(f"{name} have grown from {before} to {after}")
    return found


def drawn(samples: Sequence[Sample]) -> str:
    """The curves as one SVG picture."""
    from nerf_mini.outputs.report.charts import HEIGHT, WIDTH, Series, chart

    columns = dict(zip((field.name for field in fields(Sample)), zip(*map(astuple, samples), strict=True), strict=True))
    titles = {
        "memory": "memory (MB)", "threads": "threads", "handles": "file handles", "files": "files of the run",
        "steps": "training steps", "frames": "pictures rendered and served",
    }  # fmt: skip
    places = []
    for index, (name, title) in enumerate(titles.items()):
        level = Series("", [0.0], [0.0], "points")  # the axes begin at nothing: growth is to be seen as it is
        drawing = chart(title, "minutes", "", [Series(title, columns["minutes"], columns[name]), level])
        x, y = index % 2 * (WIDTH + 20), index // 2 * (HEIGHT + 30) + 24
        place = f'<svg x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" '
        places.append(f'<text x="{x + 50}" y="{y - 2}">{title}</text>' + drawing.replace("<svg ", place, 1))
    size = f'viewBox="0 0 {2 * WIDTH + 20} {3 * (HEIGHT + 30)}"'
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>{white}{"".join(places)}</svg>\n'


if __name__ == "__main__":
    sys.exit(main())
