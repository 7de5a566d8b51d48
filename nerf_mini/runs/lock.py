"""Who trains in a run folder: one process at a time, from wherever the folder is seen.

`training.lock` says who: host, process, and when that process began. While it is held, the system locks the file too,
where the file system can: a lock whose process has died is then free at once. Where it cannot, and between hosts, the
time of the file tells, which its holder renews every few seconds: a holder that has not done so for a minute counts as
dead. Times are compared with that of a new file in the same folder, so that clocks of hosts need not agree.

A holder that was taken for dead, frozen say, may wake up and find another sign in the file. It looks every second, and
goes. Whoever wants a holder to save and go leaves `training.stop` beside the lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import tempfile
import threading
import time
import uuid
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path

from nerf_mini.errors import UserError, plain

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

LOCK, STOP = "training.lock", "training.stop"
BEAT = 5.0  # seconds between two signs of life
STALE = 60.0  # seconds without one after which a holder on another host counts as dead
INTERVAL = 1.0  # seconds between two looks of a holder
PATIENCE = 20.0  # seconds that a holder has to save and go
_LOCKED_BYTE = 1 << 30  # beyond the content, which others can then read on Windows too
_MOST = 1 << 12  # bytes of a lock file
_ATTEMPTS = 20  # a file may go between being opened and being locked


@dataclass(frozen=True)
class Holder:
    """A process that holds a lock.

    Attributes:
        host, boot: its machine, and an identifier of when that was started, where the system has one.
        pid, began: its number, and when it began in the system's own count; "" where that is not known.
        since: seconds of the clock when it took the lock.
        sign: of this lock alone.
    """

    host: str
    boot: str
    pid: int
    began: str
    since: float
    sign: str

    @classmethod
    def here(cls) -> Holder:
        """This process, with a fresh sign."""
        pid = os.getpid()
        return cls(platform.node(), _boot(), pid, _began(pid), time.time(), uuid.uuid4().hex)

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return (self.host, self.boot) == (platform.node(), _boot())


class RunLock:
    """The right to train in a run folder; `acquire` takes it, `release` or the end of this object gives it back."""

    def __init__(self, run: Path):
        self.run, self.file = run, run / LOCK
        self.stop_asked = False
        self._sign, self._looked = "", 0.0
        self._finalizer: weakref.finalize | None = None

    @property
    def held(self) -> bool:
        """Whether this object has the right."""
        return self._finalizer is not None and self._finalizer.alive

    def acquire(self) -> RunLock:
        """Take the right, if nobody alive has it; makes the folder. Raises UserError that says who has it, and where
        the folder cannot be written to."""
        if self.held:
            return self
        made = [folder for folder in (self.run, *self.run.parents) if not folder.exists()]
        try:
            self.run.mkdir(parents=True, exist_ok=True)
            self._hold(self._opened(), made)
        except BaseException as error:
            _remove_empty(made)
            if isinstance(error, OSError):
                raise UserError(f"{self.run}: cannot be written ({error.strerror or error}).") from error
            raise
        return self

    def take_over(self, patience: float = PATIENCE) -> RunLock:
        """Take the right from whoever has it, who has some seconds to save and go."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.acquire()
            except UserError as error:
                if not ask_to_stop(self.run):
                    raise
                if time.monotonic() > deadline:
                    try:
                        self.file.unlink(missing_ok=True)  # a holder that is frozen finds another one when it wakes up
                    except OSError:
                        raise error from None
            time.sleep(min(0.2, patience))

    def check(self) -> None:
        """To be called after each step: notes whether somebody asks this process to stop. Raises UserError where
        another process has taken the run."""
        now = time.monotonic()
        if not self.held or now - self._looked < INTERVAL:
            return
        self._looked = now
        stop = self.run / STOP
        if stop.exists():
            self.stop_asked = True
            with contextlib.suppress(OSError):
                stop.unlink()
        found = _read(self.file)
        if found is not None and found.sign != self._sign:
            raise UserError(f"{self.run}: another process goes on with this run: {_described(found)}.")

    def release(self) -> None:
        """Give the right back, if it is held."""
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> RunLock:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _opened(self) -> int:
        """A descriptor of the lock file, which this process may hold."""
        for _ in range(_ATTEMPTS):
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                locked, holder = _lock(descriptor), _read(self.file)
                if not _is_at(descriptor, self.file):
                    os.close(descriptor)
                    continue
                _refuse(self.run, holder, locked)
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor
        raise UserError(f"{self.run}: other processes keep taking its lock. Try again.")

    def _hold(self, descriptor: int, made: list[Path]) -> None:
        holder, ended = Holder.here(), threading.Event()
        _HELD.add(holder.sign)
        self._finalizer = weakref.finalize(self, _let_go, self.file, descriptor, holder, ended, made)
        try:
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, json.dumps(asdict(holder)).encode())
            with contextlib.suppress(FileNotFoundError):
                (self.run / STOP).unlink()
            self._sign, self._looked, self.stop_asked = holder.sign, time.monotonic(), False
            threading.Thread(target=_beat, args=(self.file, ended), name="lock", daemon=True).start()
        except BaseException:
            with contextlib.suppress(OSError):
                self.file.unlink()
            self.release()
            raise


