"""What a running server counts of itself, and the text in which Prometheus reads it.

meter (counts of one process) -> samples -> workers (those of all processes) -> text
"""
