"""Frames of pandas for data scientists: features, one customer's events, and panels of past dates.

    a log, an as_of as text, date or Timestamp -> a DataFrame with customer_id as its index

=============  ================================================================
``instants``   times as Python writes them
``tables``     features and events of a log
``given``      tables that a caller hands over, as DataFrames
``panel``      ``Panel``: snapshots of several dates with what came after each
=============  ================================================================
"""
