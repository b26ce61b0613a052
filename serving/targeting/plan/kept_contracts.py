"""Whose contract was kept in a window, up to each look, from the contract spells of a log."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.clock import DAY_MICROSECONDS
from stagecast.features.contracts import Spells


def kept_by(spells: Spells, start: int, looks: NDArray[np.int64]) -> Array:
    """Return whether each customer of a log is a customer still at each look, 0 or 1.

    Who had a contract at the start is lost with its cancellation, also where another contract
    begins later in the window: the scores give the probability of the cancellation. Who had none is
    won with a contract that is open at the look.

    Parameters
    ----------
    spells
        Contract spells, as known at the last look or later.
    start
        Start of the window, microseconds since 1970, in the clock of the spells.
    looks
        Days from the start to each look, shape (n_looks,).

    Returns
    -------
    array
        Shape (n_customers, n_looks), in the order of ``spells.customers``.
    """
    n = len(spells.customers)
    stood = (spells.start < start) & (spells.end >= start)
    had = np.bincount(spells.customer[stood], minlength=n) > 0
    ongoing = np.zeros((n, len(looks)))
    for look, days in enumerate(looks.tolist()):
        at = start + days * DAY_MICROSECONDS
        cancelled = np.bincount(spells.customer[stood & (spells.end < at)], minlength=n) > 0
        is_open = (spells.start < at) & (spells.end >= at)
        won = np.bincount(spells.customer[is_open], minlength=n) > 0
        ongoing[:, look] = np.where(had, ~cancelled, won)
    return ongoing
