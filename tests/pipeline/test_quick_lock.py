"""The tests' faster way to read and write dvc.lock says the same as DVC's own. With stubs."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from dvc.utils.serialize import _yaml

from tests.support.quick_lock.sitecustomize import changed
from tests.support.repository import Repository

# Text that one library or the other takes for something else if it is not quoted, and numbers of all forms.
HARD = ["", "01", "1e5", "1_000", "yes", "on", "null", "0x1f", "12:30", "# a", "é", " ", 1e-5, 0.1, 10**16, True, None]


def written(dump: Callable[[Any, Any], None], entries: Any) -> str:
    stream = io.StringIO()
    stream.name = "dvc.lock"
    dump(entries, stream)
    return stream.getvalue()


def test_quick_lock_reads_and_writes_the_same(stubbed: Repository) -> None:
    parse, dump = changed(_yaml)
    own = _yaml.parse_yaml_for_update(stubbed.lock.decode(), "dvc.lock")
    quick = parse(stubbed.lock.decode(), "dvc.lock", "rt")
    for entries in (own, quick):
        entries["stages"]["hard"] = OrderedDict(cmd="word " * 100, params={f"of {value!r}": value for value in HARD})
    texts = [written(_yaml._dump, own), written(dump, quick)]
    read = [function(text, "dvc.lock") for function in (parse, _yaml.parse_yaml) for text in texts]
    same = [entries == own for entries in (quick, *read)]
    assert all(same), same


def test_dvc_takes_quick_lock_for_its_own(stubbed: Repository) -> None:
    printed = stubbed.run("python", "-c", f"from {_yaml.__name__} import _dump, parse_yaml; print(_dump, parse_yaml)")
    assert printed.count("changed.<locals>") == 2


def test_texts_parsed_again_are_not_shared() -> None:
    parse, _ = changed(_yaml)
    for name in ("dvc.lock", "dvc.yaml"):
        first, again = (parse("stages: {a: {deps: [b]}}", name) for _ in range(2))
        first["stages"]["a"]["deps"].append("changed")
        assert again == parse("stages: {a: {deps: [b]}}", name) != first
        assert parse("stages: {}", name) == {"stages": {}}
