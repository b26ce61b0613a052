"""Sources in, the table ``events`` out: what is sound is read, the rest refused with its place and
reason.

    options, mapping, tables          what was declared
    opening -> sources, databases     files, frames and database tables as blocks of rows
        textfiles -> csvscan -> csvlines      text: unpacked, decoded, cut into records
    reading (values, rules, zones, expressions)   a block typed by SQL, every fault of every row
    kept: ``staged`` settling                          duplicates aside, one order: ``events``; the
    counts of it all: report quarantine (reasons)              what was refused and why attributes
    the table of customers scratch                           where it stands while it is larger than
    the memory

What may be changed where: a kind of source is a function in
:mod:`stagecast.features.intake.sources` that returns a ``Source``; a reason to refuse a row is a
line in :mod:`stagecast.features.intake.reasons` and a ``Fault`` in
:mod:`stagecast.features.intake.rules`; what a text means is
:mod:`stagecast.features.intake.values`; an option is a field of
:class:`stagecast.features.intake.options.ReadOptions`. The way in is
:mod:`stagecast.features.events`.
"""
