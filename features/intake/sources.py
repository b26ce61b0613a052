"""Sources of rows: files, globs, folders and frames, read as Arrow tables with line numbers.

The columns of a source are known before its rows are read. Its rows come in blocks, with the
columns renamed to ``c0, c1, ...`` and a column ``line``. A new kind of source is one more function
that returns a :class:`Source`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.features.intake.column_names import name_columns, nameless_columns
from stagecast.features.intake.csvlines import CsvBatch, CsvRecords
from stagecast.features.intake.expressions import Kind, SourceColumn
from stagecast.features.intake.textfiles import TEXT_ENDINGS, open_text

if TYPE_CHECKING:
    import pandas as pd

PARQUET_ENDINGS = (".parquet", ".pq")
ROWS_PER_BLOCK = 250_000
FARTHEST_SECONDS = 200_000_000_000
"""Largest distance of a time from 1970 (about the years -4368 to 8307); others are clipped."""
MALFORMED_SCHEMA = pa.schema(
    [("line", pa.int64()), ("text", pa.string()), ("problem", pa.string())]
)


@dataclass(frozen=True)
class Block:
    """Some rows of one source.

    Parameters
    ----------
    rows
        Arrow table with the columns ``c0, c1, ...`` and ``line``.
    malformed
        Arrow table of the malformed lines between them, as :data:`MALFORMED_SCHEMA`.
    """

    rows: Any
    malformed: Any


@dataclass(frozen=True)
class Source:
    """One file, frame or database table.

    Parameters
    ----------
    label
        Its name as the user wrote it, without a password.
    columns
        Its columns.
    blocks
        Function that reads its rows in order; each call starts at the first row.
    """

    label: str
    columns: tuple[SourceColumn, ...]
    blocks: Callable[[], Iterator[Block]]


def find_files(sources: Sequence[str | Path]) -> list[str]:
    """Return the files that the sources name, in order; each file once.

    Parameters
    ----------
    sources
        Files, folders and globs; the files of a folder or of a glob are sorted by name.

    Raises
    ------
    UsageError
        A source does not exist, or a folder holds neither text nor Parquet files, or both.
    """
    if isinstance(sources, str | Path):
        sources = [sources]
    names_by_path: dict[Path, str] = {}
    for source in sources:
        text = str(source)
        path = Path(text)
        if path.is_dir():
            names = _files_in_folder(path)
        elif path.is_file():
            names = [text]
        elif path.exists():
            raise UsageError(
                f"{text!r} is neither a file nor a folder: a log is read twice, so save "
                "it to a file first"
            )
        elif glob.has_magic(text):
            names = sorted(name for name in glob.glob(text, recursive=True) if Path(name).is_file())  # noqa: PTH207
            if not names:
                raise UsageError(f"no file matches {text!r}; the current folder is {Path.cwd()}")
        else:
            raise UsageError(f"{text!r} does not exist; the current folder is {Path.cwd()}")
        for name in names:
            names_by_path.setdefault(Path(name).resolve(), name)
    if not names_by_path:
        raise UsageError(
            "no event log was named: give one or more CSV or Parquet files, a glob or a folder"
        )
    return list(names_by_path.values())


def _files_in_folder(folder: Path) -> list[str]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".", "_"))
    )
    texts = [str(path) for path in files if path.name.lower().endswith(TEXT_ENDINGS)]
    parquets = [str(path) for path in files if path.name.lower().endswith(PARQUET_ENDINGS)]
    if texts and parquets:
        raise UsageError(
            f"the folder {str(folder)!r} holds both text files ({texts[0]}) and Parquet "
            f"({parquets[0]}), perhaps the "
            f"same events twice; name one kind, like '{folder}/*.csv'"
        )
    if not texts and not parquets:
        raise UsageError(
            f"the folder {str(folder)!r} holds no file that ends in "
            f"{', '.join(TEXT_ENDINGS + PARQUET_ENDINGS)}; text files of other endings are read "
            f"where they are named, like '{folder}/*.data'"
        )
    return texts or parquets


def is_database(text: str) -> bool:
    """Return whether the text is a URL of a database rather than the name of a file.

    >>> is_database("sqlite:///shop.db?table=orders"), is_database("C://log.csv"), is_database("file:///log.csv")
    (True, False, False)
    """
    return re.match(r"\s*(?!file:)[a-z][\w+.-]+://", text, re.IGNORECASE) is not None


def open_file(
    name: str, encoding: str = "utf-8", separator: str | None = None, header_line: int = 1
) -> Source:
    """Open one text or Parquet file.

    Parameters
    ----------
    name
        Path of the file; a name that ends in ``.parquet`` or ``.pq`` is Parquet. Whether another
        file is text, its content says.
    encoding
        Encoding of a text file.
    separator
        Separator of the fields of a text file; None: detected from the header.
    header_line
        Line of a text file that names the columns, counted from 1; lines above it are not read.

    Raises
    ------
    DataRefusedError
        The file is not what its name says, is no text, or has no usable header.
    """
    if name.lower().endswith(PARQUET_ENDINGS):
        return _open_parquet(name)
    return _open_csv(name, encoding, separator, header_line)


def _open_csv(name: str, encoding: str, separator: str | None, header_line: int) -> Source:
    with open_text(name, encoding) as stream:
        records = CsvRecords(stream, name, separator, header_line)
    header = records.header
    columns = tuple(
        SourceColumn(column, f"c{i}", "text", has_name=i not in records.nameless)
        for i, column in enumerate(header)
    )
    names = [column.sql for column in columns]

    def blocks() -> Iterator[Block]:
        with open_text(name, encoding) as stream:
            records = CsvRecords(stream, name, separator, header_line)
            if records.header != header:
                raise DataRefusedError(
                    f"{name} was changed while it was read; run the command again"
                )
            for batch in records.batches():
                yield Block(_parse_rows(batch, records.separator, names), _malformed_table(batch))

    return Source(name, columns, blocks)


def _parse_rows(batch: CsvBatch, separator: str, names: list[str]) -> Any:
    if not batch.lines:
        return pa.table(
            {name: pa.array([], pa.string()) for name in names} | {"line": pa.array([], pa.int64())}
        )
    data = b"".join(batch.pieces)
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(
            column_names=names, block_size=max(1 << 20, 2 * batch.longest)
        ),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    return table.append_column("line", pa.array(np.concatenate(batch.lines)))


def _malformed_table(batch: CsvBatch) -> Any:
    rows = [dict(zip(MALFORMED_SCHEMA.names, record, strict=True)) for record in batch.malformed]
    return pa.Table.from_pylist(rows, MALFORMED_SCHEMA)


def _open_parquet(name: str) -> Source:
    try:
        with pq.ParquetFile(name) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataRefusedError(f"{name} cannot be read as Parquet: {_first_line(error)}") from None

    def batches() -> Iterator[Any]:
        try:
            with pq.ParquetFile(name) as file:
                if not file.schema_arrow.equals(schema):
                    raise DataRefusedError(
                        f"{name} was changed while it was read; run the command again"
                    )
                yield from file.iter_batches(batch_size=ROWS_PER_BLOCK)
        except (pa.ArrowException, OSError) as error:
            raise DataRefusedError(
                f"{name} is a damaged Parquet file: {_first_line(error)}"
            ) from None

    return _from_arrow(name, schema, batches)


def open_frame(frame: object, label: str = "frame") -> Source:
    """Open a pandas, Arrow or Polars table, or any other object with ``__arrow_c_stream__``.

    The line of a row is its position, counted from 1; the index of a pandas frame is not read.

    Raises
    ------
    UsageError
        ``frame`` is not a table, or has a column of a type that no table of Arrow has.
    DataRefusedError
        Two columns have the same name.
    """
    import pandas as pd  # slow to import, and a server reads no frame

    if isinstance(frame, pd.DataFrame):
        table = _from_pandas(frame)
    elif isinstance(frame, pa.Table):
        table = frame
    elif hasattr(frame, "__arrow_c_stream__"):
        try:
            table = pa.RecordBatchReader.from_stream(frame).read_all()
        except (pa.ArrowException, TypeError) as error:  # one column alone, which has no names
            raise _no_table(frame) from error
    else:
        raise _no_table(frame)
    return _from_arrow(
        label, table.schema, lambda: iter(table.to_batches(max_chunksize=ROWS_PER_BLOCK))
    )


def _no_table(frame: object) -> UsageError:
    return UsageError(
        f"an event log is a pandas, Arrow or Polars table, not a {type(frame).__name__}"
    )


def _starts(values: pd.Series[Any], name: str) -> pd.Series[Any]:
    """Return periods of at most a day as their starts."""
    import pandas as pd

    if ((values.dt.end_time - values.dt.start_time) >= pd.Timedelta(days=1)).any():
        raise UsageError(
            f"column '{name}' has periods such as {values.dropna().iloc[0]}, which are no times of "
            "events; say which instant is meant, such as "
            f"frame['{name}'].dt.to_timestamp()"
        )
    starts: pd.Series[Any] = values.dt.to_timestamp()
    return starts


def _from_pandas(frame: pd.DataFrame) -> Any:
    import pandas as pd

    names = [str(name) for name in frame.columns]
    arrays = []
    for i in range(len(names)):
        values = frame.iloc[:, i]
        if isinstance(values.dtype, pd.PeriodDtype):
            values = _starts(values, names[i])
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            # Arrow converts such a column by a call that pandas has deprecated
            naive = pa.Array.from_pandas(values.dt.tz_convert(None))
            arrays.append(naive.cast(pa.timestamp(naive.type.unit, "UTC")))
            continue
        try:
            arrays.append(pa.Array.from_pandas(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            # a column of mixed objects, such as the ids 17 and "17a"
            texts = [
                None if is_missing else str(value)
                for value, is_missing in zip(values, values.isna(), strict=True)
            ]
            arrays.append(pa.array(texts))
        except pa.ArrowNotImplementedError as error:
            raise UsageError(
                f"column '{names[i]}' is of type {values.dtype}, which an event log cannot hold; "
                "give numbers, texts or times, or leave it out"
            ) from error
    return pa.Table.from_arrays(arrays, names=names)


def _from_arrow(label: str, schema: Any, batches: Callable[[], Iterator[Any]]) -> Source:
    names_of_columns = name_columns(list(schema.names), label)
    nameless = nameless_columns(list(schema.names))
    columns = tuple(
        SourceColumn(names_of_columns[i], f"c{i}", _kind(field.type), has_name=i not in nameless)
        for i, field in enumerate(schema)
    )
    names = [column.sql for column in columns]

    def blocks() -> Iterator[Block]:
        line = 1
        for batch in batches():
            table = pa.Table.from_batches([batch]).rename_columns(names)
            for i, field in enumerate(table.schema):
                readable = _readable(table.column(i))
                if readable.type != field.type:
                    table = table.set_column(i, field.name, readable)
            yield Block(
                table.append_column("line", pa.array(np.arange(line, line + len(table)))),
                MALFORMED_SCHEMA.empty_table(),
            )
            line += len(table)

    return Source(label, columns, blocks)


def _readable(column: Any) -> Any:
    """Return a column in a type that DuckDB reads without loss or error."""
    data_type = column.type
    if pa.types.is_dictionary(data_type):  # its values could not be compared with ''
        return _readable(column.cast(data_type.value_type))
    if pa.types.is_float16(data_type):
        return column.cast(pa.float32())
    if pa.types.is_decimal256(data_type):
        return column.cast(pa.string())
    if pa.types.is_timestamp(data_type) and data_type.unit in ("s", "ms"):
        # placeholders beyond the range of microseconds would raise an error in DuckDB; clipped,
        # they are refused as absurd times
        units_per_second = {"s": 1, "ms": 1_000}[data_type.unit]
        limit = FARTHEST_SECONDS * units_per_second
        clipped = pc.max_element_wise(
            pc.min_element_wise(column.cast(pa.int64()), limit), -limit, skip_nulls=False
        )
        clipped = pc.if_else(pc.is_valid(column), clipped, pa.scalar(None, pa.int64()))
        return clipped.cast(pa.timestamp(data_type.unit, data_type.tz)).cast(
            pa.timestamp("us", data_type.tz)
        )
    return column


def _kind(data_type: Any) -> Kind:
    types = pa.types
    if types.is_dictionary(data_type):
        return _kind(data_type.value_type)
    if types.is_decimal256(data_type):
        return "text"
    if types.is_integer(data_type) or types.is_floating(data_type) or types.is_decimal(data_type):
        return "number"
    if types.is_timestamp(data_type) or types.is_date(data_type):
        has_zone = types.is_timestamp(data_type) and data_type.tz is not None
        return "instant" if has_zone else "time"
    is_text = (
        types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_string_view(data_type)
    )
    return "text" if is_text else "other"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
