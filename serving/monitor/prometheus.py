"""The result of watching a model as metrics, in the text format of Prometheus."""

from __future__ import annotations

from stagecast.serving.metrics.samples import Family, Sample, text_of
from stagecast.serving.monitor.result import Monitoring

PREFIX = "stagecast_monitor"
ACTIONS = ("keep", "retrain", "repair")


def prometheus_text(result: Monitoring) -> str:
    """Return the metrics; all are gauges. A figure that is not known has no sample.

    Source: "Exposition formats", text-based format, of the documentation of Prometheus.
    """
    version = {"model_version": result.model_version}
    checked, estimated = result.checked, result.estimated
    families: list[tuple[str, str, list[tuple[dict[str, str], float]]]] = [
        (
            "action",
            "What to do with the model: 1 for the advice, 0 for the others.",
            [
                ({**version, "action": action}, float(action == result.advice.action))
                for action in ACTIONS
            ],
        ),
        ("model_age_days", "Days from the training to the as_of.", [(version, result.age_days)]),
        ("faults", "Faults of the log.", [(version, float(len(result.faults)))]),
        ("customers", "Customers of the log.", [(version, float(result.customers))]),
        ("active_customers", "Active customers.", [(version, float(result.active))]),
        (
            "unknown_event_share",
            "Share of the events whose type is new since the training.",
            [] if result.unknown_share is None else [(version, result.unknown_share)],
        ),
        (
            "event_rate",
            "Events per day in the current window.",
            [({"event": row.name}, row.change.now) for row in result.events],
        ),
        (
            "event_rate_ratio",
            "Events per day over those before the training.",
            [({"event": row.name}, row.change.factor) for row in result.events],
        ),
        (
            "feature_psi",
            "Population stability index of a feature since the training.",
            [({"feature": m.name}, m.since_training.psi) for m in result.features],
        ),
        (
            "feature_unexplained",
            "Whether a feature moved and nothing explains it.",
            [({"feature": m.name}, float(m.reading == "moved")) for m in result.features],
        ),
        (
            "score_psi",
            "Population stability index of a score since the training.",
            [({"score": m.name}, m.since_training.psi) for m in result.scores],
        ),
    ]
    if checked is not None:
        group = checked.compared
        shares = (("said", group.said_share), ("came", group.left_share))
        families += [
            (
                "leaving_share",
                "Share of the active who order nothing, or cancel, expected and observed.",
                [({**version, "of": of}, share) for of, share in shares if share is not None],
            ),
            (
                "money_ratio",
                "Spend that came over what was expected.",
                [] if group.money_ratio is None else [(version, group.money_ratio)],
            ),
            (
                "realised_auc",
                "AUC where outcomes are known.",
                [] if checked.auc is None else [(version, checked.auc)],
            ),
            (
                "realised_log_loss",
                "Log loss where outcomes are known, nats.",
                [(version, checked.log_loss)],
            ),
        ]
    if estimated is not None:
        families += [
            (
                "estimated_auc",
                "AUC that the probabilities of today expect of themselves.",
                [] if estimated.auc is None else [(version, estimated.auc.value)],
            ),
            (
                "estimated_log_loss",
                "Log loss that the probabilities of today expect of themselves, nats.",
                [(version, estimated.log_loss.value)],
            ),
        ]
    return text_of(
        Family(
            f"{PREFIX}_{name}",
            "gauge",
            help_text,
            [Sample(labels, value) for labels, value in values],
        )
        for name, help_text, values in families
    )
