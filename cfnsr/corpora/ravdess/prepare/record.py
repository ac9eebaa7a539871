"""Name, size and md5 of RAVDESS's archives: as pinned in files.tsv, and as Zenodo's records state them.

Records 1188976 (clips) and 3255102 (landmarks).
"""

from __future__ import annotations

import csv
from importlib.resources import files

import click

from cfnsr.corpora.download import Archive, Source
from cfnsr.errors import CfnsrError


def archive(name: str, source: Source) -> Archive:
    """Look an archive up in the pinned table; if it must be fetched, compare with the record's own metadata.

    Raises:
        CfnsrError: there is no such archive, or the record contradicts the table.
    """
    with files("cfnsr.corpora.ravdess.prepare").joinpath("files.tsv").open(encoding="utf-8") as table:
        rows = {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}
    if name not in rows:
        raise CfnsrError("actors", f"RAVDESS has no archive {name}", "Its actors are 01 to 24")
    row = rows[name]
    url = f"{source.base_url}/records/{row['record']}/files/{name}?download=1"
    pinned = Archive(name, url, int(row["bytes"]), row["md5"])
    if not source.has(pinned):
        _compare(pinned, f"{source.base_url}/api/records/{row['record']}", source)
    return pinned


def _compare(pinned: Archive, url: str, source: Source) -> None:
    """Raise if the record's own metadata contradict the pinned values; a mirror may have no metadata."""
    metadata = source.metadata(url)
    listed = None if metadata is None else metadata.get("files")
    if not (isinstance(listed, list) and all(isinstance(entry, dict) for entry in listed)):
        click.echo(f"{url} lists no files: using the pinned size and md5 of {pinned.name}", err=True)
        return
    entry = next((entry for entry in listed if entry.get("key", entry.get("filename")) == pinned.name), None)
    if entry is None:
        raise CfnsrError(url, f"does not list {pinned.name}", "Name another server in fetch.base_url")
    size = entry.get("size", entry.get("filesize"))
    md5 = str(entry.get("checksum", pinned.md5)).removeprefix("md5:")
    if size != pinned.size or md5 != pinned.md5:
        raise CfnsrError(
            url,
            f"{pinned.name} has {size} bytes and md5 {md5}, where {pinned.size} and {pinned.md5} are pinned",
            "The record was changed: do not mix its clips with those of earlier runs",
        )
