"""Draw a shard as contact sheets, one row a clip, one column a frame, to check the face crops by eye."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file

_CAPTION_PX = 18  # above each row
_CLIPS = 50  # of one picture: with more it would be larger than viewers, and the JPEG format, take


def picture(shard: Shard, first: int = 0, count: int = _CLIPS) -> UInt8[np.ndarray, "height width 3"]:
    """Draw a contact sheet, RGB, with each clip's name and emotion above its row.

    Args:
        shard: its clips.
        first: number of the first clip.
        count: of clips.
    """
    rows = []
    names = zip(shard.index["clip"], shard.index["label"], strict=True)
    for (clip, label), frames in islice(zip(names, shard.arrays["frames"], strict=True), first, first + count):
        strip = np.concatenate(list(frames), axis=1)
        caption = np.full((_CAPTION_PX, strip.shape[1], 3), 255, np.uint8)
        cv2.putText(caption, f"{label}  {clip}", (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        rows += [caption, strip]
    return np.concatenate(rows)


def write(path: Path, shard: Shard) -> list[Path]:
    """Write contact sheets in the format that the file's suffix names; return their paths.

    The first one has the path given, the next ones ``-2``, ``-3``, ... before the suffix.

    Raises:
        CfnsrError: there is no such picture format.
    """
    paths = []
    for page, first in enumerate(range(0, len(shard.index), _CLIPS), start=1):
        paths.append(path if page == 1 else path.with_stem(f"{path.stem}-{page}"))
        with atomic_file(paths[-1]) as partial:
            try:
                cv2.imwrite(str(partial), cv2.cvtColor(picture(shard, first), cv2.COLOR_RGB2BGR))
            except cv2.error as error:
                raise CfnsrError(
                    path, "is not the name of a picture", "Use a name that ends in .png or .jpg"
                ) from error
    return paths
