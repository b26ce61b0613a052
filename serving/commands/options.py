"""Options that several commands share, and the file that may hold them all (``--config
stagecast.toml``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from stagecast.features.clock import parse_instant, parse_span_days
from stagecast.features.contracts import Terms
from stagecast.features.errors import UsageError, did_you_mean
from stagecast.features.stages.scheme import Scheme
from stagecast.features.stages.scheme_files import check_pins, load_scheme
from stagecast.serving.commands.reading_options import (
    CONFIGURED,
    as_options,
    own_features,
    remember,
)
from stagecast.training.config import CHURN, TrainConfig

F = TypeVar("F", bound=Callable[..., Any])


def _read_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Make what stands in the file the default of every option; the command line wins."""
    path = value if value is not None else Path("stagecast.toml")
    if value is None and not path.is_file():
        return
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not valid TOML: {error}") from None
    command = str(context.info_name)
    of_this = {
        p.name: p
        for p in context.command.params
        if p.name is not None and isinstance(p, click.Option)
    }
    group = context.parent.command if context.parent is not None else context.command
    everywhere = _all_options(group, context)
    chosen: dict[str, Any] = {}
    for table, entries in (("", data), (command, data.get(command, {}))):
        if not isinstance(entries, dict):
            raise UsageError(f"--config {path}: '{command}' must be a table of options")
        for key, entry in entries.items():
            if table == "" and key in CONFIGURED:
                remember(context, key, entry, path)
                continue
            name = _PARAMETERS.get(key, key.replace("-", "_"))
            if table == "" and isinstance(entry, dict) and key in _commands(group, context):
                continue
            if name not in everywhere:
                where = f"[{table}] " if table else ""
                raise UsageError(
                    f"--config {path}: {where}unknown option "
                    f"'{key}'.{did_you_mean(name, everywhere)}"
                )
            if name in of_this:
                chosen[name] = _fitting(
                    of_this[name], as_options(name, entry), f"--config {path}: '{key}'"
                )
    context.default_map = {**(context.default_map or {}), **chosen}


def _fitting(option: click.Option, entry: object, where: str) -> object:
    """Return an entry as its option takes it; TOML knows types, and one of another is a slip.

    Raises
    ------
    UsageError
        A number where a text is wanted, or the like.
    """
    kinds: tuple[type, ...]
    if option.is_flag:
        kinds, wanted = (bool,), "true or false"
    elif isinstance(option.type, click.types.IntParamType):
        kinds, wanted = (int,), "a whole number"
    elif isinstance(option.type, click.types.FloatParamType):
        kinds, wanted = (int, float), "a number"
    elif option.name == "as_of":
        kinds, wanted = (str, date), "a date"
        entry = entry.isoformat() if isinstance(entry, date) else entry
    else:
        kinds, wanted = (str,), "a text"
    given = entry if option.multiple and isinstance(entry, list) else [entry]
    if not all(
        isinstance(one, kinds) and (bool in kinds or not isinstance(one, bool)) for one in given
    ):
        raise UsageError(f"{where} must be {wanted}, not {entry!r}")
    return given if option.multiple else entry


# Names of options that would hide Python's own in a function's signature.
_PARAMETERS = {"json": "as_json", "list": "list_all", "pin": "pins"}


def _commands(group: click.Command, context: click.Context) -> dict[str, click.Command]:
    """Return the commands of the group by name; a command on its own is its own group."""
    if not isinstance(group, click.Group):
        return {"": group}
    commands = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return {name: command for name, command in commands if command is not None}


def _all_options(group: click.Command, context: click.Context) -> set[str]:
    return {
        str(p.name)
        for command in _commands(group, context).values()
        for p in command.params
        if isinstance(p, click.Option)
    }


