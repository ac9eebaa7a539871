"""What `cfnsr check` and the stage `check` compare before the labels of a corpus are used."""

from __future__ import annotations

from pathlib import Path


def check(corpus: str, *, intake: str = "", intake_md5: str = "", **_: object) -> list[str]:
    """Check that a folder's table of clips, and the labels file that it was made of, are as `cfnsr folder` left them.

    Args:
        corpus: its name; the other corpora have their labels in the names of their files.
        intake, intake_md5: of its options, the table that `cfnsr folder` wrote, and its md5.

    Returns:
        What could not be compared, one line each: a machine that pulled the data may lack the table.

    Raises:
        CfnsrError: one of them has changed.
    """
    if corpus != "folder":
        return []
    if not Path(intake).exists():
        return [f"{intake} is missing: its labels are not compared with the labels file"]
    from cfnsr.corpora.folder.prepare import intake_file  # the other corpora do not need it

    intake_file.check(Path(intake), intake_md5)
    return []
