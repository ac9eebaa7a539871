"""3D ResNeXt on face crops.

Hara, Kataoka and Satoh, "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?", CVPR 2018.
Published: layers 3, 4, 6, 3, width 64, cardinality 32.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cfnsr.errors import CfnsrError
from cfnsr.models import encoders
from cfnsr.models.publication import Publication

_EXPANSION = 2  # a bottleneck's output channels for each of its planes
_WIDE = 16  # channels of a group whose convolution the CPU computes fast
_MOST_JOINED = 4  # groups; the zeros between more of them cost more than they save
_STRIDES = (1, 2, 2, 2)  # of the four layers, in time and space alike


class Encoder(encoders.Encoder):
    """Frames -> logits. The head averages over time and space, so clips may have any number of frames of any size.

    Args:
        classes: number of emotions.
        shape: of one clip's frames; not needed.
        layers: bottlenecks in each of the four layers.
        width: channels of the stem; the layers have 4, 8, 16 and 32 times as many.
        cardinality: groups of each bottleneck's middle convolution.
        stem_relu: false for the weights of the published fused networks, which were trained without it by mistake.

    Raises:
        CfnsrError: ``layers`` does not give four layers a bottleneck or more each.
    """

    reads = "frames"
    publication = Publication(fusion="none", paper="2111.02172", accuracy=62.99, parameters=25.88)

    def __init__(
        self, classes: int, shape: Sequence[int], *, layers: list[int], width: int, cardinality: int, stem_relu: bool
    ) -> None:
        super().__init__()
        if len(layers) != len(_STRIDES) or min(layers) < 1:
            problem = f"{layers} are not four layers of one bottleneck or more"
            raise CfnsrError("encoders.video.options.layers", problem, "Use four positive numbers")
        stages: OrderedDict[str, nn.Module] = OrderedDict(stem=_stem(width, stem_relu))
        self.channels = [width]
        planes = 2 * width
        for number, (depth, stride) in enumerate(zip(layers, _STRIDES, strict=True), start=1):
            incoming = self.channels[-1]
            stages[f"layer{number}"] = _layer(incoming, planes, depth=depth, stride=stride, cardinality=cardinality)
            self.channels.append(planes * _EXPANSION)
            planes *= 2
        self.stages = nn.Sequential(stages)
        self.dim = self.channels[-1]
        pool = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.head = nn.Sequential(OrderedDict(pool=pool, linear=nn.Linear(self.dim, classes)))
        for module in self.stages.modules():
            # Without memory there is nothing to draw, and `normal_` would import torch's compiler: a second.
            if isinstance(module, nn.Conv3d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Bottleneck(nn.Module):
    """1x1x1 -> grouped 3x3x3 -> 1x1x1 convolution, plus a shortcut.

    The shortcut is a convolution if the shape changes, else the identity.

    Args:
        incoming: channels of the input.
        planes: ``planes / 32`` channels in each group, ``2 * planes`` output channels.
        stride: of the middle convolution.
        cardinality: its groups.
    """

    def __init__(self, incoming: int, planes: int, *, stride: int, cardinality: int) -> None:
        super().__init__()
        # Below the published width, a group would have less than one channel.
        inner, outgoing = cardinality * max(planes // 32, 1), planes * _EXPANSION
        self.conv1 = nn.Conv3d(incoming, inner, kernel_size=1, bias=False)
        self.norm1 = nn.BatchNorm3d(inner)
        self.conv2 = nn.Conv3d(inner, inner, kernel_size=3, stride=stride, padding=1, groups=cardinality, bias=False)
        self.norm2 = nn.BatchNorm3d(inner)
        self.conv3 = nn.Conv3d(inner, outgoing, kernel_size=1, bias=False)
        self.norm3 = nn.BatchNorm3d(outgoing)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or incoming != outgoing:
            self.shortcut.add_module("conv", nn.Conv3d(incoming, outgoing, kernel_size=1, stride=stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm3d(outgoing))

    def forward(
        self, inputs: Float[Tensor, "batch incoming time height width"]
    ) -> Float[Tensor, "batch outgoing _ _ _"]:
        """Apply the convolutions and add the shortcut."""
        inner = self.relu(self.norm1(self.conv1(inputs)))
        inner = self.relu(self.norm2(self.middle_convolution(inner)))
        return self.relu(self.norm3(self.conv3(inner)) + self.shortcut(inputs))

    def middle_convolution(
        self, inner: Float[Tensor, "batch inner time height width"]
    ) -> Float[Tensor, "batch inner _ _ _"]:
        """Apply the grouped convolution; train on the CPU without its slow and wrong kernels."""
        if not self.training or inner.device.type != "cpu":
            return self.conv2(inner)
        conv, channels = self.conv2, self.conv2.weight.shape[1]
        joined = math.gcd(conv.groups, min(_MOST_JOINED, max(1, _WIDE // channels)))
        weight, groups = _join_groups(conv.weight, conv.groups, joined), conv.groups // joined
        # In half precision on the CPU the gradient of the weights is wrong with two time steps or a picture of one row
        # or column: docs/decisions/0006-half-precision.md
        time, height, width = inner.shape[2:]
        faulty = time == 2 or 1 in (height, width)
        with torch.autocast("cpu", enabled=torch.is_autocast_enabled("cpu") and not faulty):
            return F.conv3d(inner.float() if faulty else inner, weight, None, conv.stride, conv.padding, 1, groups)


def _join_groups(
    weight: Float[Tensor, "outgoing channels time height width"], groups: int, joined: int
) -> Float[Tensor, "outgoing _ time height width"]:
    """Return the weights of the same convolution in fewer and wider groups, with zeros between those joined."""
    if joined == 1:
        return weight
    outgoing, channels, *kernel = weight.shape
    # outgoing = groups / joined, joined, outgoing in a group; the new axis is the group that the input belongs to
    split = weight.reshape(groups // joined, joined, outgoing // groups, 1, channels, -1)
    own = torch.eye(joined, dtype=weight.dtype).reshape(1, joined, 1, joined, 1, 1)
    return (split * own).reshape(outgoing, joined * channels, *kernel)


def _stem(width: int, relu: bool) -> nn.Sequential:
    steps: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv3d(3, width, kernel_size=7, stride=(1, 2, 2), padding=3, bias=False), norm=nn.BatchNorm3d(width)
    )
    if relu:
        steps["relu"] = nn.ReLU(inplace=True)
    steps["pool"] = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)
    return nn.Sequential(steps)


def _layer(incoming: int, planes: int, *, depth: int, stride: int, cardinality: int) -> nn.Sequential:
    first = Bottleneck(incoming, planes, stride=stride, cardinality=cardinality)
    rest = (Bottleneck(planes * _EXPANSION, planes, stride=1, cardinality=cardinality) for _ in range(depth - 1))
    return nn.Sequential(first, *rest)
