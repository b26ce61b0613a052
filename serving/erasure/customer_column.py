"""Which rows are the customer's: the customer column of a log, as the log's reader reads it."""

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

OWN_NAME = "customer_id"


@contextmanager
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a DuckDB of our own, which leaves nothing on the disk."""
    con = duckdb.connect(
        config={"temp_directory": "", "autoinstall_known_extensions": "false", "threads": "1"}
    )
    try:
        yield con
    finally:
        con.close()


def compile_customer(column: str | None, columns: Sequence[SourceColumn], source: str) -> Compiled:
    """Return the customer column, or expression, of a log.

    Raises
    ------
    DataRefusedError
        The log has no such column.
    UsageError
        The expression is not allowed.
    """
    known = {one.name: one for one in columns}
    if column is None and OWN_NAME not in known:
        raise DataRefusedError(
            f"{source} has no column {OWN_NAME!r}.{did_you_mean(OWN_NAME, known)} "
            f"It has: {', '.join(known)}. Name the column of customers with --customer COL"
        )
    part = compile_expression(column or OWN_NAME, columns, "text", "--customer", source)
    if part.as_numbers:
        raise UsageError(
            f"--customer {part.label!r} reads {part.as_numbers[0].name!r} as a number, "
            "which an erasure does not; name "
            "the column of customers, or compare texts"
        )
    return part


class Matcher:
    """Says of each row of a block whether it is the customer's."""

    def __init__(self, con: duckdb.DuckDBPyConnection, part: Compiled, customer: Customer) -> None:
        self._con, self._forms = con, list(customer.forms)
        self.columns = part.columns
        text = f"nullif(trim({id_text(part)}), '')"
        self._query = (
            f"SELECT nth FROM (SELECT {text} AS id, nth FROM block) WHERE list_contains($forms, id)"
        )

    def mask(self, block: Any, rows: int) -> NDArray[np.bool_]:
        """Return a mask over the rows of an Arrow table whose columns are those of
        :attr:`columns`.
        """
        found = np.zeros(rows, dtype=np.bool_)
        if rows and self.columns:
            self._con.register(
                "block", block.append_column("nth", [np.arange(rows, dtype=np.int64)])
            )
            rows_found = self._con.execute(self._query, {"forms": self._forms}).fetchnumpy()["nth"]
            self._con.unregister("block")
            found[np.asarray(rows_found, dtype=np.int64)] = True
        return found
