"""A mapped column: the name of a source column, or an expression of source columns.

``--amount "Quantity * Price"`` is parsed by sqlglot and written anew, node by node, from a short
list of what is allowed; whatever is not on the list is refused by name. What leaves this module is
SQL over the renamed columns ``c0, c1, ...`` of a block of rows, so no name or text of the user's
reaches DuckDB unescaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from stagecast.features.errors import DataRefusedError, UsageError, did_you_mean

Kind = Literal["text", "number", "time", "instant", "other"]
"""What a source column holds: CSV columns are all ``text``; a ``time`` names no zone, an
``instant`` has one; ``other`` is read through its text."""

LONGEST_EXPRESSION = 2_000
MOST_NODES = 400

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
_ALLOWED = (
    "columns, numbers, 'texts', + - * /, ||, CASE WHEN, = <> < <= > >=, AND OR NOT, "
    "LIKE, IN, IS NULL, "
    "coalesce, abs, round, upper, lower, trim"
)
_QUOTING = (
    ' In an expression a name with spaces or signs stands in double quotes, like "Unit Price"'
)


@dataclass(frozen=True)
class SourceColumn:
    """One column of a source: the name the user knows it by, its name in a block, and what it
    holds.
    """

    name: str
    sql: str
    kind: Kind


@dataclass(frozen=True)
class Compiled:
    """A mapped column as SQL over a block.

    Parameters
    ----------
    label
        What the user wrote; stands in the report as the column.
    sql
        DuckDB expression over ``c0, c1, ...``: DOUBLE when a number was wanted, else VARCHAR. NULL
        where blank. A text column that is read as a number stands in it as ``n_c0``, which the
        reader provides.
    columns
        The source columns it reads, in the order in which they appear.
    as_numbers
        Those of them that are text and are read as numbers: each value must be one.
    """

    label: str
    sql: str
    columns: tuple[SourceColumn, ...]
    as_numbers: tuple[SourceColumn, ...] = ()

    @property
    def bare(self) -> SourceColumn | None:
        """The column itself where the expression is nothing but one, else None."""
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
    want: Literal["number", "text"],
    option: str,
    source: str,
) -> Compiled:
    """Turn a column name or an expression into SQL.

    Parameters
    ----------
    text
        A column of the source, exactly as it is written there, or an expression of such columns.
    want
        Whether the result is read as a number or as text.
    option, source
        Named in errors: the command-line option, and the file.

    Raises
    ------
    DataRefusedError
        A column that the source does not have.
    UsageError
        The expression cannot be parsed, or uses what is not allowed.

    >>> quantity = SourceColumn("Quantity", "c0", "number")
    >>> price = SourceColumn("Price", "c1", "number")
    >>> columns = [quantity, price]
    >>> compile_expression("Quantity * Price", columns, "number", "--amount", "log.parquet").sql
    '(CAST(c0 AS DOUBLE) * CAST(c1 AS DOUBLE))'
    """
    writer = _Writer({column.name: column for column in columns}, text, option, source)
    named = writer.known.get(text)
    if named is not None:
        sql = writer.column(named, want)
        return Compiled(text, sql, (named,), tuple(writer.as_numbers))
    try:
        node = writer.parse()
        sql = writer.number(node) if want == "number" else writer.text(node)
    except RecursionError:
        raise UsageError(f"{option}: the expression is nested too deeply") from None
    return Compiled(text, sql, tuple(writer.used), tuple(writer.as_numbers))


def compile_condition(
    text: str, columns: Sequence[SourceColumn], option: str, source: str
) -> Compiled:
    """Turn a condition on columns into SQL that is true, false or NULL.

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
        sql = writer.truth(writer.parse())
    except RecursionError:
        raise UsageError(f"{option}: the condition is nested too deeply") from None
    return Compiled(text, sql, tuple(writer.used), tuple(writer.as_numbers))


