"""Arguments of Python functions: one reading and one error for each kind of value.

=============  ================================================================
``values``     numbers, shares, texts, tables of names, paths
``spans``      lengths of time in days
=============  ================================================================

Every error is a ``UsageError`` that names the argument, the value and an example of what is right.
pandas is not imported here, since settings that a server loads are read by it.
"""
