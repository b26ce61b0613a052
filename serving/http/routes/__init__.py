"""One file per resource, with a ``router`` whose functions take typed dependencies of ``state``.

FastAPI puts the docstrings of these functions into the OpenAPI document and the API page.
"""
