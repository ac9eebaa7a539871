"""Templates of HTML pages: what they show of data is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from cfnsr.errors import on_page


def environment(package: str) -> Environment:
    """Return what renders the templates of a package.

    Args:
        package: its dotted name; the templates lie beside its modules.
    """
    parent, _, folder = package.rpartition(".")
    return Environment(
        loader=PackageLoader(parent, folder),
        autoescape=True,
        finalize=on_page,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
