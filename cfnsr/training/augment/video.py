"""Augment frames: move, crop and recolour, the same for all frames of a clip.

Options: ``flip``, probability that a clip is mirrored; ``shift``, largest shift of the picture as a share of its side,
in whole pixels; ``jitter``, frames by which each frame may be early or late; ``crop_scale``, smallest share of the
picture's area that a crop keeps, and ``crop_ratio``, its largest aspect ratio either way, where the picture's own is 1;
``brightness``, ``contrast`` and ``saturation``, their largest relative changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int64, Real
from torch import Tensor
from torch.nn import functional as F

from cfnsr.training.augment.draws import Draws

_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def augment(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], draws: Draws
) -> Real[Tensor, "batch time height width 3"]:
    """Augment a batch of frames.

    Returns:
        The same tensor where all options are off; uint8 where only whole pixels were moved; else float32, 0 to 255.
    """
    if options["flip"] or options["shift"] or options["jitter"]:
        frames = move(frames, *_draw_moves(frames, options, draws))
    if options["crop_scale"] < 1:
        frames = crop(frames, *_draw_boxes(len(frames), options, draws))
    if options["brightness"] or options["contrast"] or options["saturation"]:
        frames = _recolour(frames, options, draws)
    return frames


def _draw_moves(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], draws: Draws
) -> tuple[Int64[Tensor, "batch time"] | None, list[int], list[int], list[bool]]:
    """Draw the arguments of ``move``."""
    batch, times, *sides = frames.shape[:4]
    down, right, mirrored, source = [0] * batch, [0] * batch, [False] * batch, None
    if options["shift"]:
        down, right = ((draws.symmetric(options["shift"], batch) * side).round().int().tolist() for side in sides)
    if options["flip"]:
        mirrored = draws.bernoulli(options["flip"], batch).tolist()
    if options["jitter"]:
        reach = int(options["jitter"])
        offset = (draws.uniform(batch, times) * (2 * reach + 1)).long() - reach
        source = (torch.arange(times, device=frames.device) + offset).clamp(0, times - 1).sort(dim=1).values
    return source, down, right, mirrored


def move(
    frames: Real[Tensor, "batch time height width 3"],
    source: Int64[Tensor, "batch time"] | None,
    down: list[int],
    right: list[int],
    mirrored: list[bool],
) -> Real[Tensor, "batch time height width 3"]:
    """Mirror each clip, then shift it; pixels at the edge are repeated into what the shift uncovers.

    Copies blocks: on the CPU that is twice as fast as gathering pixel by pixel.

    Args:
        frames: the batch.
        source: index of the frame that each frame is taken from; None keeps the order.
        down, right: shift of each clip in pixels.
        mirrored: whether each clip is mirrored.
    """
    result = _empty_like(frames)
    for number, (clip, out) in enumerate(zip(frames, result, strict=True)):
        flipped = _mirror(clip) if mirrored[number] else clip
        _shift(flipped if source is None else flipped.index_select(0, source[number]), out, down[number], right[number])
    return result


def _empty_like(frames: Real[Tensor, "batch time height width 3"]) -> Real[Tensor, "batch time height width 3"]:
    """Allocate a batch; on the CPU by numpy, which asks for large pages: small ones take longer than the copying."""
    if frames.device.type != "cpu":
        return torch.empty_like(frames)
    return torch.from_numpy(np.empty(frames.shape, frames.numpy().dtype))


def _mirror(clip: Real[Tensor, "time height width 3"]) -> Real[Tensor, "time height width 3"]:
    """Mirror a clip; on the CPU by OpenCV, which takes a tenth of torch's time."""
    if clip.device.type != "cpu":
        return clip.flip(2)
    return torch.from_numpy(cv2.flip(clip.flatten(0, 1).numpy(), 1)).view(clip.shape)


def _shift(
    clip: Real[Tensor, "time height width 3"], out: Real[Tensor, "time height width 3"], down: int, right: int
) -> None:
    """Write ``clip``, shifted by pixels down and right, into ``out``."""
    shifts = [(max(min(by, side - 1), 1 - side), side) for by, side in zip((down, right), clip.shape[1:3], strict=True)]
    rows, columns = (slice(max(by, 0), side + min(by, 0)) for by, side in shifts)
    from_rows, from_columns = (slice(max(-by, 0), side - max(by, 0)) for by, side in shifts)
    out[:, rows, columns] = clip[:, from_rows, from_columns]
    out[:, rows, : columns.start] = out[:, rows, columns.start, None]
    out[:, rows, columns.stop :] = out[:, rows, columns.stop - 1, None]
    out[:, : rows.start] = out[:, rows.start, None]
    out[:, rows.stop :] = out[:, rows.stop - 1, None]


def _draw_boxes(
    batch: int, options: Mapping[str, float], draws: Draws
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Draw top, left, height and width of each clip's crop, as shares of the picture's sides."""
    area = 1 - draws.uniform(batch) * (1 - options["crop_scale"])
    height = width = area.sqrt()
    if options["crop_ratio"] > 1:
        # A wider box of this area would not fit. Bounding the ratio keeps the area; cutting the box would not.
        log_limit = (-area.log()).clamp(max=math.log(options["crop_ratio"]))
        stretch = (draws.symmetric(0.5, batch) * log_limit).exp()
        height, width = height / stretch, width * stretch
    return draws.uniform(batch) * (1 - height), draws.uniform(batch) * (1 - width), height, width


def crop(
    frames: Real[Tensor, "batch time height width 3"],
    top: Float[Tensor, " batch"],
    left: Float[Tensor, " batch"],
    height: Float[Tensor, " batch"],
    width: Float[Tensor, " batch"],
) -> Float[Tensor, "batch time height width 3"]:
    """Crop a box of each clip, in shares of the picture's sides, and resize it to the picture's size, bilinear."""
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


def _recolour(
    frames: Real[Tensor, "batch time height width 3"], options: Mapping[str, float], draws: Draws
) -> Float[Tensor, "batch time height width 3"]:
    """Scale brightness about black, contrast about the clip's mean grey, saturation about each pixel's grey."""
    frames = frames.float()
    per_clip = (len(frames), 1, 1, 1, 1)
    if options["brightness"]:
        frames = frames * (1 + draws.symmetric(options["brightness"], *per_clip))
    if options["contrast"]:
        mean = _grey(frames).mean(dim=(1, 2, 3, 4), keepdim=True)
        frames = torch.lerp(mean, frames, 1 + draws.symmetric(options["contrast"], *per_clip))
    if options["saturation"]:
        frames = torch.lerp(_grey(frames), frames, 1 + draws.symmetric(options["saturation"], *per_clip))
    return frames.clamp(0, 255)


def _grey(frames: Float[Tensor, "batch time height width 3"]) -> Float[Tensor, "batch time height width 1"]:
    """Compute the luma of each pixel."""
    return (frames @ torch.tensor(_LUMA, device=frames.device))[..., None]
