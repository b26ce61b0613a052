"""Requests that wait are scored together, and each has its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from stagecast.features.errors import UsageError
from stagecast.features.requests import CustomerEvents, Event
from stagecast.serving.http import micro_batches
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.micro_batches import (
    FEWEST_GATHERED,
    LONGEST_REST,
    Answered,
    Asked,
    Gathering,
    MicroBatches,
)
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
    scorer: FakeScorer,
    name: str,
    as_of: datetime = AS_OF,
    *,
    reasons: bool = False,
    client: str | None = None,
) -> Asked:
    def read(_: datetime) -> ScoreRequest:
        if name == "unreadable":
            raise ProblemError(422, "body-refused", "no")
        return ScoreRequest(as_of, [CustomerEvents(name, (Event(AS_OF),))])

    return Asked(scorer, read, reasons, client)  # type: ignore[arg-type]  # right in shape


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


# --- clients who ask again as soon as they have an answer ---


def sizes_of(scorer: Counting) -> list[int]:
    return [len(names) for names, _, _ in scorer.asked]


async def ask_again(batches: MicroBatches, scorer: Counting, number: int, times: int) -> None:
    """Ask several times; a client comes back some rounds of the loop after its answer."""
    for _ in range(times):
        await batches.score(asked(scorer, f"c{number}", client=f"client {number}"))
        for _ in range(3 * number):
            await asyncio.sleep(0)


def test_many_clients_who_ask_again_at_once_are_scored_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # so long that no slow machine ends a wait: who did not come would hold the test up
    monkeypatch.setattr(micro_batches, "WAIT_SECONDS", 600.0)
    scorer, clients, times = Counting(), FEWEST_GATHERED + 1, 20

    async def closed_loop() -> None:
        batches = MicroBatches()
        await asyncio.gather(
            *(ask_again(batches, scorer, number, times) for number in range(clients))
        )

    asyncio.run(asyncio.wait_for(closed_loop(), 60.0))
    assert sizes_of(scorer) == [clients] * times


@pytest.mark.parametrize("clients", [1, 2, FEWEST_GATHERED - 1])
def test_few_clients_are_never_held_back(clients: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_batches, "WAIT_SECONDS", 600.0)
    scorer, times = Counting(), 10

    async def closed_loop() -> None:
        batches = MicroBatches()
        await asyncio.gather(
            *(ask_again(batches, scorer, number, times) for number in range(clients))
        )

    asyncio.run(asyncio.wait_for(closed_loop(), 60.0))
    assert sum(sizes_of(scorer)) == clients * times


def test_who_is_held_back_is_answered_when_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_batches, "WAIT_SECONDS", 0.0)
    scorer, names = Counting(), [f"c{k}" for k in range(FEWEST_GATHERED)]

    async def many_then_one() -> None:
        batches = MicroBatches()
        await asyncio.gather(*(batches.score(asked(scorer, name, client=name)) for name in names))
        for _ in range(5):
            await batches.score(asked(scorer, "late", client="late"))

    asyncio.run(asyncio.wait_for(many_then_one(), 60.0))
    assert sizes_of(scorer) == [len(names), 1, 1, 1, 1, 1]


def batch_of(*clients: str | None) -> list[Asked]:
    scorer = Counting()
    return [asked(scorer, "c", client=client) for client in clients]


def test_expected_are_those_who_asked_in_one_of_the_last_two_batches() -> None:
    gathering = Gathering()
    assert gathering.expected == 1
    first, second = [f"a{k}" for k in range(4)], [f"b{k}" for k in range(5)]
    gathering.scored(batch_of(*first), in_vain=False)
    assert gathering.expected == 1  # four alone are too few to wait for
    gathering.scored(batch_of(*second), in_vain=False)
    assert gathering.expected == 9
    gathering.scored(batch_of(*first, *second), in_vain=False)
    assert gathering.expected == 9
    gathering.scored(batch_of("a0"), in_vain=False)
    gathering.scored(batch_of("a0"), in_vain=False)
    assert gathering.expected == 1


def test_connections_that_are_unknown_are_not_waited_for() -> None:
    gathering = Gathering()
    gathering.scored(batch_of(*[None] * 50), in_vain=False)
    assert gathering.expected == 1


def test_after_each_wait_in_vain_more_batches_are_scored_without_one() -> None:
    gathering = Gathering()
    rests = []
    for turn in range(9):
        gathering.scored(batch_of(*(f"{turn} {k}" for k in range(10))), in_vain=True)
        rest = 0
        while gathering.expected == 1:
            gathering.scored(batch_of(*(f"{turn} {rest} {k}" for k in range(10))), in_vain=False)
            rest += 1
        rests.append(rest)
    assert rests == [1, 2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST, LONGEST_REST]
    # a wait that was worth it forgives
    gathering.scored(batch_of(*(f"c{k}" for k in range(10))), in_vain=False)
    gathering.scored(batch_of(*(f"c{k}" for k in range(10))), in_vain=True)
    gathering.scored(batch_of(*(f"c{k}" for k in range(10))), in_vain=False)
    assert gathering.expected == 10
