"""What the command line shows: results on stdout; while it works, a progress bar on a terminal and
plain lines otherwise, always on stderr.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from stagecast.serving.progress import Say


@contextmanager
def steps(total: int) -> Iterator[Say]:
    """Give a function that names the step that begins; ``total`` is how many steps there are."""
    if not sys.stderr.isatty():
        began = time.monotonic()
        yield lambda step: click.echo(f"[{time.monotonic() - began:5.1f} s] {step}", err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        done = -1

        def say(step: str) -> None:
            nonlocal done
            done += 1
            bar.update(task, completed=min(done, total), description=step)

        yield say


def table(rows: list[list[str]], right: set[int]) -> list[str]:
    """Return rows as aligned lines; columns named in ``right`` are set to the right. The first row
    is the head.

    >>> table([["stage", "customers"], ["new", "12"]], {1})
    ['stage  customers', 'new           12']
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append(
            "  ".join(
                c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(cells)
            ).rstrip()
        )
    return lines


def show(lines: Sequence[str]) -> None:
    """Print lines on stdout."""
    for line in lines:
        click.echo(line)


def show_json(result: object, *, ascii_only: bool = False) -> None:
    """Print plain data on stdout as one line of JSON.

    Parameters
    ----------
    ascii_only
        Write other letters as escapes.
    """
    click.echo(json.dumps(result, ensure_ascii=ascii_only))


def warn(text: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"warning: {text}", err=True)
