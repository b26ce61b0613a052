"""The keywords of ``read_events``, checked and in the forms that reading takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timezone, tzinfo
from numbers import Integral
from pathlib import Path
from typing import Any

from stagecast.features.arguments.spans import duration_text
from stagecast.features.arguments.values import (
    mapping,
    path,
    refuse,
    shown,
    text,
    texts,
    whole_number,
)
from stagecast.features.arguments.values import number as number_of
from stagecast.features.errors import UsageError
from stagecast.features.frames.given import as_frame, is_table
from stagecast.features.intake.attributes import CustomersTable
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.options import ReadOptions

_COLUMN = "the name of a column or an expression of columns, like 'Customer ID'"
_GIVE = {
    "time_format": "a format such as '%d/%m/%Y', or 'unix'",
    "encoding": "the name of an encoding, like 'utf-8'",
    "separator": "a separator of fields, like ';'",
    "decimal": "'.' or ','",
    "thousands": "a separator of thousands, like ',', or 'none'",
    "currency_sign": "a sign, like '$'",
    "report_currency": "the code of a currency, like 'EUR'",
    "where": "a condition of columns, like \"status = 'paid'\"",
    "test_customers": "a regular expression of ids, like 'test.*'",
    "not_products": "a regular expression of products, like 'POSTAGE'",
    "preset": "the name of a preset, like 'shopify'",
    "memory": "a size, like '2GB'",
    "spill": "a size, like '50GB'",
}
_CUSTOMERS = (
    "the path of a file, like 'customers.csv', the URL of a table, or a pandas, polars or Arrow "
    "table"
)
_RULES = "rules with their conditions, like {'too_large': 'amount > 10000'}"
_RATE = "what a unit of the currency is worth, like 0.9"
_RATES = "rates by code of a currency, like {'USD': 0.9}"


def read_options(columns: Mapping[str, Any], given: Mapping[str, Any]) -> ReadOptions:
    """Return how rows are read.

    Parameters
    ----------
    columns
        Part of an event -> its column or expression; None: not named.
    given
        The other keywords, by name.

    Raises
    ------
    UsageError
        A value is of a type that the keyword does not take, or cannot be used.
    """
    for name, column in columns.items():
        if column is not None:
            text(column, "discount_amount" if name == "discount" else name, _COLUMN)
    read = dict(given)
    for name, give in _GIVE.items():
        if read[name] is not None:
            text(read[name], name, give)
    zone = None if given["zone"] is None else zone_name(given["zone"])
    line = given["header_line"]
    folder = given["temp_dir"]
    read |= {
        "zone": "UTC" if zone is None else zone,
        "day_zone": zone,
        "header_line": whole_number(line, "header_line", "the number of a line, 1 or more"),
        "rates": _rates(given["rates"]),
        "refuse": _rules(given["refuse"], "refuse"),
        "flag": _rules(given["flag"], "flag"),
        "skew": None if given["skew"] is None else duration_text(given["skew"], "skew"),
        "max_rejected": _most_rejected(given["max_rejected"]),
        "temp_dir": None if folder is None else str(path(folder, "temp_dir", "a folder")),
    }
    return ReadOptions(mapping=EventMapping(**columns), **read)


def zone_name(zone: Any) -> str:
    """Return the name of a zone, also of a ``tzinfo`` such as ``ZoneInfo("Europe/London")``.

    >>> from datetime import timedelta
    >>> zone_name(timezone(timedelta(hours=2), "Kaliningrad"))
    '+02:00'
    """
    give = "a name, like 'Europe/London', or an offset, like '+02:00'"
    if isinstance(zone, timezone):
        return str(timezone(zone.utcoffset(None))).removeprefix("UTC") or "UTC"
    if isinstance(zone, tzinfo):
        zone = getattr(zone, "key", None) or getattr(zone, "zone", None) or zone
    return text(zone, "zone", give)


def customers_table(given: Any, known_at_start: Any) -> CustomersTable | None:
    """Return the table of customers and how it is read; None where there is none.

    Parameters
    ----------
    given
        A path or URL, a table of pandas, polars or Arrow, or a ``CustomersTable``.
    known_at_start
        Columns of it.

    Raises
    ------
    UsageError
        It is none of these, or columns are named without it.
    """
    known = texts(known_at_start, "known_at_start", "names of columns, like ['channel']")
    if given is None:
        if known:
            raise UsageError(
                f"known_at_start={known[0]!r}: name the table that has it with customers="
            )
        return None
    if isinstance(given, CustomersTable):
        return replace(given, known_at_start=known or given.known_at_start)
    if is_table(given):
        frame = as_frame(given, "customers")
        frame = frame.reset_index() if frame.index.name == "customer_id" else frame
        return CustomersTable("customers", known_at_start=known, frame=frame)
    if not isinstance(given, str | Path):
        refuse(given, "customers", _CUSTOMERS)
    return CustomersTable(str(given), known_at_start=known)


def _rates(given: Any) -> dict[str, float]:
    rates = mapping(given, "rates", _RATES)
    return {
        text(code, "rates", _RATES): number_of(rate, f"rates[{shown(code)}]", _RATE)
        for code, rate in rates.items()
    }


def _rules(given: Any, name: str) -> dict[str, str]:
    rules = mapping(given, name, _RULES)
    for rule, condition in rules.items():
        text(rule, name, _RULES)
        text(condition, f"{name}[{shown(rule)}]", "a condition of columns, like 'amount > 10000'")
    return rules


def _most_rejected(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    give = "a share, like '5%', or a number of rows, like 1000"
    if not isinstance(given, Integral) or isinstance(given, bool) or given < 0:
        refuse(given, "max_rejected", give)
    return str(int(given))
