"""What a log looks like, and how its customers move: figures and tables, no model.

``quality`` describes the log (gaps, odd days, rhythm), ``flows`` how customers move through the
stages, ``effectiveness`` what changed between two windows.
"""
