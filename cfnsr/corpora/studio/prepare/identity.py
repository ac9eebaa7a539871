"""Looks and voice of an actor, which do not depend on the emotion."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from cfnsr.errors import CfnsrError


@dataclass(frozen=True)
class Identity:
    """One actor.

    Attributes:
        wide, tall: factors on the face's width and height.
        eyes, mouth: factors on the distance between the eyes and on the mouth's width.
        mirrored: whether the portrait is mirrored.
        gains: factor on each colour channel of the whole picture.
        backdrop: colour of the tint around the head, RGB 0 to 255.
        offset: of the head, pixels from the middle of the picture at 1280x720.
        variant: espeak-ng's voice.
        pitch: of the voice at rest, 0 to 99.
        words_a_minute: tempo at rest.
        level_db: loudness at rest, in dB.
    """

    wide: float
    tall: float
    eyes: float
    mouth: float
    mirrored: bool
    gains: tuple[float, float, float]
    backdrop: tuple[float, float, float]
    offset: tuple[float, float]
    variant: str
    pitch: float
    words_a_minute: float
    level_db: float


def of(actor: str, seed: int) -> Identity:
    """Draw an actor's looks and voice; odd numbers are male, as in RAVDESS.

    Raises:
        CfnsrError: the actor is not two digits.
    """
    if not re.fullmatch(r"[0-9]{2}", actor):
        raise CfnsrError("actors", f"{actor!r} is not two digits", "Use '01', '02', ... for studio's actors")
    number = int(actor)
    random = np.random.default_rng([seed, number])
    male = number % 2 == 1
    light = random.uniform(0.85, 1.12)
    gains = light * np.exp(random.normal(0, 0.05, 3))
    variant = f"{'m' if male else 'f'}{1 + (number - 1) // 2 % (7 if male else 4)}"
    return Identity(
        wide=random.uniform(0.93, 1.07),
        tall=random.uniform(0.94, 1.06),
        eyes=random.uniform(0.95, 1.05),
        mouth=random.uniform(0.92, 1.08),
        mirrored=bool(random.integers(2)),
        gains=tuple(gains.tolist()),
        backdrop=tuple(random.uniform(40, 200, 3).tolist()),
        offset=(random.uniform(-60, 60), random.uniform(-15, 15)),
        variant=f"en-us+{variant}",
        pitch=(32 if male else 52) + random.uniform(-5, 5),
        words_a_minute=165 * random.uniform(0.94, 1.06),
        level_db=random.uniform(-1.5, 1.5),
    )
