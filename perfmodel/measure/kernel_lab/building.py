"""The kernel: the distribution's source, our change, our configuration; built once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perfmodel.errors import MeasureError
from perfmodel.measure.kernel_lab.running import Log, run
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PACKAGES", "SOURCE", "BuiltKernel", "build_kernel", "lab_cache", "missing_packages"]

SOURCE = Path("/usr/src/linux-source-6.1.tar.xz")

#: What has to be there -> the Debian package that brings it.
PACKAGES = {
    str(SOURCE): "linux-source-6.1",
    "qemu-system-x86_64": "qemu-system-x86",
    "make": "make",
    "gcc": "gcc",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "xz": "xz-utils",
    "/usr/include/libelf.h": "libelf-dev",
    "/usr/include/openssl/opensslv.h": "libssl-dev",
}

_ROOM = 4 * 2**30
#: Files the compiler is told about while a kernel of our configuration is built; for progress only.
_FILES = 1040


@dataclass(frozen=True)
class BuiltKernel:
    """A kernel that can be booted.

    Attributes
    ----------
    image, config : Path
        The compressed kernel; the configuration it was built with.
    key : str
        Of source, change, configuration and compiler.
    release : str
        As ``make kernelrelease`` says it.
    source : str
        Name and SHA-256 of the source archive.
    """

    image: Path
    config: Path
    key: str
    release: str
    source: str


def lab_cache() -> Path:
    """Return ``$XDG_CACHE_HOME/perfmodel/kernel_lab``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "perfmodel" / "kernel_lab"


def missing_packages() -> list[str]:
    """Return the Debian packages that have to be installed first."""
    return [
        package
        for what, package in PACKAGES.items()
        if not (Path(what).exists() if what.startswith("/") else shutil.which(what))
    ]


