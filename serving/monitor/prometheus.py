"""The result of watching a model as metrics, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from stagecast.serving.monitor.result import Monitoring

PREFIX = "stagecast_monitor"
ACTIONS = ("keep", "retrain", "repair")
Sample = tuple[dict[str, str], float]


def prometheus_text(result: Monitoring) -> str:
    """Return the metrics; all are gauges. A figure that is not known has no sample.

    Source: "Exposition formats", text-based format, of the documentation of Prometheus.
    """
    version = {"model_version": result.model_version}
    checked, estimated = result.checked, result.estimated
    families: list[tuple[str, str, list[Sample]]] = [
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
                "Share of the active who leave, expected and observed, where outcomes are known.",
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
    return "".join(_family(*family) for family in families)


def _family(name: str, help_text: str, samples: Iterable[Sample]) -> str:
    lines = [f"{PREFIX}_{name}{{{_labels(labels)}}} {float(value)!r}" for labels, value in samples]
    if not lines:
        return ""
    head = [f"# HELP {PREFIX}_{name} {help_text}", f"# TYPE {PREFIX}_{name} gauge"]
    return "\n".join([*head, *lines]) + "\n"


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
