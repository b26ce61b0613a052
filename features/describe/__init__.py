"""Descriptions of a log and of its customers' movements: figures and tables, without models.

``quality`` describes the log (gaps, odd days, regularity), ``flows`` how customers move through the
stages, ``effectiveness`` what differs between two windows of time, ``channels`` what customers were
first seen in.
"""
