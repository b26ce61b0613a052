"""What each RFM score stands for, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from stagecast.features.shop.money import exact_money
from stagecast.serving.reports.rendering import days, number
from stagecast.training.reference.rfm import FIFTHS, RfmScale, RfmScales


def scale_sentences(
    scales: RfmScales, *, has_money: bool, currency: str | None = None
) -> list[str]:
    """Return one sentence for each of recency, frequency and, with amounts, money.

    >>> scales = RfmScales(orders=RfmScale((1.0, 1.0, 1.0, 2.0)))
    >>> scale_sentences(scales, has_money=False)[1]
    'F, orders so far: 1 up to 1; 4 up to 2; 5 above.'
    """
    sentences = [
        "R, time since the last order: "
        f"{_scores(scales.recency_days, days)}{_on_fifths(scales.recency_days)}.",
        f"F, orders so far: {_scores(scales.orders, number)}{_on_fifths(scales.orders)}.",
    ]
    if has_money:
        sentences.append(
            f"M, spent so far: {_scores(scales.spend, partial(exact_money, currency=currency))}."
        )
    return sentences


def _scores(scale: RfmScale, text: Callable[[float], str]) -> str:
    """Return the scores that some value can have, each with where it ends."""
    if not scale.cuts:
        return "1 for everybody"
    below, above = ("less than", "from") if scale.own else ("up to", "above")
    if scale.smaller_is_better:
        # the best score has the smallest values
        below, rest = ("up to", "longer") if scale.own else ("less than", "longer ago")
        scores: Sequence[int] = range(scale.scores, 0, -1)
    else:
        rest, scores = ("more" if scale.own else above), range(1, scale.scores + 1)
    parts, previous = [], None
    for score, cut in zip(scores, scale.cuts, strict=False):
        if cut != previous:
            parts.append(f"{score} {below} {text(cut)}")
        previous = cut
    return "; ".join([*parts, f"{scores[-1]} {rest}"])


def _on_fifths(scale: RfmScale) -> str:
    """Return where the scores stand on the scale of segments, if they are not that scale."""
    if scale.scores == FIFTHS:
        return ""
    places = ", ".join(f"{score} as {place}" for score, place in enumerate(scale.fifths(), 1))
    return f" (for segments {places})"
