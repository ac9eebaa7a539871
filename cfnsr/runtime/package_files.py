"""Read weights that lie inside an installed package, without importing it."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from cfnsr.errors import CfnsrError


def read(package: str, file: str, *, sha256: str, where: str, remedy: str) -> bytes:
    """Return the content of a file of a package.

    Args:
        package: its import name.
        file: path within the package's folder.
        sha256: of the file, hexadecimal.
        where: what needs the file, for the error.
        remedy: how to install the package, for the error.

    Raises:
        CfnsrError: the package is missing, or the file is missing or another one.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CfnsrError(where, f"needs {file} of the package {package}, which is missing", remedy)
    path = Path(spec.submodule_search_locations[0]) / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CfnsrError(path, f"cannot be read ({error.strerror})", remedy) from error
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != sha256:
        raise CfnsrError(path, f"its sha256 is {checksum[:12]}..., not {sha256[:12]}...", remedy)
    return content
