"""nerf-mini view."""

from __future__ import annotations

from contextlib import suppress

from nerf_mini.cli.arguments import ViewArguments
from nerf_mini.cli.progress import say
from nerf_mini.outputs.viewer.listening import announce, listen
from nerf_mini.outputs.viewer.serving import Show


def run(arguments: ViewArguments) -> None:
    """Serve the page of a run until Ctrl-C."""
    show = Show(arguments.run, arguments.data, warn=say)
    server = listen(show.service, arguments.host, arguments.port, say=say)
    server.start()
    try:
        with suppress(KeyboardInterrupt):
            announce(server, not arguments.no_open, say)
            say("Ctrl-C ends it")
            show.run()
    finally:
        server.stop()
