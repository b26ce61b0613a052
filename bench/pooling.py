"""Coverage of shrunk segments and of pooled plans, simulated: ``python -m bench.pooling``.

True effects differ with the standard deviation ``tau``; the estimates of five segments, or plans,
have the standard errors 0.6 to 1.5. One more true effect stands for the next plan.
"""

from __future__ import annotations

import argparse
import sys

import click
import numpy as np
import pandas as pd

from stagecast.serving.targeting.trial.pooled import pool
from stagecast.serving.targeting.trial.shrinkage import shrink

SEED = 20110901
DRAWS = 1000
TAUS = (0.0, 0.5, 1.0, 3.0, 8.0)
ERRORS = np.array([0.6, 0.8, 1.0, 1.2, 1.5])


def coverage(tau: float, draws: int = DRAWS, seed: int = SEED) -> dict[str, float]:
    """Return how often the intervals hold, and the width of a segment's over that of it alone."""
    random = np.random.default_rng(seed)
    segment, width, mean, ahead = [], [], [], []
    for _ in range(draws):
        *truth, following = tau * random.standard_normal(len(ERRORS) + 1)
        estimates = truth + ERRORS * random.standard_normal(len(ERRORS))
        shrunk = shrink(estimates, ERRORS)
        for t, interval, error in zip(truth, shrunk.effects, ERRORS, strict=True):
            segment.append(interval.low <= t <= interval.high)
            width.append(interval.width / (2 * 1.959964 * error))
        centre = pool(estimates.tolist(), ERRORS.tolist()).mean
        mean.append(centre.low <= 0 <= centre.high)
        ahead.append(shrunk.unknown.low <= following <= shrunk.unknown.high)
    return {
        "tau": tau,
        "segment": float(np.mean(segment)),
        "width": float(np.mean(width)),
        "mean": float(np.mean(mean)),
        "next plan": float(np.mean(ahead)),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    draws = parser.parse_args(arguments).draws
    table = pd.DataFrame([coverage(tau, draws) for tau in TAUS])
    click.echo(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main(sys.argv[1:])
