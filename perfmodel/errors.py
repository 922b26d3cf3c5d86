"""Errors and warnings the kit raises for a person to read."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CalibrationError",
    "InputError",
    "MeasureError",
    "MissingExtraError",
    "ModelWarning",
    "PerfmodelError",
]


class PerfmodelError(Exception):
    """Base of every error that is meant for the user and not for a debugger."""


class InputError(PerfmodelError):
    """Something the user gave is wrong: a file, a field, an argument.

    Parameters
    ----------
    what : str
        What was wrong, without a final full stop.
    file : path, optional
        The file it was found in.
    line : int, optional
        The line of the file, counted from 1.
    field : str, optional
        The field, option or argument that holds the bad value.
    expected : str, optional
        What would be right.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        expected: str | None = None,
    ) -> None:
        self.what = what
        self.file = None if file is None else str(file)
        self.line = line
        self.field = field
        self.expected = expected
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        where = ""
        if self.file is not None:
            where = self.file + (f":{self.line}" if self.line is not None else "") + ": "
        field = f"{self.field}: " if self.field else ""
        expected = f". Expected {self.expected}" if self.expected else ""
        return f"{where}{field}{self.what}{expected}."

    def at(
        self, *, file: str | Path | None = None, line: int | None = None, field: str | None = None
    ) -> InputError:
        """Return the same error with the place filled in where it was unknown."""
        return InputError(
            self.what,
            file=self.file if self.file is not None else file,
            line=self.line if self.line is not None else line,
            field=self.field if self.field is not None else field,
            expected=self.expected,
        )


class MeasureError(PerfmodelError):
    """A measuring program could not be built or run."""


class CalibrationError(PerfmodelError):
    """The observations cannot answer what was asked of them."""


class MissingExtraError(PerfmodelError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. Install the '{extra}' extra: pip install 'perfmodel[{extra}]'."
        )


class ModelWarning(UserWarning):
    """The model answers outside the region in which its stated error was checked."""
