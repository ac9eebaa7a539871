"""How signatures are checked in tests: by beartype, an int being a float as Python's typing has it."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
