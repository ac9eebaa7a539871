"""A corpus is fetched, or taken from the user's folder, only if the user has accepted its licence."""

from __future__ import annotations

from cfnsr.errors import CfnsrError

RAVDESS = """RAVDESS is under Creative Commons BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/):
cite its authors, Livingstone and Russo (2018); no commercial use; share what you make of it under the same licence"""


def require(corpus: str, licence: str, *, accepted: bool) -> None:
    """Raise an error that states the licence, unless the user has accepted it.

    Raises:
        CfnsrError: the licence is not accepted.
    """
    if not accepted:
        remedy = f"To accept it: cfnsr preset {corpus} --accept-licence"
        raise CfnsrError(f"corpora.{corpus}.licence_accepted", licence, remedy)
