from __future__ import annotations

from cfnsr import corpora
from cfnsr.corpora import facts
from cfnsr.corpora.facts import CorpusFacts


def test_every_corpus_but_the_users_own_has_a_language() -> None:
    assert {name for name in corpora.names() if not facts.of(name).language} == {"folder"}
    assert facts.of("toy") == CorpusFacts()
