"""What surrounds a command: streams that are closed, full or broken, signals, an environment that makes no sense."""

import os
import signal
import subprocess
import sys
import time

import pytest

from nerf_mini.cli.process import check_environment
from nerf_mini.cli.program import main
from nerf_mini.errors import UserError

NERF_MINI = [sys.executable, "-P", "-m", "nerf_mini"]


def shell(line, *arguments, **environment):
    """Run a line of `sh`, in which $N stands for nerf-mini, and "$@" for arguments."""
    command = ["sh", "-c", line.replace("$N", " ".join(NERF_MINI)), "sh", *map(os.fsencode, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}
    return subprocess.run(command, capture_output=True, timeout=300, env=environment)


posix = pytest.mark.skipif(os.name == "nt", reason="needs sh")


# -- streams -----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("line", "code", "said"),  # to check these pictures finds something, which is 1
    [
        ('$N check "$@" >&-', 1, b""),
        ('$N check "$@" <&- >&- 2>&-', 1, b""),
        ('$N nonsense "$@" >&- 2>&-', 2, b""),
        ('{ $N train --help; echo $? >&2; } | true', 0, b"141\n"),
        ('{ $N check "$@"; echo $? >&2; } | true', 0, b"1\n"),
        ('$N --version >/dev/full', 2, b"could not be written (No space left on device)"),
        ('$N nonsense 2>/dev/full', 2, b""),
    ],
)  # fmt: skip
def test_streams_that_take_nothing_end_no_command(blobs, line, code, said):
    if "/dev/full" in line and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    done = shell(line, blobs)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (code, 0), done.stderr
    assert said in done.stderr and (said or not done.stderr), done.stderr


@posix
def test_a_training_goes_on_when_its_reader_has_gone(blobs, tmp_path, tiny_options):
    words = " ".join(tiny_options)
    done = shell(f'$N train "$1" --output "$2" {words} --no-report | head -1', blobs, tmp_path / "run")
    assert done.stdout.startswith(b"training nerf") and b"Traceback" not in done.stderr
    assert (tmp_path / "run" / "checkpoints" / "step-0000020.npz").exists()


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_name_that_the_locale_cannot_print_is_escaped(blobs, tmp_path):
    link = os.path.join(os.fsencode(tmp_path), b"d\xff\xc3\xa9x")
    os.symlink(blobs, link)
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for environment in (plain, {"LC_ALL": "C.UTF-8"}):
        done = shell('$N check "$@"', os.fsdecode(link), **environment)
        assert done.returncode in (0, 1) and b"Traceback" not in done.stderr, done.stderr
        assert b"\\udcff" in done.stdout


@posix
@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_no_color_is_heeded_in_a_terminal(environment, colored):
    pty = pytest.importorskip("pty")
    own, terminal = pty.openpty()
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
    known.pop("NO_COLOR", None)
    process = subprocess.Popen([*NERF_MINI, "view", "--help"], stdout=terminal, env={**known, **environment})
    os.close(terminal)
    printed = b""
    try:
        while chunk := os.read(own, 1 << 16):
            printed += chunk
    except OSError:  # how Linux says that nobody has the terminal any more
        pass
    assert process.wait(timeout=60) == 0 and b"--port" in printed
    assert (b"\x1b[" in printed) == colored


# -- signals -----------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_in_a_sentence(tmp_path, name):
    number = getattr(signal, name)
    command = [*NERF_MINI, "scene", "garden", "--output", str(tmp_path / "scene"), "--size", "200", "--views", "400"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    while process.poll() is None and not any(tmp_path.iterdir()):
        time.sleep(0.01)
    for _ in range(2):
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and errors.endswith(f"nerf-mini: ended by {name}.\n"), errors
    assert "Traceback" not in errors and not list(tmp_path.iterdir())


# -- the environment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_NUM_THREADS", "0"),
        ("NUMBA_NUM_THREADS", "-1"),
        ("NUMBA_NUM_THREADS", "two"),
        ("NUMBA_NUM_THREADS", ""),
        ("NUMBA_NUM_THREADS", "9" * 5000),
        ("NUMBA_THREADING_LAYER", "silk"),
    ],
)
def test_variables_that_make_no_sense_are_named(monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    assert main(["check", "nowhere"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"nerf-mini: {name}=") and "in the environment" in message and len(message) < 300


def test_variables_that_make_sense_are_heeded(monkeypatch):
    for name, value in (("NUMBA_NUM_THREADS", "3"), ("NUMBA_THREADING_LAYER", "workqueue"), ("TQDM_DISABLE", "1")):
        monkeypatch.setenv(name, value)
    check_environment()


def test_what_tqdm_does_not_understand_is_named(monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setenv("TQDM_NCOLS", "wide")
    with pytest.raises(UserError, match="TQDM_NCOLS in the environment"):
        check_environment()


@posix
def test_bars_that_are_switched_off_end_no_training(blobs, tmp_path, tiny_options):
    words = " ".join(tiny_options)
    line = f'$N train "$1" --output "$2" {words} --no-report'
    done = shell(line, blobs, tmp_path / "run", TQDM_DISABLE="1", NO_COLOR="1")
    assert done.returncode == 0 and b"steps" not in done.stderr and b"validation PSNR" in done.stderr, done.stderr
