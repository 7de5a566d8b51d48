"""The command line: finding the verb, and turning errors into sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from nerf_mini.cli.arguments import (
    BenchmarkArguments,
    CaptureArguments,
    CheckArguments,
    EvalArguments,
    ExportArguments,
    RenderArguments,
    ReportArguments,
    SceneArguments,
    SweepArguments,
    ViewArguments,
    parse,
    parse_train,
)
from nerf_mini.cli.process import Ended, Streams, check_environment, ending_by_signals, shown_as_sentences
from nerf_mini.errors import UserError, plain, quoted, readable

FAILURE = 2  # exit code of a clear error


@dataclass(frozen=True)
class Verb:
    """One line of help, how arguments are read, and the module in `cli.verbs` that does the work."""

    description: str
    parse: Callable[[Sequence[str]], Any]
    module: str


VERBS: dict[str, Verb] = {
    "train": Verb("train a radiance field on a data set", parse_train, "train"),
    "capture": Verb(
        "photos or a video to a data set with poses", partial(parse, CaptureArguments, "capture"), "capture"
    ),
    "check": Verb("what is in a data set, and what is wrong with it", partial(parse, CheckArguments, "check"), "check"),
    "eval": Verb("PSNR and SSIM of a run on held-out views", partial(parse, EvalArguments, "eval"), "evaluate"),
    "render": Verb("novel views of a run: PNG, GIF, WebP, MP4", partial(parse, RenderArguments, "render"), "render"),
    "view": Verb("fly through a run in the browser", partial(parse, ViewArguments, "view"), "view"),
    "report": Verb("a run as one page, or two side by side", partial(parse, ReportArguments, "report"), "report"),
    "export": Verb("mesh, points, cameras or maps of a run", partial(parse, ExportArguments, "export"), "export"),
    "sweep": Verb("many trainings from one file, and their table", partial(parse, SweepArguments, "sweep"), "sweep"),
    "scene": Verb("make a synthetic data set", partial(parse, SceneArguments, "scene"), "scene"),
    "benchmark": Verb(
        "how fast this machine trains and renders", partial(parse, BenchmarkArguments, "benchmark"), "benchmark"
    ),
}


def help_text() -> str:
    """The page of `nerf-mini --help`."""
    verbs = "\n".join(f"  {name:<11}{verb.description}" for name, verb in VERBS.items())
    return (
        "usage: nerf-mini VERB [OPTIONS]\n\nTrain and look at a neural radiance field on a laptop.\n\n"
        f"{verbs}\n\n`nerf-mini VERB --help` shows the options of a verb. For a start:\n\n"
        "  nerf-mini scene shapes --output shapes\n"
        "  nerf-mini train shapes --output runs/shapes --max-seconds 120\n"
        "  nerf-mini render runs/shapes --output orbit.gif\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (by default the process's own); returns the exit code, 2 after a clear error.

    A verb may return one of its own: `check` does.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return 0 if arguments else FAILURE
    if arguments[0] == "--version":
        from nerf_mini import __version__

        print(f"nerf-mini {__version__}")
        return 0
    verb = VERBS.get(arguments[0])
    if verb is None:
        print(f"nerf-mini: there is no verb {quoted(arguments[0])}.\n\n{help_text()}", file=sys.stderr)
        return FAILURE
    try:
        check_environment()
        parsed = verb.parse(arguments[1:])
        code = import_module(f"nerf_mini.cli.verbs.{verb.module}").run(parsed)  # only now: it imports the compiler
    except UserError as error:
        print(f"nerf-mini: {readable(str(error))}", file=sys.stderr)
        return FAILURE
    except KeyboardInterrupt as interrupt:
        signal = interrupt if isinstance(interrupt, Ended) else None
        print(f"nerf-mini: {'interrupted' if signal is None else f'ended by {signal.name}'}.", file=sys.stderr)
        return 130 if signal is None else 128 + signal.number
    except (OSError, MemoryError) as error:  # names too long, disks that break: of the machine, not of the program
        print(f"nerf-mini: {_of_the_machine(error)}", file=sys.stderr)
        return FAILURE
    return code or 0


def _of_the_machine(error: OSError | MemoryError) -> str:
    """What the machine did not allow, in a sentence."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this. Ask for less: smaller pictures, fewer of them."
    where = "" if error.filename is None else f"{plain(os.fsdecode(error.filename))}: "
    return f"{where}the system refuses ({error.strerror or error})."


def entry_point() -> int:
    """`main` for the installed command: whoever reads its output may go, and signals may end it."""
    streams = Streams()
    shown_as_sentences()
    with ending_by_signals():
        try:
            code = main()
        except SystemExit as end:  # of a parser
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return streams.code(code)


if __name__ == "__main__":
    sys.exit(entry_point())
