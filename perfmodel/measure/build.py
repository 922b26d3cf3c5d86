"""Build the measuring programs with the system's C compiler, once for each set of sources."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "PROGRAMS", "Toolset", "build", "compiler_command", "default_cache", "source_digest",
]  # fmt: skip

PROGRAMS = (
    "call_latency", "fault_latency", "locked_op", "wake", "traced_load", "noise", "downgrade",
    "lock_constants", "lock_stress",
)  # fmt: skip
_SHARED = ("common.c", "region.c", "rwsem.c", "lock_load.c")
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-pthread")
#: For a guest that has no shared libraries.
_STATIC = ("-static",)


@dataclass(frozen=True)
class Toolset:
    """The built programs and what built them.

    Attributes
    ----------
    folder : Path
        Where the programs lie, one file each, named as in `PROGRAMS`.
    compiler : str
        First line of the compiler's ``--version``.
    cflags : str
        The flags they were built with.
    """

    folder: Path
    compiler: str
    cflags: str

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.folder / name


def default_cache() -> Path:
    """Return the folder built programs are kept in: ``$XDG_CACHE_HOME/perfmodel/bench``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "perfmodel" / "bench"


def compiler_command() -> list[str]:
    """Return $CC (which may carry arguments, like "ccache gcc") or cc; it must exist."""
    named = os.environ.get("CC", "").strip()
    command = shlex.split(named) if named else ["cc"]
    if shutil.which(command[0]) is None:
        origin = "which $CC names" if named else "the default"
        raise MeasureError(
            f"No C compiler: {command[0]!r} ({origin}) is not on the PATH. The measuring programs "
            "are C and are built on the machine they measure. Install one "
            "(Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; "
            "Alpine: apk add gcc musl-dev linux-headers) or name another in $CC."
        )
    return command


def _compiler_version(command: list[str]) -> str:
    result = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, check=False, timeout=60
    )
    lines = result.stdout.splitlines()
    return lines[0].strip() if lines else command[0]


def source_digest(sources: Iterable[Path], words: Iterable[str]) -> str:
    """Return a name for a set of sources and the compiler and flags that `words` tells.

    Parameters
    ----------
    sources : iterable of Path
    words : iterable of str
    """
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build(cache: Path | None = None, *, static: bool = False) -> Toolset:
    """Build all programs, or find them built from the same sources by the same compiler.

    Parameters
    ----------
    cache : Path, optional
        Folder that keeps the builds. Default: `default_cache`.
    static : bool
        Without shared libraries, for a guest that has none.

    Returns
    -------
    Toolset
        Where the programs are.

    Raises
    ------
    MeasureError
        If there is no compiler, or it refuses a program (its own words are in the message).
    """
    command = compiler_command()
    compiler = _compiler_version(command)
    sources = calibration_path("bench")
    cache = default_cache() if cache is None else cache
    flags = (*_FLAGS, *_STATIC) if static else _FLAGS
    names = [*sources.glob("*.c"), *sources.glob("*.h")]
    target = cache / source_digest(names, (compiler, *flags))
    tools = Toolset(target, compiler, " ".join(flags))
    if all(tools.program(name).is_file() for name in PROGRAMS):
        return tools
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Built aside and moved whole: an interrupted build never looks like a finished one.
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as aside:
            for name in PROGRAMS:
                _compile(command, flags, sources, name, Path(aside) / name)
            target.mkdir(exist_ok=True)
            for name in PROGRAMS:
                (Path(aside) / name).replace(target / name)
    except OSError as error:
        raise MeasureError(
            f"The measuring programs cannot be kept in {cache}: {error.strerror or error}. "
            "Set XDG_CACHE_HOME to a folder that can be written."
        ) from error
    return tools


def _compile(
    command: list[str], flags: tuple[str, ...], sources: Path, name: str, output: Path
) -> None:
    files = [str(sources / f) for f in (f"{name}.c", *_SHARED)]
    result = subprocess.run(
        [*command, *flags, "-o", str(output), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if result.returncode:
        said = "\n".join(result.stderr.strip().splitlines()[:12])
        raise MeasureError(
            f"{command[0]} could not build {name} (exit status {result.returncode}). A missing "
            f"header usually means that libc6-dev or linux-libc-dev is not installed. It said:\n"
            f"{said}"
        )
