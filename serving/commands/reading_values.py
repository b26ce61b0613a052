"""The :class:`~stagecast.serving.reading.Reading` that is made of what a command was given: EVENTS,
the options of how they are read, and what the configuration holds beside options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from stagecast.features.errors import UsageError
from stagecast.features.intake.mapping import EventMapping
from stagecast.features.intake.options import ReadOptions
from stagecast.serving.commands.configuration import Configuration, configuration
from stagecast.serving.commands.options import in_place_of, with_options
from stagecast.serving.commands.reading_options import reading_options
from stagecast.serving.reading import Reading, Spark

if TYPE_CHECKING:
    from stagecast.features.intake.attributes import CustomersTable

F = TypeVar("F", bound=Callable[..., Any])

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
    "header_line",
    "preset",
    "decimal",
    "thousands",
    "currency_sign",
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
"""Options that are fields of :class:`ReadOptions`, and of the same type."""


def reading(function: F) -> F:
    """Add EVENTS, how they are read, and where one stands; the command gets a
    :class:`~stagecast.serving.reading.Reading` as ``reading``.
    """

    def command(
        context: click.Context,
        *,
        events: tuple[str, ...],
        customers: str | None,
        known_at_start: tuple[str, ...],
        rates: str | None,
        refuse: Sequence[str],
        flag: Sequence[str],
        as_of: datetime | None,
        engine: str,
        master: str | None,
        spark_conf: Sequence[str],
        **values: Any,
    ) -> Any:
        configured = configuration(context)
        options = ReadOptions(
            mapping=EventMapping(**{part: values.pop(name) for part, name in MAPPED.items()}),
            rates=_rates(rates),
            refuse=_named(refuse, "--refuse"),
            flag=_named(flag, "--flag"),
            as_of=as_of,
            day_zone=values["zone"] if _is_named(context, "zone") else None,
            **{name: values.pop(name) for name in AS_THEY_ARE},
        )
        log = Reading(
            sources=events,
            tables=() if events else configured.tables_read(options),
            options=options,
            customers=_customers_table(customers, known_at_start, configured),
            own=configured.own_features(),
            spark=_spark(master, spark_conf) if engine == "spark" else None,
        )
        return function(reading=log, **values)

    return with_options(in_place_of(function, command), reading_options())


def _is_named(context: click.Context, option: str) -> bool:
    """Return whether an option was named, on the command line or in the configuration."""
    return context.get_parameter_source(option) is not ParameterSource.DEFAULT


def _customers_table(
    source: str | None, known_at_start: tuple[str, ...], configured: Configuration
) -> CustomersTable | None:
    """Return the table of customers that the options name, or the configuration; None: neither
    does.

    Raises
    ------
    UsageError
        Columns of it are named, and no table.
    """
    if source is not None:
        from stagecast.features.intake.attributes import CustomersTable

        return CustomersTable(source, known_at_start=known_at_start)
    table = configured.customers_table()
    if not known_at_start:
        return table
    if table is None:
        raise UsageError(
            f"--known-at-start {known_at_start[0]}: name the table that has it with --customers"
        )
    return replace(table, known_at_start=known_at_start)


def _spark(master: str | None, texts: Sequence[str]) -> Spark:
    """Return where Spark runs, and how it is set.

    Raises
    ------
    UsageError
        A setting is not written as NAME=VALUE.
    """
    settings: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f"--spark-conf '{text}' is not NAME=VALUE, like spark.executor.memory=8g"
            )
        settings[name.strip()] = value.strip()
    return Spark(settings=settings) if not master else Spark(master, settings)


def _named(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return rules by name.

    Raises
    ------
    UsageError
        One is not written as NAME=CONDITION, or two have the same name.
    """
    rules: dict[str, str] = {}
    for text in texts:
        name, sign, condition = text.partition("=")
        if not sign or not condition.strip():
            raise UsageError(f'{option} {text!r} is not NAME=CONDITION, like free="Price <= 0"')
        if name.strip() in rules:
            raise UsageError(f"{option}: two rules are called {name.strip()!r}")
        rules[name.strip()] = condition.strip()
    return rules


def _rates(text: str | None) -> dict[str, float]:
    """Return what a unit of each currency is worth.

    Raises
    ------
    UsageError
        Not written as CODE=RATE,..., or a currency that stands there twice.
    """
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
