"""Workers that start warm: they are forked from a process that has imported their adapter already.

    launching = warm_launching(spec)  # in place of `launch_of`

A suite starts hundreds of workers, and a framework can take seconds to import. What is forked is
what a worker would be: the same first code with the same variables, folders and descriptors, and
the same watcher beside it.
"""

from massgen_bridge.testing.warm.stock import warm_launching

__all__ = ["warm_launching"]