def ask_to_stop(run: Path) -> bool:
    """Have whoever trains in a run folder save and end; whether somebody may do so."""
    if not (run / LOCK).exists():
        return False
    with contextlib.suppress(OSError):
        (run / STOP).touch()
    return True


def _refuse(run: Path, holder: Holder | None, locked: bool | None) -> None:
    """Raise a UserError where a lock has a living holder. locked: whether the system has given it to this process; None
    where the file system knows no locks."""
    if locked is False:
        raise UserError(f"{run}: {_described(holder)}. {_ADVICE}")
    if holder is None:
        return
    if holder.is_here:
        own = holder.pid == os.getpid() and locked is None and holder.sign in _HELD
        if own or (holder.pid != os.getpid() and _runs(holder)):
            raise UserError(f"{run}: {_described(holder)}. {_ADVICE}")
        return
    age = _age(run)
    if abs(age) < STALE:
        raise UserError(
            f"{run}: {_described(holder)}, which gave a sign of life {max(0.0, age):.0f} s ago. {_ADVICE} If it has"
            f" died, try again in {STALE:.0f} s."
        )


_ADVICE = "Let it end, or end it: on Ctrl-C or SIGTERM it saves. Or choose another --output."
_HELD: set[str] = set()  # signs of locks of this process, for file systems that know no locks


def _described(holder: Holder | None) -> str:
    if holder is None:
        return "another process trains it"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(holder.since))
    who = "this process" if holder.is_here and holder.pid == os.getpid() else f"process {holder.pid}"
    return f"{who} on {plain(holder.host) or 'this machine'} trains it since {when}"


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with contextlib.suppress(OSError):  # a file system that is away for a moment
            os.utime(file)


def _let_go(file: Path, descriptor: int, holder: Holder, ended: threading.Event, made: list[Path]) -> None:
    """Remove the file, if it is still this holder's, and folders that were made for it, if nothing else is in them."""
    if os.getpid() != holder.pid:  # a fork, which holds nothing
        return
    ended.set()
    _HELD.discard(holder.sign)
    found = _read(file)
    own = found is not None and found.sign == holder.sign
    with contextlib.suppress(OSError):
        if own and os.name != "nt":  # before the lock is let go: nobody else can have it in between
            file.unlink()
        os.close(descriptor)
        if own and os.name == "nt":
            file.unlink()
    _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:  # from the innermost out
        with contextlib.suppress(OSError):
            folder.rmdir()


def _lock(descriptor: int) -> bool | None:
    """Have the system lock a file; False where another one has it, None where the file system knows no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK) else None
    return True


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except OSError:
        return False


def _read(file: Path) -> Holder | None:
    """What a lock file says; None where there is none, or where it says nothing that makes sense."""
    try:
        with open(file, "rb") as stream:
            found = Holder(**json.loads(stream.read(_MOST)))
        kinds = {name: type(value) for name, value in asdict(found).items()}
        wanted = {"host": str, "boot": str, "pid": int, "began": str, "since": float, "sign": str}
        return found if kinds == wanted and 0 <= found.since < 1 << 40 and found.pid > 0 else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _age(run: Path) -> float:
    """Seconds since the holder of a lock gave a sign of life, by the clock of the file system."""
    with tempfile.NamedTemporaryFile(dir=run, prefix=".", suffix=".0.tmp") as now:
        return os.fstat(now.fileno()).st_mtime - os.stat(run / LOCK).st_mtime


def _runs(holder: Holder) -> bool:
    """Whether the process of a holder on this machine runs still."""
    if os.name == "nt":  # whose locks need no such help
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's
        pass
    return _began(holder.pid) == holder.began


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine was started; "" where the system does not tell so."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
