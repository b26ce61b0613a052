"""A bundle in; scores, lists and pages out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
                                                                      ^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``.

What you may change where: the columns of a score are frozen in :mod:`stagecast.serving.contract`
(only ever added to); what fills them is :mod:`stagecast.serving.scorer`; one file in
``serving/routes`` answers for one resource; the environment is read in
:mod:`stagecast.serving.settings` and nowhere else.
"""
