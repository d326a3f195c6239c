"""Ogg pages (RFC 3533): where each link of a chain begins, and whether its last page is there.

libsndfile reads the first link and takes a stream without its last page as complete.
"""

from __future__ import annotations

from audio_eval.formats.part import Unsound

_FIRST, _LAST = 2, 4  # flags of a page in its logical stream
_HEAD = 27  # bytes before the table of segments
# Of ten minutes, at a page for every millisecond; and of links, each of which is opened as a file of its own.
_MOST_PAGES, _MOST_LINKS = 600_000, 1_000


def links(data: bytes) -> list[bytes]:
    """The links of a chain, each a file of its own. Raises ``Unsound`` where the end of a stream is missing."""
    starts: list[int] = []
    open_streams: set[bytes] = set()
    at, pages, heading = 0, 0, False  # heading: among the first pages of a link, one for each of its streams
    while data[at : at + 4] == b"OggS":
        head = data[at : at + _HEAD]
        table = data[at + _HEAD : at + _HEAD + head[-1]]
        size = _HEAD + len(table) + sum(table)
        if len(head) < _HEAD or len(table) < head[-1] or at + size > len(data):
            raise Unsound.cut()
        flags, stream = head[5], head[14:18]
        if flags & _FIRST:
            if not heading:
                if open_streams:
                    raise Unsound.cut()
                starts.append(at)
            open_streams.add(stream)
        if flags & _LAST:
            open_streams.discard(stream)
        heading = bool(flags & _FIRST)
        at, pages = at + size, pages + 1
        if pages > _MOST_PAGES or len(starts) > _MOST_LINKS:
            raise Unsound(f"more than {_MOST_PAGES} pages or {_MOST_LINKS} links; convert it to WAV")
    if open_streams or data.find(b"OggS", at) >= 0:  # a page is damaged or cut, and another one stands behind it
        raise Unsound.cut()
    if len(starts) < 2:
        return [data]
    return [data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]