def _apply(function: F, options: list[Callable[[F], F]]) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def common(function: F) -> F:
    """Add ``--config`` and ``--json``."""
    return _apply(
        function,
        [
            click.option(
                "--config",
                type=click.Path(path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=_read_config,
                help=(
                    "TOML file in which every option can stand; ./stagecast.toml is "
                    "read if it is there."
                ),
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="Print machine-readable results on stdout."
            ),
        ],
    )


def dated(function: F) -> F:
    """Add where one stands."""
    return click.option(
        "--as-of", metavar="DATE", help="Where we stand; default: the day after the last event."
    )(function)


def standing(function: F) -> F:
    """Add where one stands and which scheme is used."""
    return _apply(
        function,
        [
            dated,
            click.option(
                "--stages",
                default="retail",
                show_default=True,
                help="Stage scheme, or a TOML file.",
            ),
            click.option(
                "--pin",
                "pins",
                multiple=True,
                metavar="NAME=VALUE",
                help=(
                    "Threshold that stands fixed, whatever the log says, like "
                    "at_risk_ratio=2; may be repeated."
                ),
            ),
        ],
    )


def learning(function: F) -> F:
    """Add what a training is asked for."""
    return _apply(
        function,
        [
            click.option(
                "--horizon",
                default="90d",
                show_default=True,
                help="Span that the probabilities speak of.",
            ),
            click.option(
                "--churn",
                type=click.Choice(CHURN),
                default=TrainConfig.churn,
                show_default=True,
                help=(
                    "What churn is: no purchase within the horizon, or the cancellation "
                    "of an open contract."
                ),
            ),
            *(
                click.option(
                    f"--contract-{name}",
                    multiple=True,
                    metavar="TYPE",
                    help=(
                        f"Type of event that {what} a contract; may be repeated. "
                        f"Default: {', '.join(types)}."
                    ),
                )
                for name, what, types in zip(
                    ("start", "renewal", "end"),
                    ("begins", "shows", "cancels"),
                    Terms().types,
                    strict=True,
                )
            ),
            click.option(
                "--value-horizon",
                default="365d",
                show_default=True,
                help="Span that clv speaks of.",
            ),
            click.option(
                "--discount", type=float, default=0.10, show_default=True, help="Yearly discount."
            ),
            click.option(
                "--margin",
                type=float,
                default=1.0,
                show_default=True,
                help="Share of the spend earned.",
            ),
            click.option("--seed", type=int, default=TrainConfig.seed, show_default=True),
            click.option(
                "--track/--no-track",
                default=True,
                show_default=True,
                help="Log the training to MLflow.",
            ),
            click.option(
                "--tracking-uri", metavar="URI", help="MLflow store; default sqlite:///mlflow.db."
            ),
        ],
    )


def train_config(options: dict[str, Any]) -> TrainConfig:
    """Return what a training is asked for; a scheme that is none is refused before anything is
    read.
    """
    load_scheme(options["stages"])
    return TrainConfig(
        pins=pinned(options),
        own=own_features(),
        horizon_days=parse_span_days(options["horizon"]),
        value_horizon_days=parse_span_days(options["value_horizon"], "--value-horizon"),
        churn=options["churn"],
        terms=_terms(options),
        annual_discount=options["discount"],
        margin=options["margin"],
        scheme=options["stages"],
        seed=options["seed"],
    )


def _terms(options: dict[str, Any]) -> Terms:
    """Return which events tell of a contract; what is not named is as it is by default.

    Raises
    ------
    UsageError
        One was named on the command line where churn is no cancellation.
    """
    named = {"starts": "contract_start", "renewals": "contract_renewal", "ends": "contract_end"}
    if options["churn"] != "cancellation":
        context = click.get_current_context()
        for option in named.values():
            if context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE:
                raise UsageError(
                    f"--{option.replace('_', '-')} tells of contracts: it needs --churn "
                    "cancellation"
                )
    return Terms(
        **{name: tuple(options[option]) for name, option in named.items() if options[option]}
    )


def pinned(options: dict[str, Any]) -> dict[str, float]:
    """Return the thresholds that were pinned.

    Raises
    ------
    UsageError
        Not written as NAME=VALUE, no threshold, or no number above 0.
    """
    found: dict[str, Any] = {}
    for text in options["pins"]:
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value) if equals else 0.0
        except ValueError:
            raise UsageError(
                f"--pin '{text}': '{value}' is no number; write it like at_risk_ratio=2"
            ) from None
        if not equals:
            raise UsageError(f"--pin '{text}' has no value; write it like at_risk_ratio=2")
    return check_pins(found, "--pin")


def chosen_scheme(options: dict[str, Any]) -> Scheme:
    """Return the scheme that was asked for, with the thresholds that were pinned."""
    return load_scheme(options["stages"]).with_pins(pinned(options))


def as_of_option(options: dict[str, Any]) -> Any:
    """Return the as_of that was asked for, or None."""
    return None if options["as_of"] is None else parse_instant(str(options["as_of"]))
