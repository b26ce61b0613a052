"""Metrics of a challenger and of a canary, as one process has them."""

from __future__ import annotations

from collections.abc import Sequence

from stagecast.serving.follow.beside import Beside
from stagecast.serving.follow.pairs import LABELS, NUMBERS, Pairs
from stagecast.serving.http.state import State
from stagecast.serving.metrics.samples import Family, Sample, gauge


def rollout_families(state: State) -> list[Family]:
    """Return the metrics; empty without a challenger and a canary."""
    families = []
    shadow, canary = state.shadow, state.canary
    if shadow is not None and shadow.beside is not None:
        families += _of_beside(shadow.beside, "stagecast_shadow", "the challenger")
    if canary is not None:
        families += _of_beside(canary.beside, "stagecast_canary", "the old model, beside a canary,")
        counts = canary.beside.counts
        families += [
            gauge(
                "stagecast_canary_share",
                "Share of the customers whom a new model answers.",
                canary.trial.share,
                model_version=canary.scorer.model_version,
            ),
            Family(
                "stagecast_canary_answered_total",
                "counter",
                "Customers whom the new model of a canary has answered.",
                [Sample({}, counts.answered)],
            ),
            Family(
                "stagecast_canary_failed_total",
                "counter",
                "Customers at whom the new model failed, and whom the old one answered.",
                [Sample({"kind": kind}, number) for kind, number in counts.errors.items()],
            ),
        ]
    return families


def _of_beside(beside: Beside, prefix: str, who: str) -> list[Family]:
    counts = beside.counts
    families = [
        Family(
            f"{prefix}_requests_total",
            "counter",
            f"Requests that {who} was to score.",
            [Sample({}, counts.offered)],
        ),
        Family(
            f"{prefix}_dropped_total",
            "counter",
            f"Of them those that {who} had no room for.",
            [Sample({}, counts.dropped)],
        ),
        gauge(f"{prefix}_up", f"Whether {who} can score.", float(beside.version is not None)),
    ]
    pairs = beside.own_pairs()
    return families if not pairs else families + _of_pairs(pairs, prefix)


def _of_pairs(parts: Sequence[Pairs], prefix: str) -> list[Family]:
    """Return sums by version of the model that answered, which `rate` can be taken of."""

    def family(name: str, text: str, samples: list[Sample]) -> Family:
        return Family(f"{prefix}_{name}", "counter", text, samples)

    by_version = [({"model_version": part.answered, "beside": part.beside}, part) for part in parts]
    sides = ("answered", "beside")
    return [
        family(
            "scores_total",
            "Customers whose scores by two models were compared.",
            [Sample(labels, part.scores) for labels, part in by_version],
        ),
        family(
            "errors_total",
            "Customers at whom the model beside failed.",
            [
                Sample({**labels, "kind": kind}, number)
                for labels, part in by_version
                for kind, number in part.errors.items()
            ],
        ),
        family(
            "score_seconds_total",
            "Processor time of the scores, by who made them.",
            [
                Sample({**labels, "side": side}, getattr(part, f"seconds_{side}"))
                for labels, part in by_version
                for side in sides
            ],
        ),
        family(
            "value_total",
            "Sum of a number over the customers for whom both models give it.",
            [
                Sample({**labels, "column": name, "side": side}, getattr(part.columns[name], side))
                for labels, part in by_version
                for name in NUMBERS
                for side in sides
            ],
        ),
        family(
            "difference_total",
            "Sum of the absolute differences of a number.",
            [
                Sample({**labels, "column": name}, part.columns[name].difference)
                for labels, part in by_version
                for name in NUMBERS
            ],
        ),
        family(
            "values_total",
            "Customers for whom both models give a number.",
            [
                Sample({**labels, "column": name}, part.columns[name].both)
                for labels, part in by_version
                for name in NUMBERS
            ],
        ),
        family(
            "agreement_total",
            "Customers with the same label by both models.",
            [
                Sample({**labels, "column": name}, part.agree[name])
                for labels, part in by_version
                for name in LABELS
            ],
        ),
        Family(
            f"{prefix}_psi",
            "gauge",
            "Population stability index of a number between the two models, on a sample.",
            [
                Sample({**labels, "column": name}, index)
                for labels, part in by_version
                for name in NUMBERS
                if (index := part.psi_of(name)) is not None
            ],
        ),
    ]
