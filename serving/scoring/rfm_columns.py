"""The columns ``rfm`` and ``rfm_segment`` of a batch, from tables of all combinations of scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache, lru_cache

import numpy as np

from stagecast.features.arrays import Array, Integers
from stagecast.serving.scoring.compact_columns import CodedTexts
from stagecast.training.reference.rfm import FIFTHS, RfmScale, RfmScales, rfm_segment

_FIFTHS = range(1, FIFTHS + 1)
_SEGMENTS = tuple(rfm_segment(r, f) for r, f in itertools.product(_FIFTHS, repeat=2))


def rfm_columns(
    scales: RfmScales, features: Mapping[str, Array], *, has_amounts: bool
) -> dict[str, CodedTexts]:
    """Return the columns, null for customers who have not bought.

    Parameters
    ----------
    scales
        Of the training.
    features
        ``recency_days``, ``orders`` and ``spend``, shape (n_rows,) each.
    has_amounts
        Whether the log has amounts; a dash stands for the score of spend where it has none.
    """
    recency = scales.recency_days.score(np.nan_to_num(features["recency_days"])) - 1
    frequency = scales.orders.score(features["orders"]) - 1
    monetary = scales.spend.score(features["spend"]) - 1
    prospects = features["orders"] <= 0
    size = scales.recency_days.scores, scales.orders.scores, scales.spend.scores
    text = (recency * size[1] + frequency) * size[2] + monetary
    of_recency, of_frequency = _fifths(scales.recency_days), _fifths(scales.orders)
    segment = FIFTHS * of_recency[recency] + of_frequency[frequency]
    return {
        "rfm": CodedTexts(np.where(prospects, -1, text), _texts(*size, has_amounts)),
        "rfm_segment": CodedTexts(np.where(prospects, -1, segment), _SEGMENTS),
    }


@lru_cache(maxsize=64)
def _fifths(scale: RfmScale) -> Integers:
    """Return the place of each score of a scale among the five of the segments, from 0."""
    return np.array(scale.fifths(), dtype=np.int64) - 1


@cache
def _texts(recency: int, frequency: int, monetary: int, has_amounts: bool) -> tuple[str, ...]:
    """Return the text of each combination of scores, such as 543, or 54- without amounts.

    The last digit varies fastest.
    """
    digits = (range(1, count + 1) for count in (recency, frequency, monetary))
    combinations = itertools.product(*digits)
    return tuple(f"{r}{f}{m if has_amounts else '-'}" for r, f, m in combinations)
