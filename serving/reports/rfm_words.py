"""What each RFM score stands for, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from stagecast.serving.languages.display import ENGLISH, Display
from stagecast.serving.languages.texts import texts_of
from stagecast.training.reference.rfm import FIFTHS, RfmScale, RfmScales


def scale_sentences(
    scales: RfmScales,
    *,
    has_money: bool,
    currency: str | None = None,
    display: Display = ENGLISH,
) -> list[str]:
    """Return one sentence for each of recency, frequency and, with amounts, money.

    >>> scales = RfmScales(orders=RfmScale((1.0, 1.0, 1.0, 2.0)))
    >>> scale_sentences(scales, has_money=False)[1]
    'F, orders so far: 1 up to 1; 4 up to 2; 5 above.'
    """
    t = texts_of(display.language)["report"]["rfm"]
    words = partial(_scores, t=t, display=display)
    days, orders = scales.recency_days, scales.orders
    sentences = [
        t["recency"].format(scores=words(days, display.days), places=_places(days, t, display)),
        t["orders"].format(
            scores=words(orders, display.number), places=_places(orders, t, display)
        ),
    ]
    if has_money:
        limit = partial(display.limit, currency=currency)
        sentences.append(t["spend"].format(scores=words(scales.spend, limit)))
    return sentences


def _scores(
    scale: RfmScale, text: Callable[[float], str], *, t: Mapping[str, Any], display: Display
) -> str:
    """Return the scores that some value can have, each with where it ends."""
    if not scale.cuts:
        return str(t["everybody"])
    below = "less" if scale.own else "up_to"
    if scale.smaller_is_better:
        # the best score has the smallest values
        below, rest = ("up_to", "longer") if scale.own else ("less", "longer_ago")
        scores: Sequence[int] = range(scale.scores, 0, -1)
    else:
        rest, scores = ("more" if scale.own else "over"), range(1, scale.scores + 1)
    parts, previous = [], None
    for score, cut in zip(scores, scale.cuts, strict=False):
        if cut != previous:
            parts.append(f"{display.number(score)} {t[below].format(end=text(cut))}")
        previous = cut
    semicolon = str(texts_of(display.language)["changes"]["and"])
    return semicolon.join([*parts, f"{display.number(scores[-1])} {t[rest]}"])


def _places(scale: RfmScale, t: Mapping[str, Any], display: Display) -> str:
    """Return where the scores stand on the scale of segments, if they are not that scale."""
    if scale.scores == FIFTHS:
        return ""
    texts = texts_of(display.language)
    places = str(texts["changes"]["comma"]).join(
        t["place"].format(score=display.number(score), place=display.number(place))
        for score, place in enumerate(scale.fifths(), 1)
    )
    return str(t["places"].format(places=places))
