"""``read_events``: a log from frames, files or a database, with the options as keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stagecast.features.arguments.values import refuse as refuse_value
from stagecast.features.errors import UsageError
from stagecast.features.intake.options import ReadOptions
from stagecast.serving.python.event_log import EventLog
from stagecast.serving.python.read_arguments import customers_table, read_options
from stagecast.serving.python.words import speaks_python
from stagecast.serving.reading import Reading

if TYPE_CHECKING:
    from stagecast.features.catalog.own import OwnFeatures


@speaks_python
def read_events(
    source: object,
    options: ReadOptions | None = None,
    customers: object = None,
    *,
    customer: str | None = None,
    time: str | None = None,
    amount: str | None = None,
    event: str | None = None,
    channel: str | None = None,
    recorded_at: str | None = None,
    event_id: str | None = None,
    currency: str | None = None,
    product: str | None = None,
    category: str | None = None,
    discount_amount: str | None = None,
    known_at_start: str | Sequence[str] = (),
    preset: str | None = None,
    time_format: str | None = None,
    zone: str | tzinfo | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    header_line: int = 1,
    decimal: str = ".",
    thousands: str = "none",
    currency_sign: str | None = None,
    report_currency: str | None = None,
    rates: Mapping[str, float] | None = None,
    where: str | None = None,
    refuse: Mapping[str, str] | None = None,
    flag: Mapping[str, str] | None = None,
    test_customers: str | None = None,
    not_products: str | None = None,
    duplicates: Literal["drop", "keep"] = "drop",
    negative_amounts: Literal["refuse", "refund"] = "refuse",
    skew: str | timedelta | None = None,
    max_rejected: str | int | None = None,
    memory: str = "2GB",
    spill: str = "50GB",
    temp_dir: str | Path | None = None,
    own: OwnFeatures | None = None,
) -> EventLog:
    """Read a log of events and check each row.

    The keywords are the options of the command line; ``docs/data.md`` describes them.

    Parameters
    ----------
    source
        A pandas, Polars or Arrow table; a path, glob, folder or URL of a database; or a list of
        tables or of paths, which are one log.
    options
        All keywords of how rows are read as one object, in place of them.
    customers
        Table of customers: of pandas, polars or Arrow, a path or URL, or how it is read.
    customer, time, amount, event, channel, recorded_at, event_id, currency, product, category
        Column of the part of an event, or an expression of columns such as ``Quantity * Price``.
        A column that has the name of its part (``customer_id``, ``timestamp``, ``amount``, ...)
        needs none. The currency may be a text: ``"'EUR'"``.
    discount_amount
        Column or expression of the money taken off the price.
    known_at_start
        Columns of ``customers`` that were known at the first contact, so that models may learn from
        them.
    zone
        Zone of the shop's days and of times that name none, such as ``Europe/London``; None: UTC.
    refuse, flag
        Name of a rule of your own -> condition of columns.
    rates
        Code of a currency -> what a unit of it is worth in ``report_currency``.
    own
        Features in addition to those of the standard catalogue.
    preset, time_format, encoding, separator, header_line, decimal, thousands, currency_sign
        How a file is written.
    report_currency, where, test_customers, not_products, duplicates, negative_amounts, skew
        What is loaded, and as what.
    max_rejected
        Share such as ``5%``, or number of rows, from which on the whole log is refused.
    memory, spill, temp_dir
        What the database may hold in memory and on disk, and where.

    Raises
    ------
    UsageError
        There is no such file, ``source`` is no table, or an argument cannot be used.
    DataRefusedError
        A column is missing, or no row is valid.

    Examples
    --------
    >>> import pandas as pd
    >>> orders = pd.DataFrame(
    ...     {
    ...         "Customer ID": [17850, 17850, 13047],
    ...         "InvoiceDate": pd.to_datetime(["2010-12-01", "2011-01-07", "2010-12-01"]),
    ...         "Quantity": [6, 2, 1],
    ...         "Price": [2.5, 3.0, 8.0],
    ...     }
    ... )
    >>> log = read_events(
    ...     orders, customer="Customer ID", time="InvoiceDate", amount="Quantity * Price"
    ... )
    >>> log
    EventLog(3 events of 2 customers, 2010-12-01 to 2011-01-07)
    >>> log.history(17850)["amount"].tolist()
    [15.0, 6.0]
    """
    read = read_options(
        {
            "customer": customer,
            "time": time,
            "amount": amount,
            "event": event,
            "channel": channel,
            "recorded_at": recorded_at,
            "event_id": event_id,
            "currency": currency,
            "product": product,
            "category": category,
            "discount": discount_amount,
        },
        {
            "time_format": time_format,
            "duplicates": duplicates,
            "negative_amounts": negative_amounts,
            "memory": memory,
            "spill": spill,
            "zone": zone,
            "encoding": encoding,
            "separator": separator,
            "header_line": header_line,
            "decimal": decimal,
            "thousands": thousands,
            "currency_sign": currency_sign,
            "report_currency": report_currency,
            "rates": rates,
            "where": where,
            "refuse": refuse,
            "flag": flag,
            "test_customers": test_customers,
            "not_products": not_products,
            "skew": skew,
            "max_rejected": max_rejected,
            "preset": preset,
            "temp_dir": temp_dir,
        },
    )
    if options is not None:
        if not isinstance(options, ReadOptions):
            refuse_value(options, "options", "ReadOptions, or write its parts as keywords")
        if read != ReadOptions():
            raise UsageError(
                "options and keywords of the same call; write them all as keywords, or all into "
                "the ReadOptions"
            )
        read = options
    reading = Reading(
        **_sources(source),
        options=read,
        customers=customers_table(customers, known_at_start),
    )
    if own is not None and not hasattr(own, "catalog"):
        refuse_value(own, "own", "OwnFeatures of stagecast.features.catalog.own")
    return open_log(reading if own is None else replace(reading, own=own))


def from_frame(
    frame: object,
    options: ReadOptions | None = None,
    customers: object = None,
) -> EventLog:
    """Read a log from a pandas, Arrow or Polars table; :func:`read_events` takes one, too."""
    return read_events(frame, options, customers)


def open_log(reading: Reading) -> EventLog:
    """Read what a reading says, as a log for Python."""
    return EventLog(reading.open(), reading)


_GIVE = "a pandas, polars or Arrow table, a path, like 'orders.csv', or several of a kind"


def _sources(source: object) -> dict[str, Any]:
    items = list(source) if isinstance(source, list | tuple) else [source]
    if not items:
        raise UsageError("the list of events is empty; give a table, a path, or several of a kind")
    for item in items:
        if not isinstance(item, str | Path) and not hasattr(item, "__arrow_c_stream__"):
            refuse_value(item, "source", _GIVE)
    paths = [str(item) for item in items if isinstance(item, str | Path)]
    if not paths:
        return {"frames": tuple(items)}
    if len(paths) < len(items):
        raise UsageError(
            "the list of events has both paths and tables; give one kind, since rows of a table "
            "and of a file are not named alike"
        )
    return {"sources": tuple(paths)}
