"""A promotion whose true effects are known, sent by rule: ``python -m bench.promotions``.

Like the promotion of a coffee house in a well-known exercise: 84,534 customers are learned from,
half of them contacted, about 1 % buy, a purchase brings 10 and a contact costs .15. In some worlds
of effects the rule that :func:`.choose_ranking` answers is followed by as many new customers, and
its *true* net incremental revenue is compared with contacting everybody, nobody, with the best that
is possible, and with the natural line: each customer of whom the learner with the largest gain
expects more than a contact costs. ``measured`` is what the exercise asks of new customers with
arms drawn at random: 10 x buyers contacted - .15 x contacted - 10 x buyers not contacted, of those
whom the rule would contact. Exits with 1 where the choice is worse than the best of everybody,
nobody and the natural line by more than ``MARGIN`` of money per customer on the mean of the seeds,
or by three times that for one seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np

from stagecast.features.arrays import Array
from stagecast.serving.commands.console import show, table
from stagecast.training.uplift.choice import Choice, choose_ranking, fit_chosen
from stagecast.training.uplift.ladder import EVERYBODY, NOBODY, UPLIFT_GROUP
from stagecast.training.uplift.learners import fit_uplift
from stagecast.training.uplift.model import UPLIFT
from stagecast.training.uplift.rules import worth_contacting
from stagecast.training.uplift.trial import Trial, make_trial

CUSTOMERS = 84_534
PURCHASE, CONTACT = 10.0, 0.15
SEEDS = 3
MARGIN = 0.005
"""Money per customer by which the choice may be worse; a contact costs thirty times as much."""
NAMES = ("group", "amount", "level", "visits", "noise")
SEVEN = tuple(f"V{k}" for k in range(1, 8))


@dataclass(frozen=True)
class World:
    """Effects of a promotion.

    Parameters
    ----------
    base
        P(purchase) without a contact, on the average.
    effect
        Effect of a contact on it, on the average.
    spread
        By how much the effect differs between customers: with 1, a quarter of them has three times
        the average effect, and the others a third of it.
    seven
        Whether there are seven features V1 to V7, of which V4 and V5 together tell an eighth of the
        customers who have all of the effect: eight times the average.
    """

    base: float
    effect: float
    spread: float
    seven: bool = False


WORLDS = {
    "differs, everybody loses": World(0.0075, 0.0095, 1.0),
    "differs, everybody gains": World(0.0075, 0.02, 1.0),
    "same for all, loses": World(0.0075, 0.0095, 0.0),
    "same for all, gains": World(0.0075, 0.02, 0.0),
    "an eighth gains, V1 to V7": World(0.007, 0.003, 0.0, seven=True),
    "an eighth gains more, V1 to V7": World(0.007, 0.005, 0.0, seven=True),
}


@dataclass(frozen=True)
class Followed:
    """True net incremental revenue per customer of rules, in money, on customers to come."""

    choice: Choice
    chosen: float
    everybody: float
    natural: float
    best: float
    measured: float

    @property
    def behind(self) -> float:
        """By how much the choice is worse than the best of the others; negative if better."""
        return max(0.0, self.everybody, self.natural) - self.chosen


def promotion(world: World, customers: int, seed: int) -> tuple[Trial, Array]:
    """Return a trial and the true effect on P(purchase) of each customer, shape (n,)."""
    random = np.random.default_rng(seed)
    if world.seven:
        return _of_seven(world, customers, random)
    group = random.integers(0, 4, customers).astype(np.float64)
    amount, level = random.normal(0, 1, customers), random.integers(1, 4, customers)
    visits, noise = random.poisson(3, customers), random.normal(0, 1, customers)
    X = np.column_stack([group, amount, level, visits, noise])
    # whoever buys anyway is not whom a contact changes
    alone = world.base * np.exp(0.5 * amount - 0.125)
    effect = world.effect * (1 + world.spread * np.where(group == 1, 2, -2 / 3))
    w = random.uniform(size=customers) < 0.5
    y = random.uniform(size=customers) < alone + w * effect
    return make_trial(X, NAMES, w, 0.5, y), effect


def _of_seven(world: World, customers: int, random: np.random.Generator) -> tuple[Trial, Array]:
    """Return a trial of numeric features V1 to V7: four are small numbers, two are continuous."""
    X = np.column_stack(
        [
            random.integers(0, 4, customers),
            random.normal(30, 5, customers),
            random.normal(0, 1, customers),
            random.integers(1, 3, customers),
            random.integers(1, 5, customers),
            random.integers(1, 5, customers),
            random.integers(1, 3, customers),
        ]
    ).astype(np.float64)
    alone = world.base * np.exp(0.5 * X[:, 2] - 0.125)
    effect = 8 * world.effect * ((X[:, 3] == 2) & (X[:, 4] == 1))
    w = random.uniform(size=customers) < 0.5
    y = random.uniform(size=customers) < alone + w * effect
    return make_trial(X, SEVEN, w, 0.5, y), effect


def revenue(trial: Trial, rule: Array) -> float:
    """Return 10 x buyers contacted - .15 x contacted - 10 x buyers not contacted, of whom the rule
    contacts, in money.
    """
    contacted = trial.contacted & (rule > 0)
    alone = ~trial.contacted & (rule > 0)
    bought = PURCHASE * (float(trial.y[contacted].sum()) - float(trial.y[alone].sum()))
    return bought - CONTACT * float(contacted.sum())


def follow(
    world: World, customers: int, seed: int, learners: Sequence[str] = UPLIFT, folds: int = 5
) -> Followed:
    """Choose on one trial, and follow the choice with as many customers to come."""
    trial, _ = promotion(world, customers, seed)
    later, effect = promotion(world, customers, seed + 1_000)
    net = PURCHASE * effect - CONTACT
    rankings = {"orders": trial.X[:, 3]}
    choice = choose_ranking(
        trial, rankings, margin=PURCHASE, cost=CONTACT, learners=learners, folds=folds, seed=seed
    )
    best = max((j for j in choice.judged if j.group == UPLIFT_GROUP), key=lambda j: j.gain.value)
    natural = fit_uplift(trial, best.name, seed=seed)
    rule = _contacted(trial, choice, later, seed)
    return Followed(
        choice,
        float((rule * net).mean()),
        float(net.mean()),
        float((worth_contacting(natural.effect(later.X), PURCHASE, CONTACT) * net).mean()),
        float(np.maximum(net, 0.0).mean()),
        revenue(later, rule),
    )


def _contacted(trial: Trial, choice: Choice, later: Trial, seed: int) -> Array:
    if choice.name in (EVERYBODY, NOBODY):
        return np.full(len(later), float(choice.name == EVERYBODY))
    model = fit_chosen(trial, choice, seed=seed)
    if model is None:
        if choice.line is None:
            raise ValueError(f"'{choice.name}' was chosen without a line")
        effect = choice.line.effect(later.X[:, 3])
    else:
        effect = model.effect(later.X)
    return worth_contacting(effect, PURCHASE, CONTACT).astype(np.float64)


def main() -> None:
    """Print a line for each world and seed; exit with 1 where a choice is far behind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="worlds whose name contains this")
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    figures = ["chosen", "everybody", "natural line", "best possible", "behind", "measured"]
    rows = [["world", "seed", "choice", *figures]]
    failed = False
    for name, world in WORLDS.items():
        if options.only not in name:
            continue
        behind = []
        for seed in range(options.seeds):
            got = follow(world, options.customers, seed)
            behind.append(got.behind)
            values = (got.chosen, got.everybody, got.natural, got.best, got.behind)
            numbers = [*(f"{v:.4f}" for v in values), f"{got.measured:,.0f}"]
            rows.append([name, str(seed), got.choice.name, *numbers])
            click.echo("  ".join(rows[-1]), err=True)
        failed |= float(np.mean(behind)) > MARGIN or max(behind) > 3 * MARGIN
    show(table(rows, set(range(3, 9))))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
