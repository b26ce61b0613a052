"""Events in, one row per customer and day out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports the other two.

What you may change where: a new feature is a line in :mod:`features.catalog`; a new lifecycle scheme is a
TOML file in ``features/schemes``; how events are read is :mod:`features.intake`, behind :mod:`features.events`.
All arithmetic on time goes through :mod:`features.clock`, and everything that sees events sees ``timestamp < as_of``
only.
"""
