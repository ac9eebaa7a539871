"""Draw a shard as a contact sheet, one row a clip, one column a frame, to check the face crops by eye."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from cfnsr.data.shards import Shard
from cfnsr.errors import CfnsrError
from cfnsr.runtime.outputs import atomic_file

_CAPTION_PX = 18  # above each row


def picture(shard: Shard) -> UInt8[np.ndarray, "height width 3"]:
    """Draw the contact sheet, RGB, with each clip's name and emotion above its row."""
    rows = []
    for clip, label, frames in zip(shard.index["clip"], shard.index["label"], shard.arrays["frames"], strict=True):
        strip = np.concatenate(list(frames), axis=1)
        caption = np.full((_CAPTION_PX, strip.shape[1], 3), 255, np.uint8)
        cv2.putText(caption, f"{label}  {clip}", (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        rows += [caption, strip]
    return np.concatenate(rows)


def write(path: Path, shard: Shard) -> None:
    """Write the contact sheet in the format that the file's suffix names.

    Raises:
        CfnsrError: there is no such picture format.
    """
    with atomic_file(path) as partial:
        try:
            cv2.imwrite(str(partial), cv2.cvtColor(picture(shard), cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise CfnsrError(path, "is not the name of a picture", "Use a name that ends in .png or .jpg") from error
