"""Where the shipped calibration material lies: in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from perfmodel.errors import InputError

__all__ = ["calibration_path"]

_PACKAGE = Path(__file__).resolve().parent


def calibration_path(*parts: str) -> Path:
    """Return a path below ``calibration/``.

    A wheel carries that folder as ``perfmodel/_calibration``; a checkout has it beside the package.

    Parameters
    ----------
    *parts : str
        Path components below ``calibration/``, for instance ``"profiles", "xeon.json"``.

    Returns
    -------
    Path
        The existing file or folder.

    Raises
    ------
    InputError
        If neither place holds it.
    """
    roots = (_PACKAGE / "_calibration", _PACKAGE.parent / "calibration")
    for root in roots:
        candidate = root.joinpath(*parts)
        if candidate.exists():
            return candidate
    raise InputError(
        f"the shipped file {'/'.join(parts)!r} is missing",
        file=roots[0],
        expected="an installation made with 'pip install .' or a complete checkout",
    )