@dataclass
class _Writer:
    """Writes one expression; remembers which columns it met."""

    known: dict[str, SourceColumn]
    source_text: str
    option: str
    source: str
    used: list[SourceColumn] = field(default_factory=list)
    as_numbers: list[SourceColumn] = field(default_factory=list)

    def parse(self) -> exp.Expression:
        if len(self.source_text) > LONGEST_EXPRESSION:
            raise UsageError(
                f"{self.option}: the expression is longer than {LONGEST_EXPRESSION} characters"
            )
        try:
            statements = sqlglot.parse(self.source_text, dialect="duckdb")
        except SqlglotError as error:
            reason = str(error).splitlines()[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
            raise UsageError(
                f"{self.option} {self.source_text!r} is neither a column of {self.source} "
                f"({self._found()}) nor an expression: {reason.rstrip('. ')}."
                f"{did_you_mean(self.source_text, self.known)}{_QUOTING}"
            ) from None
        if (
            len(statements) == 1
            and statements[0] is not None
            and sum(1 for _ in statements[0].walk()) > MOST_NODES
        ):
            raise UsageError(f"{self.option}: the expression has more than {MOST_NODES} parts")
        if len(statements) != 1 or not isinstance(statements[0], exp.Expression):
            raise UsageError(
                f"{self.option} {self.source_text!r} is not one expression; allowed are {_ALLOWED}"
            )
        return statements[0]

    def _found(self) -> str:
        return "columns: " + ", ".join(self.known)

    def _refuse(
        self, node: exp.Expression, why: str = "is not allowed in an expression"
    ) -> UsageError:
        piece = node.sql(dialect="duckdb")[:80]
        return UsageError(
            f"{self.option} {self.source_text!r}: {piece!r} {why}; allowed are {_ALLOWED}"
            + (_QUOTING if isinstance(node, exp.Alias | exp.Anonymous) else "")
        )

    def _only(self, node: exp.Expression, *allowed: str) -> None:
        """Refuse a node that carries more than the parts we write (ESCAPE, DISTINCT, a
        sub-query, ...).
        """
        if any(value for key, value in node.args.items() if key not in allowed):
            raise self._refuse(node)

    def find(self, node: exp.Column) -> SourceColumn:
        self._only(node, "this")
        name = node.name
        column = self.known.get(name)
        if column is None:
            raise DataRefusedError(
                f"{self.option} {self.source_text!r}: {self.source} has no column {name!r}."
                f"{did_you_mean(name, self.known)} It has {self._found()}"
            )
        return column

    def column(self, column: SourceColumn, want: str) -> str:
        if column not in self.used:
            self.used.append(column)
        if want == "number":
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
        return column_text(column)

    def number(self, node: exp.Expression) -> str:
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.number(node.this)})"
        if isinstance(node, exp.Column):
            return self.column(self.find(node), "number")
        if isinstance(node, exp.Literal):
            if node.is_string:
                raise self._refuse(node, "is a text where a number is needed")
            return f"CAST({quote_text(str(float(node.this)))} AS DOUBLE)"
        if isinstance(node, exp.Null):
            return "NULL"
        if isinstance(node, exp.Neg):
            return f"(-{self.number(node.this)})"
        if kind in _ARITHMETIC:
            self._only(node, "this", "expression", "typed", "safe")
            return f"({self.number(node.this)} {_ARITHMETIC[kind]} {self.number(node.expression)})"
        if isinstance(node, exp.Abs):
            return f"abs({self.number(node.this)})"
        if isinstance(node, exp.Round):
            self._only(node, "this", "decimals")
            decimals = node.args.get("decimals")
            if decimals is not None and not (
                isinstance(decimals, exp.Literal) and decimals.this in set("0123456")
            ):
                raise self._refuse(node, "needs a whole number of decimals from 0 to 6")
            return (
                f"round({self.number(node.this)}, {decimals.this if decimals is not None else 0})"
            )
        if isinstance(node, exp.Coalesce):
            self._only(node, "this", "expressions")
            parts = (self.number(part) for part in (node.this, *node.expressions))
            return f"coalesce({', '.join(parts)})"
        if isinstance(node, exp.Case):
            return self._case(node, "number")
        raise self._refuse(node)

    def text(self, node: exp.Expression) -> str:
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.text(node.this)})"
        if isinstance(node, exp.Column):
            return self.column(self.find(node), "text")
        if isinstance(node, exp.Literal):
            return quote_text(node.this)
        if isinstance(node, exp.Null):
            return "NULL"
        if kind in _TEXT_FUNCTION:
            self._only(node, "this")
            return f"{_TEXT_FUNCTION[kind]}({self.text(node.this)})"
        if isinstance(node, exp.DPipe):
            return f"({self.text(node.this)} || {self.text(node.expression)})"
        if isinstance(node, exp.Coalesce):
            self._only(node, "this", "expressions")
            return (
                f"coalesce({', '.join(self.text(part) for part in (node.this, *node.expressions))})"
            )
        if isinstance(node, exp.Case):
            return self._case(node, "text")
        if _is_number(node, self.known):
            raise self._refuse(node, "is a number where a text is needed")
        raise self._refuse(node)

    def _case(self, node: exp.Case, want: Literal["number", "text"]) -> str:
        self._only(node, "ifs", "default")
        write = self.number if want == "number" else self.text
        branches = [
            f"WHEN {self.truth(branch.this)} THEN {write(branch.args['true'])}"
            for branch in node.args["ifs"]
        ]
        default = node.args.get("default")
        return (
            f"CASE {' '.join(branches)} ELSE "
            f"{write(default) if default is not None else 'NULL'} END"
        )

    def truth(self, node: exp.Expression) -> str:
        kind = type(node)
        if isinstance(node, exp.Paren):
            return f"({self.truth(node.this)})"
        if kind in _CONNECTIVE:
            return f"({self.truth(node.this)} {_CONNECTIVE[kind]} {self.truth(node.expression)})"
        if isinstance(node, exp.Not):
            return f"(NOT {self.truth(node.this)})"
        if kind in _COMPARISON:
            left, right = self._alike(
                node, [node.this, node.expression], kind not in (exp.EQ, exp.NEQ)
            )
            return f"({left} {_COMPARISON[kind]} {right})"
        if isinstance(node, exp.Like):
            self._only(node, "this", "expression", "negate")
            if not (isinstance(node.expression, exp.Literal) and node.expression.is_string):
                raise self._refuse(node, "needs a text in quotes as its pattern")
            negate = "NOT " if node.args.get("negate") else ""
            return f"({self.text(node.this)} {negate}LIKE {self.text(node.expression)})"
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            self._only(node, "this", "expression", "negate")
            negate = "NOT " if node.args.get("negate") else ""
            operand = (
                self.number(node.this)
                if _is_number(node.this, self.known)
                else self.text(node.this)
            )
            return f"({operand} IS {negate}NULL)"
        if isinstance(node, exp.In):
            self._only(node, "this", "expressions", "negate")
            negate = "NOT " if node.args.get("negate") else ""
            head, *rest = self._alike(node, [node.this, *node.expressions], ordered=False)
            return f"({head} {negate}IN ({', '.join(rest)}))"
        raise self._refuse(node, "is not a condition")

    def _alike(self, node: exp.Expression, parts: list[exp.Expression], ordered: bool) -> list[str]:
        """Write the sides of a comparison: as numbers if one of them is a number, else as texts."""
        if any(_is_number(part, self.known) for part in parts):
            return [self.number(part) for part in parts]
        if ordered and not any(_is_text(part) for part in parts):
            raise self._refuse(
                node,
                "compares two columns of text: write + 0 behind one of them to compare numbers",
            )
        return [self.text(part) for part in parts]


