"""Messages and questions as PostgreSQL's tsvector and tsquery, made here: no text of anybody is parsed by PostgreSQL.

Each lexeme begins with its chat and a shelf of that chat, 32,768 messages in a row. So the index has lists of messages
by shelf and word, and a search reads what is in the caller's own chats, whatever else is stored. See decision 0021.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from app.search.folding import fold
from app.search.index import Document
from app.search.tokens import places
from app.search.wanted import Sought, Wanted

SHELF = 1 << 15
"""Seqs of a shelf."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
# What PostgreSQL keeps of a lexeme: positions up to here, so many.
_LAST_POSITION = 16_383
_MOST_POSITIONS = 255
# A tsvector has less than 1 MiB; all that is past this is not found.
_MOST_BYTES = 700_000
# Bytes of a lexeme besides its letters, at most.
_OVERHEAD = 24


def shelf_of(seq: int) -> int:
    """The number of the shelf on which a message stands."""
    return (seq - 1) // SHELF


def first_seq(shelf: int) -> int:
    """The least seq of a shelf."""
    return shelf * SHELF + 1


def vector(document: Document) -> str:
    """The text of a message's tsvector: its words with their positions, its sender and its type."""
    shelf = _prefix(document.chat_id, shelf_of(document.seq))
    lexemes: dict[str, list[int]] = {_type(document.message_type): []}
    if document.sender_id is not None:
        lexemes[_sender(document.sender_id)] = []
    size = 0
    for lexeme, position in places(fold(document.text)):
        positions = lexemes.get(lexeme)
        if positions is None:
            size += len(lexeme.encode()) + len(shelf) + _OVERHEAD
            if size > _MOST_BYTES:
                break
            positions = lexemes[lexeme] = []
        if position <= _LAST_POSITION and len(positions) < _MOST_POSITIONS and position not in positions[-1:]:
            size += 2
            positions.append(position)
    return " ".join([_placed(shelf + lexeme, positions) for lexeme, positions in lexemes.items()])


def _placed(lexeme: str, positions: Sequence[int]) -> str:
    return f"{_quoted(lexeme)}:{','.join(map(str, positions))}" if positions else _quoted(lexeme)


def question(wanted: Wanted, chat_id: int, shelf: int) -> str:
    """The text of the tsquery for a shelf of a chat; where nothing is asked for it fits all messages."""
    return _question(wanted, wanted.terms, _prefix(chat_id, shelf))


def words(wanted: Wanted, chat_id: int, shelf: int) -> str | None:
    """The question as the index by words understands it, which knows no places; None where it is `question`."""
    if all(len(term) == 1 for term in wanted.terms):
        return None
    return _question(wanted, _apart(wanted.terms), _prefix(chat_id, shelf))


def beginning(wanted: Wanted, chat_id: int, shelf: int) -> str | None:
    """The part of the question that may be the beginning of a word; None where nothing would be left without."""
    return _term(_prefix(chat_id, shelf), wanted.terms[-1]) if has_beginning(wanted) else None


def rest(wanted: Wanted, chat_id: int, shelf: int) -> str | None:
    """The question without that part, and without places; None where there is no such part."""
    if not has_beginning(wanted):
        return None
    return _question(wanted, _apart(wanted.terms[:-1]), _prefix(chat_id, shelf))


def _apart(terms: Sequence[Sequence[Sought]]) -> list[list[Sought]]:
    return [[sought] for term in terms for sought in term]


def has_beginning(wanted: Wanted) -> bool:
    """Whether a part of the question may be the beginning of a word, and others are left without it."""
    return (
        bool(wanted.terms)
        and wanted.terms[-1][-1].is_beginning
        and (len(wanted.terms) > 1 or wanted.sender_id is not None)
    )


def _question(wanted: Wanted, given: Sequence[Sequence[Sought]], prefix: str) -> str:
    terms = [_term(prefix, term) for term in given]
    if wanted.sender_id is not None:
        terms.append(_quoted(prefix + _sender(wanted.sender_id)))
    if wanted.message_type is not None:
        terms.append(_quoted(prefix + _type(wanted.message_type)))
    return " & ".join(terms) or f"{_quoted(prefix + '=')}:*"


def _term(prefix: str, term: Sequence[Sought]) -> str:
    text = ""
    for sought in term:
        text += f" <{sought.distance}> " if text else ""
        text += _quoted(prefix + sought.lexeme) + (":*" if sought.is_beginning else "")
    return f"({text})"


def _prefix(chat_id: int, shelf: int) -> str:
    """Ends with a space, and no token has one: so no lexeme of a chat begins one of another chat."""
    return f"{_short(chat_id)}.{_short(shelf)} " if shelf else f"{_short(chat_id)} "


# No token begins with "=", which separates.
def _sender(user_id: int) -> str:
    return f"=@{_short(user_id)}"


def _type(message_type: str) -> str:
    return f"={message_type[0]}"


# The same chats and senders come again and again.
@lru_cache(maxsize=4_096)
def _short(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
