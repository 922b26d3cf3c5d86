"""Building, with a made-up source archive whose Makefile copies files instead of compiling."""

from __future__ import annotations

import io
import shutil
import tarfile

import pytest

from perfmodel.errors import MeasureError
from perfmodel.measure.kernel_lab import building
from perfmodel.measure.kernel_lab.running import Log
from perfmodel.resources import calibration_path

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "gcc", "xz", "tar"))), reason="needs make, gcc, xz and tar"
)

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 1

tinyconfig:
\ttouch .config
olddefconfig:
\t@true
bzImage:
\t@echo '  CC      mm/mprotect.o'
\tmkdir -p arch/x86/boot include/config
\tcp mm/mprotect.c arch/x86/boot/bzImage
\techo 6.1.7 > include/config/kernel.release
"""
MERGE = '#!/bin/sh\nshift\nfinal=$1\nshift\ncat "$@" >> "$final"\n'


@pytest.fixture
def source(made_up, tmp_path, monkeypatch):
    """Write an archive of the made-up tree, with changes to its files, and let it be the source."""

    def write(**changes: str):
        files = {**made_up, "Makefile": MAKEFILE, "scripts/kconfig/merge_config.sh": MERGE}
        files |= {name.replace("__", "/"): text for name, text in changes.items()}
        path = tmp_path / "linux-source-6.1.tar.xz"
        with tarfile.open(path, "w:xz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(f"linux-source-6.1/{name}")
                member.size, member.mode = len(text), 0o755
                archive.addfile(member, io.BytesIO(text.encode()))
        monkeypatch.setattr(building, "SOURCE", path)
        monkeypatch.setattr(building, "PACKAGES", {})
        monkeypatch.setattr(building, "_ROOM", 0)

    return write


@pytest.fixture
def build(tmp_path):
    log = Log(tmp_path / "log")
    log.write("begin")
    told: list[str] = []

    def make(**options):
        told.clear()
        kernel = building.build_kernel(
            log, told.append, lambda *_: None, cache=tmp_path / "cache", **options
        )
        return kernel, list(told)

    return make


def kept(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_a_kernel_is_built_from_the_changed_source_and_reused(source, build, tmp_path):
    source()
    kernel, told = build()
    assert "mmap_write_downgrade" in kernel.image.read_text()
    assert "CONFIG_SMP=y" in kernel.config.read_text()
    assert kernel.release == "6.1.7"
    assert "kernel: compiling" in told
    assert kept(tmp_path) == [kernel.key]
    again, told = build()
    assert again == kernel
    assert not any("compiling" in what for what in told)


def test_another_source_or_configuration_is_another_kernel(source, build, tmp_path):
    source()
    first, _ = build()
    debug, _ = build(debug=True)
    source(Makefile=MAKEFILE + "# newer\n")
    newer, _ = build()
    assert len({first.key, debug.key, newer.key}) == 3
    assert "CONFIG_PROVE_LOCKING=y" in debug.config.read_text()
    assert "CONFIG_PROVE_LOCKING=y" not in newer.config.read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mm__gup.c": "int nothing;\n"}, r"can_follow_write_pte\(\)"),
        ({"Makefile": MAKEFILE.replace("\tmkdir -p", "\tfalse # ")}, "bzImage ended with status"),
        ({"Makefile": MAKEFILE.replace("PATCHLEVEL = 1", "PATCHLEVEL = 2")}, "not 6.1"),
        ({"scripts__kconfig__merge_config.sh": "#!/bin/sh\nexit 0\n"},
         "does not take CONFIG_64BIT=y"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_leaves_nothing_behind(source, build, tmp_path, changes, said):
    source(**changes)
    with pytest.raises(MeasureError, match=said):
        build()
    assert kept(tmp_path) == []


def test_too_little_room_is_told_before_anything_is_unpacked(source, build, tmp_path, monkeypatch):
    source()
    monkeypatch.setattr(building, "_ROOM", 2**60)
    with pytest.raises(MeasureError, match="XDG_CACHE_HOME"):
        build()
    assert kept(tmp_path) == []


def test_the_fragments_are_where_the_builder_looks():
    for name in ("kernel.config", "debug.config", "change.py", "init.c", "race.c"):
        assert calibration_path("kernel_lab", name).is_file()
