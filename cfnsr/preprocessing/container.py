"""Open media files; what libav, or another library, raises about a file is that file's error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition

from cfnsr.errors import CfnsrError


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a media file.

    Raises:
        CfnsrError: libav cannot read it, now or within the ``with``.
    """
    try:
        # The path is absolute because libav would read a file named "concat:..." as one of its protocols. The options
        # keep libav from decoding some ten frames to probe the file: an mp4's header has all that is needed.
        with av.open(str(path.absolute()), options={"threads": "1", "skip_frame": "all"}) as container:
            yield container
    except (av.error.FFmpegError, UnicodeError) as error:
        problem = f"is not a readable media file ({getattr(error, 'strerror', error)})"
        raise CfnsrError(path, problem, "Fetch or record the clip again") from error


@contextmanager
def one_clip(path: Path) -> Iterator[None]:
    """Turn whatever a library raises about a clip into that clip's error, so that it takes no other clip with it.

    Raises:
        CfnsrError: a library raised an error within the ``with``.
    """
    try:
        yield
    except CfnsrError:
        raise
    except Exception as error:  # PyAV, OpenCV, dlib and LiteRT raise many types
        first_line = (str(error).splitlines() or [""])[0]
        problem = f"cannot be processed ({type(error).__name__}: {first_line})"
        raise CfnsrError(path, problem, "Convert it to H.264 and AAC, or remove it") from error


def pictures(container: InputContainer) -> list[av.VideoStream]:
    """Return the video streams that are no covers; none of sound alone."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def decode_sound(packet: av.Packet) -> list[av.AudioFrame]:
    """Decode a packet; a broken one has no frame, as in players."""
    try:
        return packet.decode()  # pyright: ignore[reportReturnType]
    except av.error.InvalidDataError:
        return []
