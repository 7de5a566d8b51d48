"""nerf-mini check."""

from __future__ import annotations

import textwrap
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from nerf_mini.cli.arguments import CheckArguments
from nerf_mini.cli.progress import counting_bar, say
from nerf_mini.config import DEFAULT_PRESETS, PRESETS
from nerf_mini.io.files import files_made_together, write_json
from nerf_mini.io.images import write_image
from nerf_mini.outputs.overview import scene_overview
from nerf_mini.scenes import Scene, load_scene
from nerf_mini.scenes.checks import Finding, findings, memory, memory_of_machine, quick_findings, summary
from nerf_mini.scenes.checks.facts import Summary, rows
from nerf_mini.training import memory_needed
from nerf_mini.training.trainer import Trainer

SOUND, DOUBTFUL = 0, 1
_WIDTH = 110


def run(arguments: CheckArguments) -> int:
    """Say what is in a data set, and what is wrong with it. Returns the exit code."""
    scene = load_scene(
        arguments.data, arguments.downscale, near=arguments.near, far=arguments.far, test_every=arguments.test_every,
        space=arguments.space,
    )  # fmt: skip
    facts, needed = summary(scene), _memory_to_train(scene)
    say(f"{arguments.data}:")
    for name, value in [*rows(facts), ("memory", f"about {needed / 1e9:.1f} GB to train with default settings")]:
        say(f"  {name:<14}{value}")
    if arguments.quick:
        found = quick_findings(scene)
    else:
        with counting_bar("checking", "check") as report:
            found = findings(scene, report)
    found += memory(needed, memory_of_machine())
    for finding in found:
        _say_finding(finding)
    doubts = [finding for finding in found if finding.severity != "note"]
    say(f"{'sound' if not doubts else 'doubtful'}: {_counted(found)}")
    with ExitStack() as together:  # or neither
        if arguments.picture is not None:
            write_image(together.enter_context(files_made_together(arguments.picture)), scene_overview(scene))
        if arguments.json is not None:
            record = _record(arguments.data, facts, needed, found)
            write_json(together.enter_context(files_made_together(arguments.json)), record)
    for name, file in (("picture", arguments.picture), ("report", arguments.json)):
        if file is not None:
            say(f"{name}: {file}")
    return DOUBTFUL if doubts else SOUND


def _memory_to_train(scene: Scene) -> int:
    """Bytes, with the default preset."""
    config = PRESETS[next(iter(DEFAULT_PRESETS.values()))].config
    return memory_needed(Trainer(config, scene.cameras, scene))


def _say_finding(finding: Finding) -> None:
    say("")
    for text, indent in ((f"{finding.severity} ({finding.code}): {finding.text}", ""), (finding.advice, "  ")):
        say(textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent="  "))


def _counted(found: list[Finding]) -> str:
    counts = [(severity, sum(f.severity == severity for f in found)) for severity in ("error", "warning", "note")]
    return ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts)


def _record(data: Path, facts: Summary, needed: int, found: list[Finding]) -> dict[str, object]:
    doubtful = any(finding.severity != "note" for finding in found)
    return {
        "format": 1,
        "data": str(data),
        "verdict": "doubtful" if doubtful else "sound",
        "summary": {**asdict(facts), "memory_bytes": needed},
        "findings": [asdict(finding) for finding in found],
    }
