"""Select the device and the precision; make runs reproducible."""

from __future__ import annotations

import ctypes
import os
import platform
import random
import shutil
from typing import Any

import numpy as np
import torch

from cfnsr.errors import CfnsrError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's malloc.h


def pick(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the GPU if there is one.

    Raises:
        CfnsrError: ``cuda`` is given and there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise CfnsrError("train.device", "is cuda, and torch finds no GPU", "Set it to auto or cpu")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else torch.device(name)


def describe(device: torch.device) -> str:
    """Return the device's name, its threads and the version of torch."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = torch.cpu.get_capabilities().get("cpu_name", platform.machine())
    return f"{device.type} ({name}, {torch.get_num_threads()} threads), torch {torch.__version__}"


def pick_precision(name: str, device: torch.device) -> str:
    """Return the precision of the forward pass; ``auto`` depends on nothing but the kind of processor.

    A GPU that computes in bfloat16 itself: ``bf16``; any other GPU: ``fp16``. A CPU with bfloat16 instructions (AMX, or
    AVX512's): ``bf16``; without them bfloat16 would be slower than fp32, so ``fp32``. docs/training.md has the speeds.

    Args:
        name: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        device: of the network.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "fp32"


def check_compiler(device: torch.device) -> None:
    """Check that ``torch.compile`` finds the C++ compiler that it needs on the CPU.

    Raises:
        CfnsrError: there is none.
    """
    compilers = filter(None, (os.environ.get("CXX", ""), "g++", "clang++", "c++"))
    if device.type == "cpu" and not any(map(shutil.which, compilers)):
        raise CfnsrError("train.compile", "is true, and there is no C++ compiler", "Install g++, or set it to false")


def make_reproducible(seed: int, threads: int, device: torch.device, *, deterministic: bool = True) -> None:
    """Seed all random numbers and, on the CPU, forbid operations whose result depends on timing.

    On a GPU the pooling of 3D features has no deterministic version: cuDNN uses fixed algorithms there, and two runs
    agree closely, not bit for bit (docs/training.md).

    Args:
        seed: of weights and dropout.
        threads: of torch on the CPU; the last bits of sums depend on it.
        device: of the network.
        deterministic: False allows faster kernels whose results may differ between runs.
    """
    random.seed(seed)
    np.random.seed(seed)  # for libraries; this project's generators have their own seeds
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, not deterministic
    torch.backends.cudnn.allow_tf32 = False  # fp32 must not be TF32
    if device.type == "cpu" and deterministic:
        # Does what use_deterministic_algorithms(True) does, without importing torch's compiler.
        torch.set_deterministic_debug_mode("error")
        # That mode also fills new memory with NaN, which takes a tenth of a training step.
        settings: Any = torch.utils.deterministic  # a module whose attribute is a property
        settings.fill_uninitialized_memory = False


def keep_freed_memory() -> None:
    """Make the allocator keep freed memory in place of returning it to the system tensor by tensor.

    A training step at the published size frees and allocates gigabytes; with fresh pages from the system it takes at
    least a third longer (``benchmarks/step.py``). Does nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)  # never
