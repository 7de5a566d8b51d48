"""A viewer from Python: `serve` shows a trainer or a run in a process of its own.

Of its own, because two threads that launch kernels at once end the process where Numba has no threading layer that
allows it; whoever calls `serve` is free to train and to render on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from nerf_mini.errors import UserError
from nerf_mini.io.files import real_path
from nerf_mini.outputs.viewer.listening import address, listen
from nerf_mini.outputs.viewer.serving import Show
from nerf_mini.runs.folder import open_run
from nerf_mini.runs.restoring import save_trainer
from nerf_mini.training import Trainer

_SAYS = "nerf-mini viewer: "  # how the line begins that tells the parent process where it serves
HEIGHT = 600  # pixels, in a notebook

_PROCESS = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from nerf_mini.outputs.viewer.embedding import serve_for_parent
serve_for_parent(**json.loads(sys.argv[2]))
"""


class Viewing:
    """A viewer that runs until `close`, or until this process ends. A notebook shows it in the cell.

    Attributes:
        url: what to open in a browser.
    """

    def __init__(self, folder: Path, options: dict[str, Any], kept: TemporaryDirectory | None = None):
        self._folder, self._kept = folder, kept
        command = [sys.executable, "-P", "-c", _PROCESS, json.dumps(sys.path), json.dumps(options)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **_group_of_its_own()
        )
        try:
            self.url = _address_from(self._process.stdout)
        except BaseException:
            self.close()
            raise

    def update(self, trainer: Trainer) -> None:
        """Show the trainer as it is now; it must be the one that is shown, some steps further. Raises UserError."""
        save_trainer(trainer, self._folder)

    def close(self) -> None:
        """End the viewer."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._kept is not None:
            self._kept.cleanup()

    def __enter__(self) -> Viewing:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Viewing({self.url})"

    def _repr_html_(self) -> str:
        url = escape(self.url)
        return (
            f'<iframe src="{url}" style="width: 100%; height: {HEIGHT}px; border: 0" allow="fullscreen"></iframe>'
            f'<p><a href="{url}" target="_blank" rel="noopener">{url}</a></p>'
        )


def serve(shown: Trainer | Path | str, port: int = 0, embed: bool = True) -> Viewing:
    """A viewer of a trainer, as it is now, or of a run folder.

    Args:
        port: to listen on, or the first free one after it; 0: any.
        embed: whether pages of this machine, such as notebooks, may show it in a frame.

    Raises UserError where the folder is no run, or has no checkpoint.
    """
    kept = None
    if isinstance(shown, Trainer):
        kept = TemporaryDirectory(prefix="nerf-mini-")
        named = "scene" if shown.scene is None else shown.scene.name
        folder = save_trainer(shown, Path(kept.name) / (Path(named).name or "scene"))
    else:
        folder = real_path(Path(shown))
        open_run(folder)
    return Viewing(folder, {"folder": str(folder), "port": port, "embed": embed}, kept)


def _group_of_its_own() -> dict[str, Any]:
    """Options for a process that does not get the Ctrl-C of this one: interrupting a cell leaves the viewer alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _address_from(stream: IO[str] | None) -> str:
    """What the process of a viewer says when it is ready. Raises UserError with what went wrong."""
    for line in stream or ():
        if not line.startswith(_SAYS):  # something printed when it was imported
            continue
        told = json.loads(line.removeprefix(_SAYS))
        if "error" in told:
            raise UserError(told["error"])
        return told["url"]
    raise UserError("the viewer's process ended before it could show anything.")


def serve_for_parent(folder: str, port: int, embed: bool) -> None:
    """Serve a run until the standard input ends, as it does when the parent process does; says where in a line."""
    try:
        show = Show(Path(folder))
        server = listen(show.service, "127.0.0.1", port, embedded=embed)
    except UserError as error:
        print(_SAYS + json.dumps({"error": str(error)}), flush=True)
        return

    def end_with_parent() -> None:
        sys.stdin.read()
        show.jobs.close()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.start()
    print(_SAYS + json.dumps({"url": address(server)}), flush=True)
    try:
        show.run()
    finally:
        server.stop()
