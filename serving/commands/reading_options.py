"""EVENTS and how they are read: the options that every command with a log shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from stagecast.features.catalog.own import Own, own_from_toml
from stagecast.features.clock import parse_instant
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog, EventMapping, ReadOptions, read_events, read_tables
from stagecast.features.intake.attributes import CustomersTable, parse_customers
from stagecast.features.intake.options import SEPARATOR_NAMES, THOUSANDS
from stagecast.features.intake.tables import parse_tables

F = TypeVar("F", bound=Callable[..., Any])

CONFIGURED = ("tables", "customers", "catalog")
"""What a configuration may hold beside options: several tables as one log, the table of
customers, own features.
"""

_META = "stagecast.configured"

# `--discount` is what a year takes off money, of `run` and `train`
MAPPED = {
    part.name: "discount_amount" if part.name == "discount" else part.name
    for part in fields(EventMapping)
}

AS_THEY_ARE = (
    "time_format",
    "zone",
    "encoding",
    "separator",
    "decimal",
    "thousands",
    "report_currency",
    "where",
    "test_customers",
    "not_products",
    "duplicates",
    "negative_amounts",
    "skew",
    "max_rejected",
    "memory",
    "spill",
    "temp_dir",
)


def reading(function: F) -> F:
    """Add EVENTS and how they are read."""
    for option in reversed(
        [click.argument("events", nargs=-1), *_mapping(), *_values(), *_rules(), *_limits()]
    ):
        function = option(function)
    return function


def _mapping() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--customer", metavar="COL", help="Column or expression of the customer's id."
        ),
        click.option("--time", metavar="COL", help="Column or expression of the time."),
        click.option(
            "--amount",
            metavar="COL",
            help="Column or expression of the amount: 'Quantity * Price'.",
        ),
        click.option("--event", metavar="COL", help="Column or expression of the event's type."),
        click.option("--channel", metavar="COL", help="Column or expression of the channel."),
        click.option(
            "--recorded-at",
            metavar="COL",
            help="Column of the instant at which the event was recorded.",
        ),
        click.option("--event-id", metavar="COL", help="Column of the event's own id."),
        click.option(
            "--currency", metavar="COL", help="Column of the currency, or a text: \"'EUR'\"."
        ),
        click.option("--product", metavar="COL", help="Column of the product, for --not-products."),
        click.option(
            "--category",
            metavar="COL",
            help="Column or expression of what was bought or looked at.",
        ),
        click.option(
            "--discount-amount",
            metavar="COL",
            help="Column or expression of the money taken off the price.",
        ),
        click.option(
            "--customers",
            metavar="FILE",
            help="Table of customers: channel, acquisition_cost, consent, ...",
        ),
        click.option(
            "--known-at-start",
            multiple=True,
            metavar="COL",
            help="Column of --customers that was known at the first contact, so that "
            "models may learn from it; may be "
            "repeated.",
        ),
    ]


def _values() -> list[Callable[[F], F]]:
    separators, thousands = list(SEPARATOR_NAMES), list(THOUSANDS)
    return [
        click.option(
            "--time-format",
            metavar="FMT",
            help=(
                "strptime format of the times, or excel, excel-1904, unix, unix-ms, "
                "unix-us; default ISO 8601."
            ),
        ),
        click.option(
            "--zone",
            default="UTC",
            show_default=True,
            help="Zone of times that name none: Europe/London.",
        ),
        click.option(
            "--encoding",
            default="utf-8",
            show_default=True,
            help="Of text files: utf-16, cp1251, latin-1.",
        ),
        click.option(
            "--separator",
            type=click.Choice(separators),
            help="Of text files; default: the header tells.",
        ),
        click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True),
        click.option(
            "--thousands", type=click.Choice(thousands), default="none", show_default=True
        ),
        click.option(
            "--report-currency",
            metavar="CODE",
            help="Count amounts in this currency, with --rates.",
        ),
        click.option(
            "--rates",
            metavar="CODE=RATE,...",
            help="What a unit of another currency is worth in it.",
        ),
    ]


def _rules() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--where",
            metavar="COND",
            help="Read only rows for which this holds; the others are counted.",
        ),
        click.option(
            "--refuse",
            metavar="NAME=COND",
            multiple=True,
            help="Refuse rows for this reason of your own.",
        ),
        click.option(
            "--flag",
            metavar="NAME=COND",
            multiple=True,
            help="Load rows, and count for which this holds.",
        ),
        click.option(
            "--test-customers", metavar="REGEX", help="Refuse customers whose whole id matches."
        ),
        click.option(
            "--not-products", metavar="REGEX", help="Refuse rows whose whole product matches."
        ),
        click.option(
            "--duplicates",
            type=click.Choice(["drop", "keep"]),
            default="drop",
            show_default=True,
            help="What becomes of rows that are alike in every column.",
        ),
        click.option(
            "--negative-amounts",
            type=click.Choice(["refuse", "refund"]),
            default="refuse",
            show_default=True,
            help="What a purchase with a negative amount is.",
        ),
        click.option(
            "--skew",
            metavar="SPAN",
            help="How far past --as-of (or now) a time may lie; default 1d.",
        ),
        click.option(
            "--max-rejected",
            metavar="SHARE",
            help="Stop when more is refused: 50%, or a number of rows.",
        ),
    ]


def _limits() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--memory", default="2GB", show_default=True, help="What DuckDB may hold in memory."
        ),
        click.option(
            "--spill",
            default="50GB",
            show_default=True,
            help="What it may hold on disk beyond that.",
        ),
        click.option(
            "--temp-dir", metavar="DIR", help="Where on disk; default: the system's place."
        ),
        click.option(
            "--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True
        ),
        click.option("--master", metavar="URL", help="Of --engine spark; default local[*]."),
        click.option(
            "--spark-conf",
            metavar="NAME=VALUE",
            multiple=True,
            help="Setting of Spark; may be repeated.",
        ),
    ]


def remember(context: click.Context, name: str, entry: object, file: Path) -> None:
    """Keep what the configuration ``file`` says under one of :data:`CONFIGURED`, for
    :func:`open_log`.
    """
    context.meta.setdefault(_META, {})[name] = (entry, file)


def as_options(name: str, entry: object) -> object:
    """Return an entry of a configuration as the command line would have it: tables of rules and
    rates as texts.
    """
    if name in ("refuse", "flag") and isinstance(entry, dict):
        return [f"{rule}={condition}" for rule, condition in entry.items()]
    if name == "rates" and isinstance(entry, dict):
        return ",".join(f"{code}={rate}" for code, rate in entry.items())
    return entry


def _configured() -> dict[str, tuple[object, Path]]:
    context = click.get_current_context(silent=True)
    found: dict[str, tuple[object, Path]] = (
        context.meta.get(_META, {}) if context is not None else {}
    )
    return found


def own_features() -> Own:
    """Return the features of one's own that the configuration names under ``[catalog]``."""
    configured = _configured()
    if "catalog" not in configured:
        return Own()
    entries, file = configured["catalog"]
    return own_from_toml(entries, str(file))


