"""One file a command, named for it: ``commands/NAME.py`` holds the function ``NAME``.

A command reads its options, calls one function, and prints what came of it. What several share:

- ``options``, ``reading_options``, ``training_options``: options, and how a group of them becomes
  one object; ``reading_values``: the ``Reading``;
- ``configuration``: the file that may hold every option;
- ``console``, ``terminal``, ``stage_lines``, ``backtest_lines``, ``erasure_lines``: what is
  printed.

Nothing that is slow to import is imported before a command is called.
"""
