"""The file of published figures, read strictly: every field declared, every mistake with its path."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.resources import calibration_path

__all__ = [
    "BASES", "EVIDENCE", "Figure", "Pair", "Point", "Published", "PublishedConstant", "load_published",
]  # fmt: skip

SCHEMA = "perfmodel.published/1"

#: What the letters say of a source.
EVIDENCE = {
    "S": "read in the kernel's source",
    "T": "mail, commit or issue text read",
    "A": "abstract only",
    "D": "arithmetic from a figure of the source",
    "L": "measured by the authors of this kit on another machine",
    "M": "from memory, not verified",
}

#: How sure the source itself is.
BASES = {
    "read": "read in source code",
    "measured": "measured by the author of the source",
    "derived": "computed from such figures",
    "ballpark": "an order of magnitude that the source gives without a measurement",
}

_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}

Unit = Literal[
    "ns", "us", "ms", "s", "cycles", "ops", "readers", "pages", "PTEs", "%", "M/s", "kop/s",
    "calls/s", "ratio",
]  # fmt: skip
Evidence = Literal["S", "T", "A", "D", "L", "M"]
Basis = Literal["read", "measured", "derived", "ballpark"]
Bound = Literal["exact", "about", "at-most", "at-least"]
Words = Annotated[str, msgspec.Meta(min_length=1)]


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number, on one machine.

    Parameters
    ----------
    value : float
    unit : str
    machine, kernel : str
    what : str
        What tells it from the other figures of its constant.
    bound : {"exact", "about", "at-most", "at-least"}
    """

    value: float
    unit: Unit
    machine: Words
    kernel: Words
    what: str = ""
    bound: Bound = "exact"

    @property
    def ns(self) -> float:
        """The value in ns.

        Raises
        ------
        InputError
            If it is no time.
        """
        if self.unit not in _NS:
            raise InputError(f"{self.value:g} {self.unit} is no time", expected="ns, us, ms or s")
        return self.value * _NS[self.unit]


class PublishedConstant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody published of one quantity, on one machine or several."""

    id: Words
    quantity: Words
    evidence: Evidence
    basis: Basis
    source: Words
    figures: Annotated[list[Figure], msgspec.Meta(min_length=1)]

    def times(self, what: str = "") -> list[float]:
        """Return the times in ns, of all figures or of those that `what` names."""
        return [f.ns for f in self.figures if what in ("", f.what)]


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measurement before and after a change; `at` says under which condition."""

    at: int | str
    before: float
    after: float
    unit: Unit
    bound: Bound = "exact"


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something measured before and after a change."""

    id: Words
    what: Words
    tests: Words
    machine: Words
    kernel: Words
    source: Words
    evidence: Evidence
    basis: Basis
    points: Annotated[list[Point], msgspec.Meta(min_length=1)]

    def at(self, condition: int | str) -> Point:
        """Return the point under a condition.

        Raises
        ------
        InputError
            If there is none.
        """
        for point in self.points:
            if point.at == condition:
                return point
        raise InputError(f"{self.id} has no point at {condition!r}", field="points")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str
    constants: list[PublishedConstant]
    pairs: list[Pair]


@dataclass(frozen=True)
class Published:
    """All published figures.

    Parameters
    ----------
    constants : dict of str to PublishedConstant
    pairs : dict of str to Pair
    file, sha256 : str
        Where they were read.
    """

    constants: dict[str, PublishedConstant]
    pairs: dict[str, Pair]
    file: str
    sha256: str

    def constant(self, name: str) -> PublishedConstant:
        """Return a constant.

        Raises
        ------
        InputError
            If the file has none of that name.
        """
        if name not in self.constants:
            raise InputError(f"there is no constant {name!r}", file=self.file, field="constants",
                             expected="one of " + ", ".join(self.constants))  # fmt: skip
        return self.constants[name]


def load_published(path: str | os.PathLike[str] | None = None) -> Published:
    """Read the published figures.

    Parameters
    ----------
    path : path, optional
        Default: the file that travels with the kit.

    Raises
    ------
    MissingExtraError
        If PyYAML is not installed.
    InputError
        If the file cannot be read or is not such a file; the message has the path of the bad field.
    """
    target = Path(path) if path is not None else calibration_path("data") / "published.yaml"
    try:
        raw = target.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=target) from None
    document = _parsed(raw, target)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        schema = document.get("schema") if isinstance(document, dict) else None
        raise InputError(f"the schema is {schema!r}", file=target, field="schema", expected=SCHEMA)
    try:
        found = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise InputError(what, file=target, field=where.strip("`$.") or None) from None
    return Published(
        constants=_named(found.constants, "constants", target),
        pairs=_named(found.pairs, "pairs", target),
        file=str(target),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _named(entries: list[Any], field: str, file: Path) -> dict[str, Any]:
    named = {}
    for i, entry in enumerate(entries):
        if entry.id in named:
            raise InputError(f"{entry.id!r} is there twice", file=file, field=f"{field}[{i}].id")
        named[entry.id] = entry
    return named


def _parsed(raw: bytes, file: Path) -> Any:
    """Parse YAML safely: plain values only, no aliases, no key twice."""
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("PyYAML", "published") from None

    class Strict(yaml.SafeLoader):  # type: ignore[misc]
        """The safe loader, which lets a repeated key replace the first one, made to refuse it."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                raise InputError("an alias is not allowed", file=file, line=mark.line + 1)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise InputError(f"the key {key.value!r} is there twice", file=file,
                                     line=key.start_mark.line + 1)  # fmt: skip
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(raw, Loader=Strict)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"this is not YAML ({what})", file=file,
                         line=None if mark is None else mark.line + 1) from None  # fmt: skip
