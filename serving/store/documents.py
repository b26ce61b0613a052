"""Scores as the store holds them: reasons are codes and numbers that get their sentences when read.

So the wording can change, and a list can be read in another language, without a new publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stagecast.training.reasons.sentences import sentence_of

_OF_STAGE = "p_stage_"
_SCORE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REASONS = msgspec.json.Decoder(list[dict[str, Any]])


def without_sentence(reason: dict[str, Any]) -> dict[str, Any]:
    """Take the sentence out of a reason that has a code, and return the reason."""
    if _coded(reason):
        reason.pop("sentence", None)
    return reason


def with_sentences(
    document: str,
    currency: str | None = None,
    language: str = "en",
    fields: Sequence[str] | None = None,
) -> bytes:
    """Return a score of the store as the JSON text of the API.

    Parameters
    ----------
    document
        The score, the text of one JSON object.
    currency
        Code of the currency of amounts; None: not known.
    language
        Language of the sentences.
    fields
        Names of the fields that are asked for; None: all. Of the next stage, ``p_stage_<id>`` is
        one probability, as in the files.
    """
    score: dict[str, Any] = _SCORE.decode(document)
    if fields is not None:
        score = _picked(score, fields)
    reasons = score.get("reasons")
    if reasons is not None:  # the other fields are not decoded
        score["reasons"] = spoken(_REASONS.decode(reasons), currency, language)
    return msgspec.json.encode(score)


def _picked(score: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    stages = [name for name in fields if name.startswith(_OF_STAGE)]
    if stages:
        likely = msgspec.json.decode(score["next_stage"])
        score |= {name: likely.get(name.removeprefix(_OF_STAGE)) for name in stages}
    return {name: score.get(name) for name in fields}


def spoken(
    reasons: list[dict[str, Any]], currency: str | None = None, language: str = "en"
) -> list[dict[str, Any]]:
    """Put the sentences into reasons of the store, and return the list.

    A reason of an earlier version, which has a sentence and no code, stays as it is.
    """
    for reason in reasons:
        if _coded(reason):
            reason["sentence"] = sentence_of(reason, language, currency)
    return reasons


def _coded(reason: Mapping[str, Any]) -> bool:
    return bool(reason.get("code"))
