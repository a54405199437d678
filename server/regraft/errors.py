"""Every error that a user can meet, with the HTTP status that it means."""

from bisect import bisect
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches

LISTED = 30
"""Names that a message lists, of those that there are."""
COMPARED, ENDING = 100, 4
"""Names with which another is compared, at some 30 us each, and letters by which ends are alike."""


class RegraftError(Exception):
    """The root of all errors that are told to a user; `status` is its HTTP status."""

    status = 500


class InvalidInputError(RegraftError, ValueError):
    """What was asked for cannot be meant: a wrong value, option or combination."""

    status = 422


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data set.

    `row` counts data rows from 1 (None: the whole file), `code` is stable for programs.
    """

    code: str
    message: str
    row: int | None = None

    def __str__(self) -> str:
        where = "" if self.row is None else f"row {self.row}: "
        return f"{where}{self.message} [{self.code}]"


class DataError(InvalidInputError):
    """A data set that cannot be used; `problems` holds the first hundred reasons."""

    limit = 100

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        found = list(problems)
        self.source = source
        self.problems = tuple(found[: self.limit])
        shown = "\n".join(f"  {problem}" for problem in self.problems[:10])
        more = len(found) - min(len(found), 10)
        super().__init__(f"{source}:\n{shown}" + (f"\n  and {more} more" if more else ""))

    def as_dicts(self) -> list[dict[str, object]]:
        return [asdict(problem) for problem in self.problems]


class UnknownNameError(RegraftError, LookupError):
    """A name that nothing here, or nothing `of` what is named, bears; the message lists what there
    is, the first of many."""

    status = 404

    def __init__(self, kind: str, name: str, known: Iterable[str], of: str | None = None) -> None:
        names = sorted(known)
        near = get_close_matches(name, _alike(name, names), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(names[:LISTED]) if names else "none"
        more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        where = "" if of is None else f" of '{of}'"
        super().__init__(f"Unknown {kind} '{name}'{where}.{hint} Known: {listed}{more}.")


def _alike(name: str, names: list[str]) -> list[str]:
    """Of sorted names all, or of many those that begin or end most like this one."""
    if len(names) <= COMPARED:
        return names
    place, each = bisect(names, name), COMPARED // 4
    ends = [one for one in names if one.endswith(name[-ENDING:])]
    return names[max(0, place - each) : place + each] + ends[: 2 * each]


class TooSlowError(RegraftError):
    """The client did not send its request in time."""

    status = 408


class UnauthorizedError(RegraftError):
    """Nobody that this server knows asks."""

    status = 401


class ForbiddenError(RegraftError):
    """Who asks is known, and may not do this."""

    status = 403


class ConflictError(RegraftError):
    """The request is fine but contradicts the present state."""

    status = 409


class ChangedError(RegraftError):
    """The thing is no longer what the request was meant for."""

    status = 412


class TooLargeError(InvalidInputError):
    """An input over one of the caps; the message names the cap."""

    status = 413


class UnsupportedError(RegraftError, NotImplementedError):
    """A thing that this component does not offer; the message says what does."""

    status = 501


class RefusedError(RegraftError):
    """What another process refused, with the status that its error had."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


class OverloadedError(RegraftError):
    """The queue is full: come back after `retry_after` seconds."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class QuotaError(OverloadedError):
    """A project has as much as it may have; come back when it has less."""

    status = 429


class DeadlineError(RegraftError):
    """What a client gave a request as its time was over before it could be answered."""

    status = 504


class NotReadyError(OverloadedError):
    """The thing exists but cannot answer yet."""


class RunFailedError(RegraftError):
    """An adaptation that could not finish; the message is its reason."""


class NoTimeError(RunFailedError):
    """The budget was spent before anything was learnt."""


class CancelledRunError(RegraftError):
    """An adaptation that somebody cancelled."""

    status = 409
