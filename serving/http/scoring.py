"""The answer to a request for scores: from the bytes of the body to those of the answer."""

from __future__ import annotations

import time
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import partial

import anyio.to_thread
import msgspec

from stagecast.features.clock import instant_text
from stagecast.features.errors import StagecastError
from stagecast.serving.follow.beside import Message, message_of
from stagecast.serving.follow.canary import Canary
from stagecast.serving.http.canary_answers import customers_of, kind_of, score_by_both
from stagecast.serving.http.clean_bodies import read_score
from stagecast.serving.http.contract_checks import add_warnings, refuse_meant_otherwise
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.micro_batches import Asked
from stagecast.serving.http.partial import (
    PartialScores,
    clock_of,
    equal_events_of,
    partial_scores,
    refuse_other_currency,
)
from stagecast.serving.http.problems import ProblemError, without_values
from stagecast.serving.http.state import State, scorer_of
from stagecast.serving.store.protocols import ScorerLike

SHORT_BODY = 16_384
"""Length of a body in bytes up to which the request of one customer may be scored with others."""


async def answer_score(
    state: State, raw: bytes, *, with_reasons: bool, strict: bool, client: Hashable = None
) -> bytes:
    """Return the answer to a request for scores, as JSON.

    Parameters
    ----------
    state
        State of the server.
    raw
        The body.
    with_reasons
        Whether to compute the reasons.
    strict
        Whether one customer who cannot be scored makes the request fail.
    client
        The connection that the request came by; None: unknown.

    Raises
    ------
    ProblemError
        There is no model, or the body is refused.
    """
    scorer, canary = scorer_of(state), state.canary
    if canary is not None:
        content = await _answer_in_canary(
            state, canary, scorer, raw, with_reasons=with_reasons, strict=strict, client=client
        )
        if content is not None:
            return content
    content, result = await _by(
        state, scorer, raw, with_reasons=with_reasons, strict=strict, client=client
    )
    shadow = state.shadow
    if shadow is not None and shadow.beside is not None and shadow.wants():
        shadow.beside.offer(_message(scorer, raw, result, with_reasons=with_reasons))
    return content


async def _by(
    state: State,
    scorer: ScorerLike,
    raw: bytes,
    *,
    with_reasons: bool,
    strict: bool,
    client: Hashable,
) -> tuple[bytes, PartialScores]:
    """Return the answer of a model, and what it is made of; see :func:`answer_score`."""
    if strict and len(raw) <= SHORT_BODY and raw.count(b"customer_id") == 1:
        reader = _Reader(scorer, raw)
        answered = await state.micro_batches.score(Asked(scorer, reader, with_reasons, client))
        add_warnings(scorer, reader.request, answered.scores)
        result = PartialScores(answered.as_of, answered.scores, [], answered.seconds)
        return _answer(scorer, result), result
    # decoding a long body takes time too: both run in a thread, so that the loop stays free
    score = partial(
        _score_body, scorer, raw, datetime.now(UTC), with_reasons=with_reasons, strict=strict
    )
    return await anyio.to_thread.run_sync(score)


async def _answer_in_canary(
    state: State,
    canary: Canary,
    scorer: ScorerLike,
    raw: bytes,
    *,
    with_reasons: bool,
    strict: bool,
    client: Hashable,
) -> bytes | None:
    """Return the answer to a body with customers of the new model's share.

    None: it has none, or the new model cannot answer; then the old one is asked as ever.
    """
    if len(raw) <= SHORT_BODY:
        chosen, are_all = customers_of(canary, raw)
    else:
        chosen, are_all = await anyio.to_thread.run_sync(customers_of, canary, raw)
    if not chosen:
        return None
    new = canary.scorer
    if are_all and strict:
        by = partial(_by, state, raw=raw, with_reasons=with_reasons, strict=True, client=client)
        try:
            content, result = await by(new)
        except Exception as error:  # a fault of the new model is no reason not to answer
            content, _ = await by(scorer)
            canary.fail(kind_of(error), len(chosen))
            return content
    else:
        score = partial(
            score_by_both,
            scorer,
            new,
            raw,
            datetime.now(UTC),
            chosen,
            with_reasons=with_reasons,
            strict=strict,
        )
        both = await anyio.to_thread.run_sync(score)
        if both is None:
            return None
        for kind, customers in both.errors.items():
            canary.fail(kind, customers)
        content = _answer(new if are_all and not both.errors else scorer, both.result)
        if both.new_as_of is None or not both.by_new:
            return content
        result = PartialScores(both.new_as_of, both.by_new, [])
    canary.beside.counts.answered += len(result.scores)
    canary.beside.offer(_message(new, raw, result, with_reasons=with_reasons))
    return content


def _message(
    scorer: ScorerLike, raw: bytes, result: PartialScores, *, with_reasons: bool
) -> Message:
    return message_of(
        scorer.model_version,
        raw,
        result.as_of,
        result.scores,
        result.seconds,
        with_reasons=with_reasons,
    )


def _score_body(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, *, with_reasons: bool, strict: bool
) -> tuple[bytes, PartialScores]:
    """Return the answer to a body, as JSON, and what it is made of.

    Parameters
    ----------
    scorer
        The model.
    raw
        The body.
    default_as_of
        The as_of if the body has none.
    with_reasons, strict
        See :func:`answer_score`.

    Raises
    ------
    ProblemError
        The body is refused.
    """
    if strict:
        result = _all_scores(scorer, raw, default_as_of, with_reasons=with_reasons)
    else:
        result = partial_scores(
            scorer,
            raw,
            default_as_of,
            equal_events=equal_events_of(scorer),
            with_reasons=with_reasons,
        )
    return _answer(scorer, result), result


class _Reader:
    """Reads a body when it is its turn to be scored, and keeps what it read for the warnings."""

    def __init__(self, scorer: ScorerLike, raw: bytes) -> None:
        self._scorer, self._raw = scorer, raw
        self.request: ScoreRequest | None = None

    def __call__(self, default_as_of: datetime) -> ScoreRequest:
        self.request = _read(self._scorer, self._raw, default_as_of)
        return self.request


def _answer(scorer: ScorerLike, result: PartialScores) -> bytes:
    answer = {
        "model_version": scorer.model_version,
        "as_of": instant_text(result.as_of),
        "scores": result.scores,
        "errors": result.errors,
    }
    return msgspec.json.encode(answer)


def _read(scorer: ScorerLike, raw: bytes, default_as_of: datetime) -> ScoreRequest:
    """Return the customers of a body; raises a ProblemError where one of them cannot be read."""
    request = read_score(raw, default_as_of, clock_of(scorer), equal_events=equal_events_of(scorer))
    refuse_other_currency(scorer, request.currency)
    refuse_meant_otherwise(scorer, request.customers)
    return request


def _all_scores(
    scorer: ScorerLike, raw: bytes, default_as_of: datetime, *, with_reasons: bool
) -> PartialScores:
    """Return the scores of all customers; raises a ProblemError where one cannot be scored."""
    request = _read(scorer, raw, default_as_of)
    begin = time.thread_time()
    try:
        scores = scorer.score_objects(request.customers, request.as_of, with_reasons=with_reasons)
    except StagecastError as error:
        raise ProblemError(422, "scoring-refused", without_values(str(error))) from None
    seconds = (time.thread_time() - begin) / max(len(scores), 1)
    add_warnings(scorer, request, scores)
    return PartialScores(request.as_of, scores, [], seconds)
