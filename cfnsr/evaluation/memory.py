"""Memory that large tensors have left is kept for the next ones."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep() -> None:
    """Have the allocator keep what is freed, and not hand it back to the system tensor by tensor.

    A step at the published size frees and asks for gigabytes; in fresh pages from the system it takes a third longer
    and more (``benchmarks/step.py``). Where the C library is not glibc, this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)  # never
