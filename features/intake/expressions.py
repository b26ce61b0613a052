"""Compilation of mapped columns and conditions to SQL.

A mapped column is the name of a source column, or an expression of source columns such as
``Quantity * Price``. sqlglot parses the expression, and each node that is on a short list of
allowed ones is written anew; any other node is refused by name. The result is SQL over the renamed
columns ``c0, c1, ...`` of a block of rows, so no name or text of the user's reaches DuckDB
unescaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from stagecast.features.arguments.syntax import syntax_fault
from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean

Kind = Literal["text", "number", "time", "instant", "other"]
"""Type of a source column.

CSV columns are all ``text``; a ``time`` has no zone, an ``instant`` has one; ``other`` is read as
the text that it casts to.
"""

MAX_EXPRESSION_LENGTH = 2_000
MAX_NODES = 400

_ARITHMETIC: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
}
_COMPARISON: dict[type[exp.Expression], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_CONNECTIVE: dict[type[exp.Expression], str] = {exp.And: "AND", exp.Or: "OR"}
_TEXT_FUNCTION: dict[type[exp.Expression], str] = {
    exp.Upper: "upper",
    exp.Lower: "lower",
    exp.Trim: "trim",
}
_ALLOWED_SYNTAX = (
    "columns, numbers, 'texts', + - * /, ||, CASE WHEN, = <> < <= > >=, AND OR NOT, "
    "LIKE, IN, IS NULL, "
    "coalesce, abs, round, upper, lower, trim"
)
_QUOTING_HINT = (
    ' In an expression a name with spaces or signs stands in double quotes, like "Unit Price"'
)


@dataclass(frozen=True)
class SourceColumn:
    """One column of a source.

    Parameters
    ----------
    name
        Its name in the source.
    sql
        Its name in a block of rows, such as ``c0``.
    kind
        Its type.
    has_name
        Whether the source names it; if not, ``name`` is its position, such as ``column 1``.
    """

    name: str
    sql: str
    kind: Kind
    has_name: bool = True


@dataclass(frozen=True)
class Compiled:
    """A mapped column or a condition as SQL over a block of rows.

    Parameters
    ----------
    label
        The name or expression as the user wrote it; reports show it as the column.
    sql
        DuckDB expression over ``c0, c1, ...``: DOUBLE, VARCHAR or, for a condition, BOOLEAN. NULL
        where blank. A text column that is read as a number appears in it as ``n_c0``, which
        :mod:`stagecast.features.intake.reading` adds to the block.
    columns
        The source columns that it reads, in the order in which they appear.
    as_numbers
        The text columns among them that are read as numbers.
    minuend
        DuckDB expression of what something is subtracted from, if the expression is a difference.
    """

    label: str
    sql: str
    columns: tuple[SourceColumn, ...]
    as_numbers: tuple[SourceColumn, ...] = ()
    minuend: str | None = None

    @property
    def single_column(self) -> SourceColumn | None:
        """The source column if the expression is nothing but its name, else None."""
        return (
            self.columns[0]
            if len(self.columns) == 1 and self.columns[0].name == self.label
            else None
        )


def quote_text(text: str) -> str:
    """Return the text as an SQL literal.

    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def compile_expression(
    text: str,
    columns: Sequence[SourceColumn],
    result_kind: Literal["number", "text"],
    option: str,
    source: str,
) -> Compiled:
    """Compile a column name or an expression to SQL.

    Parameters
    ----------
    text
        Name of a column, exactly as in the source, or an expression of such names.
    columns
        The columns of the source.
    result_kind
        Whether the result is a number or a text.
    option, source
        The option of the command line and the name of the source; used in error messages.

    Raises
    ------
    DataRefusedError
        The source does not have a column.
    UsageError
        The expression cannot be parsed, or uses syntax that is not allowed.

    >>> quantity = SourceColumn("Quantity", "c0", "number")
    >>> price = SourceColumn("Price", "c1", "number")
    >>> columns = [quantity, price]
    >>> compile_expression("Quantity * Price", columns, "number", "--amount", "log.parquet").sql
    '(CAST(c0 AS DOUBLE) * CAST(c1 AS DOUBLE))'
    """
    writer = _Writer({column.name: column for column in columns}, text, option, source)
    column = writer.columns.get(text)
    if column is not None:
        sql = writer.column_sql(column, result_kind)
        return Compiled(text, sql, (column,), tuple(writer.as_numbers))
    try:
        node = writer.parse()
        sql = writer.number_sql(node) if result_kind == "number" else writer.text_sql(node)
        minuend = writer.minuend_sql(node) if result_kind == "number" else None
    except RecursionError:
        raise UsageError(f"{option}: the expression is nested too deeply") from None
    return Compiled(text, sql, tuple(writer.used_columns), tuple(writer.as_numbers), minuend)


