"""What `cfnsr check` and the stage `check` compare before the labels of a corpus are used."""

from __future__ import annotations

from pathlib import Path


def check(corpus: str, *, intake: str = "", **_: object) -> None:
    """Check that the labels file of a folder of videos is still the one that `cfnsr folder` read.

    Args:
        corpus: its name; the other corpora have their labels in the names of their files.
        intake: of its options, the table that `cfnsr folder` wrote.

    Raises:
        CfnsrError: it has changed.
    """
    if corpus == "folder":
        from cfnsr.corpora.folder.prepare import intake_file  # the other corpora do not need it

        intake_file.check_labels_files(Path(intake))
