"""The customer column of a log, and the rows in which it is the customer to erase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean
from stagecast.features.intake.expressions import Compiled, SourceColumn, compile_expression
from stagecast.features.intake.values import id_text
from stagecast.serving.erasure.identity import Customer

DEFAULT_COLUMN = "customer_id"


@contextmanager
def duckdb_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to an in-memory DuckDB that writes no temporary files."""
    con = duckdb.connect(
        config={"temp_directory": "", "autoinstall_known_extensions": "false", "threads": "1"}
    )
    try:
        yield con
    finally:
        con.close()


def compile_customer(column: str | None, columns: Sequence[SourceColumn], source: str) -> Compiled:
    """Return the compiled customer column of a log.

    Parameters
    ----------
    column
        Name of the column, or an expression; None: ``customer_id``.
    columns
        Columns of the log.
    source
        Name of the log, for error messages.

    Raises
    ------
    DataRefusedError
        The log has no such column.
    UsageError
        The expression is not allowed.
    """
    names = [source_column.name for source_column in columns]
    if column is None and DEFAULT_COLUMN not in names:
        raise DataRefusedError(
            f"{source} has no column {DEFAULT_COLUMN!r}.{did_you_mean(DEFAULT_COLUMN, names)} "
            f"It has: {', '.join(names)}. Name the column of customers with --customer COL"
        )
    compiled = compile_expression(column or DEFAULT_COLUMN, columns, "text", "--customer", source)
    if compiled.as_numbers:
        raise UsageError(
            f"--customer {compiled.label!r} reads {compiled.as_numbers[0].name!r} as a number, "
            "which an erasure does not; name "
            "the column of customers, or compare texts"
        )
    return compiled


class Matcher:
    """Finds the rows of a customer by the values of the customer column.

    Parameters
    ----------
    con
        DuckDB connection that evaluates the column.
    customer_column
        The compiled column; see :func:`compile_customer`.
    customer
        The customer.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, customer_column: Compiled, customer: Customer
    ) -> None:
        self._con, self._forms = con, list(customer.forms)
        self.columns = customer_column.columns
        text = f"nullif(trim({id_text(customer_column)}), '')"
        self._query = (
            f"SELECT nth FROM (SELECT {text} AS id, nth FROM block) WHERE list_contains($forms, id)"
        )

    def mask(self, block: Any, rows: int) -> NDArray[np.bool_]:
        """Return which rows of a table are the customer's.

        Parameters
        ----------
        block
            Arrow table with the columns :attr:`columns`.
        rows
            Number of its rows.

        Returns
        -------
        Boolean array, shape (rows,).
        """
        mask = np.zeros(rows, dtype=np.bool_)
        if rows and self.columns:
            self._con.register(
                "block", block.append_column("nth", [np.arange(rows, dtype=np.int64)])
            )
            result = self._con.execute(self._query, {"forms": self._forms})
            row_numbers = result.fetchnumpy()["nth"]
            self._con.unregister("block")
            mask[np.asarray(row_numbers, dtype=np.int64)] = True
        return mask
