"""What a reader made of a damaged file, and which of it may be."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How the reading of a damaged file, or a command in a hostile place, ended."""

    CLEAN_ERROR = "clean error"  # one line that names the file
    DETECTED = "detected"  # read on, and said what is missing
    EQUAL = "equal"  # what was written, bit for bit: the damage hit bytes that hold no content
    OTHER_DATA = "other data"  # other content that nothing in the format could tell from the right one
    SILENTLY_WRONG = "silently wrong"  # other content although the format carries a checksum
    TRACEBACK = "traceback"
    CRASH = "crash"  # the process died of a signal
    HANG = "hang"


ALLOWED = frozenset({Outcome.CLEAN_ERROR, Outcome.DETECTED, Outcome.EQUAL})
ALLOWED_WITHOUT_CHECKSUM = ALLOWED | {Outcome.OTHER_DATA}
