"""The card of a model: what it was trained on, how well it does on other speakers, and what it is not for.

It lies beside the model's file as ``card.json``. Importing this module does not load torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cfnsr.errors import CfnsrError
from cfnsr.runtime import stored
from cfnsr.runtime.outputs import atomic_file

FILE = "card.json"
NOT_FOR = (
    "Not for decisions about people: it names the emotion that acted recordings sound or look like, "
    "and not what somebody feels"
)

_LEAST_TEMPERATURE = 1e-6  # and one over it the largest: beyond, probabilities are no longer told apart


@dataclass(frozen=True)
class HeldOut:
    """How well models of this kind do on speakers that they were not trained on; shares are from 0 to 1.

    Attributes:
        accuracy: on all test clips of all folds.
        ci_low, ci_high: 95 % confidence interval of the accuracy, over speakers, unless the run asks for another level.
        uar: mean of the emotions' recalls.
        clips, speakers: how many were tested.
        protocol: who selected the model, see docs/protocol.md.
        candidates: how many kinds of models it was chosen from, on the validation speakers.
        optimism: by how much the accuracy is too high, because it was chosen from them.
    """

    accuracy: float
    ci_low: float
    ci_high: float
    uar: float
    clips: int
    speakers: int
    protocol: str
    candidates: int = 1
    optimism: float = 0.0
    __pydantic_config__: ClassVar = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True)
class CrossFigure:
    """How well a classifier of this kind does on another corpus than it was trained on; shares are from 0 to 1.

    Attributes:
        trained_on: the training corpora, separated by commas.
        corpus: the corpus that was tested.
        emotions: those that the corpora share, by their common names.
        accuracy: on the clips of these emotions.
        ci_low, ci_high: as in ``HeldOut``, over the speakers of the tested corpus.
        chance: one over the number of emotions.
        standardised: by whose mean and deviation: ``training``, or ``target``, for which the tested clips must be known
            beforehand.
    """

    trained_on: str
    corpus: str
    emotions: list[str]
    accuracy: float
    ci_low: float
    ci_high: float
    chance: float
    standardised: str
    __pydantic_config__: ClassVar = ConfigDict(extra="ignore", allow_inf_nan=False)


@dataclass(frozen=True)
class Card:
    """What is known of a model; what is not known is empty.

    Attributes:
        name: of the model.
        corpus: that it was trained on.
        language: of that corpus.
        labels: the emotions, in the order of their class index.
        modalities: those that it reads.
        row: of the results table.
        fold: that it was trained in, so that the fold's test speakers are unknown to it.
        trained_clips, trained_speakers: how many it was fitted to.
        temperature: that the logits are divided by, so that confidence is close to accuracy; 1 if none was fitted.
        held_out: the row's figures; None if it was not tested.
        cross: figures of the same row across corpora.
        licence: of the corpus, and of a frozen encoder's weights.
        not_for: what it must not be used for.
    """

    name: str
    corpus: str = ""
    language: str = ""
    labels: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    row: str = ""
    fold: str = ""
    trained_clips: int | None = None
    trained_speakers: int | None = None
    temperature: float = 1.0
    held_out: HeldOut | None = None
    cross: list[CrossFigure] = field(default_factory=list)
    licence: str = ""
    not_for: str = NOT_FOR
    # A later version may say more.
    __pydantic_config__: ClassVar = ConfigDict(extra="ignore", allow_inf_nan=False)

    @classmethod
    def of(cls, model: Path) -> Card:
        """Read the card beside a model's file; without one, all but the name is empty.

        Raises:
            CfnsrError: there is a card, and it cannot be read.
        """
        path = model.with_name(FILE)
        if not path.exists():
            return cls(model.stem)
        with stored.reading(path, "the card of a model"):
            return cls.from_json(path.read_bytes(), path)

    @classmethod
    def from_json(cls, text: str | bytes, where: object) -> Card:
        """Read what ``to_json`` wrote.

        Args:
            text: the JSON.
            where: the file that it is from, for the error.

        Raises:
            CfnsrError: it is not a card.
        """
        try:
            card = TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            problem = f"is not the card of a model ({'.'.join(map(str, fault['loc']))} {fault['msg']})"
            raise CfnsrError(where, problem, f"{stored.AGAIN}; or delete it") from error
        if not _LEAST_TEMPERATURE <= card.temperature <= 1 / _LEAST_TEMPERATURE:
            raise CfnsrError(where, f"its temperature is {card.temperature:g}", f"{stored.AGAIN}; or delete it")
        return card

    def to_json(self) -> str:
        """Write the card as JSON; equal cards give equal text."""
        return TypeAdapter(Card).dump_json(self, indent=2).decode() + "\n"

    def write(self, folder: Path) -> None:
        """Write the card into the folder of its model."""
        with atomic_file(folder / FILE) as partial:
            partial.write_text(self.to_json(), encoding="utf-8")

    def trained_on(self) -> str:
        """Say in a few words what the model was trained on."""
        if not self.corpus:
            return "not known: no card.json lies beside the model"
        language = f", {self.language}" if self.language else ""
        counts = [(self.trained_clips, "clips"), (self.trained_speakers, "speakers")]
        sizes = " of ".join(f"{count:,} {what}" for count, what in counts if count is not None)
        return f"{self.corpus}{language}" + (f": {sizes}" if sizes else "")

    def figures(self) -> Iterator[str]:
        """Say how well it does: on held-out speakers first, then across corpora."""
        if self.held_out is None:
            yield "held out: not known"
        else:
            of = f"{self.held_out.clips:,} clips, {self.held_out.speakers} speakers"
            chance = f", chance {100 / len(self.labels):.1f}" if self.labels else ""
            figure = f"{_percent(self.held_out)} of {of}{chance}{_choice(self.held_out)}"
            yield f"held out by speaker on {self.corpus}: {figure}"
        for cross in self.cross:
            known = ", standardised by the tested clips" if cross.standardised == "target" else ""
            yield (
                f"trained on {cross.trained_on}, tested on {cross.corpus}: {_percent(cross)} of "
                f"{len(cross.emotions)} emotions, chance {100 * cross.chance:.1f}{known}"
            )


def shipped() -> list[Path]:
    """List the files of the models that come with cfnsr; each is named by its folder."""
    return sorted(Path(__file__).parent.glob("shipped/*/model.safetensors"))


def _choice(figure: HeldOut) -> str:
    if figure.candidates == 1:
        return ""
    return f"; chosen from {figure.candidates}, which makes it {100 * figure.optimism:.1f} points too high"


def _percent(figure: HeldOut | CrossFigure) -> str:
    return f"{100 * figure.accuracy:.1f} % ({100 * figure.ci_low:.1f}–{100 * figure.ci_high:.1f})"
