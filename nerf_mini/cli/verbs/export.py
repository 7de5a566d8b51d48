"""nerf-mini export."""

from __future__ import annotations

from dataclasses import fields

from nerf_mini.cli.arguments import ExportArguments
from nerf_mini.cli.progress import StageBars, say
from nerf_mini.errors import UserError
from nerf_mini.outputs.export import ExportRequest, exporter_of, write_export
from nerf_mini.runs.folder import Run, open_run
from nerf_mini.runs.restoring import load_trainer, restored_trainer
from nerf_mini.training import Trainer


def run(arguments: ExportArguments) -> None:
    """Export a run for other programs."""
    opened = open_run(arguments.run)
    request = ExportRequest(**{entry.name: getattr(arguments, entry.name) for entry in fields(ExportRequest)})
    wants_data = exporter_of(arguments.kind, request).wants_data
    trainer = _with_names(opened) if wants_data else restored_trainer(opened, warn=say)
    with StageBars(say) as bars:
        done = write_export(trainer, arguments.kind, request, opened.path / "exports", bars.report, say)
    megabytes, seconds = done.record["bytes"] / 1e6, done.record["seconds"]
    say(f"{arguments.kind}: {done.summary}; {megabytes:.1f} MB in {seconds:.0f} s")
    say(f"{done.files[0] if len(done.files) == 2 else done.files[-1].parent}")


def _with_names(opened: Run) -> Trainer:
    """The trainer with its data set, if that is there, since it knows how pictures are called."""
    try:
        return load_trainer(opened.path, warn=say)
    except UserError as error:
        say(f"{error} Pictures are numbered instead of named.")
        return restored_trainer(opened, warn=say)
