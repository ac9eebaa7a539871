"""Where networks run, in which precision, and that two runs agree."""

from __future__ import annotations

import os
import platform
import random
import shutil
from typing import Any

import numpy as np
import torch

from cfnsr.errors import CfnsrError


def pick(name: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises:
        CfnsrError: a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise CfnsrError("train.device", "is cuda, and torch finds no GPU", "Set it to auto or cpu")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else torch.device(name)


def told(device: torch.device) -> str:
    """What a device is called, and by which torch it is used."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = torch.cpu.get_capabilities().get("cpu_name", platform.machine())
    return f"{device.type} ({name}, {torch.get_num_threads()} threads), torch {torch.__version__}"


def pick_precision(name: str, device: torch.device) -> str:
    """``auto`` by a fixed rule on what the processor says of itself, so that a machine always answers alike.

    A GPU that computes in bfloat16 by itself: ``bf16``; any other GPU: ``fp16``. A CPU with bfloat16 matrix
    instructions (AMX): ``bf16``; without them it would be slower than fp32, so ``fp32``. Not measured on GPU.

    Args:
        name: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: where the network will be.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if torch.cpu.get_capabilities().get("amx_bf16", False) else "fp32"


def needs_compiler(device: torch.device) -> None:
    """Check that ``torch.compile`` finds what it needs.

    Raises:
        CfnsrError: it compiles for the CPU with a C++ compiler, and there is none.
    """
    named = os.environ.get("CXX", "")
    if device.type == "cpu" and not any(map(shutil.which, filter(None, (named, "g++", "clang++", "c++")))):
        raise CfnsrError("train.compile", "is true, and there is no C++ compiler", "Install g++, or set it to false")


def make_reproducible(seed: int, threads: int, device: torch.device, *, deterministic: bool = True) -> None:
    """Seed every source of chance and, on the CPU, allow no operation whose result depends on timing.

    On a GPU the pooling of 3D features has no such operation: there cuDNN is held to fixed algorithms, and two runs
    agree closely, not bit for bit. Not measured on GPU.

    Args:
        seed: of weights and dropout.
        threads: of torch on the CPU; how sums are split, and so their last bits, depends on it.
        device: where the network will be.
        deterministic: without it, kernels may be chosen for speed, and two runs may differ.
    """
    random.seed(seed)
    np.random.seed(seed)  # ours have generators of their own: this is for what libraries draw
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, not deterministic
    torch.backends.cudnn.allow_tf32 = False  # fp32 is to mean fp32
    if device.type == "cpu" and deterministic:
        # As use_deterministic_algorithms(True), which would also load the compiler, to configure that.
        torch.set_deterministic_debug_mode("error")
        # That mode would also write NaN into all new memory, a tenth of a step, to show who reads it unwritten.
        memory: Any = torch.utils.deterministic  # a module whose attribute is a property
        memory.fill_uninitialized_memory = False
