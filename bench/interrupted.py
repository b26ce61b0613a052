"""Kill a command at random moments, again and again: ``python -m bench.interrupted [--kills 60]``.

After each kill, what the command writes is either not there or whole; in the end the same command,
left alone, gives the same bytes as if nothing had happened, and what the killed ones left behind is
gone. An erasure leaves the old log or the new one.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True)
class Killed:
    """What came of the kills: how many hit a running command, how many came too late, seconds of
    an undisturbed run.
    """

    kills: int
    too_late: int
    seconds: float


def digest(path: Path) -> dict[str, str]:
    """Return relative name -> hash of every file at or below a path."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {
        str(file.relative_to(path.parent)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


def kill_often(
    command: Sequence[str],
    out: Path,
    scratch: Path,
    kills: int,
    seed: int,
    whole: Callable[[Path], None],
    *,
    since: float = 0.0,
) -> Killed:
    """Run a command, then kill it at random moments, then run it again.

    Parameters
    ----------
    command
        Arguments of ``stagecast``; it writes ``out`` and nothing else, and makes its private
        folders in ``scratch``.
    whole
        Raises where what stands at ``out`` is not whole; called after a kill that left something
        there.
    since
        The first moment of a kill, as a part of an undisturbed run: before it a process does
        little but import, and few kills are better spent later.

    Raises
    ------
    AssertionError
        Something half-written stands at ``out``, the bytes differ, or a private folder was left
        behind.
    """
    chance = random.Random(seed)
    began = time.perf_counter()
    _run(command)
    seconds = time.perf_counter() - began
    expected = digest(out)
    _remove(out)
    hit = late = 0
    while hit < kills:
        process = subprocess.Popen(
            [sys.executable, "-m", "stagecast", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        began = time.perf_counter()
        try:
            process.wait(chance.uniform(since * seconds, 1.1 * seconds))
            late += 1
            seconds = min(
                seconds, time.perf_counter() - began
            )  # the machine was busier when it was measured
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            hit += 1
        process.wait()
        if out.exists():
            whole(out)
        if chance.random() < 0.5:  # the next one meets what this one left, or an empty place
            _remove(out)
    _remove(out)
    _run(command)
    assert digest(out) == expected, "the same command gives other bytes after a kill"
    left = sorted(path.name for path in scratch.iterdir())
    assert not left, f"left behind: {left[:3]}"
    return Killed(hit, late, seconds)


def _run(command: Sequence[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "stagecast", *command], check=True, stdout=subprocess.DEVNULL
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


ERASE = """
import sys
from pathlib import Path
from stagecast.serving.erasure import csv_logs, customer_column
from stagecast.serving.erasure.identity import Customer
from stagecast.serving.erasure.replacing import replace_file
path, how = Path(sys.argv[1]), csv_logs.LogOptions(Customer(("c3",), False))
with customer_column.duckdb_connection() as con:
    replace_file(path, lambda draft: csv_logs.copy_without(con, path, draft, how))
"""


def kill_erasures(path: Path, copies: int, parts: Sequence[float]) -> int:
    """Erase a customer from a log, and kill each erasure as soon as so large a part of the new log
    is written; then let one end.

    Parameters
    ----------
    path
        Where the log is made.
    copies
        Its size, in units of 4.3 MB.
    parts
        Of each kill. At 1 the new log is whole, and is read once more; above 1 it stands in the
        place of the old one.

    Returns
    -------
    How many kills left a draft beside the log.

    Raises
    ------
    AssertionError
        The log is neither the old one nor the new one, or a draft is there in the end.
    """
    from stagecast.serving.erasure.replacing import draft_of

    head = b"customer_id,timestamp,amount,channel\n"
    lines = [
        b"c%d,2025-01-%02d,%d.50,some words of a channel\n" % (i % 997, 1 + i % 28, i)
        for i in range(100_000)
    ]
    old = head + b"".join(lines) * copies
    new = head + b"".join(line for line in lines if line[:3] != b"c3,") * copies
    draft, drafts = draft_of(path.resolve()), 0
    for part in parts:
        path.write_bytes(old)
        process = subprocess.Popen([sys.executable, "-c", ERASE, str(path)])
        reached = 0.0  # a draft that is gone again stands in the place of the log
        while process.poll() is None and reached < part:
            try:
                reached = max(reached, draft.stat().st_size / len(new))
            except FileNotFoundError:
                reached = 2.0 if reached else 0.0
            time.sleep(0.001)
        process.kill()
        process.wait()
        assert path.read_bytes() in (old, new), f"half-written, killed at {part:.2f}"
        drafts += draft.exists()
    path.write_bytes(old)
    subprocess.run([sys.executable, "-c", ERASE, str(path)], check=True)
    assert path.read_bytes() == new
    assert not draft.exists(), "left behind"
    return drafts


def make_log(path: Path, rows: int, seed: int = 7) -> Path:
    """Write a log of so many rows as CSV, one in fifty of them faulty."""
    chance = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        file.write("customer_id,timestamp,amount\n")
        for _ in range(rows):
            day = f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            amount = f"{chance.uniform(1, 200):.2f}" if chance.random() > 0.02 else "much"
            file.write(f"c{chance.randint(1, rows // 8)},{day},{amount}\n")
    return path


def check_folder(out: Path) -> None:
    """Refuse a folder of ``check`` in which a file is half-written."""
    import json

    import pyarrow.parquet as pq

    strange = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert set(strange) <= {"data-report.json", "rejected.parquet"}, strange
    if (out / "rejected.parquet").exists():
        rows = pq.read_table(out / "rejected.parquet").num_rows
        if (out / "data-report.json").exists():
            assert (
                json.loads((out / "data-report.json").read_text("utf-8"))["rows_rejected"] == rows
            )


def check_table(out: Path) -> None:
    """Refuse a Parquet file that is half-written."""
    import pyarrow.parquet as pq

    assert pq.read_table(out).num_rows > 0


def main() -> None:
    """Kill `check` and `features`, half of the kills each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--rows", type=int, default=400_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, scratch = make_log(folder / "log.csv", chosen.rows), folder / "scratch"
        scratch.mkdir()
        common = [str(log), "--temp-dir", str(scratch), "--memory", "200MB", "--out"]
        for command, out, whole in (
            ("check", folder / "checked", check_folder),
            ("features", folder / "features.parquet", check_table),
        ):
            done = kill_often(
                [command, *common, str(out)], out, scratch, chosen.kills // 2, 11, whole
            )
            click.echo(
                f"{command}: {done.kills} kills at random moments of {done.seconds:.1f} s "
                f"({done.too_late} came too "
                f"late): nothing half-written, the same bytes afterwards, nothing left behind"
            )
        moments = random.Random(3)
        drafts = kill_erasures(
            folder / "erased.csv", 12, [moments.uniform(0.01, 1.1) for _ in range(10)]
        )
        click.echo(
            f"an erasure of 52 MB: 10 kills, {drafts} of them left a draft: always the old log or "
            "the new one, nothing left behind"
        )


if __name__ == "__main__":
    main()
