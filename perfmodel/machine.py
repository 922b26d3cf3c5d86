"""What a machine costs: calibrated constants with covariance and provenance, kept as profiles."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import msgspec
import numpy as np

from perfmodel.errors import InputError
from perfmodel.quantities import MACHINE, STATE
from perfmodel.resources import calibration_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Constant", "Machine", "shipped_profiles"]

SCHEMA = "perfmodel.machine/1"

#: What a profile may be called: it becomes a file name.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"

#: Every constant a profile may hold.
CONSTANTS = {**MACHINE, **STATE}


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """One calibrated constant.

    Parameters
    ----------
    value : float or None
        The estimate in `unit`; None where the data do not identify it.
    log_sd : float or None
        Standard deviation of the natural logarithm of the estimate.
    unit : str
    source : str
        ``fit``, or how else it was obtained.
    reason : str
        Why it is unknown, where it is.
    """

    value: Annotated[float, msgspec.Meta(ge=0)] | None
    unit: str
    source: str
    log_sd: Annotated[float, msgspec.Meta(ge=0)] | None = None
    reason: str = ""


class Covariance(msgspec.Struct, frozen=True, kw_only=True):
    """Covariance of the logarithms of the fitted constants."""

    names: list[str]
    log: list[list[float]]


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the calibration read."""

    file: str
    sha256: str
    format: str


