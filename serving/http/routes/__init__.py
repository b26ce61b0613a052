"""One file a resource: a ``router`` whose functions take typed dependencies of ``state``."""
