"""How Numba compiles kernels, and where it keeps them.

A kernel is called from Python and cached on disk. A part is called from compiled code only: without the wrappers
through which Python and C would call it, compiling takes about a tenth less time. To try one from Python, call it from
a function under `njit`. An inlined part, which is called in one place, becomes a piece of its caller before that is
compiled: LLVM optimises a part once more with each function around it, which takes a large one about a second. Nothing
assumes that values are finite.

A kernel is compiled together with the parts that it calls in other files, and with the constants that it reads there.
A cached one is therefore valid for one state of all files of this package: their hash is in its file name.
"""

import hashlib
import os
import pickle
import warnings
from functools import lru_cache
from pathlib import Path

import numba
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

_FAST = {"contract", "reassoc", "nsz", "arcp"}

part = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)
inlined_part = njit(inline="always")
fast_part = njit(fastmath=_FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True)


@lru_cache(maxsize=1)
def source_stamp() -> str:
    """A hash of everything that kernels are compiled from: the files of this package, and the version of Numba."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class _Files(IndexDataCacheFile):
    """One file per source stamp and signature, without an index that several processes would have to agree on. Each
    begins with a digest of the rest: a flipped bit in machine code would end the process, or worse, go unnoticed."""

    def load(self, key):
        """The compiled function, or None; a damaged file counts as missing, and is written again."""
        try:
            data = Path(self._data_path(self._name(key))).read_bytes()
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            return pickle.loads(data[_DIGEST:])
        except (OSError, ImportError, AttributeError):  # none there; or compiled where other packages were installed
            return None

    def save(self, key, data):
        """Write atomically, and delete what was compiled from other sources."""
        content = self._dump(data)
        with self._open_for_write(self._data_path(self._name(key))) as file:
            file.write(hashlib.sha256(content).digest() + content)
        folder, prefix = Path(self._cache_path), self._data_name_pattern.split("{", maxsplit=1)[0]
        for path in folder.glob(f"{prefix}*.nbc"):
            if not path.name.startswith(prefix + self._source_stamp):
                path.unlink(missing_ok=True)

    def flush(self):
        """Nothing to do: files of other sources are never read."""

    def _name(self, key) -> str:
        number = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._data_name_pattern.format(number=0).replace(".0.nbc", f".{self._source_stamp}.{number}.nbc")


_DIGEST = hashlib.sha256().digest_size


class _Place(FunctionCache._impl_class):
    """Where Numba keeps what it compiled: it would make a folder called ~ where there is no home folder."""

    @property
    def _locator_classes(self):
        known = super()._locator_classes
        if os.path.isabs(os.getenv("XDG_CACHE_HOME", os.path.expanduser("~"))):
            return known
        return [place for place in known if "UserWide" not in place.__name__]


class KernelCache(FunctionCache):
    """Numba's cache of compiled functions, for which a kernel's source is the whole package."""

    _impl_class = _Place

    def __init__(self, function):
        super().__init__(function)
        base = self._impl.filename_base
        self._cache_file = _Files(cache_path=self._cache_path, filename_base=base, source_stamp=source_stamp())

    def save_overload(self, sig, data):
        """A full disk, or a folder that is gone, is no reason to stop."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_uncached(error.strerror)  # the same for all kernels, and so said once


def _warn_uncached(reason) -> None:
    warnings.warn(
        f"kernels are compiled anew by every process, since they cannot be cached on disk ({reason});"
        " set NUMBA_CACHE_DIR to a folder that can be written to.",
        RuntimeWarning,
        stacklevel=2,
    )


def _cached(compile_function):
    def decorator(function):
        dispatcher = compile_function(function)
        if hasattr(dispatcher, "enable_caching"):  # not with NUMBA_DISABLE_JIT
            try:
                dispatcher._cache = KernelCache(function)
            except RuntimeError:
                _warn_uncached("no folder is writable")
        return dispatcher

    return decorator


kernel = _cached(njit(no_cfunc_wrapper=True))
parallel_kernel = _cached(njit(parallel=True, no_cfunc_wrapper=True))