def install_packages(log: Log, tell: Callable[[str], None]) -> None:
    """Install through apt what is missing.

    Raises
    ------
    MeasureError
        If something is missing and we are not root or there is no apt; with the command to give.
    """
    missing = missing_packages()
    if not missing:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MeasureError(
            f"The kernel laboratory needs {', '.join(missing)}. Install with: sudo {' '.join(install)}"
            " (linux-source-6.1 is in Debian 12)."
        )
    tell(f"installing {', '.join(missing)}")
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    run([*environment, "apt-get", "update", "--quiet"], log, limit_s=300)
    run([*environment, *install], log, limit_s=1200)
    still = missing_packages()
    if still:
        raise MeasureError(f"apt-get installed no {', '.join(still)}. Log: {log.path}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _compiler() -> str:
    said = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.splitlines()[0] if said.stdout else "gcc"


def _fragments(debug: bool) -> list[Path]:
    names = ("kernel.config", "debug.config") if debug else ("kernel.config",)
    return [calibration_path("kernel_lab", name) for name in names]


def check_config(asked: str, got: str) -> list[str]:
    """Return the options of a fragment that a final configuration does not have as asked.

    Parameters
    ----------
    asked, got : str
        Text of the fragment and of the ``.config``.
    """
    have = set(got.splitlines())
    wanted = (line.strip() for line in asked.splitlines())
    lost = []
    for line in wanted:
        off = line.startswith("# CONFIG_") and line.endswith(" is not set")
        if not off and not line.startswith("CONFIG_"):
            continue
        # An option whose dependencies are off is not mentioned at all: as good as "not set".
        name = line.split()[1] if off else ""
        if line in have or (off and not any(h.startswith(f"{name}=") for h in have)):
            continue
        lost.append(line)
    return lost


def build_kernel(
    log: Log,
    tell: Callable[[str], None],
    progress: Callable[[int, int], None],
    *,
    debug: bool = False,
    cache: Path | None = None,
) -> BuiltKernel:
    """Build the changed kernel, or find it built from the same things.

    Parameters
    ----------
    log : Log
        Gets what the build says.
    tell, progress : callable
        Told what is being done; (files compiled, about how many).
    debug : bool
        With lock checking and memory-management assertions: for a check, never for a measurement.
    cache : Path, optional
        Default: `lab_cache`.

    Raises
    ------
    MeasureError
        If something is missing, the change does not fit, an option does not survive, or the build
        fails. The unpacked tree is removed on every way out.
    """
    cache = lab_cache() if cache is None else cache
    install_packages(log, tell)
    change = calibration_path("kernel_lab", "change.py")
    fragments = _fragments(debug)
    source_digest = _sha256(SOURCE)
    digest = hashlib.sha256(f"{source_digest}\0{_compiler()}".encode())
    for path in (change, *fragments):
        digest.update(path.read_bytes() + b"\0")
    key = digest.hexdigest()[:16]
    folder = cache / key
    if (folder / "stamp.json").is_file():
        tell("kernel: built before from the same source, change and configuration")
        return _found(folder, key)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
        if free < _ROOM:
            raise MeasureError(
                f"{cache} has {free / 2**30:.1f} GiB left; building a kernel needs"
                f" {_ROOM / 2**30:.0f}. Set XDG_CACHE_HOME to a folder with more."
            )
        with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as aside:
            tell("kernel: unpacking the source")
            run(["tar", "-xJf", str(SOURCE), "-C", aside], log, limit_s=900)
            tree = _tree(Path(aside))
            tell("kernel: making the change")
            run([sys.executable, str(change), str(tree)], log, limit_s=60)
            _configure(tree, fragments, log)
            tell("kernel: compiling")
            _compile(tree, log, progress)
            ready = Path(aside) / "ready"
            ready.mkdir()
            shutil.copy(tree / "arch/x86/boot/bzImage", ready / "bzImage")
            shutil.copy(tree / ".config", ready / "config")
            stamp = {
                "release": (tree / "include/config/kernel.release").read_text("ascii").strip(),
                "source": f"{SOURCE.name} sha256 {source_digest}",
                "compiler": _compiler(),
            }
            (ready / "stamp.json").write_text(json.dumps(stamp), encoding="utf-8")
            if not folder.exists():  # another run may have been quicker
                ready.replace(folder)
    except OSError as error:
        raise MeasureError(
            f"The kernel cannot be built in {cache}: {error.strerror or error}."
        ) from error
    return _found(folder, key)


def _found(folder: Path, key: str) -> BuiltKernel:
    stamp = json.loads((folder / "stamp.json").read_text(encoding="utf-8"))
    return BuiltKernel(
        folder / "bzImage", folder / "config", key, stamp["release"], stamp["source"]
    )


def _tree(folder: Path) -> Path:
    trees = [path for path in folder.iterdir() if (path / "Makefile").is_file()]
    if len(trees) != 1:
        raise MeasureError(f"{SOURCE} holds {len(trees)} kernel trees and not one.")
    return trees[0]


def _configure(tree: Path, fragments: list[Path], log: Log) -> None:
    run(["make", "tinyconfig"], log, limit_s=300, cwd=tree)
    merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", *map(str, fragments)]
    run(merge, log, limit_s=60, cwd=tree)
    run(["make", "olddefconfig"], log, limit_s=300, cwd=tree)
    got = (tree / ".config").read_text(encoding="utf-8")
    for fragment in fragments:
        lost = check_config(fragment.read_text(encoding="utf-8"), got)
        if lost:
            raise MeasureError(f"{fragment.name}: this kernel does not take {'; '.join(lost)}.")


def _compile(tree: Path, log: Log, progress: Callable[[int, int], None]) -> None:
    begin = log.path.stat().st_size

    def watch() -> None:
        with log.path.open("rb") as text:
            text.seek(begin)
            done = text.read().count(b"\n  CC  ")
        progress(min(done, _FILES), _FILES)

    jobs = str(os.cpu_count() or 1)
    run(["make", "-j", jobs, "bzImage"], log, limit_s=5400, cwd=tree, watch=watch)