def compile_condition(
    text: str, columns: Sequence[SourceColumn], option: str, source: str
) -> Compiled:
    """Compile a condition on columns to SQL of a BOOLEAN.

    Parameters
    ----------
    text
        The condition.
    columns
        The columns of the source.
    option, source
        As of :func:`compile_expression`.

    Raises
    ------
    DataRefusedError, UsageError
        As :func:`compile_expression`.

    >>> price = SourceColumn("Price", "c0", "number")
    >>> compile_condition("Price <= 0", [price], "--refuse", "log.parquet").sql
    "(CAST(c0 AS DOUBLE) <= CAST('0.0' AS DOUBLE))"
    """
    writer = _Writer({column.name: column for column in columns}, text, option, source)
    try:
        sql = writer.condition_sql(writer.parse())
    except RecursionError:
        raise UsageError(f"{option}: the condition is nested too deeply") from None
    return Compiled(text, sql, tuple(writer.used_columns), tuple(writer.as_numbers))


@dataclass
class _Writer:
    """Writes one expression as SQL, and records which columns it uses."""

    columns: dict[str, SourceColumn]
    source_text: str
    option: str
    source: str
    used_columns: list[SourceColumn] = field(default_factory=list)
    as_numbers: list[SourceColumn] = field(default_factory=list)

    def parse(self) -> exp.Expression:
        """Return the syntax tree of the expression."""
        if len(self.source_text) > MAX_EXPRESSION_LENGTH:
            raise UsageError(
                f"{self.option}: the expression is longer than {MAX_EXPRESSION_LENGTH} characters"
            )
        try:
            statements = sqlglot.parse(self.source_text, dialect="duckdb")
        except SqlglotError as error:
            raise UsageError(
                f"{self.option} {self.source_text!r} is neither a column of {self.source} "
                f"({self._column_list()}) nor an expression: "
                f"{syntax_fault(self.source_text, error)}."
                f"{did_you_mean(self.source_text, self.columns)}{_QUOTING_HINT}"
            ) from None
        if (
            len(statements) == 1
            and statements[0] is not None
            and sum(1 for _ in statements[0].walk()) > MAX_NODES
        ):
            raise UsageError(f"{self.option}: the expression has more than {MAX_NODES} parts")
        if len(statements) != 1 or not isinstance(statements[0], exp.Expression):
            raise UsageError(
                f"{self.option} {self.source_text!r} is not one expression; "
                f"allowed are {_ALLOWED_SYNTAX}"
            )
        return statements[0]

    def _column_list(self) -> str:
        return "columns: " + ", ".join(self.columns)

    def _refusal(
        self, node: exp.Expression, why: str = "is not allowed in an expression"
    ) -> UsageError:
        """Return the error for a node, without raising it."""
        node_text = node.sql(dialect="duckdb")[:80]
        if isinstance(node, exp.Alias):  # two words, such as a mistyped name of a column
            return UsageError(
                f"{self.option} {self.source_text!r} is neither a column of {self.source} "
                f"({self._column_list()}) nor an expression."
                f"{did_you_mean(self.source_text, self.columns)}{_QUOTING_HINT}"
            )
        return UsageError(
            f"{self.option} {self.source_text!r}: {node_text!r} {why}; "
            f"allowed are {_ALLOWED_SYNTAX}"
            + (f".{_QUOTING_HINT}" if isinstance(node, exp.Anonymous) else "")
        )

    def _check_arguments(self, node: exp.Expression, *allowed: str) -> None:
        """Refuse a node with any other argument, such as ESCAPE, DISTINCT or a sub-query."""
        if any(value for key, value in node.args.items() if key not in allowed):
            raise self._refusal(node)

    def find_column(self, node: exp.Column) -> SourceColumn:
        """Return the source column that a node names."""
        self._check_arguments(node, "this")
        name = node.name
        column = self.columns.get(name)
        if column is None:
            raise DataRefusedError(
                f"{self.option} {self.source_text!r}: {self.source} has no column {name!r}."
                f"{did_you_mean(name, self.columns)}{self._code_hint()} "
                f"It has {self._column_list()}"
            )
        return column

    def _code_hint(self) -> str:
        """Return how a code of a currency is given for all rows; empty for anything else."""
        text = self.source_text.strip()
        if self.option != "--currency" or re.fullmatch(r"[A-Za-z]{3}", text) is None:
            return ""
        return f" For all amounts in {text.upper()}: --currency \"'{text.upper()}'\"."

    def column_sql(self, column: SourceColumn, result_kind: str) -> str:
        """Write a column as SQL of a number or a text, and record that it is used."""
        if column not in self.used_columns:
            self.used_columns.append(column)
        if result_kind == "number":
            if column.kind == "number":
                return f"CAST({column.sql} AS DOUBLE)"
            if column.kind in ("time", "instant"):
                raise UsageError(
                    f"{self.option}: column {column.name!r} of {self.source} holds times, "
                    "not numbers"
                )
            if column not in self.as_numbers:
                self.as_numbers.append(column)
            return f"n_{column.sql}"
        is_part_of_time = self.option in ("--time", "--recorded-at")
        return whole_text(column) if is_part_of_time else column_text(column)

    def minuend_sql(self, node: exp.Expression) -> str | None:
        """Write the first part of a difference; None where the expression is no difference."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Sub):
            return None
        return self.minuend_sql(node.this) or self.number_sql(node.this)

    def number_sql(self, node: exp.Expression) -> str:
        """Write an expression of a number as SQL of a DOUBLE."""
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.number_sql(node.this)})"
        if isinstance(node, exp.Column):
            return self.column_sql(self.find_column(node), "number")
        if isinstance(node, exp.Literal):
            if node.is_string:
                raise self._refusal(node, "is a text where a number is needed")
            return f"CAST({quote_text(str(float(node.this)))} AS DOUBLE)"
        if isinstance(node, exp.Null):
            return "NULL"
        if isinstance(node, exp.Neg):
            return f"(-{self.number_sql(node.this)})"
        if kind in _ARITHMETIC:
            self._check_arguments(node, "this", "expression", "typed", "safe")
            left, right = self.number_sql(node.this), self.number_sql(node.expression)
            return f"({left} {_ARITHMETIC[kind]} {right})"
        if isinstance(node, exp.Abs):
            return f"abs({self.number_sql(node.this)})"
        if isinstance(node, exp.Round):
            self._check_arguments(node, "this", "decimals")
            decimals = node.args.get("decimals")
            if decimals is not None and not (
                isinstance(decimals, exp.Literal) and decimals.this in set("0123456")
            ):
                raise self._refusal(node, "needs a whole number of decimals from 0 to 6")
            places = decimals.this if decimals is not None else 0
            return f"round({self.number_sql(node.this)}, {places})"
        if isinstance(node, exp.Coalesce):
            self._check_arguments(node, "this", "expressions")
            parts = (self.number_sql(part) for part in (node.this, *node.expressions))
            return f"coalesce({', '.join(parts)})"
        if isinstance(node, exp.Case):
            return self._case(node, "number")
        raise self._refusal(node)

    def text_sql(self, node: exp.Expression) -> str:
        """Write an expression of a text as SQL of a VARCHAR."""
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.text_sql(node.this)})"
        if isinstance(node, exp.Column):
            return self.column_sql(self.find_column(node), "text")
        if isinstance(node, exp.Literal):
            return quote_text(node.this)
        if isinstance(node, exp.Null):
            return "NULL"
        if kind in _TEXT_FUNCTION:
            self._check_arguments(node, "this")
            return f"{_TEXT_FUNCTION[kind]}({self.text_sql(node.this)})"
        if isinstance(node, exp.DPipe):
            return f"({self.text_sql(node.this)} || {self.text_sql(node.expression)})"
        if isinstance(node, exp.Coalesce):
            self._check_arguments(node, "this", "expressions")
            parts = (self.text_sql(part) for part in (node.this, *node.expressions))
            return f"coalesce({', '.join(parts)})"
        if isinstance(node, exp.Case):
            return self._case(node, "text")
        if _is_number(node, self.columns):
            raise self._refusal(node, "is a number where a text is needed")
        raise self._refusal(node)

    def _case(self, node: exp.Case, result_kind: Literal["number", "text"]) -> str:
        self._check_arguments(node, "ifs", "default")
        write = self.number_sql if result_kind == "number" else self.text_sql
        branches = [
            f"WHEN {self.condition_sql(branch.this)} THEN {write(branch.args['true'])}"
            for branch in node.args["ifs"]
        ]
        default = node.args.get("default")
        return (
            f"CASE {' '.join(branches)} ELSE "
            f"{write(default) if default is not None else 'NULL'} END"
        )

    def condition_sql(self, node: exp.Expression) -> str:
        """Write a condition as SQL of a BOOLEAN."""
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.condition_sql(node.this)})"
        if kind in _CONNECTIVE:
            left, right = self.condition_sql(node.this), self.condition_sql(node.expression)
            return f"({left} {_CONNECTIVE[kind]} {right})"
        if isinstance(node, exp.Not):
            return f"(NOT {self.condition_sql(node.this)})"
        if kind in _COMPARISON:
            left, right = self._comparison_sides(
                node, [node.this, node.expression], kind not in (exp.EQ, exp.NEQ)
            )
            return f"({left} {_COMPARISON[kind]} {right})"
        if isinstance(node, exp.Like):
            self._check_arguments(node, "this", "expression", "negate")
            if not (isinstance(node.expression, exp.Literal) and node.expression.is_string):
                raise self._refusal(node, "needs a text in quotes as its pattern")
            negate = "NOT " if node.args.get("negate") else ""
            return f"({self.text_sql(node.this)} {negate}LIKE {self.text_sql(node.expression)})"
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            self._check_arguments(node, "this", "expression", "negate")
            negate = "NOT " if node.args.get("negate") else ""
            operand = (
                self.number_sql(node.this)
                if _is_number(node.this, self.columns)
                else self.text_sql(node.this)
            )
            return f"({operand} IS {negate}NULL)"
        if isinstance(node, exp.In):
            self._check_arguments(node, "this", "expressions", "negate")
            negate = "NOT " if node.args.get("negate") else ""
            head, *rest = self._comparison_sides(
                node, [node.this, *node.expressions], ordered=False
            )
            return f"({head} {negate}IN ({', '.join(rest)}))"
        raise self._refusal(node, "is not a condition")

    def _comparison_sides(
        self, node: exp.Expression, parts: list[exp.Expression], ordered: bool
    ) -> list[str]:
        """Write the sides of a comparison: as numbers if one of them is a number, else as texts.

        ``ordered`` says whether the comparison is by order, such as ``<``. Then two columns of text
        are refused, since the user probably means numbers.
        """
        if any(_is_number(part, self.columns) for part in parts):
            return [self.number_sql(part) for part in parts]
        if ordered and not any(_is_text(part) for part in parts):
            raise self._refusal(
                node,
                "compares two columns of text: write + 0 behind one of them to compare numbers",
            )
        return [self.text_sql(part) for part in parts]


def column_text(column: SourceColumn) -> str:
    """Return SQL of a column as text, NULL where it is blank.

    >>> column_text(SourceColumn("id", "c0", "text"))
    "nullif(c0, '')"
    """
    return (
        f"nullif({column.sql}, '')" if column.kind == "text" else f"CAST({column.sql} AS VARCHAR)"
    )


def whole_text(column: SourceColumn) -> str:
    """Return SQL of a column as text, without ``.0``, so that 20240131.0 can be read as a date."""
    text = column_text(column)
    if column.kind != "number":
        return text
    whole = f"try_cast({column.sql} AS BIGINT)"
    return f"CASE WHEN {whole} = {column.sql} THEN CAST({whole} AS VARCHAR) ELSE {text} END"


def _is_number(node: exp.Expression | None, columns: dict[str, SourceColumn]) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Column):
        return node.name in columns and columns[node.name].kind == "number"
    if isinstance(node, exp.Paren):
        return _is_number(node.this, columns)
    if isinstance(node, exp.Coalesce):
        return any(_is_number(part, columns) for part in (node.this, *node.expressions))
    if isinstance(node, exp.Case):
        return any(
            _is_number(part, columns)
            for part in [branch.args["true"] for branch in node.args["ifs"]]
        )
    return isinstance(node, exp.Neg | exp.Abs | exp.Round) or type(node) in _ARITHMETIC


def _is_text(node: exp.Expression) -> bool:
    if isinstance(node, exp.Paren):
        return _is_text(node.this)
    return (
        isinstance(node, exp.DPipe)
        or type(node) in _TEXT_FUNCTION
        or (isinstance(node, exp.Literal) and node.is_string)
    )
