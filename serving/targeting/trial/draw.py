"""Who is left alone: a random hold-out, stratified, or by a standing draw over all plans."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Integers
from stagecast.features.errors import UsageError

FEWEST = 2
"""Customers that each side needs: one of them has no variance."""


class HoldoutTooSmallError(UsageError):
    """The list is too short for its hold-out."""


def strata_of(*labels: Sequence[str]) -> list[str]:
    """Return one stratum per customer from several labels (play, stage, band).

    Parameters
    ----------
    labels
        Sequences of shape (n_customers,) each.

    >>> strata_of(["call", "mail"], ["new", "loyal"])
    ['call / new', 'mail / loyal']
    """
    return [" / ".join(parts) for parts in zip(*labels, strict=True)]


def draw_holdout(
    customer_ids: Sequence[str],
    strata: Sequence[str],
    share: float,
    seed: int,
    standing: str | None = None,
) -> NDArray[np.bool_]:
    """Draw who is left alone; each customer has exactly the probability ``share``.

    Without ``standing`` the customers are put in random order within their strata, the strata one
    after another, and of this row every 1/share-th customer is taken from a random start
    (systematic sampling). Therefore each stratum, and the whole list, has the number of held-out
    customers that its size times the share rounds down or up to. The draw depends on the seed and
    on who is in which stratum, not on the order of the list.

    With ``standing`` a customer is held out if the keyed hash of the id, as a number between 0 and
    1, lies below the share. The same customers are held out in each plan that uses the same text,
    and a larger share adds customers and drops none. The numbers of held-out customers are then
    random (binomial) in the strata and on the whole, and neither the seed nor the strata matter.

    Parameters
    ----------
    customer_ids
        Distinct ids, shape (n_customers,).
    strata
        Stratum of each customer, shape (n_customers,).
    share
        Share of the list to hold out, between 0 and 1.
    seed
        Seed of the draw, at least 0.
    standing
        Key of a standing hold-out; None for a draw of this plan alone.

    Returns
    -------
    array
        Whether each customer is held out, shape (n_customers,), in the order of the list.

    Raises
    ------
    UsageError
        The share is not between 0 and 1, the list is too small for it, ids are repeated, the
        lengths differ, or the seed is negative.

    Source: systematic sampling, Särndal, Swensson and Wretman (1992), section 3.4.

    >>> held_out = draw_holdout(list("abcdef"), ["x"] * 3 + ["y"] * 3, 1 / 3, seed=1)
    >>> int(held_out[:3].sum()), int(held_out[3:].sum())
    (1, 1)
    """
    ids = list(customer_ids)
    _check(ids, strata, share, seed)
    if standing is not None:
        held_out = hash_position(ids, standing) < share
        _check_sides(int(held_out.sum()), len(ids), share)
        return held_out
    by_id = np.array(sorted(range(len(ids)), key=ids.__getitem__))
    number = {stratum: k for k, stratum in enumerate(sorted(set(strata)))}
    stratum = np.fromiter((number[text] for text in strata), np.int64, len(ids))
    held_out = np.zeros(len(ids), dtype=bool)
    held_out[by_id] = draw_in_order(stratum[by_id], share, seed)
    return held_out


def draw_in_order(stratum: Integers, share: float, seed: int) -> NDArray[np.bool_]:
    """Draw who is left alone of customers who are in the order of their ids.

    It is the draw of :func:`draw_holdout`, without the texts of a million customers.

    Parameters
    ----------
    stratum
        Code of the stratum of each customer, in the order of the texts of the strata, shape (n,).
    share, seed
        As in :func:`draw_holdout`, which raises the same.
    """
    customers = len(stratum)
    _check_numbers(customers, share, seed)
    random = np.random.default_rng(seed)
    position = random.random(customers)
    # sorted by stratum, then at random; ties of random numbers keep the order of the ids
    row = np.lexsort((position, stratum))
    steps = np.floor(np.arange(customers + 1) * share + random.random())
    held_out = np.zeros(customers, dtype=bool)
    held_out[row] = np.diff(steps) > 0
    return held_out


def hash_position(customer_ids: Sequence[str], standing: str) -> NDArray[np.float64]:
    """Return the position between 0 and 1 of each customer in a standing draw.

    Parameters
    ----------
    customer_ids
        Shape (n_customers,).
    standing
        Key of the standing draw.

    Source: BLAKE2b, keyed (RFC 7693); its first 53 bits, which a double holds exactly.
    """
    key = blake2b(standing.encode("utf-8"), digest_size=32).digest()
    bits = [
        int.from_bytes(blake2b(id_.encode("utf-8"), digest_size=8, key=key).digest()) >> 11
        for id_ in customer_ids
    ]
    return np.array(bits, dtype=np.float64) / 2.0**53


def _check(ids: list[str], strata: Sequence[str], share: float, seed: int) -> None:
    if len(ids) != len(strata):
        raise UsageError(f"{len(strata)} strata of {len(ids)} customers; give one of each customer")
    if len(set(ids)) != len(ids):
        repeated = Counter(ids).most_common(1)[0][0]
        raise UsageError(f"customer {repeated!r} is on the list more than once; list each once")
    _check_numbers(len(ids), share, seed)


def _check_numbers(customers: int, share: float, seed: int) -> None:
    if not 0 < share < 1:
        raise UsageError(
            f"a hold-out of {share} of the list is not between 0 and 1; 0.1 leaves one in ten alone"
        )
    if seed < 0:
        raise UsageError(f"the seed {seed} is negative; take a whole number from 0 on")
    # a share that fits is not to be rounded by the last bit of the product
    for held_out in (math.floor(customers * share + 1e-9), math.ceil(customers * share - 1e-9)):
        _check_sides(held_out, customers, share)


def _check_sides(held_out: int, customers: int, share: float) -> None:
    if not FEWEST <= held_out <= customers - FEWEST:
        raise HoldoutTooSmallError(
            f"a hold-out of {share} of {customers} customers gives {held_out} held out; both the "
            f"held-out and the contacted must be at least {FEWEST}: take another share or a longer "
            "list"
        )
