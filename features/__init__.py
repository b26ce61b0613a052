"""Reads events and computes one row of features per customer and day.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; this package imports neither of the
other two.

    intake (sources) -> events -> engines (sql, duckdb, spark, NumPy) with a catalog
                               stages (schemes) -> snapshots -> describe

Where to change what:

* A new feature is a line in :mod:`stagecast.features.catalog.standard`;
  :mod:`stagecast.features.engines` evaluates it.
* A new lifecycle scheme is a TOML file in ``features/schemes``; :mod:`stagecast.features.stages`
  reads it.
* Events are read by :mod:`stagecast.features.intake`, behind :mod:`stagecast.features.events`.
* :mod:`stagecast.features.describe` describes a log and how its customers move between stages.

All arithmetic on time goes through :mod:`stagecast.features.clock`; where a zone says what a day
is, it is done in the shop time of :mod:`stagecast.features.shop`. Everything that reads events
reads only those with ``timestamp < as_of``.
"""
