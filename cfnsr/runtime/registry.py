"""Modules that params.yaml chooses by name: corpora, decoders, landmark sources, encoders, systems.

The name is that of the module's file or folder. This file imports nothing heavy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, get_type_hints

from cfnsr.errors import CfnsrError


def names(package: str, *, folders_only: bool = False) -> list[str]:
    """List the modules of a package by name, sorted.

    Args:
        package: dotted name, for instance ``cfnsr.models.fusion``.
        folders_only: leave out modules that are a single file.
    """
    modules = iter_modules(import_module(package).__path__)
    return sorted(module.name for module in modules if module.ispkg or not folders_only)


def load(package: str, name: str, *, where: str, kind: str, folders_only: bool = False) -> ModuleType:
    """Import one module of a package.

    Args:
        package: dotted name.
        name: of the module.
        where: the key in params.yaml that gives the name, for the error.
        kind: what the package's modules are, for the error: ``"corpus"``.
        folders_only: see ``names``.

    Raises:
        CfnsrError: the package has no such module.
    """
    known = names(package, folders_only=folders_only)
    if name not in known:
        raise CfnsrError(where, f"there is no {kind} {name!r}", f"Choose one of: {', '.join(known)}")
    return import_module(f"{package}.{name}")


def check_options(cls: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    """Check a section of options against the keyword-only parameters of a class.

    Args:
        cls: the class that takes them; its parameters must have type annotations.
        options: values by name.
        where: the section's path in params.yaml, for the error.

    Raises:
        CfnsrError: an option is unknown, missing or of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError  # here: the import takes a tenth of a second

    parameters = inspect.signature(cls).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    types = get_type_hints(cls.__init__)
    for key in sorted({*options, *known}):
        if key not in known:
            raise CfnsrError(f"{where}.{key}", "unknown option", f"Remove it; known are: {', '.join(known) or 'none'}")
        if key not in options:
            raise CfnsrError(f"{where}.{key}", "missing", "Add it; the file of that name gives the published value")
        try:
            TypeAdapter(types[key]).validate_python(options[key], strict=True)
        except ValidationError as error:
            problem = f"{error.errors()[0]['msg']} (given: {options[key]!r})"
            raise CfnsrError(f"{where}.{key}", problem, "Give a value of that type") from error
