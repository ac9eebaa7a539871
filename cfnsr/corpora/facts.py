"""Facts of the corpora that cards of models state. They decide no result, so no stage's data depends on them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CorpusFacts:
    """What a card says of a corpus; empty where it is not known.

    Attributes:
        language: that is spoken.
        licence: of its recordings.
    """

    language: str = ""
    licence: str = ""


_FACTS = {
    "crema_d": CorpusFacts("English", "ODbL 1.0"),
    "emodb": CorpusFacts("German", "CC0 1.0"),
    "ravdess": CorpusFacts("English", "CC BY-NC-SA 4.0"),
    "ravdess_speech": CorpusFacts("English", "CC BY-NC-SA 4.0"),
    "studio": CorpusFacts("English, synthetic"),
}


def of(corpus: str) -> CorpusFacts:
    """Return the facts of a corpus; of one that is not listed, as a folder of the user's own, nothing is known."""
    return _FACTS.get(corpus, CorpusFacts())
