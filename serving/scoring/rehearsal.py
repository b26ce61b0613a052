"""The first load of a bundle, in a process of its own that may die of it.

LightGBM reads trees in C. A bundle whose hashes fit can still hold trees that end the process when
they are parsed or asked; the server must not be that process. So a child loads the bundle first,
parses every tree, reproduces the golden rows, and scores made-up customers in all ways that the
server does. What it says is compared with what the server gets when it has loaded the same bundle.

``python -m stagecast.serving.scoring.rehearsal FOLDER`` is the child.
"""

from __future__ import annotations

import hashlib
import json
import math
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stagecast.features.errors import DataRefusedError, StagecastError, UsageError
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.training.golden import check_golden, golden_customers

CHILD_SECONDS = 120.0
"""A child that takes longer is stopped, and the bundle refused."""
SUM_TOLERANCE = 1e-6


def load_rehearsed(folder: Path, threads: int = 1) -> Scorer:
    """Return the scorer of a bundle, once a child process has loaded it and scored with it.

    Parameters
    ----------
    folder
        Folder of the bundle.
    threads
        See :class:`stagecast.serving.scoring.scorer.Scorer`.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is no bundle, it is damaged, it ends the process that loads it, or it does not predict
        what it did where it was trained.
    """
    return load_expected(folder, rehearse_in_child(folder), threads)


def load_expected(folder: Path, expected: str, threads: int = 1) -> Scorer:
    """Return the scorer of a bundle that a child process has loaded and scored with.

    Parameters
    ----------
    folder
        Folder of the bundle.
    expected
        What :func:`rehearse_in_child` returned.
    threads
        See :class:`stagecast.serving.scoring.scorer.Scorer`.

    Raises
    ------
    stagecast.features.errors.StagecastError
        The bundle is not what it was then.
    """
    scorer = load_scorer(folder, threads)
    if rehearse(scorer, str(folder)) != expected:
        raise DataRefusedError(
            f"{folder}: loaded twice, it gave different scores; was it replaced meanwhile? Start "
            "again when nobody writes there"
        )
    return scorer


def rehearse(scorer: Scorer, where: str) -> str:
    """Score the golden customers in every way, check the scores, and return a hash of them.

    Parameters
    ----------
    scorer
        The model.
    where
        The bundle, for errors.

    Raises
    ------
    DataRefusedError
        A score is not what a score can be, or the golden rows differ.
    """
    bundle = scorer.bundle
    if bundle.golden is not None:
        check_golden(bundle.golden, bundle.models, bundle.as_of, where)
    customers = golden_customers(bundle.as_of)
    scores = scorer.score_objects(customers, bundle.as_of)
    plain = scorer.score_objects(customers, bundle.as_of, with_reasons=False)
    alone = [
        score
        for customer in customers
        for score in scorer.score_objects([customer], bundle.as_of, with_reasons=False)
    ]
    for score in scores:
        _check_score(score, where)
    for together, single in zip(plain, alone, strict=True):
        for name, value in together.items():
            if not _same(value, single[name]):
                raise DataRefusedError(
                    f"{where}: {name} of a customer scored alone is not what it is among others"
                )
    content = json.dumps([scorer.model_version, scores, alone], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _check_score(score: Mapping[str, Any], where: str) -> None:
    stages: Mapping[str, float] = score["next_stage"]
    probabilities = {**stages, **{n: score[n] for n in ("p_inactive", "p_alive", "p_return")}}
    wrong = [
        name
        for name, value in probabilities.items()
        if value is not None and not 0 <= value <= 1 + SUM_TOLERANCE
    ]
    if abs(sum(stages.values()) - 1) > SUM_TOLERANCE:
        wrong.append("next_stage")
    wrong += [
        name
        for name in ("clv", "expected_orders", "expected_spend")
        if score[name] is not None and not math.isfinite(score[name])
    ]
    if wrong:
        raise DataRefusedError(
            f"{where}: {wrong[0]} of a made-up customer is impossible; train the bundle again"
        )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, Mapping):
        return all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, Sequence) and not isinstance(one, str):
        return all(_same(*pair) for pair in zip(one, other, strict=True))
    return bool(one == other)


def rehearse_in_child(folder: Path) -> str:
    """Return the hash of the scores of a child process; raises as :func:`load_rehearsed` does."""
    # isolated: neither the folder that we stand in nor the environment decides what is imported
    command = [sys.executable, "-I", "-m", "stagecast.serving.scoring.rehearsal", str(folder)]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise DataRefusedError(
            f"{folder}: the bundle was not loaded within {CHILD_SECONDS:.0f} s; train it again"
        ) from None
    if child.returncode == 0:
        return child.stdout.strip()
    if child.returncode < 0:
        raise DataRefusedError(
            f"{folder}: the process that loaded the bundle was ended by "
            f"{signal.Signals(-child.returncode).name}: its trees are damaged or forged; take it "
            "from where it was trained, or train it again"
        )
    last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    kind = UsageError if child.returncode == UsageError.exit_code else DataRefusedError
    raise kind(last if str(folder) in last else f"{folder}: {last[:500]}")


def main(folder: str) -> int:
    """Load and rehearse a bundle; print the hash of its scores, or on stderr why it is refused."""
    try:
        sys.stdout.write(rehearse(load_scorer(Path(folder)), folder) + "\n")
    except StagecastError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except Exception as error:
        sys.stderr.write(f"{folder}: not a bundle that can score ({error!r:.300})\n")
        return DataRefusedError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
