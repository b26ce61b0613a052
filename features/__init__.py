"""Events in, one row per customer and day out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports the other two.

What you may change where: a new feature is a line in :mod:`stagecast.features.catalog.standard`;
what can be asked of which relation stands in :mod:`stagecast.features.catalog.feature`, and is
evaluated by :mod:`stagecast.features.engines.sql` (on DuckDB and Spark, the two of
:mod:`stagecast.features.engines`) and by NumPy in :mod:`stagecast.features.engines.rows` (for
:mod:`stagecast.features.engines.evaluator` and :mod:`stagecast.features.engines.plain`). A new
lifecycle scheme is a TOML file in ``features/schemes``. How events are read is
:mod:`stagecast.features.intake`, behind :mod:`stagecast.features.events`. All arithmetic on time
goes through :mod:`stagecast.features.clock`, and everything that sees events sees ``timestamp <
as_of`` only.
"""
