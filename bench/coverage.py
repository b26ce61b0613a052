"""How often intervals of read-outs hold, by kind of list: ``python -m bench.coverage``.

Arms of few customers, purchases that are rare or almost sure, small and equal hold-outs, prices
that vary widely; without an effect and with one. All on arrays, in one process.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.campaign_customers import (
    MEASURES,
    Business,
    Shop,
    draw_outcomes,
    draw_shop,
    strata_codes,
)
from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial import redraws
from stagecast.serving.targeting.trial.draw import draw_holdout
from stagecast.serving.targeting.trial.intervals import LEVEL
from stagecast.serving.targeting.trial.measurement import measure
from stagecast.serving.targeting.trial.sequence import tails_at

SEED, CAMPAIGNS, LOOKS, PATHS = 20111209, 1_000, 4, 20_000
CAMPAIGNS_A_LIST = 50
"""Hold-outs and outcomes that are drawn of the same customers."""
TAIL = (1 - LEVEL) / 2
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


@dataclass(frozen=True)
class Campaign:
    """A hold-out of a list, and the customers of each stratum in it.

    Parameters
    ----------
    seed
        Of the outcomes.
    contacted
        Assigned arm, shape (n,).
    counts
        Held-out customers of each stratum.
    """

    seed: tuple[int, int, int]
    contacted: NDArray[np.bool_]
    counts: tuple[int, ...]


def draw_campaigns(shop: Shop, share: float, number: int, seed: int, which: int) -> list[Campaign]:
    """Draw hold-outs of one list; those with the same numbers in the strata follow each other.

    The redrawn hold-outs depend on these numbers only, so that they are drawn a few times a list.
    """
    stratum = strata_codes(shop)
    ids, labels = [f"{i:07d}" for i in range(len(stratum))], [str(s) for s in stratum]
    campaigns = []
    for k in range(number):
        held_out = draw_holdout(ids, labels, share, seed + 7919 * which + k)
        counts = tuple(np.bincount(stratum, held_out).astype(int).tolist())
        campaigns.append(Campaign((seed, which, k), ~held_out, counts))
    return sorted(campaigns, key=lambda campaign: campaign.counts)


def outcome_of(
    cumulative: Array, truth: list[float], shop: Shop, contacted: NDArray[np.bool_], score: Array
) -> tuple[float, ...] | None:
    """Return whether the intervals hold: plain, adjusted, all looks; adjusted above, below.

    Whether an interval contains what is true is asked without seeking its ends, which is what is
    dear. None where nobody bought: there is no interval to be right.
    """
    stratum, elapsed = strata_codes(shop), np.arange(1, LOOKS + 1) / LOOKS
    if not np.ptp(cumulative[:, -1]):
        return None
    looks = tails_at(cumulative, elapsed, contacted, stratum, score[:, None], paths=PATHS)
    if looks is None:
        return None
    true_at = truth[-len(looks.elapsed) :]
    held = all(
        looks.measured.contains(k, tail, value)
        for k, (tail, value) in enumerate(zip(looks.tails.tolist(), true_at, strict=True))
    )
    adjusted = looks.measured.contains(len(true_at) - 1, TAIL, truth[-1])
    plain = measure(cumulative[:, -1:], contacted, stratum).contains(0, TAIL, truth[-1])
    over = looks.measured.effect[-1] > truth[-1]
    return plain, adjusted, held, not adjusted and over, not adjusted and not over


def cell(business: Business, returns: float, campaigns: int, seed: int) -> pd.DataFrame:
    """Simulate campaigns of one kind and return a row of coverages per measure."""
    rows: list[tuple[str | float, ...]] = []
    lists = -(-campaigns // CAMPAIGNS_A_LIST)
    for which in range(lists):
        shop = draw_shop(np.random.default_rng([seed, which]), business.customers, business)
        number = min(CAMPAIGNS_A_LIST, campaigns - which * CAMPAIGNS_A_LIST)
        for campaign in draw_campaigns(shop, business.share, number, seed, which):
            random = np.random.default_rng(campaign.seed)
            contacted = campaign.contacted
            outcomes = draw_outcomes(random, shop, contacted, returns, LOOKS, business)
            for name, cumulative in zip(MEASURES, outcomes, strict=True):
                score = shop.purchase if name == "buyers" else shop.spend
                truth = [shop.effect(name, returns, t / LOOKS) for t in range(1, LOOKS + 1)]
                row = outcome_of(cumulative, truth, shop, contacted, score)
                if row is not None:
                    rows.append((name, *map(float, row), truth[-1]))
    columns = ["measure", "plain", "adjusted", "looks", "above", "below", "effect"]
    groups = pd.DataFrame(rows, columns=columns).groupby("measure", sort=False)
    return groups.mean().assign(campaigns=groups.size()).reset_index()


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
