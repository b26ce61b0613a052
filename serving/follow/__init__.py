"""A running server follows its model: what is put in its place is checked, and then served.

source (folder, registry) -> candidate -> rehearsed in a child -> loaded -> swapped
"""
