"""A model's predictions for recordings as one HTML page that opens without a network and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

import cfnsr
from cfnsr.errors import printable
from cfnsr.inference.page import content, timeline
from cfnsr.inference.page.content import Pictured as Pictured  # callers of render need it
from cfnsr.runtime import templates

if TYPE_CHECKING:
    from cfnsr.inference.model import Model

_READS = {"video": "the face", "audio": "the voice"}
# The report's style comes first: this page uses its variables, tables and cards.
_STYLES = (("cfnsr.report.page", "page.css"), (__name__, "page.css"))


def render(recordings: Sequence[Pictured], model: Model, failed: Mapping[str, str] | None = None) -> str:
    """Return the page as HTML.

    Args:
        recordings: in the order of the page.
        model: made the predictions.
        failed: problems of the files that could not be read, by name.
    """
    styles = [files(package).joinpath(name).read_text(encoding="utf-8") for package, name in _STYLES]
    names = [printable(recording.name) for recording in recordings]
    return (
        templates.environment(__name__)
        .get_template("page.html.j2")
        .render(
            title=f"Emotions in {names[0]}" if len(names) == 1 else f"Emotions in {len(names)} recordings",
            style=Markup("\n".join(styles)),  # noqa: S704 of this package's own files
            card=model.card,
            reads=" and ".join(_READS[modality] for modality in model.modalities),
            labels=model.labels,
            recordings=content.of_recordings(recordings, model),
            failed=[(printable(name), problem) for name, problem in (failed or {}).items()],
            attention_note=content.ATTENTION,
            no_attention_note=content.NO_ATTENTION,
            width=timeline.WIDTH,
            height=timeline.HEIGHT,
            percent=content.percent,
            version=cfnsr.__version__,
        )
    )
