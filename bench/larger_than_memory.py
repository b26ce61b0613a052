"""A log larger than the memory: ``python -m bench.larger_than_memory [--rows 100000000]``.

Writes a CSV of about 62 bytes a row (10 events per customer over three years, in no order, each
with its own number), sends it through ``check`` and ``features`` with ``--memory 1GB``, and tells
time and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import duckdb

CUSTOMER_EVENTS = 10


def write_log(path: Path, rows: int, scratch: Path) -> None:
    """Write a log of so many events; the same for the same number."""
    limits = {"memory_limit": "2GB", "temp_directory": str(scratch)}
    with duckdb.connect(config=limits) as con:
        con.execute(
            f"""COPY (SELECT
                'c' || lpad(CAST(hash(i * 7 + 1) % {rows // CUSTOMER_EVENTS} AS VARCHAR), 8, '0')
                AS customer_id,
                strftime(TIMESTAMP '2022-01-01' + to_seconds(CAST(hash(i * 3 + 2) % 94608000
                AS BIGINT)),
                    '%Y-%m-%dT%H:%M:%SZ') AS timestamp,
                CASE WHEN hash(i * 11 + 3) % 10 < 6 THEN 'purchase'
                    WHEN hash(i * 11 + 3) % 10 < 9 THEN 'visit' ELSE 'refund' END AS event,
                hash(i * 13 + 5) % 20000 / 100.0 AS amount,
                CASE WHEN hash(i * 17) % 2 = 0 THEN 'web' ELSE 'shop' END AS channel,
                'e' || lpad(CAST(i AS VARCHAR), 10, '0') AS event_id
            FROM range({rows}) numbers(i)) TO '{path}' (HEADER)"""
        )


def measure(command: list[str]) -> tuple[float, float]:
    """Run ``stagecast`` with these arguments; return seconds and the peak of its resident memory
    in GB.
    """
    watched = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], "
        "check=True, stdout=subprocess.DEVNULL); "
    )
    watched += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", watched, sys.executable, "-m", "stagecast", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - began, int(done.stdout) / 1e6


def main() -> None:
    """Measure both commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument(
        "--folder",
        type=Path,
        help="where the log and the results are put; default: a temporary one",
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        log = folder / "log.csv"
        write_log(log, chosen.rows, folder / "spill")
        size = log.stat().st_size / 1e9
        click.echo(f"{chosen.rows:,} events, {size:.2f} GB of CSV, --memory {chosen.memory}")
        for command, out in (
            ("check", folder / "checked"),
            ("features", folder / "features.parquet"),
        ):
            arguments = [
                command,
                str(log),
                "--memory",
                chosen.memory,
                "--temp-dir",
                str(folder),
                "--out",
                str(out),
            ]
            seconds, peak = measure(arguments)
            click.echo(f"{command}: {seconds:,.0f} s, {peak:.2f} GB at the peak")


if __name__ == "__main__":
    main()
