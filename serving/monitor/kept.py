"""What the store keeps of the last watch of a model, as data: the advice, what came, what moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stagecast.serving.metrics.samples import samples_of
from stagecast.serving.store.monitor_tables import StoredMonitoring

PREFIX = "stagecast_monitor_"
SMALL, LARGE = 0.10, 0.25
"""Usual limits of the population stability index, those of
:mod:`stagecast.training.monitoring.movement`, which a server does not load.
"""
MEANINGS = (
    ("refunds", ("refund",)),
    ("rhythm", ("gap", "return_ratio", "rhythm", "overdue")),
    ("orders", ("orders", "frequency", "order_rate", "trend_orders")),
    ("spend", ("spend", "monetary", "purchase_spend", "trend_spend")),
    ("activity", ("activity", "silence")),
    ("age", ("T_days", "tenure")),
    ("silence", ("recency",)),
)
"""What a feature is about, by how its name starts; all others are ``other``."""
_Samples = Sequence[tuple[str, dict[str, str], float]]


def meaning_of(feature: str) -> str:
    """Return what a feature is about.

    >>> meaning_of("orders_30d"), meaning_of("gap_mean"), meaning_of("my_own")
    ('orders', 'rhythm', 'other')
    """
    return next((name for name, starts in MEANINGS if feature.startswith(starts)), "other")


def drift_of(watched: StoredMonitoring) -> dict[str, Any]:
    """Return what is kept of a watch.

    Returns
    -------
    Plain data. ``action`` is ``keep``, ``retrain`` or ``repair``; ``age_days`` are those from the
    training to the as_of. ``said_share`` and ``left_share`` are the shares of the active who were
    expected to leave, and who did, where outcomes are known, and ``money_ratio`` the spend that
    came over what was expected; null: not known. ``features`` is how many features were compared,
    and ``moved`` are those that moved by more than chance and season explain, the farthest first;
    ``scores`` are all scores, likewise. ``psi`` is the population stability index since the
    training, and ``strength`` reads it: ``little``, ``clearly`` from 0.1, ``far`` from 0.25.
    """
    samples = samples_of(watched.metrics)
    psi = {labels["feature"]: value for labels, value in _named(samples, "feature_psi")}
    moved = {labels["feature"] for labels, value in _named(samples, "feature_unexplained") if value}
    of_scores = {labels["score"]: value for labels, value in _named(samples, "score_psi")}
    actions = [labels["action"] for labels, value in _named(samples, "action") if value]
    shares = {labels["of"]: value for labels, value in _named(samples, "leaving_share")}
    faults = _only(samples, "faults")
    return {
        "model_version": watched.model_version,
        "as_of": watched.as_of,
        "made_at": watched.made_at,
        "action": actions[0] if actions else None,
        "age_days": _only(samples, "model_age_days"),
        "faults": None if faults is None else int(faults),
        "unknown_event_share": _only(samples, "unknown_event_share"),
        "said_share": shares.get("said"),
        "left_share": shares.get("came"),
        "money_ratio": _only(samples, "money_ratio"),
        "features": len(psi),
        "moved": _movements({name: psi[name] for name in moved if name in psi}),
        "scores": _movements(of_scores),
    }


def _named(samples: _Samples, name: str) -> list[tuple[dict[str, str], float]]:
    return [(labels, value) for own, labels, value in samples if own == PREFIX + name]


def _only(samples: _Samples, name: str) -> float | None:
    """Return the value of a metric that has one sample at most."""
    return next((value for _, value in _named(samples, name)), None)


def _movements(psi: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {"name": name, "about": meaning_of(name), "psi": value, "strength": _strength(value)}
        for name, value in sorted(psi.items(), key=lambda part: (-part[1], part[0]))
    ]


def _strength(psi: float) -> str:
    return "far" if psi >= LARGE else "clearly" if psi >= SMALL else "little"
