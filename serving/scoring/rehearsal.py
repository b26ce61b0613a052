"""Made-up customers scored in every way, before a server says that it is ready.

A bundle is rehearsed twice: by a child process (:mod:`stagecast.serving.scoring.first_load`), which
may die of it, and then by the server, whose scores must be the same. What a first request would
have to load or compile is loaded and compiled by then.

``python -m stagecast.serving.scoring.rehearsal FOLDER`` is the child.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stagecast.features.errors import DataRefusedError, StagecastError
from stagecast.serving.scoring.contract import contract_of
from stagecast.serving.scoring.first_load import FirstLoad
from stagecast.serving.scoring.scorer import Scorer, load_scorer
from stagecast.training.golden import check_golden, golden_customers

SUM_TOLERANCE = 1e-6


def load_rehearsed(first: FirstLoad, threads: int = 1) -> Scorer:
    """Return the scorer of a bundle, once a child process has loaded it and scored with it.

    Parameters
    ----------
    first
        The child process.
    threads
        See :class:`stagecast.serving.scoring.scorer.Scorer`.

    Raises
    ------
    stagecast.features.errors.StagecastError
        There is no bundle, it is damaged, it ends the process that loads it, or it does not predict
        what it did where it was trained.
    """
    return load_expected(first.folder, first.hash(), threads)


def load_expected(folder: Path, expected: str, threads: int = 1) -> Scorer:
    """Return the scorer of a bundle that a child process has loaded and scored with.

    Parameters
    ----------
    folder
        Folder of the bundle.
    expected
        Hash of the scores of the child process.
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
        The model cannot score, a score is not what a score can be, or the golden rows differ.
    """
    bundle = scorer.bundle
    try:
        contract_of(scorer.card)  # each request is held to it
        if bundle.golden is not None:
            check_golden(bundle.golden, bundle.models, bundle.as_of, where)
        everyone = [
            _scored(scorer, where, with_reasons=with_reasons) for with_reasons in (True, False)
        ]
    except StagecastError:
        raise
    except Exception as error:
        raise DataRefusedError(
            f"{where}: the model cannot score a customer: {type(error).__name__}: "
            f"{str(error)[:200]}; train it again, or restore its folder"
        ) from error
    content = json.dumps([scorer.model_version, everyone], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _scored(scorer: Scorer, where: str, *, with_reasons: bool) -> list[dict[str, Any]]:
    """Return the scores of the golden customers, who are scored together and each alone."""
    as_of = scorer.bundle.as_of
    customers = golden_customers(as_of)
    scores = scorer.score_objects(customers, as_of, with_reasons=with_reasons)
    for customer, together in zip(customers, scores, strict=True):
        (alone,) = scorer.score_objects([customer], as_of, with_reasons=with_reasons)
        for name, value in together.items():
            if not _same(value, alone[name]):
                raise DataRefusedError(
                    f"{where}: {name} of a customer scored alone is not what it is among others"
                )
        _check_score(together, where)
    return scores


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


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(first, Mapping):
        return all(_same(value, second[name]) for name, value in first.items())
    if isinstance(first, Sequence) and not isinstance(first, str):
        return all(_same(*pair) for pair in zip(first, second, strict=True))
    return bool(first == second)


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
