"""Refuse files that are no recordings or exceed the limits, by their headers and packets; nothing is decoded."""

from __future__ import annotations

from pathlib import Path

import av
import av.error

from cfnsr.errors import CfnsrError
from cfnsr.inference.demo.limits import Limits
from cfnsr.preprocessing import container
from cfnsr.preprocessing.clip_sound import timeline_of_file

# All other formats of libav are refused: some, such as playlists, name other files; others are single pictures.
_FORMATS = "aac,ac3,aiff,amr,asf,au,avi,caf,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,w64,wav"
_MAX_PIXELS = 4096 * 2304  # of a frame: 4K
_MAX_STREAMS = 16
_REMEDY = "Shorten or convert the recording"


def check(path: Path, limits: Limits) -> None:
    """Check that a file is a recording, and neither too long nor of too many pixels.

    Raises:
        CfnsrError: the file is refused, or cannot be read.
    """
    if not path.stat().st_size:
        raise CfnsrError(path, "is empty", "Record it again, or choose another file")
    with container.one_clip(path):
        _check_header(path)
        timeline = timeline_of_file(path)
    starts_s = [start_s for _, start_s in timeline.tracks] + [float(start_s) for start_s in timeline.times_s[:1]]
    length_s = max(starts_s) + timeline.duration_s
    if not length_s <= 60 * limits.max_minutes:  # also true for NaN
        problem = f"is {length_s / 60:.1f} minutes long, and at most {limits.max_minutes:g} are allowed"
        raise CfnsrError(path, problem, _REMEDY)


def _check_header(path: Path) -> None:
    options = {"format_whitelist": _FORMATS, "threads": "1", "skip_frame": "all"}
    try:
        with av.open(str(path.absolute()), options=options) as opened:
            if len(opened.streams) > _MAX_STREAMS:
                raise CfnsrError(path, f"has {len(opened.streams)} streams", _REMEDY)
            for stream in container.pictures(opened):
                context = stream.codec_context
                if context is not None and not 0 < context.width * context.height <= _MAX_PIXELS:
                    problem = f"has pictures of {context.width} x {context.height} pixels, more than 4K or none"
                    raise CfnsrError(path, problem, _REMEDY)
    except (av.error.FFmpegError, UnicodeError) as error:
        problem = "is neither a video nor a sound file that can be read"
        raise CfnsrError(path, problem, "Choose another file, for instance mp4, webm, wav or mp3") from error
