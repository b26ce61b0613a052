"""Rankings of an e-mail test against each other: ``python -m bench.uplift [HILLSTROM]``.

MineThatData's e-mail test (Hillstrom 2008: two e-mails against none, drawn at random) is read from
a Parquet file where there is one; otherwise a test with known effects is simulated. Half of the
customers are learned from, the other half judges, ``SPLITS`` times: Qini and what the first share
of the list brings over nobody, both doubly robust, in ten-thousandths per customer of the list;
then, what :func:`.choose_ranking` chooses on all customers. Exits with 1 where a choice on visits
is worse than the ranking by risk.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.serving.commands.console import show, table
from stagecast.training.uplift.choice import Choice, choose_ranking
from stagecast.training.uplift.curves import qini, uplift_at
from stagecast.training.uplift.learners import fit_uplift
from stagecast.training.uplift.model import FORMULAS, mean_outcome, named_columns
from stagecast.training.uplift.outcomes import cross_fit, fit_outcome
from stagecast.training.uplift.pseudo_outcomes import effect_values
from stagecast.training.uplift.trial import Trial, make_trial

HILLSTROM = Path(__file__).parents[2] / "shared" / "data" / "hillstrom.parquet"
FEATURES = ["recency", "history", "mens", "womens", "zip_code", "newbie", "channel"]
DEPTHS = (0.1, 0.3, 0.5)
SPLITS = 5
UNIT = 1e4


def hillstrom(path: Path) -> Iterator[tuple[str, Trial]]:
    """Yield the test of each e-mail, by visits and by spend."""
    frame = pd.read_parquet(path)
    for mail in ("Womens E-Mail", "Mens E-Mail"):
        part = frame[frame["segment"].isin([mail, "No E-Mail"])]
        X = np.column_stack(
            [
                part[name].astype("category").cat.codes
                if part[name].dtype == object
                else part[name]
                for name in FEATURES
            ]
        )
        for outcome in ("visit", "spend"):
            contacted = (part["segment"] == mail).to_numpy()
            yield f"{mail}, {outcome}", make_trial(X, FEATURES, contacted, 0.5, part[outcome])


def simulated() -> Iterator[tuple[str, Trial]]:
    """Yield a test in which the customers at risk are not those whom a contact changes."""
    random = np.random.default_rng(1)
    n = 40_000
    X = np.column_stack([random.normal(0, 1, n), random.normal(0, 1, n)])
    w = random.uniform(size=n) < 0.5
    p = 0.05 + 0.15 * expit(X[:, 0]) + w * (0.05 + 0.04 * np.tanh(X[:, 1]))
    yield "simulated, visit", make_trial(X, ["a", "b"], w, 0.5, random.uniform(size=n) < p)


def risk(learned: Trial, X: Array) -> Array:
    """Return the ranking by risk: who is the least likely to come if left alone, shape (n,)."""
    rows = ~learned.contacted
    trees = fit_outcome(learned.X[rows], learned.y[rows], learned.binary, 0)
    return -mean_outcome(trees, named_columns(X), learned.binary)


def judged(trial: Trial) -> dict[str, Array]:
    """Return Qini, its standard error and the uplift at each depth, by ranking: means of splits."""
    figures: dict[str, list[list[float]]] = {}
    for split in range(SPLITS):
        half = np.random.default_rng(split).permutation(len(trial)) < len(trial) // 2
        learned, later = trial.take(half), trial.take(~half)
        outcomes, g = cross_fit(learned), effect_values(later, cross_fit(later))
        scores = {k: fit_uplift(learned, k, outcomes).score(later.X) for k in FORMULAS}
        for name, score in {"risk": risk(learned, later.X), **scores}.items():
            area = qini(g, score, later.customer)
            at = [u.value for u in uplift_at(g, score, DEPTHS, later.customer)]
            row = [area.value, area.standard_error, *at]
            figures.setdefault(name, []).append([UNIT * value for value in row])
    return {name: np.mean(rows, axis=0) for name, rows in figures.items()}


def chosen(trial: Trial) -> Choice:
    """Return what a plan for three tenths of the list would use; risk is the caller's ranking."""
    half = np.random.default_rng(0).permutation(len(trial)) < len(trial) // 2
    # the ranking by risk may not have learned from the rows that it is judged on
    ranking = np.where(half, risk(trial.take(~half), trial.X), risk(trial.take(half), trial.X))
    return choose_ranking(trial, {"risk": ranking}, depth=0.3)


def main() -> None:
    """Print the tables; exit with 1 where a choice on visits is worse than risk."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HILLSTROM
    if not path.is_file():
        click.echo(f"{path} is not there: a simulated test takes its place", err=True)
    failed = False
    for name, trial in hillstrom(path) if path.is_file() else simulated():
        rows = [["ranking", "Qini", "standard error", *(f"at {d:.0%}" for d in DEPTHS)]]
        figures = judged(trial)
        rows += [[k, *(f"{value:.0f}" for value in values)] for k, values in figures.items()]
        click.echo(f"\n{name}: {len(trial)} customers")
        show(table(rows, set(range(1, len(rows[0])))))
        choice = chosen(trial)
        click.echo(choice.reason)
        if trial.binary and choice.name in figures:
            failed |= bool(figures[choice.name][0] < figures["risk"][0])
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
