"""Power stated against power shown, in several kinds of business: ``python -m bench.power``.

The spread of spend is taken as a plan takes it: measured on an earlier window of other customers
(as a settled run says it), read off 90 % ranges, or supposed to be 1. The ranges are as scores have
them, the expected spend times the same factor for customers of a like probability of a purchase.
"""

from __future__ import annotations

import argparse
import sys

import click
import numpy as np
import pandas as pd

from bench.campaign_customers import (
    BUSINESSES,
    MEASURES,
    Business,
    draw_outcomes,
    draw_shop,
    strata_codes,
)
from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial import redraws
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.expected import expected_buyers, expected_money
from stagecast.serving.targeting.trial.intervals import LEVEL
from stagecast.serving.targeting.trial.measurement import measure as adjusted
from stagecast.serving.targeting.trial.power import power_of
from stagecast.serving.targeting.trial.spread import EDGES, cv_from_ends, measure_spread

SEED, CAMPAIGNS, PAST = 20120301, 1_000, 100_000
RETURNS_MAX = 0.4


def returns_of(business: Business, measure: str, random: np.random.Generator) -> float:
    """Return the part to bring back whose effect has about 70 % power; at most 40 %."""
    shop = draw_shop(random, business.customers, business)
    held_out = round(business.customers * business.share)
    low, high = 0.0, RETURNS_MAX
    for _ in range(20):
        middle = (low + high) / 2
        power = power_of(shop.expected(measure, 0.8), shop.effect(measure, middle), held_out)
        low, high = (low, middle) if power > 0.7 else (middle, high)
    return high


def ends_of(purchase: Array, spend: Array, factors: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the ends of the ranges of customers."""
    part = np.searchsorted(EDGES, purchase)
    return spend * factors[0][part], spend * factors[1][part]


def measure(business: Business, name: str, campaigns: int, seed: int) -> dict[str, object]:
    """Return the power stated, by where the spread is from, and the share of campaigns shown."""
    random = np.random.default_rng(seed)
    past = draw_shop(random, PAST, business)
    alone = np.zeros(PAST, dtype=bool)
    spent = draw_outcomes(random, past, alone, 0.0, 1, business)[1][:, 0]
    spread = measure_spread(spent, past.purchase, past.spend)
    part = np.searchsorted(EDGES, past.purchase)
    ratio = spent / past.spend
    factors = tuple(
        np.array([np.quantile(ratio[part == k], q) if (part == k).any() else 1.0
                  for k in range(len(EDGES) + 1)])
        for q in (0.05, 0.95)
    )  # fmt: skip
    returns = returns_of(business, name, random)
    n, shown = business.customers, 0
    stated: dict[str, list[float]] = {"settled": [], "ranges": [], "supposed": []}
    for k in range(campaigns):
        random = np.random.default_rng([seed, k])
        shop = draw_shop(random, n, business)
        stratum = strata_codes(shop)
        labels = [str(code) for code in stratum]
        held_out = draw_holdout([f"{i:07d}" for i in range(n)], labels, business.share, k)
        outcomes = draw_outcomes(random, shop, ~held_out, returns, 1, business)
        score = shop.purchase if name == "buyers" else shop.spend
        outcome = outcomes[0 if name == "buyers" else 1][:, 0]
        if np.ptp(outcome):  # where nobody bought, nothing is shown
            measured = adjusted(outcome[:, None], ~held_out, stratum, score[:, None])
            shown += not measured.contains(0, (1 - LEVEL) / 2, 0.0)
        effect = shop.effect(name, returns)
        if k >= 50:
            continue
        for source, powers in stated.items():
            cv: float | None = 1.0
            if source == "settled" and spread is not None:
                cv = spread.cv(shop.purchase, shop.spend)
            elif source == "ranges":
                ends = ends_of(shop.purchase, shop.spend, (factors[0], factors[1]))
                cv = cv_from_ends(shop.purchase, shop.spend, *ends)
            if name == "buyers":
                expected = expected_buyers(shop.purchase)
            else:
                expected = expected_money(shop.purchase, shop.spend, 1.0 if cv is None else cv)
            powers.append(power_of(expected, effect, int(held_out.sum())))
    means = {source: float(np.mean(powers)) for source, powers in stated.items()}
    return {"business": business.name, "measure": name, "shown": shown / campaigns, **means}


def main(arguments: list[str]) -> None:
    """Print a line of each business and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS)
    parser.add_argument("--only", default="", help="businesses whose name contains this")
    parser.add_argument("--measure", choices=MEASURES, action="append")
    parser.add_argument("--redraws", type=int, default=redraws.REDRAWS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    redraws.REDRAWS = options.redraws
    first = True
    for business in BUSINESSES:
        if options.only not in business.name:
            continue
        for name in options.measure or MEASURES:
            row = pd.DataFrame([measure(business, name, options.campaigns, options.seed)])
            click.echo(row.to_csv(index=False, header=first, float_format="%.3f"), nl=False)
            sys.stdout.flush()
            first = False


if __name__ == "__main__":
    main(sys.argv[1:])
