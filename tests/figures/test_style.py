"""Colours for everybody, embedded fonts, provenance in the file, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

import perfmodel as pm
from perfmodel.errors import InputError
from perfmodel.figures import FIGURES, Inputs, new_figure, render, style, write_all
from perfmodel.figures.hold_phases import _GROUPS
from perfmodel.figures.writing import make

pytestmark = pytest.mark.xdist_group("figures-written")

#: Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
DEFICIENCY = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    rgb = np.array(mpl.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: str, matrix: object) -> np.ndarray:
    seen = np.clip(np.asarray(matrix) @ linear(colour), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722],
                    [0.0193, 0.1192, 0.9505]]) @ seen / [0.9505, 1.0, 1.089]  # fmt: skip
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCY)
def test_colours_differ_for_everybody(deficiency: str) -> None:
    for a, b in combinations(style.LINES, 2):
        apart = np.linalg.norm(lab(a, DEFICIENCY[deficiency]) - lab(b, DEFICIENCY[deficiency]))
        assert apart > 12, (a, b)


def test_lines_stand_out_from_white() -> None:
    for colour in style.LINES:
        luminance = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))
        assert 1.05 / (luminance + 0.05) >= 3.0


def test_there_is_always_a_second_channel() -> None:
    assert len({look.marker for look in style.OPERATIONS.values()}) == len(style.OPERATIONS)
    hatched = [(hatch, name) for name, (_, hatch, *_) in _GROUPS.items() if hatch]
    assert len({hatch for hatch, _ in hatched}) == len(hatched)
    with style.paper():
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()
    assert len(set(cycle["linestyle"])) == len(cycle["color"])


def test_the_style_leaves_the_callers_settings_alone() -> None:
    before = dict(mpl.rcParams)
    new_figure()
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in _modules_after("import perfmodel.figures")


def _modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(out.stdout.split())


@pytest.fixture(scope="module")
def written(
    machine: pm.Machine, table: pm.ObservationTable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "out"
    write_all(machine, table, directory=folder, only=[k.name for k in FIGURES])
    return folder


def test_everything_is_written_and_in_the_manifest(written: Path) -> None:
    manifest = json.loads((written / "MANIFEST.json").read_text())
    named = {f["file"]: f["sha256"] for e in manifest["figures"] for f in e["files"]}
    on_disk = {p.name for p in written.iterdir()} - {"MANIFEST.json"}
    assert set(named) == on_disk
    for name, digest in named.items():
        assert hashlib.sha256((written / name).read_bytes()).hexdigest() == digest
    for kind in FIGURES:
        suffixes = {".svg", ".pdf", ".png", ".md", ".csv"}
        assert suffixes == {Path(n).suffix for n in named if n.startswith(kind.name)}
        text = (written / f"{kind.name}.md").read_text()
        assert text.startswith("![")
        assert f"]({kind.name}.svg)" in text
    assert manifest["inputs"][0]["file"] == "run.json"


def test_fonts_are_embedded(written: Path) -> None:
    for kind in FIGURES:
        pdf = (written / f"{kind.name}.pdf").read_bytes()
        assert b"/Type3" not in pdf
        assert b"/FontFile2" in pdf


def test_provenance_is_in_every_file(machine: pm.Machine, written: Path) -> None:
    import html
    import struct
    import zlib

    for kind in FIGURES:
        svg = (written / f"{kind.name}.svg").read_text()
        inside = re.search(r"<dc:description>(.*?)</dc:description>", svg, re.DOTALL)
        assert inside
        source = json.loads(html.unescape(inside[1]))
        assert source["machine"]["sha256"] == machine.sha256
        assert source["machine"]["name"] == machine.name
        assert source["perfmodel"] == pm.__version__
        assert source["matplotlib"] == mpl.__version__
        assert source["evidence"]
        assert "scenario" in source
        png = (written / f"{kind.name}.png").read_bytes()
        at, texts = 8, []
        while at < len(png):
            (size,), name = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
            data = png[at + 8 : at + 8 + size]
            if name == b"iTXt":
                data = data.split(b"\0", 5)[-1]
            elif name == b"zTXt":
                data = zlib.decompress(data.split(b"\0", 1)[1][1:])
            if name in (b"tEXt", b"iTXt", b"zTXt"):
                texts.append(data)
            at += 12 + size
        assert any(machine.sha256.encode() in t for t in texts)
        pdf = (written / f"{kind.name}.pdf").read_bytes()
        assert machine.sha256.encode() in pdf or machine.sha256.encode("utf-16-be") in pdf


def test_the_same_bytes_in_two_processes(run_file: Path, tmp_path: Path) -> None:
    code = (
        "import sys, perfmodel as pm; from perfmodel.figures import write_all;"
        "write_all(pm.Machine.load('xeon-vm-6.18'), pm.read(sys.argv[1]), directory=sys.argv[2],"
        "only=['natural_experiment', 'cost_of_blocking', 'who_breaks'])"
    )
    for k, zone in enumerate(("UTC", "Asia/Tokyo")):
        home = tmp_path / f"home-{k}"
        home.mkdir()
        # Somebody's own settings, which must not reach a figure.
        # The list of fonts takes longer to make than the figures.
        for fonts in Path(mpl.get_cachedir()).glob("fontlist-*.json"):
            shutil.copy(fonts, home)
        (home / "matplotlibrc").write_text(f"lines.linewidth: {1 + 8 * k}\naxes.grid: {bool(k)}\n")
        env = os.environ | {"PYTHONHASHSEED": str(k + 1), "TZ": zone, "MPLBACKEND": "svg",
                            "HOME": str(home), "MPLCONFIGDIR": str(home)}  # fmt: skip
        subprocess.run(
            [sys.executable, "-c", code, run_file, tmp_path / str(k)], check=True, env=env
        )
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / k).iterdir()} for k in "01")
    assert first.keys() == second.keys()
    assert {
        f"cost_of_blocking.{form}" for form in ("svg", "pdf", "png", "md", "csv")
    } <= first.keys()
    assert [n for n in first if first[n] != second[n]] == []


def test_a_figure_without_anything_to_show_is_left_out(machine: pm.Machine, tmp_path: Path) -> None:
    told: list[str] = []
    paths = write_all(machine, directory=tmp_path, formats=("svg",), progress=told.append,
                      only=["measured_against_predicted", "hold_phases"])  # fmt: skip
    assert [p.name for p in paths] == [
        "hold_phases.svg", "hold_phases.md", "hold_phases.csv", "MANIFEST.json"
    ]  # fmt: skip
    manifest = json.loads(paths[-1].read_text())
    left = [e for e in manifest["figures"] if e["name"] == "measured_against_predicted"]
    assert left[0]["left_out"] == "no measurements given"
    assert any("hold_phases" in t for t in told)


def test_nothing_is_written_when_a_figure_fails(
    machine: pm.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> bytes:
        raise RuntimeError("no")

    monkeypatch.setattr("perfmodel.figures.writing.render", fails)
    with pytest.raises(RuntimeError):
        write_all(machine, directory=tmp_path / "f", only=["hold_phases"])
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("bad", "names"),
    [
        ({"formats": ("gif",)}, "formats"),
        ({"only": ["pie"]}, "only"),
        ({"width": "poster"}, "width"),
    ],
)
def test_bad_names_are_refused(machine: pm.Machine, tmp_path: Path, bad: dict, names: str) -> None:
    with pytest.raises(InputError, match=names):
        write_all(machine, directory=tmp_path / "f", **bad)


def test_a_folder_that_cannot_be_written_is_named(machine: pm.Machine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        write_all(machine, directory=tmp_path / "missing" / "f", formats=("svg",),
                  only=["hold_phases"])  # fmt: skip


def test_in_a_column_a_figure_is_as_wide_as_it(machine: pm.Machine, tmp_path: Path) -> None:
    made = write_all(machine, directory=tmp_path, formats=("svg",), width="column",
                     only=["cost_of_blocking", "who_breaks"])  # fmt: skip
    wide = {
        p.stem: float(re.search(r'<svg [^>]*width="([\d.]+)pt"', p.read_text())[1]) / 72
        for p in made if p.suffix == ".svg"
    }  # fmt: skip
    # The second has panels that a column would make too small: it stays as it is.
    assert wide == pytest.approx(
        {"cost_of_blocking": style.COLUMN, "who_breaks": style.PAGE}, rel=1e-3
    )


def test_a_title_is_broken_into_lines_of_like_length() -> None:
    text = "one two three four five six seven eight"
    lines = style.balanced(text, 30).splitlines()
    assert " ".join(lines) == text
    assert len(lines) == 2
    assert abs(len(lines[0]) - len(lines[1])) < 8
    assert style.balanced(text, 80) == text


def test_a_figure_may_be_made_alone(machine: pm.Machine) -> None:
    files = make(FIGURES[0], Inputs(machine), ("svg",))
    assert isinstance(files, dict)
    assert files["hold_phases.svg"].startswith(b"<?xml")
    with pytest.raises(ValueError, match="JSON"):
        render(new_figure(), "svg", title="x", source={"scenario": float("nan")})


def test_a_number_stays_with_its_unit_where_a_title_breaks() -> None:
    text = "5 % of the faults in the call's VMA: 317 µs gained a call on 5.11, 38 µs on 6.18"
    for most in range(20, 80):
        broken = style.balanced(text, most)
        assert not re.search(r"\d\n(%|µs)", broken)
        assert broken.replace("\n", " ") == text
