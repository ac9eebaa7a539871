"""Names of tensors: ours -> the published ones.

The published fused networks are lists of blocks, so most of their names are numbers.
"""

from __future__ import annotations

import re

from torch import Tensor

Rules = list[tuple[str, str]]

_BOTTLENECK: Rules = [
    (r"\.norm(\d)\.", r".bn\1."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
]
_RULES: dict[str, Rules] = {
    "video": [
        (r"^encoder\.stages\.stem\.conv\.", "conv1."),
        (r"^encoder\.stages\.stem\.norm\.", "bn1."),
        (r"^encoder\.stages\.layer", "layer"),
        (r"^encoder\.head\.linear\.", "fc."),
        *_BOTTLENECK,
    ],
    "audio": [
        (r"^encoder\.stages\.conv(\d)\.conv\.", r"conv\1."),
        (r"^encoder\.stages\.conv3\.pool\.norm\.", "bn2."),
        (r"^encoder\.stages\.conv(\d)\.norm\.", r"bn\1."),
        (r"^encoder\.head\.linear\.", "fc1."),
    ],
    "cfnsr": [
        (r"^video\.stem\.conv\.", "video_model_blocks.0.0."),
        (r"^video\.stem\.norm\.", "video_model_blocks.0.1."),
        *((rf"^video\.layer{number}\.", f"video_model_blocks.0.{number + 2}.") for number in range(1, 5)),
        (r"^audio\.conv1\.conv\.", "audio_model_blocks.0.0."),
        (r"^audio\.conv1\.norm\.", "audio_model_blocks.0.2."),
        (r"^audio\.conv2\.conv\.", "audio_model_blocks.0.3."),
        (r"^audio\.conv3\.pool\.norm\.", "audio_model_blocks.0.6."),
        (r"^audio\.conv3\.conv\.", "audio_model_blocks.0.8."),
        (r"^audio\.conv3\.norm\.", "audio_model_blocks.0.10."),
        (r"^cross_modal\.video\.", "msaf.0.channel_affine."),
        (r"^cross_modal\.audio\.", "msaf.0.y_affine."),
        (r"^cross_modal\.score\.", "msaf.0.attn_weight_affine."),
        (r"^self_attention\.norm\.", "msaf.0.audio_attention.layer_norm."),
        (r"^(self_attention\.layers\.\d+)\.linear(\d)\.", r"\1.fc\2."),
        (r"^(self_attention\.layers\.\d+)\.norm1\.", r"\1.layer_norms.0."),
        (r"^(self_attention\.layers\.\d+)\.norm2\.", r"\1.layer_norms.1."),
        (r"^self_attention\.", "msaf.0.audio_attention."),
        (r"^classifier\.", "fc."),
        *_BOTTLENECK,
    ],
    "msaf": [
        (r"^video\.0\.stem\.conv\.", "video_model_blocks.0.0."),
        (r"^video\.0\.stem\.norm\.", "video_model_blocks.0.1."),
        *((rf"^video\.0\.layer{number}\.", f"video_model_blocks.0.{number + 2}.") for number in range(1, 4)),
        (r"^video\.1\.layer4\.", "video_model_blocks.1.0."),
        (r"^audio\.0\.conv1\.conv\.", "audio_model_blocks.0.0."),
        (r"^audio\.0\.conv1\.norm\.", "audio_model_blocks.0.2."),
        (r"^audio\.0\.conv2\.conv\.", "audio_model_blocks.0.3."),
        (r"^audio\.1\.conv3\.pool\.norm\.", "audio_model_blocks.1.1."),
        (r"^audio\.1\.conv3\.conv\.", "audio_model_blocks.1.3."),
        (r"^audio\.1\.conv3\.norm\.", "audio_model_blocks.1.5."),
        (r"^(video|audio)_head\.linear\.", r"\1_model_blocks.2.2."),
        (r"^sites\.(\d)\.joint\.", r"msaf.\1.blocks.0.joint_features.0."),
        (r"^sites\.(\d)\.norm\.", r"msaf.\1.blocks.0.joint_features.1."),
        *_BOTTLENECK,
    ],
}
SYSTEMS = tuple(_RULES)
# The published MSAF has one layer for each block; ours has one for all blocks of a site.
_SCORES = re.compile(r"^sites\.(\d)\.scores\.(weight|bias)$")


def published_parts(system: str, name: str, tensor: Tensor, widths: list[int]) -> dict[str, Tensor]:
    """Return the published tensors that one of ours is the concatenation of, by their names.

    Args:
        system: one of ``SYSTEMS``.
        name: of our tensor.
        tensor: ours.
        widths: of MSAF's blocks, for each site.
    """
    scores = _SCORES.match(name)
    if system == "msaf" and scores:
        site, kind = int(scores[1]), scores[2]
        blocks = enumerate(tensor.split(widths[site]))
        return {f"msaf.{site}.blocks.0.dense_group.{number}.{kind}": part for number, part in blocks}
    for ours, published in _RULES[system]:
        name = re.sub(ours, published, name)
    return {name: tensor}
