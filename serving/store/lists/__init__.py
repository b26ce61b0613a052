"""The list of a run: what its pages, counts and sums are read from, made of its scores.

    scores of a run -> list_<run>: one row per customer, in the order of the ids, with an index
                                   for each order of a list
                    -> segments:   customers alike in stage, state, band and play, counted and
                                   added up

A list belongs to one run, so that it is built after the scores are inserted, in bulk, and goes by
``DROP TABLE``. The newest published runs have one (:data:`~.building.LISTS`); of an older run the
scores themselves are read, which is slower and gives the same. All of it can be built again: a
backup of PostgreSQL leaves it out, and one of SQLite, which is a copy of pages, has it.
"""
