"""``stagecast init``: a stagecast.toml with comments, proposed from the columns of a log."""

from __future__ import annotations

from pathlib import Path

import click

from stagecast.serving.commands.console import show
from stagecast.serving.commands.options import text_files


@click.command()
@click.argument("events", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="stagecast.toml",
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Replace the file that --out names.")
@text_files
def init(
    events: tuple[str, ...],
    out: Path,
    force: bool,
    encoding: str,
    separator: str | None,
    header_line: int,
) -> None:
    """Write a stagecast.toml for EVENTS, with comments; nothing else is read from it or run."""
    from stagecast.features.errors import UsageError
    from stagecast.features.files import write_text
    from stagecast.features.intake.options import ReadOptions
    from stagecast.serving.jobs.proposal import configuration_text, proposed

    options = ReadOptions(encoding=encoding, separator=separator, header_line=header_line)
    if out.exists() and not force:
        raise UsageError(f"--out {out} is there already; name another file, or give --force")
    proposal, table, options = proposed(events, options)
    write_text(out, configuration_text(proposal, table, options))
    show(
        [
            *proposal.lines(),
            f"written: {out}; read it, then: stagecast check {' '.join(events)} --config {out}",
        ]
    )
