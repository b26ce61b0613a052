"""How often intervals of read-outs hold, by kind of list: ``python -m bench.coverage``.

Arms of few customers, purchases that are rare or almost sure, small and equal hold-outs, prices
that vary widely; without an effect and with one. All on arrays, in one process.
"""

from __future__ import annotations

import argparse
import sys
import time

import click
import numpy as np
import pandas as pd

from bench.campaign_customers import MEASURES, Business, draw_outcomes, draw_shop, strata_codes
from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.targeting.trial import redraws
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.effect import effect_of
from stagecast.serving.targeting.trial.intervals import Interval
from stagecast.serving.targeting.trial.sequence import looks_at

SEED, CAMPAIGNS, LOOKS, PATHS = 20111209, 1_000, 4, 20_000
RETURNS = (0.0, 0.4)
CELLS = (
    Business("common purchases, 30 held out", 300, 0.1),
    Business("common purchases, 100 of 200", 200, 0.5),
    Business("common purchases", 1_000, 0.2),
    Business("rare purchases, 30 held out", 300, 0.1, rate_mean=0.15),
    Business("rare purchases, 100 of 200", 200, 0.5, rate_mean=0.15),
    Business("rare purchases, 100 held out", 1_000, 0.1, rate_mean=0.15),
    Business("very rare purchases, 100 held out", 1_000, 0.1, rate_mean=0.05),
    Business("very rare purchases, 300 held out", 3_000, 0.1, rate_mean=0.05),
    Business("sure purchases, 50 held out", 500, 0.1, rate_mean=6.0),
    Business("wide prices, 100 held out", 1_000, 0.1, 0.5, price_sigma=1.0, order_sigma=1.0),
    Business("wholesale, 100 of 500", 500, 0.2, rate_mean=4.0, price_sigma=1.2, order_sigma=0.8),
)


def misses(interval: Interval, truth: float) -> tuple[float, float]:
    """Return whether an interval is above what is true, and whether it is below."""
    return float(interval.low > truth), float(interval.high < truth)


def cell(business: Business, returns: float, campaigns: int, seed: int) -> pd.DataFrame:
    """Simulate campaigns of one kind and return a row of coverages per measure."""
    n, elapsed = business.customers, np.arange(1, LOOKS + 1) / LOOKS
    ids = [f"{i:07d}" for i in range(n)]
    rows = []
    for k in range(campaigns):
        random = np.random.default_rng([seed, k])
        shop = draw_shop(random, n, business)
        stratum = strata_codes(shop)
        contacted = ~draw_holdout(ids, [str(s) for s in stratum], business.share, k)
        outcomes = draw_outcomes(random, shop, contacted, returns, LOOKS, business)
        for name, cumulative in zip(MEASURES, outcomes, strict=True):
            score = (shop.purchase if name == "buyers" else shop.spend)[:, None]
            truth = [shop.effect(name, returns, t) for t in elapsed]
            try:
                plain = effect_of(cumulative[:, -1], contacted, stratum).per_customer
                adjusted = effect_of(cumulative[:, -1], contacted, stratum, score).per_customer
            except NotEnoughDataError:  # nobody bought: there is no interval to be right
                continue
            looks = looks_at(cumulative, elapsed, contacted, stratum, score, paths=PATHS)
            held = all(
                not any(misses(look.per_customer, value))
                for look, value in zip(looks, truth[-len(looks) :], strict=True)
            )
            rows.append(
                (name, 1 - sum(misses(plain, truth[-1])), 1 - sum(misses(adjusted, truth[-1])),
                 float(held), *misses(adjusted, truth[-1]), adjusted.width, truth[-1])
            )  # fmt: skip
    columns = ["measure", "plain", "adjusted", "looks", "above", "below", "width", "effect"]
    groups = pd.DataFrame(rows, columns=columns).groupby("measure", sort=False)
    table = groups.mean().assign(width=groups["width"].median(), campaigns=groups.size())
    return table.reset_index()


def main(arguments: list[str]) -> None:
    """Print a line of each cell and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--campaigns", type=int, default=CAMPAIGNS)
    parser.add_argument("--redraws", type=int, default=redraws.REDRAWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    options = parser.parse_args(arguments)
    redraws.REDRAWS = options.redraws
    first = True
    for business in CELLS:
        if options.only not in business.name:
            continue
        for returns in RETURNS:
            start = time.process_time()
            table = cell(business, returns, options.campaigns, options.seed)
            table.insert(0, "cell", business.name)
            table.insert(1, "returns", returns)
            table["seconds"] = time.process_time() - start
            click.echo(table.to_csv(index=False, header=first, float_format="%.4g"), nl=False)
            sys.stdout.flush()
            first = False


if __name__ == "__main__":
    main(sys.argv[1:])
