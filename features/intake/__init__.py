"""Reading of event logs: sources in, the table ``events`` and a report of refused rows out.

    options, mapping, tables      how the sources are read, as the user declared it
    presets, vendor_export,       what is declared for the export of a vendor
    preset_options
    opening                       opens files, folders, globs and database tables
      sources, databases          blocks of rows of files and frames, of database tables
      textfiles, csvscan,         text: decompressed and decoded, split into records,
      csvlines                    malformed records set apart
      file_kinds, column_names,   what a file is by its first bytes, names of its columns, the
      header_lines                line that names them
    reading                       types each block by SQL into the table ``typed_rows``
      expressions, typed, values  SQL of mapped columns, of the parts of an event, of texts
      rules, zones                SQL of the faults of a row, of local times
      identity, profit            faults of ids that stand for several, of orders at a loss
    settling                      removes duplicates and sorts: the table ``events``
    quarantine, reasons, report   refused rows, the reasons for it, and the counts
      time_hints, date_parts,     what to try, made from the refused values and from the columns
      line_items, zone_names
      number_forms, not_a_log     warnings about the log as a whole
    profiles, proposal            what columns hold, and the mapping that is proposed for them,
      header_proposal             also where the header stands below the first line
    attributes                    the table of customers
    scratch                       temporary folder of a log that is larger than the memory

Where to change what: a new kind of source is a function in
:mod:`stagecast.features.intake.sources` that returns a ``Source``; a new reason to refuse a row is
an entry in :mod:`stagecast.features.intake.reasons` and a ``Fault`` in
:mod:`stagecast.features.intake.rules`; how texts become numbers and times is in
:mod:`stagecast.features.intake.values`; a new preset is an entry in
:mod:`stagecast.features.intake.presets`, and an export in its tests; a new option is a field of
:class:`stagecast.features.intake.options.ReadOptions`. The entry points are in
:mod:`stagecast.features.events`.
"""
