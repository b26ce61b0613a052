"""Commands that are killed, or run with a full disk, leave no half-written files.

Run again, they write the same bytes. `make bench` does the same with 60 kills of a larger log.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.interrupted import check_folder, check_table, kill_often, make_log
from tests.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow
KILLS, ROWS = 2, 20_000


def log_in_a_file(folder: Path) -> str:
    """Write a log, and return a glob for it: small files are held in memory."""
    make_log(folder / "log.csv", ROWS)
    return str(folder / "lo*.csv")


@pytest.mark.parametrize(
    ("command", "name", "check_output"),
    [("check", "checked", check_folder), ("features", "features.parquet", check_table)],
)
def test_a_killed_command_leaves_nothing_half_written(
    tmp_path: Path, command: str, name: str, check_output: Callable[[Path], None]
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = [
        command,
        log_in_a_file(tmp_path),
        "--temp-dir",
        str(scratch),
        "--memory",
        "200MB",
        "--out",
        str(tmp_path / name),
    ]
    result = kill_often(arguments, tmp_path / name, scratch, KILLS, 3, check_output, since=0.3)
    assert result.kills == KILLS


@pytest.mark.parametrize("command", ["check", "features"])
def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path: Path, command: str) -> None:
    log = log_in_a_file(tmp_path)
    (tmp_path / "scratch").mkdir()
    out = tmp_path / "out.parquet"
    arguments = [command, log, "--temp-dir", str(tmp_path / "scratch"), "--out", str(out)]
    process = subprocess.run(
        [sys.executable, "-c", _LIMITED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert process.returncode == 2, process.stderr
    assert "error: " in process.stderr
    assert "Traceback" not in process.stderr
    assert not out.exists()
    assert list((tmp_path / "scratch").iterdir()) == []


_LIMITED = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.getrlimit({resource.RLIMIT_FSIZE})[1]))
from stagecast.serving.cli import main
main()
"""
