"""The score of one customer, compiled when a bundle is loaded; the same bytes as in a batch.

``plan``       :class:`OneRow`: from the events of a customer to the JSON object of the score
``columns``    intervals, percentile, RFM scores, plays of one customer
"""
