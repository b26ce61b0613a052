"""A mapping that is proposed for a source: to look at, to try, or as a ``stagecast.toml``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.header_proposal import named_columns, propose_below
from stagecast.features.intake.mapping import DEFAULT_COLUMNS, EventMapping, option_of
from stagecast.features.intake.opening import open_sources
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.presets import PRESETS, apply_preset
from stagecast.features.intake.profiles import Table, profile
from stagecast.features.intake.proposal import Proposal, propose
from stagecast.features.intake.sources import find_files, is_database
from stagecast.features.intake.vendor_export import columns_beside

_MORE = """
# What else a log may need; take the # away from a line to use it.
# event = "COLUMN"                   # type of the event; without it every row is a purchase
# channel = "COLUMN"
# event-id = "COLUMN"                # rows with the same number are one event
# currency = "'EUR'"                 # a column, or one currency for all rows
# zone = "Europe/London"             # of times that name none; without it they are UTC
# negative-amounts = "refund"        # a purchase below 0 takes back what was bought before
# where = "Status <> 'cancelled'"    # read only these rows
# duplicates = "keep"                # equal rows are events of their own
# as-of = "2025-01-01"               # default: the day after the last event

# [run]
# horizon = "90d"                    # span that the probabilities speak of

# [customers]                        # what is known of customers beside their events
# source = "customers.csv"
# customer = "COLUMN"
"""


def proposed(sources: Sequence[str], options: ReadOptions) -> tuple[Proposal, Table, ReadOptions]:
    """Return what is proposed for a log, the profile of its first source, and how it is read.

    The last are the options with the line that is proposed as header, where the first line is none.

    Parameters
    ----------
    sources
        Files, folders, globs or database URLs.
    options
        How text files are read.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The first source cannot be read.
    """
    try:
        table = profile(open_sources(sources, options)[0])
    except DataRefusedError:
        below = _below(sources, options)
        if below is None:
            raise
        return below
    proposal = propose(table)
    if not proposal.is_complete:
        below = _below(sources, options)
        if below is not None and (
            below[0].is_complete or named_columns(below[1]) > named_columns(table)
        ):
            return below
    return proposal, table, options


def _below(
    sources: Sequence[str], options: ReadOptions
) -> tuple[Proposal, Table, ReadOptions] | None:
    """Return what is proposed for a log whose first file has its header further below."""
    if is_database(sources[0]):
        return None
    below = propose_below(find_files(sources)[0], options)
    return None if below is None else (below[1], below[0], below[2])


def options_of(proposal: Proposal, options: ReadOptions) -> ReadOptions:
    """Return the options with what is proposed."""
    if proposal.preset is not None:
        return replace(options, preset=proposal.preset)
    mapping = EventMapping(**{choice.part: choice.expression for choice in proposal.choices})
    return replace(options, mapping=mapping, time_format=proposal.time_format)


def configuration_text(proposal: Proposal, table: Table, options: ReadOptions) -> str:
    """Return a proposal as a ``stagecast.toml``, with a comment on each line.

    Parameters
    ----------
    proposal
        What is proposed.
    table
        The profile on which it rests.
    options
        How text files are read.
    """
    lines = [
        f"# How {table.label} is read, as `stagecast init` proposes it from its columns and its",
        f"# first {table.rows:,} rows. Read every line: what a column means, only you know.",
        f"# Its columns: {', '.join(table.names)}",
        "",
    ]
    defaults = ReadOptions()
    lines += [
        _entry(name.replace("_", "-"), getattr(options, name), "")
        for name in ("encoding", "separator", "header_line")
        if getattr(options, name) != getattr(defaults, name)
    ]
    if proposal.preset is not None:
        lines += _preset_lines(proposal.preset, table)
    else:
        lines += [
            _entry(option_of(choice.part).removeprefix("--"), choice.expression, choice.why)
            for choice in proposal.choices
        ]
        taken = {choice.part for choice in proposal.choices}
        lines += [
            f'# {part} = "COLUMN"  # needed: {DEFAULT_COLUMNS[part]}'
            for part in ("customer", "time")
            if part not in taken
        ]
        if "amount" not in taken:
            lines.append('# amount = "COLUMN"  # money; without it there are no values')
        if proposal.time_format is not None:
            lines.append(_entry("time-format", proposal.time_format, "reads its times"))
    lines += [f"# To decide: {doubt}" for doubt in proposal.doubts]
    return "\n".join(lines) + "\n" + _MORE


def _preset_lines(name: str, table: Table) -> list[str]:
    names = [*table.names, *columns_beside(PRESETS[name])]
    applied = apply_preset(name, names, table.label)
    lines = [_entry("preset", name, PRESETS[name].title), "# It declares, and any line of your own"]
    lines.append("# takes its place:")
    for part, expression in applied.parts.items():
        lines.append(f"#   {option_of(part).removeprefix('--')} = {_quoted(expression)}")
    if applied.where is not None:
        lines.append(f"#   where = {_quoted(applied.where)}")
    for option, value in applied.options.items():
        lines.append(f"#   {option.replace('_', '-')} = {_quoted(value)}")
    return lines


def _entry(name: str, value: object, comment: str) -> str:
    entry = f"{name} = {_quoted(value)}"
    return f"{entry}  # {comment}" if comment else entry


def _quoted(value: object) -> str:
    """Return a value as TOML writes it; its basic strings are those of JSON."""
    return json.dumps(value, ensure_ascii=False)
