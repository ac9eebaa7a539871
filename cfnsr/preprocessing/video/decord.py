"""Decode with decord, an extra; its independent decoder checks the frames of PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from cfnsr.errors import CfnsrError


def frames(path: Path, pts: tuple[int, ...], indices: list[int]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Decode frames; see ``cfnsr.preprocessing.video.frames``."""
    try:
        import decord
    except ImportError as error:
        problem = "decord is not installed (it is only for Linux and Windows on x86-64)"
        remedy = "Run `pip install 'cfnsr[decord]'`, or set it to pyav"
        raise CfnsrError("extract.video.decoder", problem, remedy) from error
    try:
        reader = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=1)
        if len(reader) != len(pts):
            problem = f"decord counts {len(reader)} frames, the file's packets {len(pts)}"
            raise CfnsrError(path, problem, "Set extract.video.decoder to pyav")
        for index in indices:
            yield reader[index].asnumpy()
    except (decord.DECORDError, RuntimeError, UnicodeError) as error:
        problem = f"decord cannot decode it ({str(error).splitlines()[0]})"
        raise CfnsrError(path, problem, "Fetch the clip again, or use pyav") from error
