"""Frames -> the same moved, cropped and coloured, all frames of a clip alike.

The options: ``flip``, the probability that a clip is mirrored; ``shift``, the largest shift of the picture as a share
of its side, in whole pixels; ``jitter``, the frames by which each frame may be off in time; ``crop_scale``, the least
share of the picture's area that a crop keeps, and ``crop_ratio``, its largest aspect ratio either way, the picture's
own being 1; ``brightness``, ``contrast`` and ``saturation``, their largest relative changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64, Real
from torch import Tensor
from torch.nn import functional as F

from cfnsr.training.augment.chance import Chance

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def augment(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], chance: Chance
) -> Real[Tensor, "batch time height width 3"]:
    """The same tensor where all is off; a copy of pixels after moves; else float32, 0 to 255."""
    if options["flip"] or options["shift"] or options["jitter"]:
        frames = moved(frames, *_moves(frames, options, chance))
    if options["crop_scale"] < 1:
        frames = cropped(frames, *_box(len(frames), options, chance))
    if options["brightness"] or options["contrast"] or options["saturation"]:
        frames = _coloured(frames, options, chance)
    return frames


def _moves(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], chance: Chance
) -> tuple[Int64[Tensor, "batch time"] | None, list[int], list[int], list[bool]]:
    """Where each frame is taken from, if not from its own place; by how many pixels each clip moves down and right;
    which are mirrored.
    """
    batch, times, *sides = frames.shape[:4]
    down, right, mirrored, time = [0] * batch, [0] * batch, [False] * batch, None
    if options["shift"]:
        down, right = ((chance.within(options["shift"], batch) * side).round().int().tolist() for side in sides)
    if options["flip"]:
        mirrored = chance.happens(options["flip"], batch).tolist()
    if options["jitter"]:
        reach = int(options["jitter"])
        off = (chance.share(batch, times) * (2 * reach + 1)).long() - reach
        time = (torch.arange(times, device=frames.device) + off).clamp(0, times - 1).sort(dim=1).values
    return time, down, right, mirrored


def moved(
    frames: Real[Tensor, "batch time height width 3"],
    time: Int64[Tensor, "batch time"] | None,
    down: list[int],
    right: list[int],
    mirrored: list[bool],
) -> Real[Tensor, "batch time height width 3"]:
    """Each clip mirrored, then shifted, the edge's pixels repeated where nothing is left.

    By copying blocks: on the CPU twice as fast as looking up where each pixel comes from.
    """
    result = torch.empty_like(frames)
    for number, (clip, made) in enumerate(zip(frames, result, strict=True)):
        turned = clip.flip(2) if mirrored[number] else clip
        _shift(turned if time is None else turned.index_select(0, time[number]), made, down[number], right[number])
    return result


def _shift(
    clip: Real[Tensor, "time height width 3"], made: Real[Tensor, "time height width 3"], down: int, right: int
) -> None:
    """Write into ``made`` what ``clip`` shows, so far down and to the right."""
    shifts = [(max(min(by, side - 1), 1 - side), side) for by, side in zip((down, right), clip.shape[1:3], strict=True)]
    rows, columns = (slice(max(by, 0), side + min(by, 0)) for by, side in shifts)
    from_rows, from_columns = (slice(max(-by, 0), side - max(by, 0)) for by, side in shifts)
    made[:, rows, columns] = clip[:, from_rows, from_columns]
    made[:, rows, : columns.start] = made[:, rows, columns.start, None]
    made[:, rows, columns.stop :] = made[:, rows, columns.stop - 1, None]
    made[:, : rows.start] = made[:, rows.start, None]
    made[:, rows.stop :] = made[:, rows.stop - 1, None]


def _box(
    batch: int, options: Mapping[str, float], chance: Chance
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Top, left, height and width of each clip's crop, as shares of the picture's sides."""
    area = 1 - chance.share(batch) * (1 - options["crop_scale"])
    height = width = area.sqrt()
    if options["crop_ratio"] > 1:
        # A wider box of this area would not fit: the bound keeps the area, where cutting the box would not.
        largest = (-area.log()).clamp(max=math.log(options["crop_ratio"]))
        stretch = (chance.within(0.5, batch) * largest).exp()
        height, width = height / stretch, width * stretch
    return chance.share(batch) * (1 - height), chance.share(batch) * (1 - width), height, width


def cropped(
    frames: Real[Tensor, "batch time height width 3"],
    top: Float[Tensor, " batch"],
    left: Float[Tensor, " batch"],
    height: Float[Tensor, " batch"],
    width: Float[Tensor, " batch"],
) -> Float[Tensor, "batch time height width 3"]:
    """A box of each clip, in shares of the picture's sides, brought back to the picture's size, bilinear."""
    batch, _, rows, columns = frames.shape[:4]
    # -1 and 1 are the picture's edges, not the centres of its outer pixels: hence align_corners=False.
    y, x = (
        2 * (start[:, None] + length[:, None] * (torch.arange(side, device=frames.device) + 0.5) / side) - 1
        for start, length, side in ((top, height, rows), (left, width, columns))
    )
    shape = (batch, rows, columns)
    grid = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=-1)
    planes = frames.permute(0, 1, 4, 2, 3)
    resampled = F.grid_sample(
        planes.flatten(1, 2).float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return resampled.view(planes.shape).permute(0, 1, 3, 4, 2).contiguous()


def _coloured(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], chance: Chance
) -> Float[Tensor, "batch time height width 3"]:
    """Brightness about black, contrast about the clip's mean grey, saturation about each pixel's; cut to 0 to 255."""
    frames = frames.float()
    one_a_clip = (len(frames), 1, 1, 1, 1)
    if options["brightness"]:
        frames = frames * (1 + chance.within(options["brightness"], *one_a_clip))
    if options["contrast"]:
        mean = _grey(frames).mean(dim=(1, 2, 3, 4), keepdim=True)
        frames = torch.lerp(mean, frames, 1 + chance.within(options["contrast"], *one_a_clip))
    if options["saturation"]:
        frames = torch.lerp(_grey(frames), frames, 1 + chance.within(options["saturation"], *one_a_clip))
    return frames.clamp(0, 255)


def _grey(frames: Float[Tensor, "batch time height width 3"]) -> Float[Tensor, "batch time height width 1"]:
    return (frames @ torch.tensor(_LUMA, device=frames.device))[..., None]
