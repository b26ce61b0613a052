"""EVENTS and how they are read: the options that every command with a log shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stagecast.features.intake.options import SEPARATOR_NAMES, THOUSANDS
from stagecast.features.intake.presets import PRESETS
from stagecast.serving.commands.options import instant

F = TypeVar("F", bound=Callable[..., Any])


def reading_options() -> list[Callable[[F], F]]:
    """Return EVENTS and the options, in the order in which a command's help lists them."""
    return [click.argument("events", nargs=-1), *_mapping(), *_values(), *_rules(), *_limits()]


def _mapping() -> list[Callable[[F], F]]:
    return [
        click.option(
            "--preset",
            type=click.Choice(list(PRESETS)),
            help="Read EVENTS as an export of this vendor; other options take its place.",
        ),
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
                "unix-us, unix-ns; default ISO 8601."
            ),
        ),
        click.option(
            "--zone",
            default="UTC",
            show_default=True,
            help="Zone of the shop, of its days and of times that name none: Europe/London.",
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
        click.option(
            "--header-line",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Line of text files that names the columns; lines above it are not read.",
        ),
        click.option("--decimal", type=click.Choice([".", ","]), default=".", show_default=True),
        click.option(
            "--thousands", type=click.Choice(thousands), default="none", show_default=True
        ),
        click.option(
            "--currency-sign",
            metavar="SIGN",
            help="Sign at numbers in text columns: '$' for $1,234.50.",
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
        click.option(
            "--as-of",
            metavar="DATE",
            callback=instant,
            help="Where we stand; default: the day after the last event.",
        ),
    ]