class _Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The profile as it stands on disk."""

    schema: str
    name: str
    evidence: Literal["measured", "published", "emulated"]
    description: str
    created: str
    perfmodel: str
    constants: dict[str, Constant]
    covariance: Covariance
    fit: dict[str, Any] = {}
    inputs: list[InputFile] = []
    machine: dict[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Machine:
    """Calibrated costs of one machine.

    Parameters
    ----------
    name : str
        The profile's name.
    constants : mapping of str to Constant
        By name of `perfmodel.quantities`; a constant that is absent or has no value is unknown.
    covariance_names, covariance : tuple of str, ndarray of shape (k, k)
        Covariance of the natural logarithms of the fitted constants.
    evidence : {"measured", "published", "emulated"}
        What the numbers rest on.
    description : str
        One sentence for a person.
    fit, inputs, state : mapping, sequence, mapping
        How well it fitted, the files it came from, and the state of the machine then.
    """

    name: str
    constants: Mapping[str, Constant]
    covariance_names: tuple[str, ...] = ()
    covariance: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    evidence: Literal["measured", "published", "emulated"] = "measured"
    description: str = ""
    created: str = ""
    fit: Mapping[str, Any] = field(default_factory=dict)
    inputs: Sequence[InputFile] = ()
    state: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise InputError(
                f"{self.name!r} is no name for a profile",
                field="name",
                expected="letters, digits, dots, underscores and hyphens",
            )
        for name, constant in self.constants.items():
            declared = CONSTANTS.get(name)
            if declared is None:
                raise InputError("there is no such constant", field=f"constants.{name}",
                                 expected="one of " + ", ".join(CONSTANTS))  # fmt: skip
            if constant.value is not None:
                declared.check(constant.value, field=f"constants.{name}.value")
            if constant.unit != declared.unit:
                raise InputError(f"the unit is {constant.unit!r}",
                                 field=f"constants.{name}.unit", expected=declared.unit)  # fmt: skip
        k = len(self.covariance_names)
        matrix = np.array(self.covariance, dtype=float).reshape(k, k) if k else np.zeros((0, 0))
        if k:
            if not np.all(np.isfinite(matrix)):
                raise InputError("an entry is not finite", field="covariance.log")
            if not np.allclose(matrix, matrix.T, atol=1e-12):
                raise InputError("the matrix is not symmetric", field="covariance.log")
            if np.linalg.eigvalsh(matrix).min() < -1e-9 * max(1.0, float(np.abs(matrix).max())):
                raise InputError("the matrix is not a covariance (a negative eigenvalue)",
                                 field="covariance.log")  # fmt: skip
            for name in self.covariance_names:
                if name not in self.constants or self.constants[name].value is None:
                    raise InputError(f"{name!r} has no value", field="covariance.names")
        matrix.setflags(write=False)
        object.__setattr__(self, "covariance", matrix)
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))

    def value(self, name: str) -> float:
        """Return a constant; NaN where the calibration could not identify it (see `reason`)."""
        constant = self.constants.get(name)
        return np.nan if constant is None or constant.value is None else constant.value

    def reason(self, name: str) -> str:
        """Say why a constant is unknown; empty where it is known."""
        constant = self.constants.get(name)
        if constant is None:
            return f"profile {self.name!r} does not hold {name}"
        return constant.reason if constant.value is None else ""

    def values(self) -> dict[str, float]:
        """Return all constants by name, NaN where unknown."""
        return {name: self.value(name) for name in CONSTANTS}

    def draws(self, count: int, *, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        """Draw the constants from the calibration's covariance and the model's own scatter.

        The scatter that the fit's residuals show beyond sampling is added to every constant: a
        total is then spread as the residuals are, whichever constant it is made of.

        Parameters
        ----------
        count : int
            Number of draws. The first one is the estimate itself, so that a result's element 0 is
            the central answer.
        seed : int
            Seed of the generator.

        Returns
        -------
        dict of str to ndarray, shape (count,)
            Constants without a covariance do not vary; unknown ones are NaN.
        """
        drawn = {name: np.full(count, value) for name, value in self.values().items()}
        generator = np.random.default_rng(seed)
        names = list(CONSTANTS)
        # One column of noise a constant, whatever the profile holds: two profiles drawn with the
        # same seed differ by their numbers only.
        noise = generator.standard_normal((count, len(names)))
        noise[0] = 0.0
        place = {name: column for column, name in enumerate(names)}
        fitted = [place[name] for name in self.covariance_names]
        if fitted:
            shift = noise[:, fitted] @ self._root.T
            for column, name in enumerate(self.covariance_names):
                drawn[name] = drawn[name] * np.exp(shift[:, column])
        for name, constant in self.constants.items():
            if name not in self.covariance_names and constant.log_sd:
                drawn[name] = drawn[name] * np.exp(constant.log_sd * noise[:, place[name]])
        # A badly known constant must not leave what the equations take: no cache of half a page.
        return {name: np.clip(values, *CONSTANTS[name].domain) for name, values in drawn.items()}

    @cached_property
    def _root(self) -> NDArray[np.float64]:
        """Square root of the covariance with the model's own scatter in it."""
        total = self.covariance + self.residual_sd**2 * np.eye(len(self.covariance_names))
        values, vectors = np.linalg.eigh(total)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0.0, None)))

    @property
    def residual_sd(self) -> float:
        """Standard deviation of the fit's residuals in the logarithm: what the model leaves out."""
        value = self.fit.get("residual_log_sd", 0.0)
        return float(value) if isinstance(value, (int, float)) else 0.0

    def to_bytes(self) -> bytes:
        """Return the profile as it is written to disk."""
        from perfmodel import __version__

        profile = _Profile(
            schema=SCHEMA,
            name=self.name,
            evidence=self.evidence,
            description=self.description,
            created=self.created,
            perfmodel=__version__,
            constants=dict(self.constants),
            covariance=Covariance(
                names=list(self.covariance_names),
                log=[[float(x) for x in row] for row in self.covariance],
            ),
            fit=dict(self.fit),
            inputs=list(self.inputs),
            machine=dict(self.state),
        )
        return json.dumps(msgspec.to_builtins(profile), indent=1, allow_nan=False).encode() + b"\n"

    @property
    def sha256(self) -> str:
        """Hash of `to_bytes`: what a prediction names as its machine."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the profile; the file is complete or not there at all.

        Raises
        ------
        InputError
            If the folder does not exist or is not writable.
        """
        target = Path(path)
        handle = None
        try:
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as handle:
                handle.write(self.to_bytes())
            Path(handle.name).chmod(0o644)
            Path(handle.name).replace(target)
        except OSError as error:
            if handle is not None:
                Path(handle.name).unlink(missing_ok=True)
            raise InputError(f"cannot be written ({error.strerror})", file=target) from None
        return target

    @classmethod
    def from_bytes(cls, data: bytes, *, file: str | None = None) -> Self:
        """Read a profile from its bytes.

        Raises
        ------
        InputError
            If the bytes are not a profile of this schema; the message names the field.
        """
        if not data.strip():
            raise InputError("the file is empty", file=file, expected=f"a {SCHEMA} profile")
        try:
            head = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"this is not JSON ({error})", file=file,
                             expected=f"a {SCHEMA} profile") from None  # fmt: skip
        schema = head.get("schema") if isinstance(head, dict) else None
        if schema != SCHEMA:
            raise InputError(
                f"the schema is {schema!r}", file=file, field="schema", expected=SCHEMA
            )
        where = ""
        try:
            given = head.get("constants")
            for name, constant in given.items() if isinstance(given, dict) else ():
                where = f"constants.{name}"
                msgspec.convert(constant, Constant)
            where = ""
            profile = msgspec.convert(head, _Profile)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at ")
            field = ".".join(part for part in (where, path.strip("`$.")) if part)
            raise InputError(what, file=file, field=field or None) from None
        try:
            k = len(profile.covariance.names)
            if [len(row) for row in profile.covariance.log] != [k] * k:
                raise InputError(f"the matrix is not {k} by {k}", field="covariance.log")
            return cls(
                name=profile.name,
                constants=profile.constants,
                covariance_names=tuple(profile.covariance.names),
                covariance=np.array(profile.covariance.log, dtype=float).reshape(k, k),
                evidence=profile.evidence,
                description=profile.description,
                created=profile.created,
                fit=profile.fit,
                inputs=tuple(profile.inputs),
                state=profile.machine,
            )
        except InputError as error:
            raise error.at(file=file) from None

    @classmethod
    def load(cls, name: str | os.PathLike[str]) -> Self:
        """Load a shipped profile by name, or any profile by path.

        Raises
        ------
        InputError
            If there is no such profile, or the file is not one.
        """
        text = os.fspath(name)
        path = Path(text)
        if not path.is_file():
            shipped = shipped_profiles()
            if text not in shipped:
                raise InputError(
                    f"there is no profile {text!r}",
                    field="machine",
                    expected="a file, or one of " + (", ".join(shipped) or "(none shipped)"),
                )
            path = shipped[text]
        try:
            return cls.from_bytes(path.read_bytes(), file=str(path))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", file=path) from None


def shipped_profiles() -> dict[str, Path]:
    """Return the profiles that travel with the package, by name; the measured ones come first."""
    folders = (calibration_path("profiles"), calibration_path("profiles", "published"))
    return {p.stem: p for folder in folders for p in sorted(folder.glob("*.json"))}
