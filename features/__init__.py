"""Events in, one row per customer and day out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports the other two.

    intake (sources) -> events -> engines (sql, duckdb, spark, NumPy) with a catalog
                               stages (schemes) -> snapshots -> describe

What may be changed where: a new feature is a line in
:mod:`stagecast.features.catalog.standard`, and :mod:`stagecast.features.engines` evaluates it; a
new lifecycle scheme is a TOML file in ``features/schemes``, read by
:mod:`stagecast.features.stages`; how events are read is :mod:`stagecast.features.intake`, behind
:mod:`stagecast.features.events`; what a log looks like and how its customers move is
:mod:`stagecast.features.describe`. All arithmetic on time goes through
:mod:`stagecast.features.clock`, and everything that sees events sees ``timestamp < as_of`` only.
"""
