"""How options become what a command is called with: a group of them makes one object of its
values, and hands it to the command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar

import click

from stagecast.features.clock import parse_shop_time, parse_span_days
from stagecast.features.errors import UsageError
from stagecast.serving.commands.configuration import read_configuration

F = TypeVar("F", bound=Callable[..., Any])


def with_options(function: F, options: Sequence[Callable[[F], F]]) -> F:
    """Return a command's function with options before those that it has."""
    for option in reversed(options):
        function = option(function)
    return function


def text_files(function: F) -> F:
    """Add the options of commands that only look at text files: how these are written."""
    return with_options(
        function,
        [
            click.option(
                "--encoding",
                default="utf-8",
                show_default=True,
                metavar="ENC",
                help="Of text files.",
            ),
            click.option(
                "--separator", metavar="SEP", help="Of text files; default: the header tells."
            ),
            click.option(
                "--header-line",
                type=click.IntRange(min=1),
                default=1,
                show_default=True,
                metavar="N",
                help="Line of text files that names the columns.",
            ),
        ],
    )


def in_place_of(function: F, collect: Callable[..., Any]) -> F:
    """Return what is called in the place of a command's function: it has its name, its help and
    its options.

    Parameters
    ----------
    function
        The command's own.
    collect
        Is called with the context of the command and the values of its options; makes one object of
        some, and calls the command's own with it and the others.
    """
    collecting: Any = update_wrapper(click.pass_context(collect), function)
    result: F = collecting
    return result


def as_request(kind: type[Any], **renamed: str) -> Callable[[F], F]:
    """Make one object of the options that are named as its fields are; the command gets it as
    ``request``.

    Parameters
    ----------
    kind
        A dataclass.
    renamed
        Name of a field -> name of its option, where these are two.
    """
    options = {part.name: renamed.get(part.name, part.name) for part in fields(kind)}

    def decorate(function: F) -> F:
        def command(_: click.Context, **values: Any) -> Any:
            request = kind(**{name: values.pop(option) for name, option in options.items()})
            return function(request=request, **values)

        return in_place_of(function, command)

    return decorate


report_language = click.option(
    "--language",
    type=click.Choice(("en", "ru", "fa")),
    default="en",
    show_default=True,
    help="Language of report.html: English, Russian or Persian.",
)


def instant(_: click.Context, option: click.Parameter, value: str | None) -> datetime | None:
    """Return a date of the command line; for ``callback`` of an option.

    Without a zone it is what the shop's clock shows, and UTC where no zone says what a day is.
    """
    return None if value is None else parse_shop_time(value, option.opts[0])


def span_days(_: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Return a span of the command line in days; for ``callback`` of an option."""
    return None if value is None else parse_span_days(value, option.opts[0])


def event_types(
    _: click.Context, option: click.Parameter, values: Sequence[str]
) -> tuple[str, ...]:
    """Return types of events of the command line, which commas may part, in small letters.

    Raises
    ------
    UsageError
        A type is empty.
    """
    types = [part.strip().lower() for value in values for part in value.split(",")]
    if not all(types):
        raise UsageError(
            f"{option.opts[0]} '{','.join(values)}' has an empty type; write it like "
            "lost,disqualified"
        )
    return tuple(dict.fromkeys(types))


def common(function: F) -> F:
    """Add ``--config`` and ``--json``."""
    options = [
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            is_eager=True,
            expose_value=False,
            callback=read_configuration,
            help=(
                "TOML file in which every option can stand; ./stagecast.toml is "
                "read if it is there."
            ),
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="Print machine-readable results on stdout."
        ),
    ]
    return with_options(function, options)
