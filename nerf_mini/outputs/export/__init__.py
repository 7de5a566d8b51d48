"""What other programs can use of a run: a mesh, points, cameras, depth and normals, in the coordinates of its capture.

A new exporter is a module with an `EXPORTER`, and one entry here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from nerf_mini.config.limits import flag
from nerf_mini.errors import UserError, Warn, log_warning, quoted
from nerf_mini.io.files import files_made_together, write_json
from nerf_mini.outputs.export import cameras, maps, mesh, points
from nerf_mini.outputs.export.base import Exported, Exporter, ExportRequest, ExportTask, StageProgress, unheard
from nerf_mini.outputs.export.forecast import Forecast
from nerf_mini.training import Trainer

EXPORTERS: dict[str, Exporter] = {
    exporter.kind: exporter for exporter in (mesh.EXPORTER, points.EXPORTER, cameras.EXPORTER, maps.EXPORTER)
}
FORMAT = 1  # of the JSON


def exporter_of(kind: str, request: ExportRequest) -> Exporter:
    """The exporter of a kind. Raises UserError where there is none, or where it does not take what is asked for."""
    exporter = EXPORTERS.get(kind)
    if exporter is None:
        raise UserError(f"there is no export {quoted(kind)}; there are {', '.join(EXPORTERS)}.")
    for option in request.given:
        if option not in exporter.options:
            takers = [other.kind for other in EXPORTERS.values() if option in other.options]
            raise UserError(f"{flag(option)} is for the export of {' or '.join(takers)}, not for {kind}.")
    return exporter


def write_export(
    trainer: Trainer,
    kind: str,
    request: ExportRequest | None = None,
    folder: Path = Path("."),
    progress: StageProgress = unheard,
    warn: Warn = log_warning,
) -> Exported:
    """Export a trained scene to `request.output`, by default to a file or folder in `folder`; a JSON beside it, or in
    it, says what was done.

    Raises UserError, and leaves nothing half-written, for what is not possible.
    """
    request = ExportRequest() if request is None else request
    exporter = exporter_of(kind, request)
    output = request.output or folder / exporter.default_name
    _require_fitting(output, exporter)
    exporter.prepare(output)
    started = time.perf_counter()
    with files_made_together(output) as written:

        def warn_of_output(text: str) -> None:
            warn(text.replace(str(written), str(output)))

        done = exporter.write(ExportTask(trainer, request, written, Forecast(progress, warn), warn_of_output))
        record = {
            "format": FORMAT,
            "kind": kind,
            "step": trainer.step_count,
            **done.record,
            "bytes": sum(file.stat().st_size for file in done.files),
            "seconds": round(time.perf_counter() - started, 2),
        }
        write_json(_beside(written, exporter), record)
    files = tuple(
        output / file.relative_to(written) if file.is_relative_to(written) else output.with_name(file.name)
        for file in done.files
    )
    return replace(done, files=(*files, _beside(output, exporter)), record=record)


def _beside(output: Path, exporter: Exporter) -> Path:
    """The JSON that says what was done: beside a file, in a folder."""
    return output.with_name(f"{output.name}.json") if exporter.suffixes else output / "export.json"


def _require_fitting(output: Path, exporter: Exporter) -> None:
    """Raise a UserError where an exporter cannot write to a place."""
    if exporter.suffixes:
        if output.suffix.lower() not in exporter.suffixes:
            known = " or ".join(exporter.suffixes)
            raise UserError(f"{output}: {exporter.kind} can be written as {known}; name a file that ends so.")
        if output.is_dir():
            raise UserError(f"{output}: is a folder; name a file.")
    elif output.is_file() or output.suffix.lower() in (".json", ".txt", ".png", ".npy"):
        raise UserError(f"{output}: {exporter.kind} are several files; name a folder.")


__all__ = ["EXPORTERS", "ExportRequest", "Exported", "Exporter", "exporter_of", "write_export"]
