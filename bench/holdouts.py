"""Hold-outs redrawn on real customers, whom nobody contacted: ``python -m bench.holdouts``.

The true effect is 0 for everybody, so that an interval is right if it contains 0. With ``effect``
each contacted customer who did not buy buys an own typical purchase day with that probability; the
true effect is then the mean over the list. Outcomes are as heavy-tailed as money is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import click
import numpy as np
import pandas as pd

from bench.campaigns import holds
from bench.real_lists import ONLINE_RETAIL, RealList, lists
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.effect import compare
from stagecast.serving.targeting.trial.expected import spend_cv
from stagecast.serving.targeting.trial.power import power_of
from stagecast.serving.targeting.trial.segments import by_segment
from stagecast.serving.targeting.trial.sequence import looks_at

DRAWS, LOOKS, SEED = 400, 4, 20111209
SIZES, SHARES, RETURNS = (200, 1_000, 3_000), (0.1, 0.2, 0.5), (0.0, 0.1)
MEASURES = ("buyers", "money")


@dataclass(frozen=True)
class Drawn:
    """What one hold-out shows of one measure.

    Parameters
    ----------
    measure
        ``buyers`` or ``money``.
    plain, adjusted, sequential
        Whether the interval (of all looks) holds the true effect.
    proven, harmful
        Whether the adjusted interval is above 0, or below.
    segments_excluding
        Part of the segments whose shrunk interval excludes 0.
    narrower
        1 less the width of the adjusted interval over the plain one.
    told
        Power stated before, for the true effect, by the default spread of spend.
    """

    measure: str
    plain: bool
    adjusted: bool
    sequential: bool
    proven: bool
    harmful: bool
    segments_excluding: float
    narrower: float
    told: float


def redrawn(
    customers: RealList, share: float, returns: float, draws: int, cv: float = 1.0
) -> Iterator[Drawn]:
    """Draw hold-outs and read each out; one result per hold-out and measure."""
    n, looks = customers.bought.shape
    ids, stratum = [f"{k:06d}" for k in range(n)], customers.stratum
    elapsed = np.arange(1, looks + 1) / looks
    segment = (stratum * 2 + (customers.basket > np.median(customers.basket))).astype(str).tolist()
    random = np.random.default_rng(SEED)
    for seed in range(draws):
        comes = (random.random(n) < returns) & (customers.bought[:, -1] == 0)
        by_look = comes[:, None] & (random.random(n)[:, None] < elapsed)
        contacted = ~draw_holdout(ids, stratum.astype(str).tolist(), share, seed)
        for measure in MEASURES:
            alone = customers.bought if measure == "buyers" else customers.spend
            added = by_look * (1.0 if measure == "buyers" else customers.basket[:, None])
            outcome = alone + added * contacted[:, None]
            truth = added.mean(axis=0)
            score = customers.purchase if measure == "buyers" else customers.expected_spend
            arms = contacted, stratum, score[:, None]
            comparison = compare(outcome[:, -1], *arms)
            adjusted = comparison.adjusted.per_customer
            sequence = looks_at(outcome, elapsed, *arms)
            segments = by_segment(outcome[:, -1], *arms, segment)
            yield Drawn(
                measure,
                holds(comparison.plain.per_customer, truth[-1]),
                holds(adjusted, truth[-1]),
                all(
                    holds(look.per_customer, expected)
                    for look, expected in zip(sequence, truth[-len(sequence) :], strict=True)
                ),
                adjusted.low > 0,
                adjusted.high < 0,
                float(np.mean([not holds(part.shrunk, 0.0) for part in segments])),
                comparison.narrower,
                power_of(customers.expected(measure, cv), truth[-1], int((~contacted).sum())),
            )


def summary(results: list[Drawn]) -> pd.DataFrame:
    """Return the means over hold-outs, one row per measure."""
    return pd.DataFrame(results).groupby("measure").mean().reset_index()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--data", type=Path, default=ONLINE_RETAIL)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--returns", type=float, nargs="+", default=RETURNS)
    parser.add_argument("--only", default="", help="lists whose name contains this")
    options = parser.parse_args(arguments)
    tables = []
    for everybody in lists(LOOKS, options.data):
        if options.only not in everybody.name:
            continue
        for size in options.sizes:
            if size > len(everybody.purchase):
                continue
            customers = everybody.best(size, np.random.default_rng(SEED))
            cv = spend_cv(customers.spend[:, -1], customers.purchase, customers.expected_spend)
            for share in options.shares:
                for returns in options.returns:
                    results = list(redrawn(customers, share, returns, options.draws))
                    row = summary(results).assign(
                        log=everybody.name, size=size, share=share, returns=returns, cv=cv
                    )
                    click.echo(
                        row.to_csv(index=False, header=not tables, float_format="%.4f"), nl=False
                    )
                    tables.append(row)
    if tables:
        names = [field.name for field in fields(Drawn) if field.name != "measure"]
        means = pd.concat(tables).groupby(["measure", "returns", "share"])[names].mean()
        click.echo(means.to_string(float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main(sys.argv[1:])
