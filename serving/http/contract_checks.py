"""Requests for scores against the contract of the model: refusals, and warnings in the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from stagecast.features.requests import CustomerEvents
from stagecast.serving.http.incoming import ScoreRequest
from stagecast.serving.http.problems import Fault, ProblemError
from stagecast.serving.scoring.contract import Contract, contract_of
from stagecast.serving.store.protocols import ScorerLike

_contracts: WeakKeyDictionary[ScorerLike, Contract | None] = WeakKeyDictionary()


def contract_for(scorer: ScorerLike) -> Contract | None:
    """Return the contract of a model, which is read once; None: its card holds none."""
    try:
        return _contracts[scorer]
    except KeyError:
        contract = _contracts[scorer] = contract_of(scorer.card)
        return contract


def meant_otherwise(scorer: ScorerLike, customer: CustomerEvents) -> str | None:
    """Return why the score of a customer would say something else than is meant; None: it does not.

    See :meth:`stagecast.serving.scoring.contract.Contract.refusal`.
    """
    contract = contract_for(scorer)
    return None if contract is None else contract.refusal(customer)


def refuse_meant_otherwise(scorer: ScorerLike, customers: Sequence[CustomerEvents]) -> None:
    """Refuse a request in which a score would say something else than is meant.

    Raises
    ------
    ProblemError
        422: the purchases of a customer have another name.
    """
    contract = contract_for(scorer)
    if contract is None:
        return
    faults = [
        Fault(f"customers[{position}].events", problem)
        for position, customer in enumerate(customers)
        if (problem := contract.refusal(customer)) is not None
    ]
    if faults:
        first = faults[0]
        raise ProblemError(
            422, "event-type-unknown", f"{first.where} {first.problem}", faults=faults
        )


def add_warnings(
    scorer: ScorerLike, request: ScoreRequest | None, scores: Sequence[dict[str, Any]]
) -> None:
    """Put ``warnings`` into scores; the list is empty where nothing breaks the contract.

    Parameters
    ----------
    scorer
        The model.
    request
        What was asked for.
    scores
        The scores, in the order of its customers.
    """
    contract = None if request is None else contract_for(scorer)
    if contract is None or request is None:
        for score in scores:
            score["warnings"] = []
        return
    shared = contract.of_as_of(request.as_of)
    for customer, score in zip(request.customers, scores, strict=True):
        score["warnings"] = [*shared, *contract.of_customer(customer)]
