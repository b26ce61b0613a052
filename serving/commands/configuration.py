"""The file that may hold every option (``--config stagecast.toml``), and what it holds beside them:
several tables as one log, the table of customers, features of one's own, a calendar, cuts of
RFM scores.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stagecast.features.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from stagecast.features.catalog.own import OwnFeatures
    from stagecast.features.intake.attributes import CustomersTable
    from stagecast.features.intake.options import ReadOptions
    from stagecast.features.intake.tables import Table
    from stagecast.training.calendar import Calendar
    from stagecast.training.reference.rfm_settings import RfmSettings

BESIDE_OPTIONS = ("tables", "customers", "catalog", "calendar", "rfm")

# Names of options that would hide Python's own in a function's signature.
_PARAMETERS = {"json": "as_json", "list": "list_all", "pin": "pins"}


@dataclass(frozen=True)
class Configuration:
    """What a configuration holds beside options, as TOML has it; None: it holds no such thing.

    Parameters
    ----------
    file
        Where it stands; sources that it names stand beside it.
    tables
        ``[[tables]]``.
    customers
        ``customers``, or ``[customers]``.
    catalog
        ``[catalog]``.
    calendar
        ``[[calendar]]``.
    rfm
        ``[rfm]``.
    """

    file: Path = Path("stagecast.toml")
    tables: object = None
    customers: object = None
    catalog: object = None
    calendar: object = None
    rfm: object = None

    def tables_read(self, options: ReadOptions) -> tuple[Table, ...]:
        """Return the tables that are read as one log; ``options`` hold for all of them.

        Raises
        ------
        UsageError
            An entry that is none, with its position.
        """
        if self.tables is None:
            return ()
        from stagecast.features.intake.tables import parse_tables

        return tuple(parse_tables(self.tables, options, self.file.parent))

    def customers_table(self) -> CustomersTable | None:
        """Return where attributes of customers stand.

        Raises
        ------
        UsageError
            It is not written as it must be.
        """
        if self.customers is None:
            return None
        from stagecast.features.intake.attributes import parse_customers

        return parse_customers(self.customers, self.file.parent)

    def own_features(self) -> OwnFeatures:
        """Return the features of one's own.

        Raises
        ------
        UsageError
            A feature that cannot be evaluated; the message names the file.
        """
        from stagecast.features.catalog.own import OwnFeatures, own_from_toml

        return (
            OwnFeatures() if self.catalog is None else own_from_toml(self.catalog, str(self.file))
        )

    def known_occasions(self) -> Calendar:
        """Return the calendar of known occasions.

        Raises
        ------
        UsageError
            An entry that is not written as it must be; the message names the file.
        """
        from stagecast.training.calendar import Calendar, calendar_from_toml

        return (
            Calendar()
            if self.calendar is None
            else calendar_from_toml(self.calendar, str(self.file))
        )

    def rfm_settings(self) -> RfmSettings:
        """Return how RFM scores are cut.

        Raises
        ------
        UsageError
            A setting that cannot be used; the message names the file.
        """
        from stagecast.training.reference.rfm_settings import RfmSettings, rfm_from_toml

        return RfmSettings() if self.rfm is None else rfm_from_toml(self.rfm, str(self.file))


def configuration(context: click.Context) -> Configuration:
    """Return what the configuration of a command holds beside options."""
    return context.obj if isinstance(context.obj, Configuration) else Configuration()


def read_configuration(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Make what stands in the file the default of every option; the command line wins.

    Raises
    ------
    UsageError
        It cannot be read, names an option that there is not, or gives one a value of another type.
    """
    path = value if value is not None else Path("stagecast.toml")
    if value is None and not path.is_file():
        return
    data = _parsed(path)
    context.obj = Configuration(path, **{name: data.get(name) for name in BESIDE_OPTIONS})
    command, group = _asked(context), context.find_root().command
    of_this = {
        p.name: p
        for p in context.command.params
        if p.name is not None and isinstance(p, click.Option)
    }
    everywhere = _all_options(group, context)
    chosen: dict[str, Any] = {}
    own = data.get(command, {})
    if not isinstance(own, dict):
        if command not in everywhere:
            raise UsageError(f"--config {path}: '{command}' must be a table of options")
        own = {}  # an option of all commands that is named like this one, as `stages` and `store`
    for table, entries in (("", data), (command, own)):
        for key, entry in entries.items():
            if table == "" and key in BESIDE_OPTIONS:
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
                    of_this[name], _as_on_the_line(name, entry), f"--config {path}: '{key}'"
                )
    context.default_map = {**(context.default_map or {}), **chosen}


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path} is not valid TOML: {error}") from None


def _as_on_the_line(name: str, entry: object) -> object:
    """Return an entry as the command line would have it: tables of rules and rates as texts."""
    if name in ("refuse", "flag") and isinstance(entry, dict):
        return [f"{rule}={condition}" for rule, condition in entry.items()]
    if name == "rates" and isinstance(entry, dict):
        return ",".join(f"{code}={rate}" for code, rate in entry.items())
    return entry


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
    values = entry if option.multiple and isinstance(entry, list) else [entry]
    if not all(
        isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        for value in values
    ):
        raise UsageError(f"{where} must be {wanted}, not {entry!r}")
    return values if option.multiple else entry


def _asked(context: click.Context) -> str:
    """Return the name of the command; of one like `plan freeze` that of `plan`."""
    while context.parent is not None and context.parent.parent is not None:
        context = context.parent
    return str(context.info_name)


def _commands(group: click.Command, context: click.Context) -> dict[str, click.Command]:
    """Return the commands of the group by name; a command on its own is its own group."""
    if not isinstance(group, click.Group):
        return {"": group}
    commands = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return {name: command for name, command in commands if command is not None}


def _all_options(group: click.Command, context: click.Context) -> set[str]:
    """Return the names of all options of a command, and of the commands in it."""
    names = {str(p.name) for p in group.params if isinstance(p, click.Option)}
    if isinstance(group, click.Group):
        for command in _commands(group, context).values():
            names |= _all_options(command, context)
    return names
