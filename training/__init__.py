"""Snapshots in, a bundle out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports ``serving``. The
running server loads a bundle and evaluates it; it needs no module here that fits anything.

    config -> checks -> panel (past dates, columns) -> fitting (every model of one as_of)
        -> models -> train (twice, with evaluation) -> bundle, tracking

What may be changed where: ``learners`` holds the learning algorithms; each prediction target has a
folder (``inactivity``, ``cancellation``, ``next_stage``, ``value``, ``leads``), with evaluation and
fitting in separate files; ``reasons`` explains scores, ``judging`` compares with baselines out of
time, ``lead_points`` ranks leads by points, ``uplift`` learns from random contacts whom a contact
changes, ``what_if`` works out values with another churn, pace or basket, ``estimators`` offers the
pools to scikit-learn, ``customer_base`` the customer-base models on their own, and ``plot`` draws
charts for notebooks. Only ``bundle``, ``uplift.stored`` and ``customer_base.fitted`` write to disk,
and they write text and JSON only.

``promotion`` decides whether a new training replaces the one in use, and keeps the record;
``tracking`` logs to MLflow. Planned: ``monitoring`` (drift).
"""
