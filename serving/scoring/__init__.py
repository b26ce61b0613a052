"""Scoring of customers with a bundle.

score_schema (the columns of a score) <- scorer -> batch (a log), spark_scoring (a log on Spark),
                                               score_objects (the JSON of a request)
"""
