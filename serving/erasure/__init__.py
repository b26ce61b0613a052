"""Erasure of one customer from everything that stagecast stores, and the proof of it.

    id -> places (store, runs, MLflow, logs, leftovers) -> count -> remove -> search -> table

Where to make a change: :mod:`stagecast.serving.erasure.identity` defines what counts as an
occurrence, :mod:`stagecast.serving.erasure.run_files` handles the kinds of files of a run, and
:mod:`stagecast.serving.erasure.places` defines which places are searched by default.

Published aggregates (totals, counts, charts, the model) are not changed. An erasure cannot reach
what is below or outside the files: freed blocks of the disk, snapshots of the file system, backups,
the output of terminals and journals.
"""
