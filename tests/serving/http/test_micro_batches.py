"""Requests that wait are scored together, and each has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from stagecast.features.errors import UsageError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.micro_batches import Answered, Asked, MicroBatches
from stagecast.serving.http.problems import ProblemError
from tests.serving.web import FakeScorer

AS_OF = datetime(2024, 1, 1, tzinfo=UTC)


class Counting(FakeScorer):
    """Notes who is asked for together; refuses the customer ``bad``, breaks at ``broken``."""

    def score_objects(
        self, customers: Sequence[CustomerEvents], as_of: Any, *, with_reasons: bool = True
    ) -> list[dict[str, Any]]:
        names = [customer.customer_id for customer in customers]
        self.asked.append((names, as_of, with_reasons))
        if "bad" in names:
            raise UsageError("bad cannot be scored")
        if "broken" in names:
            raise RuntimeError("a bug")
        return [{"customer_id": name} for name in names]


def asked(
    scorer: FakeScorer, name: str, as_of: datetime = AS_OF, *, reasons: bool = False
) -> Asked:
    def read(_: datetime) -> ScoreRequest:
        if name == "unreadable":
            raise ProblemError(422, "body-refused", "no")
        return ScoreRequest(as_of, [CustomerEvents(name, (Event(AS_OF),))])

    return Asked(scorer, read, reasons)  # type: ignore[arg-type]  # right in shape


def outcomes(*requests: Asked) -> list[Answered | BaseException]:
    async def together() -> list[Answered | BaseException]:
        batches = MicroBatches()
        return await asyncio.gather(
            *(batches.score(request) for request in requests), return_exceptions=True
        )

    return asyncio.run(together())


@pytest.mark.parametrize("count", [1, 2, 12])
def test_requests_of_one_moment_are_one_batch_and_each_has_its_own_score(count: int) -> None:
    scorer = Counting()
    names = [f"c{k}" for k in range(count)]
    answers = outcomes(*(asked(scorer, name) for name in names))
    assert answers == [Answered(AS_OF, [{"customer_id": name}]) for name in names]
    assert scorer.asked == [(names, AS_OF, False)]


def test_another_as_of_model_or_wish_for_reasons_is_another_batch() -> None:
    first, second = Counting(), Counting()
    later = AS_OF.replace(year=2025)
    requests = [
        asked(first, "a"),
        asked(first, "b", later),
        asked(second, "c"),
        asked(first, "d", reasons=True),
        asked(first, "e"),
    ]
    answers = outcomes(*requests)
    names = [answer.scores[0]["customer_id"] for answer in answers if isinstance(answer, Answered)]
    assert names == ["a", "b", "c", "d", "e"]
    assert first.asked == [(["a", "e"], AS_OF, False), (["b"], later, False), (["d"], AS_OF, True)]
    assert second.asked == [(["c"], AS_OF, False)]


def test_what_is_wrong_with_one_request_is_told_to_it_alone() -> None:
    scorer = Counting()
    names = ["a", "bad", "unreadable", "broken", "b"]
    answers = outcomes(*(asked(scorer, name) for name in names))
    good = [answers[0], answers[4]]
    assert good == [Answered(AS_OF, [{"customer_id": name}]) for name in ("a", "b")]
    bad, unreadable, broken = answers[1:4]
    assert isinstance(bad, ProblemError)
    assert isinstance(unreadable, ProblemError)
    assert "bad cannot be scored" in str(bad.detail)
    assert isinstance(broken, RuntimeError)


def test_requests_that_arrive_while_a_batch_is_scored_are_the_next_one() -> None:
    scorer = Counting()

    async def in_turns() -> None:
        batches = MicroBatches()
        first = [asyncio.create_task(batches.score(asked(scorer, f"a{k}"))) for k in range(5)]
        for _ in range(3):  # the first batch is on its way to a thread
            await asyncio.sleep(0)
        second = [asyncio.create_task(batches.score(asked(scorer, f"b{k}"))) for k in range(4)]
        second[2].cancel()  # its client has gone
        await asyncio.gather(*first, *second, return_exceptions=True)
        assert (await batches.score(asked(scorer, "c"))).scores == [{"customer_id": "c"}]

    asyncio.run(in_turns())
    assert [names for names, _, _ in scorer.asked] == [
        [f"a{k}" for k in range(5)],
        [f"b{k}" for k in range(4)] if len(scorer.asked[1][0]) == 4 else ["b0", "b1", "b3"],
        ["c"],
    ]
