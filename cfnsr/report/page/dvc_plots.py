"""The frame in which ``dvc plots show`` and ``diff`` draw without a network.

DVC's own loads Vega from the web. This one holds it, in the version that DVC's templates are written for.
"""

from __future__ import annotations

from pathlib import Path

import vl_convert

from cfnsr.runtime.outputs import atomic_file

_VEGA_LITE = "5.21"  # DVC's templates say v5

_FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>DVC plots</title>
{refresh_tag}
<style>table { border-spacing: 15px; } body { font-family: system-ui, sans-serif; }</style>
<script>%s</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def write(path: Path) -> None:
    """Write the frame, an HTML template of DVC's (``plots.html_template``)."""
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE)
    with atomic_file(path) as partial:
        partial.write_text(_FRAME.replace("%s", vega), encoding="utf-8")