def column_text(column: SourceColumn) -> str:
    """Return SQL for the column's value as text, NULL where it is blank.

    >>> column_text(SourceColumn("id", "c0", "text"))
    "nullif(c0, '')"
    """
    return (
        f"nullif({column.sql}, '')" if column.kind == "text" else f"CAST({column.sql} AS VARCHAR)"
    )


def _is_number(node: exp.Expression | None, known: dict[str, SourceColumn]) -> bool:
    if isinstance(node, exp.Literal):
        return not node.is_string
    if isinstance(node, exp.Column):
        return node.name in known and known[node.name].kind == "number"
    if isinstance(node, exp.Paren):
        return _is_number(node.this, known)
    if isinstance(node, exp.Coalesce):
        return any(_is_number(part, known) for part in (node.this, *node.expressions))
    if isinstance(node, exp.Case):
        return any(_is_number(part, known) for part in [b.args["true"] for b in node.args["ifs"]])
    return isinstance(node, exp.Neg | exp.Abs | exp.Round) or type(node) in _ARITHMETIC


def _is_text(node: exp.Expression) -> bool:
    if isinstance(node, exp.Paren):
        return _is_text(node.this)
    return (
        isinstance(node, exp.DPipe)
        or type(node) in _TEXT_FUNCTION
        or (isinstance(node, exp.Literal) and node.is_string)
    )
