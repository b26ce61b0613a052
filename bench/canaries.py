"""How often a canary is rolled back without a reason, and with one: ``python -m bench.canaries``.

Equal models are trained on samples of one shop that have no customer in common; whoever stands in
the place of another is no better and no worse. Shifted ones are trained on a log that is damaged.
Each draw takes customers of a further sample at random, as many as a canary needs, and looks at
them as the server does. The rate of false rollbacks is over all draws of all ordered pairs.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.commands.console import table
from stagecast.serving.follow.limits import LOOKS, Limits
from stagecast.serving.follow.pairs import Pairs, Values, values_of
from stagecast.serving.scoring.scorer import load_scorer
from stagecast.training.config import TrainConfig
from tests.training.made import Row, day, simulated_rows, trained

CUSTOMERS, DAYS = 1_200, 730
THREE_IN_N = 3.0
"""Upper end of the one-sided 95 % interval of a rate without an event (rule of three)."""


def verdict(
    new: Sequence[Values], old: Sequence[Values], limits: Limits, chance: random.Random
) -> str | None:
    """Return why a canary of customers drawn at random is rolled back; None: it is not.

    Parameters
    ----------
    new, old
        What is compared of the scores of the same customers, by both models.
    limits
        The limits.
    chance
        Draws the customers.
    """
    pairs = Pairs("new", "old")
    for look in range(1, LOOKS + 1):
        while pairs.scores * LOOKS < limits.customers * look:
            row = chance.randrange(len(new))
            pairs.add(new[row], old[row], chance)
        problem = limits.broken(pairs)
        if problem is not None:
            return problem
    return None


def damaged(rows: Sequence[Row], how: str) -> list[Row]:
    """Return a log in which most purchases are missing: of all days, or of the last 130."""
    chance, since = random.Random(3), day(0 if how == "all days" else DAYS - 130)
    left = 0.4 if how == "all days" else 0.3
    return [row for row in rows if row[2] != "purchase" or row[1] < since or chance.random() < left]


def customers_of(rows: Sequence[Row]) -> list[CustomerEvents]:
    """Return the customers of a log with their events."""
    events: dict[str, list[Event]] = {}
    for name, at, kind, amount in rows:
        events.setdefault(name, []).append(Event(at, kind, amount))
    return [CustomerEvents(name, tuple(own), {}) for name, own in events.items()]


def main() -> None:
    """Train, draw and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.canaries")
    parser.add_argument("--models", type=int, default=4, help="equal models (default 4)")
    parser.add_argument("--draws", type=int, default=250, help="draws of each pair (default 250)")
    chosen = parser.parse_args()
    limits, customers = Limits(), customers_of(simulated_rows(CUSTOMERS, DAYS, seed=99))
    scores: dict[str, list[Values]] = {}
    with tempfile.TemporaryDirectory(prefix="stagecast-bench-") as scratch:
        logs = {f"equal {n}": simulated_rows(CUSTOMERS, DAYS, seed=n) for n in range(chosen.models)}
        for how in ("all days", "the last 130 days"):
            logs[f"purchases of {how} are missing"] = damaged(
                simulated_rows(CUSTOMERS, DAYS, seed=50), how
            )
        logs["amounts are 20 times as large"] = [
            (name, at, kind, None if amount is None else 20 * amount)
            for name, at, kind, amount in simulated_rows(CUSTOMERS, DAYS, seed=51)
        ]
        for number, (name, rows) in enumerate(logs.items()):
            folder = Path(scratch) / str(number)
            trained(rows, folder, day(DAYS), TrainConfig(max_dates=3))
            scorer = load_scorer(folder)
            objects = scorer.score_objects(customers, day(DAYS + 1), with_reasons=False)
            scores[name] = [values_of(score) for score in objects]
    equal = [name for name in scores if name.startswith("equal")]
    chance = random.Random(7)
    lines = [["new model", "canaries", "rolled back", "first reason"]]
    everyone = [
        verdict(scores[new], scores[old], limits, chance)
        for new, old in permutations(equal, 2)
        for _ in range(chosen.draws)
    ]
    lines.append(_line("equal", everyone))
    for name in scores:
        if name not in equal:
            verdicts = [
                verdict(scores[name], scores[old], limits, chance)
                for old in equal
                for _ in range(chosen.draws // 5)
            ]
            lines.append(_line(name, verdicts))
    sys.stdout.write("\n".join(table(lines, {1, 2})) + "\n")
    false = sum(reason is not None for reason in everyone)
    if not false:
        most = THREE_IN_N / len(everyone)
        sys.stdout.write(f"no false rollback of {len(everyone):,}: at most {most:.2%} (95 %)\n")


def _line(name: str, verdicts: Sequence[str | None]) -> list[str]:
    reasons = [reason for reason in verdicts if reason is not None]
    share = f"{len(reasons) / len(verdicts):.1%}"
    return [name, f"{len(verdicts):,}", share, reasons[0][:70] if reasons else ""]


if __name__ == "__main__":
    main()
