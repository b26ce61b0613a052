"""A bundle is loaded in a child process first, and must predict there what it predicted before."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.scoring.rehearsal import load_rehearsed, rehearse
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from tests.test_arrow import NOT_OF_A_SERVER
from tests.training.bundle.forging import make_hashes_fit
from tests.training.conftest import shop  # noqa: F401
from tests.training.made import Trained
from tests.waiting import LIMIT_SECONDS

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle(shop: Trained, tmp_path: Path) -> Path:  # noqa: F811
    """Return a copy of a bundle that a test may spoil."""
    return Path(shutil.copytree(shop.folder, tmp_path / "copy"))


def forged(folder: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a file of a bundle, and make every hash fit again."""
    text = (folder / name).read_text()
    changed = change(text)
    assert changed != text
    (folder / name).write_text(changed)
    make_hashes_fit(folder)


def loaded(folder: Path) -> Scorer:
    with FirstLoad(folder) as first:
        return load_rehearsed(first)


def test_trees_that_would_end_the_process_are_refused_and_this_process_lives(
    bundle: Path,
) -> None:
    def longer(text: str) -> str:
        """Make a tree longer than the offsets in the file say."""
        return text.replace("leaf_value=", "leaf_value=0 ", 1)

    forged(bundle, "next_stage.lightgbm.txt", longer)
    with pytest.raises(DataRefusedError, match="does not stand where tree_sizes says"):
        loaded(bundle)


def test_a_bundle_that_ends_the_process_is_refused_and_this_process_lives(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = tmp_path / "python"
    dies.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dies.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dies))
    with pytest.raises(DataRefusedError, match="was ended by SIGSEGV"):
        loaded(bundle)


def test_a_bundle_that_predicts_something_else_than_where_it_was_trained_is_refused(
    bundle: Path,
) -> None:
    def shift(text: str) -> str:
        """Change digits of leaves, and no length: LightGBM ends the process over wrong offsets."""
        return re.sub(
            r"^leaf_value=.*$", lambda m: m[0].replace("1", "7"), text, flags=re.MULTILINE
        )

    rehearse(load_scorer(bundle), "whole")
    forged(bundle, "next_stage.lightgbm.txt", shift)
    with pytest.raises(DataRefusedError, match="p_stage of the golden customers"):
        rehearse(load_scorer(bundle), "forged")


def test_a_child_that_nobody_waits_for_is_ended(bundle: Path) -> None:
    with FirstLoad(bundle) as first:
        assert first._child.poll() is None
    assert first._child.returncode == -signal.SIGKILL


def test_scores_in_every_way_load_no_frames_and_no_python_package_of_trees(bundle: Path) -> None:
    code = (
        "import sys; from stagecast.serving.scoring import rehearsal; "
        "rehearsal.main(sys.argv[1]); sys.stderr.write(' '.join(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(bundle)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    assert len(ran.stdout.strip()) == 64, "the hash of the scores"
    assert NOT_OF_A_SERVER.intersection(ran.stderr.split()) == set()


def test_a_whole_bundle_gives_the_same_scores_in_both_processes(bundle: Path) -> None:
    assert loaded(bundle).model_version == load_scorer(bundle).model_version
    with pytest.raises(UsageError, match="holds no bundle"):
        loaded(bundle.with_name("elsewhere"))
