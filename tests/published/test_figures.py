"""The file of published figures: whole, and refused with the path of what is wrong."""

from __future__ import annotations

import builtins
import copy
from pathlib import Path
from typing import Any

import pytest

from perfmodel.errors import InputError, MissingExtraError

yaml = pytest.importorskip("yaml")

from perfmodel.kernel import Kernel  # noqa: E402
from perfmodel.published import Published, load_published  # noqa: E402
from perfmodel.published.figures import BASES, EVIDENCE  # noqa: E402
from perfmodel.resources import calibration_path  # noqa: E402

FILE = calibration_path("data") / "published.yaml"


@pytest.fixture(scope="module")
def published() -> Published:
    return load_published()


def test_every_pair_and_constant_says_where_it_comes_from(published: Published) -> None:
    assert list(published.pairs) == [f"T{i}" for i in range(1, 18)]
    for entry in (*published.constants.values(), *published.pairs.values()):
        assert entry.source
        assert entry.evidence in EVIDENCE
        assert entry.basis in BASES
    for constant in published.constants.values():
        for figure in constant.figures:
            assert figure.machine
            assert figure.kernel


def test_rules_read_in_the_source_are_those_of_the_kernel_table(published: Published) -> None:
    ops = {f.what: f.value for f in published.constant("locked_ops_mprotect").figures}
    old, new = Kernel("5.11"), Kernel("6.18")
    assert ops["today"] == old.locked_ops("write") == new.locked_ops("write")
    assert ops["with a downgrade"] == old.locked_ops("downgrade")
    assert ops["with a downgrade, default configuration"] == new.locked_ops("downgrade")
    reads = [f.value for f in published.constant("locked_ops_fault").figures]
    assert reads[:2] == [old.locked_ops("read"), new.locked_ops("read")]
    assert published.constant("max_readers_woken").figures[0].value == new.max_readers_woken
    spin = [f.ns for f in published.constant("writer_spin").figures]
    assert spin == list(new.spin_on_reader_ns)
    assert published.constant("flush_ceiling").figures[0].value == new.flush_ceiling_pages
    assert published.constant("handoff_timeout").figures[0].ns == new.fact("handoff_ns").value


def test_figures_derived_from_pairs_agree_with_them(published: Published) -> None:
    munmap = published.pairs["T1"].points[0]
    zap = published.constant("zap_per_page").figures[0].value
    assert munmap.before / (80 * 2**18) == pytest.approx(zap, rel=0.01)
    for pair, place in (("T2", 0), ("T3", 1), ("T7", 3)):
        single = published.pairs[pair].at(1).before
        us = published.constant("fault_minor").figures[place].value
        assert 1 / single == pytest.approx(us, rel=0.01)
    for pair, at, place in (("T2", 112, 0), ("T3", 128, 1), ("T5", 128, 2)):
        hot = published.constant("hot_lock_fault").figures[place].ns
        assert 1e3 / published.pairs[pair].at(at).before == pytest.approx(hot, rel=0.01)


def _broken(change: Any) -> bytes:
    document = yaml.safe_load(FILE.read_bytes())
    change(document)
    return yaml.safe_dump(document).encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema="perfmodel.published/9"), "schema"),
        (lambda d: d.pop("pairs"), "pairs"),
        (lambda d: d["pairs"][3].pop("source"), "pairs[3]"),
        (lambda d: d["pairs"][3]["points"][0].update(before="many"), "pairs[3].points[0].before"),
        (lambda d: d["pairs"][2].update(evidence="Z"), "pairs[2].evidence"),
        (lambda d: d["pairs"][2].update(comment="x"), "pairs[2]"),
        (lambda d: d["constants"][5]["figures"][0].update(unit="parsec"),
         "constants[5].figures[0].unit"),
        (lambda d: d["constants"][5].update(figures=[]), "constants[5].figures"),
        (lambda d: d["constants"].append(copy.deepcopy(d["constants"][0])), "there twice"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_by_its_path(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(_broken(change))
    with pytest.raises(InputError, match=r"p\.yaml") as caught:
        load_published(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "schema"),
        (b"- 1\n", "schema"),
        (b"schema: [\n", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"schema: perfmodel.published/1\nschema: x\n", "there twice"),
        (b"schema: &a x\nconstants: *a\n", "alias"),
        (b"schema: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_unsafe_or_damaged_yaml_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"p\.yaml") as caught:
        load_published(path)
    assert said in str(caught.value)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_published(tmp_path / "none.yaml")


def test_without_pyyaml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"perfmodel\[published\]"):
        load_published()


def test_no_point_is_found_where_there_is_none(published: Published) -> None:
    with pytest.raises(InputError, match="T2"):
        published.pairs["T2"].at(5)
    with pytest.raises(InputError, match="no_such"):
        published.constant("no_such")
