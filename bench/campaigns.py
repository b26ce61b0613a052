"""Coverage, narrowing and power of read-outs on simulated campaigns: ``python -m bench.campaigns``.

The expected effect on each list is known exactly, at the end and at each look
(:mod:`bench.campaign_customers`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd

from bench.campaign_customers import MEASURES, Shop, draw_outcomes, draw_shop, strata_codes
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.expected import spend_cv
from stagecast.serving.targeting.trial.intervals import LEVEL, Interval
from stagecast.serving.targeting.trial.power import detectable, power_of
from stagecast.serving.targeting.trial.sequence import PATHS, looks_at

SEED = 20110901
CAMPAIGNS = 1000
CUSTOMERS = 10_000
SHARE = 0.2
LOOKS = 12


def measured_cv(random: np.random.Generator, customers: int = 50_000) -> float:
    """Return the spread of a buyer's spend, measured on an earlier window of other customers."""
    shop = draw_shop(random, customers)
    _, spend = draw_outcomes(random, shop, np.zeros(customers, dtype=bool), 0.0, 1)
    return spend_cv(spend[:, 0], shop.purchase, shop.spend)


def returns_for_power(shop: Shop, measure: str, held_out: int, cv: float) -> float:
    """Return the part to bring back whose effect the power of 80 % is told for."""
    smallest = detectable(shop.expected(measure, cv), held_out).effect
    if smallest is None:
        raise ValueError(f"{len(shop.rate)} customers cannot show an effect on {measure}")
    return smallest / shop.effect(measure, 1.0)


def theory_width(random: np.random.Generator, measure: str, customers: int = 400_000) -> float:
    """Return sqrt(1 - R2) of the score within the strata, from many customers left alone."""
    shop = draw_shop(random, customers)
    outcomes = draw_outcomes(random, shop, np.zeros(customers, dtype=bool), 0.0, 1)
    y = outcomes[MEASURES.index(measure)][:, 0]
    x = shop.purchase if measure == "buyers" else shop.spend
    stratum = strata_codes(shop)
    size = np.bincount(stratum)
    x, y = (v - (np.bincount(stratum, v) / size)[stratum] for v in (x, y))
    return float(np.sqrt(1 - np.mean(x * y) ** 2 / (np.mean(x**2) * np.mean(y**2))))


@dataclass(frozen=True)
class Trial:
    """What one campaign shows of one measure.

    Parameters
    ----------
    measure
        ``buyers`` or ``money``.
    effect
        True effect per contacted customer.
    plain, adjusted
        Whether the fixed interval at the end holds it.
    sequential
        Whether the adjusted intervals of all looks hold what is true at each.
    narrower
        1 less the width of the adjusted interval over the plain one.
    shown
        Whether the adjusted interval at the end excludes 0.
    either
        Whether it does, or the interval of an earlier look.
    price
        How much wider the interval of the last look is than the adjusted one.
    told
        Power told before the campaign.
    """

    measure: str
    effect: float
    plain: bool
    adjusted: bool
    sequential: bool
    narrower: float
    shown: bool
    either: bool
    price: float
    told: float


def holds(interval: Interval, truth: float) -> bool:
    """Return whether an interval holds a value."""
    return interval.low <= truth <= interval.high


def campaigns(
    number: int,
    customers: int,
    returns: float,
    *,
    looks: int = LOOKS,
    seed: int = SEED,
    cv: float = 1.0,
    measures: tuple[str, ...] = MEASURES,
    paths: int = PATHS,
) -> Iterator[Trial]:
    """Simulate campaigns and read each out; one result per campaign and measure."""
    elapsed = np.arange(1, looks + 1) / looks
    for k in range(number):
        random = np.random.default_rng([seed, k])
        shop = draw_shop(random, customers)
        stratum = strata_codes(shop)
        held_out = draw_holdout(
            [f"{i:07d}" for i in range(customers)], [str(s) for s in stratum], SHARE, k
        )
        contacted = ~held_out
        outcomes = draw_outcomes(random, shop, contacted, returns, looks)
        for measure in measures:
            cumulative = outcomes[MEASURES.index(measure)]
            score = (shop.purchase if measure == "buyers" else shop.spend)[:, None]
            truth = [shop.effect(measure, returns, t) for t in elapsed]
            plain = effect_of(cumulative[:, -1], contacted, stratum).per_customer
            adjusted = effect_of(cumulative[:, -1], contacted, stratum, score).per_customer
            sequential = looks_at(cumulative, elapsed, contacted, stratum, score, paths=paths)
            shown = not holds(adjusted, 0.0)
            yield Trial(
                measure,
                truth[-1],
                holds(plain, truth[-1]),
                holds(adjusted, truth[-1]),
                all(
                    holds(look.per_customer, expected)
                    for look, expected in zip(sequential, truth[-len(sequential) :], strict=True)
                ),
                1 - adjusted.width / plain.width,
                shown,
                shown or any(not holds(look.per_customer, 0.0) for look in sequential[:-1]),
                sequential[-1].wider,
                power_of(shop.expected(measure, cv), truth[-1], int(held_out.sum())),
            )


def summary(trials: list[Trial]) -> pd.DataFrame:
    """Return the shares and means over campaigns, one row per measure."""
    table = pd.DataFrame(trials).groupby("measure", sort=False).mean()
    return table.reset_index()


def mixture_factor(level: float = LEVEL) -> float:
    """Return the width of a normal-mixture confidence sequence, tuned to the end, over the fixed.

    Robbins' boundary sqrt((v + r) log((v + r) / (r a^2))) in standard errors at v = 1, at its best
    r; the Gaussian-mixture boundary of Waudby-Smith et al. (2024) is the same.
    """
    r = np.geomspace(1e-3, 10, 10_000)
    boundary = np.sqrt((1 + r) * np.log((1 + r) / (r * (1 - level) ** 2)))
    return float(boundary.min() / 1.959964)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--looks", type=int, default=LOOKS)
    options = parser.parse_args(arguments)
    random = np.random.default_rng(SEED)
    cv = measured_cv(random)
    shop = draw_shop(random, options.customers)
    held_out = round(options.customers * SHARE)
    click.echo(
        f"{options.campaigns} campaigns of {options.customers} customers, {SHARE:.0%} held out, "
        f"{options.looks} looks; spread of a buyer's spend {cv:.3f}"
    )
    tables = []
    for scene, returns, measures in (
        ("no effect", 0.0, MEASURES),
        *(
            (f"80 % power for {m}", returns_for_power(shop, m, held_out, cv), (m,))
            for m in MEASURES
        ),
    ):
        trials = list(
            campaigns(
                options.campaigns,
                options.customers,
                returns,
                looks=options.looks,
                cv=cv,
                measures=measures,
            )
        )
        tables.append(summary(trials).assign(scene=scene, returns=returns))
    table = pd.concat(tables).set_index(["scene", "measure"])
    click.echo(table.T.to_string(float_format=lambda value: f"{value:.4f}"))
    for measure in MEASURES:
        theory = 1 - theory_width(random, measure)
        click.echo(f"narrower in theory, 1 - sqrt(1 - R2), {measure}: {theory:.4f}")
    click.echo(
        f"a normal-mixture confidence sequence would be {mixture_factor() - 1:.0%} wider at the end"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
