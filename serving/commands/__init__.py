"""One file a command, named for it: ``commands/NAME.py`` holds the function ``NAME``.

A command reads its options, calls one function, and prints what came of it. Options that several
share are in ``options`` and ``reading_options``, what they print in ``terminal`` and ``console``.
"""
