from __future__ import annotations

from pathlib import Path

from cfnsr.runtime import checksum


def test_checksums_are_those_of_the_standards(tmp_path: Path) -> None:
    """RFC 1321, A.5, and NIST's example of SHA-256."""
    (tmp_path / "abc").write_bytes(b"abc")
    assert checksum.md5(tmp_path / "abc") == "900150983cd24fb0d6963f7d28e17f72"
    assert checksum.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