def read_options(options: dict[str, Any]) -> ReadOptions:
    """Return how the log is to be read.

    Raises
    ------
    UsageError
        An option that cannot be used.
    """
    as_of = options.get("as_of")
    return ReadOptions(
        mapping=EventMapping(**{name: options[option] for name, option in MAPPED.items()}),
        rates=_rates(options["rates"]),
        refuse=_named(options["refuse"], "--refuse"),
        flag=_named(options["flag"], "--flag"),
        as_of=parse_instant(str(as_of)) if as_of is not None else None,
        **{name: options[name] for name in AS_THEY_ARE},
    )


def _named(rules: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in rules:
        name, sign, condition = rule.partition("=")
        if not sign or not condition.strip():
            raise UsageError(f'{option} {rule!r} is not NAME=CONDITION, like free="Price <= 0"')
        if name.strip() in found:
            raise UsageError(f"{option}: two rules are called {name.strip()!r}")
        found[name.strip()] = condition.strip()
    return found


def _rates(text: str | None) -> dict[str, float]:
    rates: dict[str, float] = {}
    for pair in text.split(",") if text else ():
        code, _, rate = pair.partition("=")
        if code.strip() in rates:
            raise UsageError(f"--rates: {code.strip()} stands there twice")
        try:
            rates[code.strip()] = float(rate)
        except ValueError:
            raise UsageError(f"--rates {pair!r} is not CODE=RATE, like USD=0.92") from None
    return rates


def open_log(options: dict[str, Any], *outs: Path | None) -> EventLog:
    """Read the events that the options name; without EVENTS, the tables of the configuration.

    Raises
    ------
    stagecast.features.errors.StagecastError
        Nothing was named, it cannot be read, or one of ``outs``, files to be written, is one that
        was read.
    """
    if options.get("engine") == "spark":
        command = click.get_current_context().info_name
        raise UsageError(
            f"--engine spark: `{command}` works on one machine; `features`, `train` and "
            "`score` know Spark"
        )
    configured = _configured()
    chosen = read_options(options)
    customers = customers_table(options)
    if options["events"]:
        log = read_events(list(options["events"]), chosen, customers)
    elif "tables" in configured:
        entries, file = configured["tables"]
        tables = parse_tables(entries, chosen, file.parent)
        log = read_tables(tables, chosen, customers)
    else:
        raise UsageError(_NOTHING_NAMED)
    for out in outs:
        if out is not None and any(
            out.resolve() == Path(name).resolve() for name in log.report.files
        ):
            log.close()
            raise UsageError(f"--out {out} is the event log itself; name another file")
    return log


_NOTHING_NAMED = (
    "no event log was named: give EVENTS (CSV or Parquet files, a glob, a folder, a "
    "database URL), or [[tables]] "
    "in stagecast.toml"
)


def customers_table(options: dict[str, Any]) -> CustomersTable | None:
    """Return the table of customers that the options name, or the configuration; None: neither
    does.

    Raises
    ------
    UsageError
        Columns of it are named, and no table.
    """
    given, known_at_start, configured = (
        options["customers"],
        options["known_at_start"],
        _configured(),
    )
    if given is not None:
        return CustomersTable(given, known_at_start=tuple(known_at_start))
    found = None
    if "customers" in configured:
        entries, file = configured["customers"]
        found = parse_customers(entries, file.parent)
    if known_at_start and found is None:
        raise UsageError(
            f"--known-at-start {known_at_start[0]}: name the table that has it with --customers"
        )
    return (
        replace(found, known_at_start=tuple(known_at_start))
        if known_at_start and found is not None
        else found
    )
