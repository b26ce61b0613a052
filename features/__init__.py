"""Events in, one row per customer and day out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports the other two.

What you may change where: a new feature is a line in :mod:`features.standard`; what can be asked of which relation
stands in :mod:`features.feature`, and is evaluated by :mod:`features.sql` (on DuckDB and Spark, the two of
:mod:`features.engines`) and by NumPy in :mod:`features.rows` (for :mod:`features.online` and :mod:`features.plain`). A
new lifecycle scheme is a TOML file in ``features/schemes``. How events are read is :mod:`features.intake`, behind
:mod:`features.events`. All arithmetic on time goes through :mod:`features.clock`, and everything that sees events sees
``timestamp < as_of`` only.
"""
