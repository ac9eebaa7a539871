"""Have DVC read and write ``dvc.lock`` by a YAML library in C, ten times as fast as by the one in Python.

DVC uses the latter to keep comments, which this file has none of; as it writes the whole file after each stage, that
is most of a stub's time. It also reads all its files again for each stage: here a text is parsed once in a process.
Python imports this module at its start where its folder is on ``PYTHONPATH``.
``tests/pipeline/test_quick_lock.py`` compares the two.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

MODULE = "dvc.utils.serialize._yaml"


class _Finder(MetaPathFinder):
    """Change DVC's module when it is imported: to import it here would slow down every other command."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        loader: Any = spec and spec.loader
        execute = loader.exec_module

        def execute_and_change(module: Any) -> None:
            execute(module)
            module.parse_yaml, module._dump = changed(module)

        loader.exec_module = execute_and_change
        return spec


def changed(module: Any) -> tuple[Callable[..., Any], Callable[[Any, Any], None]]:
    """Return the functions of DVC's that read and write a YAML file, changed for files named dvc.lock."""
    import pickle
    import textwrap

    import yaml
    from ruamel.yaml.resolver import implicit_resolvers

    resolvers: dict[str, list[Any]] = {}
    for versions, tag, pattern, initials in implicit_resolvers:
        for initial in initials if (1, 2) in versions else ():
            resolvers.setdefault(initial, []).append((tag, pattern))

    class Loader(yaml.CSafeLoader):
        """Takes for numbers, and for true, what YAML 1.2 does, as DVC's library."""

        yaml_implicit_resolvers = resolvers

    class Dumper(yaml.CSafeDumper):
        """Puts in quotes what a reader would otherwise take for a number."""

        yaml_implicit_resolvers = resolvers

    Dumper.add_representer(module.OrderedDict, yaml.CSafeDumper.represent_dict)
    parse, dump = module.parse_yaml, module._dump
    known: dict[tuple[str, str, bool], bytes] = {}
    written: dict[bytes, str] = {}

    def parse_once(text: Any, path: Any, typ: str = "safe") -> Any:
        lock = Path(path).name == "dvc.lock"
        if typ != "safe" and not lock:  # it keeps comments
            return parse_quickly(text, path, typ)
        key = text, typ, lock
        if key not in known:
            known[key] = pickle.dumps(parse_quickly(text, path, typ))
        return pickle.loads(known[key])

    def parse_quickly(text: Any, path: Any, typ: str = "safe") -> Any:
        if Path(path).name == "dvc.lock":
            try:
                return yaml.load(text, Loader) or {}
            except yaml.YAMLError:  # DVC's own library says in DVC's words what is wrong
                pass
        return parse(text, path, typ)

    def text_of(data: Any) -> str:
        return yaml.dump(data, None, Dumper, sort_keys=False, width=1 << 20, allow_unicode=True)

    def dump_quickly(data: Any, stream: Any) -> None:
        if Path(stream.name).name != "dvc.lock":
            dump(data, stream)
            return
        stages = data.get("stages")
        stream.write(text_of({key: value for key, value in data.items() if key != "stages" or not stages}))
        stream.write("stages:\n" if stages else "")
        for name, entry in (stages or {}).items():  # one or two of which differ from those that were written last
            key = pickle.dumps((name, entry))
            if key not in written:
                written[key] = textwrap.indent(text_of({name: entry}), "  ")
            stream.write(written[key])

    return parse_once, dump_quickly


sys.meta_path.insert(0, _Finder())
