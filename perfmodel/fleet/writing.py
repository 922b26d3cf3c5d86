"""The Parquet table of a comparison, whole or not there at all, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel import __version__
from perfmodel.errors import InputError, MissingExtraError
from perfmodel.fleet.table import answer_fields, profile_fields, profile_row

if TYPE_CHECKING:
    from perfmodel.fleet.comparison import Row
    from perfmodel.fleet.profiles import Profile
    from perfmodel.scenario import Scenario

__all__ = ["TableWriter", "check_table"]


def check_table(path: Path, *, force: bool) -> None:
    """Refuse a path that cannot or must not be written, before any work is done.

    Raises
    ------
    InputError
        If it is no ``.parquet``, its folder is not there, or it exists and `force` is not set.
    MissingExtraError
        If pyarrow is not installed.
    """
    if path.suffix != ".parquet":
        raise InputError(f"{path.suffix!r} is no table", file=path, expected=".parquet")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {str(path.parent)!r}", file=path)
    if path.is_dir():
        raise InputError("this is a folder", file=path, expected="a file name")
    if path.exists() and not force:
        raise InputError("it exists and is not overwritten", file=path,
                         expected="another name, or --force (force=True)")  # fmt: skip
    try:
        import_module("pyarrow")
    except ImportError:
        raise MissingExtraError("pyarrow", "sweep") from None


class TableWriter:
    """Constants kept aside batch by batch, then written with their answers.

    Ranks are known at the end alone: until then constants wait in a file and not in memory.

    Parameters
    ----------
    path : Path
        The table.
    folder : Path
        Where what is not finished lies; on the same file system.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path, self._aside, self._part = path, folder / "constants", folder / "table"
        self._pa: Any = import_module("pyarrow")
        self._pq: Any = import_module("pyarrow.parquet")
        self._profiles = self._pa.schema(profile_fields())
        self._kept = self._pq.ParquetWriter(self._aside, self._profiles)

    def keep(self, profiles: Iterable[Profile]) -> None:
        """Keep the constants of some profiles."""
        rows = [profile_row(p.machine, p.sha256) for p in profiles]
        self._kept.write_table(self._pa.Table.from_pylist(rows, schema=self._profiles))

    def write(self, rows: Sequence[Row], over: str | None, scenario: Scenario) -> None:
        """Write the table: one row for each profile kept, in their order.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self._kept.close()
        pa, fields = self._pa, answer_fields()
        told = scenario.to_dict()
        told.pop("machine", None)
        said = json.dumps({"perfmodel": __version__, "scenario": told})
        schema = pa.schema([*profile_fields(), *fields], metadata={"perfmodel": said})
        done = 0
        try:
            with self._pq.ParquetWriter(self._part, schema, compression="zstd") as writer:
                for batch in self._pq.ParquetFile(self._aside).iter_batches():
                    cells = [r.cells(over) for r in rows[done : done + batch.num_rows]]
                    answers = pa.Table.from_pylist(cells, schema=pa.schema(fields))
                    columns = [*batch.columns, *answers.combine_chunks().columns]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                    done += batch.num_rows
            self._part.replace(self.path)
        except OSError as error:
            raise InputError(
                f"cannot be written ({error.strerror or error})", file=self.path
            ) from None
