"""One customer out of everything we keep, and the proof of it.

    id -> places (store, runs, MLflow, logs, leftovers) -> count -> remove -> search -> table

What may be changed where: what counts as an occurrence in
:mod:`stagecast.serving.erasure.identity`, a kind of file of a run in
:mod:`stagecast.serving.erasure.run_files`, what is looked at by default in
:mod:`stagecast.serving.erasure.places`.

Aggregates that were published (totals, counts, charts, the model) stay as they were. What lies
below the files is out of reach: freed blocks of the disk, snapshots of the file system, backups,
what a terminal or a journal was shown.
"""
