"""Temporary folders: removed by their owner, or by the next process if the owner was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stagecast.features.errors import UsageError
from stagecast.features.files import atomic_write, write_text
from stagecast.features.intake.scratch import PREFIX, Scratch


def folders(parent: Path) -> list[Path]:
    return sorted(parent.glob(PREFIX + "*"))


def test_a_folder_is_removed_by_its_owner_only(tmp_path: Path) -> None:
    first = Scratch(str(tmp_path))
    second = Scratch(str(tmp_path))
    assert folders(tmp_path) == sorted([first.folder, second.folder])
    first.release()
    first.release()
    assert folders(tmp_path) == [second.folder]
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    code = (
        "import sys, time; from stagecast.features.intake.scratch import Scratch; s = "
        "Scratch(sys.argv[1]); "
        "(s.folder / 'log.duckdb').write_bytes(b'x' * 1000); print('made', flush=True); "
        "time.sleep(600)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "made\n"
    folders_before = folders(tmp_path)
    new_scratch = Scratch(str(tmp_path))
    assert set(folders_before) < set(folders(tmp_path)), "a living owner keeps its folder"
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    new_scratch.release()
    Scratch(str(tmp_path)).release()
    assert folders(tmp_path) == []


def _fail_after_half(draft: Path) -> None:
    draft.write_text("half", "utf-8")
    raise RuntimeError


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--temp-dir"):
        Scratch(str(tmp_path / "nowhere"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_write(path) as draft:
        _fail_after_half(draft)
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="cannot be written"):
        write_text(tmp_path / "no" / "folder.json", "new")


def test_a_removal_that_was_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    emptied = tmp_path / f"{PREFIX}emptied"
    emptied.mkdir()
    half_removed = tmp_path / f"{PREFIX}begun"
    (half_removed / "spill").mkdir(parents=True)
    (half_removed / "owner.lock").touch()
    Scratch(str(tmp_path)).release()
    assert list(tmp_path.iterdir()) == []
