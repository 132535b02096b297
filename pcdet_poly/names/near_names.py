"""A mistyped name -> the names that may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_LEAST = 0.6  # similarity of a name that is worth naming
_LEAST_OF_PART = 0.7  # parts are short, and a letter or two of them is much
_TIE = 0.05  # names as similar as that are named together
_MOST = 3


def find_near_names(word: str, names: Iterable[str], *, most: int = _MOST) -> list[str]:
    """Find the names that `word` may stand for, the nearest first; none where all are far.

    Near is a name with a letter too many, too few, wrong or in another's place, whatever the case; a name that
    begins with `word`, and where a last letter alone is missing no longer one; one that has `word` for a part
    (`width` of `head_width`), or the same parts in another order; and one whose parts begin with the letters of
    `word` (`lr` of `learning_rate`).

    Args:
        word: what was written.
        names: those that there are.
        most: how many are returned.
    """
    names = list(dict.fromkeys(names))
    if word in names:
        return [word]
    longer = [name for name in names if len(word) > 2 and name.startswith(word)]
    if without_last := [name for name in longer if name[:-1] == word and len(word) > 3]:
        return without_last[:most]
    if 0 < len(longer) <= most:
        return longer
    scores = {name: compute_similarity(word, name) for name in names}
    best = max(scores.values(), default=0.0)
    near = [name for name, score in scores.items() if score >= max(_LEAST, best - _TIE)]
    return sorted(near, key=lambda name: -scores[name])[:most]


def compute_similarity(word: str, name: str) -> float:
    """Compute how likely it is that who wrote `word` meant `name`: 1 for the same letters, 0 for nothing in common."""
    word, name = _fold(word), _fold(name)
    whole = _compare_letters(word, name)
    parts, own = name.strip("-").split("-"), word.strip("-").split("-")
    if len(parts) < 2 or "" in own or whole == 1:
        return whole
    if len(word) > 1 and word == "".join(part[0] for part in parts):
        return max(whole, 0.9)
    found = [max(_compare_letters(each, part) for part in parts) for each in own]
    if len(word) < 3 or min(found) < _LEAST_OF_PART:
        return whole
    return max(whole, 0.3 + 0.5 * sum(found) / len(found))  # less than for a name that is like it as a whole


def _fold(name: str) -> str:
    """Return a name in small letters and with one kind of sign between its parts."""
    return re.sub(r"[\W_]+", "-", name.casefold())


def _compare_letters(word: str, name: str) -> float:
    """Return the similarity of two texts by the letters in common, or by the single mistakes between them."""
    matcher = difflib.SequenceMatcher(None, name, word)
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < _LEAST:  # upper bounds, and cheap
        return 0.0
    mistakes = 1 - _count_mistakes(word, name) / max(len(word), len(name))
    return max(mistakes, matcher.ratio())


def _count_mistakes(word: str, name: str) -> int:
    """Count the letters that are too many, missing, wrong, or exchanged with their neighbours."""
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, letter in enumerate(word, start=1):
        new = [i]
        for j, other in enumerate(name, start=1):
            cost = min(new[j - 1] + 1, row[j] + 1, row[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == name[j - 2] and other == word[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        before, row = row, new
    return row[-1]
