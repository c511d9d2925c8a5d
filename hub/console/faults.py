"""What goes wrong with a request, told in the reader's language; and what no reader is told."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException

from hub.console.languages import marked
from hub.errors import JisrError, Retriable
from hub.ops.finding import NotFound


@dataclass
class Fault(Exception):
    """A request that cannot be answered: HTTP status, and why and how to go on, as a marked message."""

    status: int
    message: str
    retry_after_s: float = 0.0

    def __str__(self) -> str:
        return self.message


TITLES = {
    400: marked("This request cannot be understood"),
    401: marked("Not signed in"),
    403: marked("Not allowed"),
    404: marked("Not found"),
    405: marked("Not possible here"),
    409: marked("Not possible now"),
    413: marked("Too much at once"),
    429: marked("Too many attempts"),
    500: marked("Something is broken"),
    503: marked("Not available right now"),
}

_PLAIN = {
    404: marked("There is no such page, or it is not for you to see."),
    405: marked("This address does not take this kind of request."),
}


def fault(error: Exception) -> Fault:
    """What a reader is told of an error: never its text, which may speak of servers or of persons."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, NotFound):
        return Fault(404, _PLAIN[404])
    if isinstance(error, Retriable):
        return Fault(
            503,
            marked("The hub's store, Kafka or the schema registry does not answer. Try again in a moment."),
        )
    if isinstance(error, HTTPException) and error.status_code in TITLES:
        return Fault(error.status_code, _PLAIN.get(error.status_code, TITLES[400]))
    if isinstance(error, JisrError):
        return Fault(409, marked("The hub refuses this as it stands now. Its log says why."))
    return Fault(500, marked("This is a fault of the console. Its log says what happened."))
