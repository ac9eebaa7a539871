"""What RAVDESS's archives are called, how long they are and what their md5 is: as pinned here, and as Zenodo says.

Zenodo's records 1188976 (clips) and 3255102 (tracking).
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Any

import click

from cfnsr.corpora.download import Archive
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError


def archive(name: str, source: Source) -> Archive:
    """The archive of a name, its pinned size and md5 compared with the record's own where it is going to be fetched.

    Raises:
        CfnsrError: there is none, or the record says otherwise.
    """
    with files("cfnsr.corpora.ravdess").joinpath("files.tsv").open(encoding="utf-8") as table:
        pinned = {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}
    if name not in pinned:
        raise CfnsrError("actors", f"RAVDESS has no archive {name}", "Its actors are 01 to 24")
    row = pinned[name]
    url = f"{source.base_url}/records/{row['record']}/files/{name}?download=1"
    found = Archive(name, url, int(row["bytes"]), row["md5"])
    if not source.has(found):
        _compare(found, f"{source.base_url}/api/records/{row['record']}", source)
    return found


def _compare(pinned: Archive, url: str, source: Source) -> None:
    """Raise where the record's own metadata contradict what is pinned; a mirror may have none."""
    told = source.metadata(url)
    listed = None if told is None else told.get("files")
    if not (isinstance(listed, list) and all(isinstance(one, dict) for one in listed)):
        click.echo(f"{url} gave no list of files: going by the size and md5 known for {pinned.name}", err=True)
        return
    for one in listed:
        if one.get("key", one.get("filename")) == pinned.name:
            size, md5 = _size(one), str(one.get("checksum", pinned.md5)).removeprefix("md5:")
            if size != pinned.size or md5 != pinned.md5:
                raise CfnsrError(
                    url,
                    f"{pinned.name} has {size} bytes and md5 {md5}, where {pinned.size} and {pinned.md5} are pinned",
                    "The record was changed: do not mix its clips with those of earlier runs",
                )
            return
    raise CfnsrError(url, f"does not list {pinned.name}", "Name another server in fetch.base_url")


def _size(told: dict[str, Any]) -> Any:
    return told.get("size", told.get("filesize"))
