"""Name, size and md5 of RAVDESS's archives: the pinned values of files.tsv, and those of Zenodo's records.

Records 1188976 (clips) and 3255102 (landmarks).
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import requests

from cfnsr.corpora.answers import json_of
from cfnsr.corpora.download import Archive
from cfnsr.corpora.session import Session
from cfnsr.corpora.source import Source
from cfnsr.errors import CfnsrError

TABLE = Path(__file__).with_name("files.tsv")


def archive(name: str, source: Source) -> Archive:
    """Read an archive's row of files.tsv; if the archive must be fetched, compare the row with Zenodo's record.

    Raises:
        CfnsrError: there is no such archive, or the record states other values.
    """
    with TABLE.open(encoding="utf-8") as table:
        rows = {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}
    if name not in rows:
        raise CfnsrError("actors", f"RAVDESS has no archive {name}", "Its actors are 01 to 24")
    row = rows[name]
    url = f"{source.base_url}/records/{row['record']}/files/{name}?download=1"
    pinned = Archive(name, url, int(row["bytes"]), row["md5"])
    if not source.has(pinned):
        _compare(pinned, f"{source.base_url}/api/records/{row['record']}", source.timeout_s)
    return pinned


def _compare(pinned: Archive, url: str, timeout_s: float) -> None:
    """Compare the pinned values with a record's metadata, which a mirror may lack.

    Raises:
        CfnsrError: the record states other values.
    """
    try:
        with Session(timeout_s) as session, session.ask("GET", url) as response:
            metadata = json_of(response, timeout_s) if response.ok else {}
    except requests.RequestException:
        metadata = {}
    listed = metadata.get("files")
    if not (isinstance(listed, list) and all(isinstance(entry, dict) for entry in listed)):
        click.echo(f"{url} lists no files: using the pinned size and md5 of {pinned.name}", err=True)
        return
    entry = next((entry for entry in listed if entry.get("key", entry.get("filename")) == pinned.name), None)
    if entry is None:
        raise CfnsrError(url, f"does not list {pinned.name}", "Set fetch.base_url to another server")
    size = entry.get("size", entry.get("filesize"))
    md5 = str(entry.get("checksum", pinned.md5)).removeprefix("md5:")
    if size != pinned.size or md5 != pinned.md5:
        problem = f"{pinned.name} has {size} bytes and md5 {md5}, where {pinned.size} and {pinned.md5} are pinned"
        raise CfnsrError(url, problem, "The record was changed: do not mix its clips with those of earlier runs")
