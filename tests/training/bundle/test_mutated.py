"""Damaged and forged bundles: none ends the process, each is refused or scores.

A damaged one was changed at random where its hashes do not follow: it is refused, or nothing that
predicts was changed and it gives the golden rows. In a forged one the hashes follow, so its content
is parsed: it is refused by name when it is read, or it is a wrong model, and the process lives.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.serving.scoring.pyfunc import score_events
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.training.bundle import FORMAT, MANIFEST
from tests.training.bundle.forging import make_hashes_fit
from tests.training.bundle.formats import FOLDER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants are read in a forked process"),
]
SOUND = FOLDER / f"format-{FORMAT}"
EVENTS = pd.read_csv(FOLDER / "events.csv")
TOKENS = (b"0", b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"x"', b"99999999999", b"true")


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return the content with one thing changed: bits, a cut, a piece twice, a number."""
    at = chance.randrange(len(content))
    end = min(len(content), at + chance.randrange(1, 60))
    bit = 1 << chance.randrange(8)
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :],
        lambda: content[:at],
        lambda: content[:at] + content[end:],
        lambda: content[:end] + content[at:],
        lambda: _with_another_value(content, at, chance),
        lambda: _with_another_value(content, at, chance),
    )
    return chance.choice(ways)()


def _with_another_value(content: bytes, at: int, chance: random.Random) -> bytes:
    """Put something else in the place of the next value behind a position."""
    separators = b' ,:[{=\n}]"'
    start = next((k for k in range(at, len(content)) if content[k] in separators), at) + 1
    end = next((k for k in range(start, len(content)) if content[k] in separators), len(content))
    return content[:start] + chance.choice(TOKENS) + content[end:]


def outcomes(folder: Path, seeds: range, *, forged: bool) -> list[str]:
    """Return what became of each mutant: ``refused``, ``scored``, or what went wrong."""
    golden = score_events(load_scorer(SOUND), EVENTS, "2021-02-04")
    said = []
    for seed in seeds:
        chance = random.Random(seed)
        mutant = folder / str(seed)
        shutil.copytree(SOUND, mutant)
        names = [path.name for path in sorted(mutant.iterdir())]
        name = chance.choice([n for n in names if n != MANIFEST] if forged else names)
        (mutant / name).write_bytes(damaged((mutant / name).read_bytes(), chance))
        if forged:
            make_hashes_fit(mutant)
        (folder / "at").write_text(f"{seed} ({name})")
        try:
            scorer = load_scorer(mutant)
        except DataRefusedError:
            said.append("refused")
        except Exception as error:
            said.append(f"{seed} ({name}): {error!r}"[:400])
        else:
            said.append(_scored(scorer, golden, seed, forged=forged))
        shutil.rmtree(mutant)
    return said


def _scored(scorer: Scorer, golden: pd.DataFrame, seed: int, *, forged: bool) -> str:
    """Return what a mutant that was read gives; a forged one may fail, if the process lives."""
    try:
        with np.errstate(all="ignore"):
            scores = score_events(scorer, EVENTS, "2021-02-04")
    except UsageError:  # the as_of stands in the manifest, which has no hash of its own
        return "refused"
    except Exception as error:
        return "scored" if forged else f"{seed}: {error!r}"[:400]
    rest = golden.drop(columns="data_cutoff")
    same = forged or scores.drop(columns="data_cutoff").equals(rest)
    return "scored" if same else f"{seed}: other scores"


def in_fork(folder: Path, seeds: range, *, forged: bool) -> list[str]:
    """Return the outcomes of mutants that are read in a forked process, which may die of them."""
    process = os.fork()
    if not process:
        try:
            said = outcomes(folder, seeds, forged=forged)
            (folder / "said.json").write_text(json.dumps(said))
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    assert status == 0, f"the process died of mutant {(folder / 'at').read_text()}: {status}"
    read: list[str] = json.loads((folder / "said.json").read_text())
    return read


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.parametrize("forged", [False, True], ids=["damaged", "forged"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks where threads run
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_mutant_ends_the_process_and_each_is_refused_or_scores(
    count: int, forged: bool, tmp_path: Path
) -> None:
    said = in_fork(tmp_path, range(count), forged=forged)
    assert [outcome for outcome in said if outcome not in ("refused", "scored")] == []
    assert said.count("refused") > count // 4
