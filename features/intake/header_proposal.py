"""A mapping proposed for a file whose header may stand below its first line.

Nothing is mapped yet, so no name says which line is the header: it is looked for among the lines
that could name columns, and proposed where a log is recognised below it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from stagecast.features.errors import DataRefusedError
from stagecast.features.intake.csvlines import split_header
from stagecast.features.intake.csvscan import SEPARATORS
from stagecast.features.intake.header_lines import first_lines
from stagecast.features.intake.opening import open_sources
from stagecast.features.intake.options import ReadOptions
from stagecast.features.intake.profiles import Table, profile
from stagecast.features.intake.proposal import Proposal, propose

_MOST_CANDIDATES = 10
_VALUE = re.compile(r"[+-]?[\d.,:/ -]*\d[\d.,:/ -]*([T ][\d:.]+Z?)?|[^@\s]+@[^@\s]+\.\w+")
"""Numbers, dates and addresses, which no header holds."""


def propose_below(name: str, options: ReadOptions) -> tuple[Table, Proposal, ReadOptions] | None:
    """Return the table, the proposal and the options with the line that is likely the header.

    Parameters
    ----------
    name
        Path of the file.
    options
        How text files are read; its ``header_line`` did not hold names that are recognised.

    Returns
    -------
    The first line with which a customer and a time are recognised, else the first below which a
    column holds times; None: there is no such line, or what is named is no text file.
    """
    second_best = None
    for line in _candidates(name, options):
        tried = replace(options, header_line=line)
        try:
            table = profile(open_sources([name], tried)[0])
        except DataRefusedError:
            continue
        proposal = replace(propose(table), header_line=line)
        if proposal.is_complete:
            return table, proposal, tried
        if second_best is None and any(choice.part == "time" for choice in proposal.choices):
            second_best = table, proposal, tried
    return second_best


def named_columns(table: Table) -> int:
    """Return how many columns have a name that is no number or date."""
    return sum(_VALUE.fullmatch(name) is None for name in table.names)


def _candidates(name: str, options: ReadOptions) -> list[int]:
    """Return the numbers of the lines that name several columns, as the header of a log does."""
    if not Path(name).is_file():
        return []
    separators = SEPARATORS if options.field_separator is None else (options.field_separator,)
    numbers = []
    for number, line in enumerate(first_lines(name, options), 1):
        fields = max((split_header(line, sign) for sign in separators), key=len)
        names = [field.strip() for field in fields if field.strip()]
        is_header = len(names) > 1 and len(set(names)) == len(names)
        if is_header and number != options.header_line and not any(map(_VALUE.fullmatch, names)):
            numbers.append(number)
    return numbers[:_MOST_CANDIDATES]
