"""What is around the guest: configuration, root file system, commands that fail, refusals."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from perfmodel.errors import InputError, MeasureError
from perfmodel.measure.kernel_lab import building, guest, make_plan, run_lab
from perfmodel.measure.kernel_lab.running import Log, run
from perfmodel.resources import calibration_path


def test_an_option_that_did_not_survive_is_named():
    asked = "# a comment\nCONFIG_A=y\nCONFIG_B=250\n# CONFIG_C is not set\n# CONFIG_D is not set\n"
    got = "CONFIG_A=y\nCONFIG_B=100\nCONFIG_C=y\n"
    assert building.check_config(asked, got) == ["CONFIG_B=250", "# CONFIG_C is not set"]
    assert building.check_config(asked, "CONFIG_A=y\nCONFIG_B=250\n") == []


def test_the_fragments_ask_for_what_the_measurement_needs():
    text = calibration_path("kernel_lab", "kernel.config").read_text()
    options = {line for line in text.splitlines() if line.startswith("CONFIG_")}
    assert {"CONFIG_SMP=y", "CONFIG_HZ_250=y", "CONFIG_USERFAULTFD=y",
            "CONFIG_TRANSPARENT_HUGEPAGE=y", "CONFIG_PREEMPT_VOLUNTARY=y"} <= options  # fmt: skip
    assert not any("PROVE_LOCKING" in line or "DEBUG_VM" in line for line in options)
    debug = calibration_path("kernel_lab", "debug.config").read_text()
    assert "CONFIG_PROVE_LOCKING=y" in debug


def test_the_root_file_system_unpacks_as_what_was_put_in(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF and more")
    archive = guest.initramfs({"init": program, "race": program}, "0\tplan\n")
    assert archive == guest.initramfs({"init": program, "race": program}, "0\tplan\n")
    if shutil.which("cpio") is None:
        pytest.skip("no cpio here to unpack it")
    target = tmp_path / "root"
    target.mkdir()
    subprocess.run(
        ["cpio", "-id", "--quiet"], input=gzip.decompress(archive), cwd=target, check=True
    )
    assert (target / "init").read_bytes() == program.read_bytes()
    assert os.access(target / "bin" / "race", os.X_OK)
    assert (target / "plan").read_text() == "0\tplan\n"
    assert (target / "proc").is_dir()


def test_a_command_that_fails_is_told_with_the_end_of_its_log(tmp_path):
    log = Log(tmp_path / "log")
    log.write("begin")
    with pytest.raises(MeasureError, match=r"(?s)status 3.*the reason$"):
        run(["sh", "-c", "echo the reason; exit 3"], log, limit_s=20)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path):
    log = Log(tmp_path / "log")
    log.write("begin")
    with pytest.raises(MeasureError, match="longer than"):
        run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"], log, limit_s=0.1)
    status = Path(f"/proc/{int((tmp_path / 'child').read_text())}/status")

    def ended() -> bool:
        try:
            return "State:\tZ" in status.read_text()  # its new parent has yet to ask
        except (FileNotFoundError, ProcessLookupError):
            return True

    deadline = time.monotonic() + 5
    while not ended() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended()


def test_a_command_that_is_not_there_is_told(tmp_path):
    log = Log(tmp_path / "log")
    log.write("begin")
    with pytest.raises(MeasureError, match="cannot be run"):
        run(["/no/such/program"], log, limit_s=1)


def test_who_cannot_install_is_told_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "PACKAGES", {"/no/such/file": "linux-source-6.1"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    log = Log(tmp_path / "log")
    with pytest.raises(MeasureError, match=r"sudo apt-get install .*linux-source-6\.1"):
        building.install_packages(log, lambda _: None)


def test_a_folder_that_holds_a_run_is_refused_before_anything_is_built(tmp_path):
    (tmp_path / "boot1-2cpu-none.json").write_text("{}")
    with pytest.raises(InputError, match="another run"):
        run_lab(tmp_path, make_plan(quick=True))
    assert [p.name for p in tmp_path.iterdir()] == ["boot1-2cpu-none.json"]


def test_the_command_line_refuses_what_is_none_of_the_laboratorys(tmp_path):
    from typer.testing import CliRunner

    from perfmodel.cli.app import app

    for words in (["--cut", "k0"], ["--rounds", "2"], ["--kernel-lab", "--cut", "k7"],
                  ["--kernel-lab", "--vcpus", "two"]):  # fmt: skip
        result = CliRunner().invoke(app, ["measure", "-o", str(tmp_path / "x"), *words])
        assert result.exit_code != 0, words
        assert not (tmp_path / "x").exists()
