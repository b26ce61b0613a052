"""A bundle in; scores, lists and pages out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
                                                                      ^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``.

    cli -> commands -> reading, requests -> pipeline, jobs -> runs, reports, scoring, store
    python (`import stagecast as sc`) -> reading, jobs, scoring, targeting
    http (the server) -> scoring, store, pages             erasure (one customer, everywhere)

What may be changed where: the columns of a score are frozen in
:mod:`stagecast.serving.scoring.score_schema` (only ever added to); what fills them is
:mod:`stagecast.serving.scoring.scorer`; a command is a file in ``serving/commands``, what it does a
file in ``serving/jobs``, a resource a file in ``serving/http/routes``, a page a template in
``serving/pages``. What is read is a :class:`stagecast.serving.reading.Reading`, what is asked of it
a dataclass of :mod:`stagecast.serving.requests`. The environment is read in
:mod:`stagecast.serving.settings` and nowhere else.

Room is left for ``targeting`` (plans, hold-outs, read-outs).
"""
