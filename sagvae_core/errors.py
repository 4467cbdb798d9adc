"""The one error type for input a person can mend: what was expected, what came, and the remedy."""

from __future__ import annotations

_LONGEST = 300  # letters of what is quoted


class SagvaeError(ValueError):
    """Something given from outside (a file, an option, a table) cannot be used as it is.

    The command line prints the sentence and exits with code 2, a page shows it in place; a traceback is
    reserved for our own mistakes.
    """


def expected(what: str, wanted: object, got: object, remedy: str = "") -> SagvaeError:
    """Build the error "``what`` must be ``wanted``, got ``got``. ``remedy``" every module raises.

    What came, and what it was called, may be a stranger's: of more than some hundred letters the rest is left out.
    """
    return SagvaeError(f"{shortened(what)} must be {wanted}, got {shortened(got)}." + (f" {remedy}" if remedy else ""))


def reason(error: BaseException) -> str:
    """What another library's exception says, in one line for the middle of a sentence, without its class."""
    return shortened(" ".join(str(error).split()).rstrip(".") or "no reason given")


def shortened(value: object) -> str:
    """A stranger's words for the middle of a sentence: of more than some hundred letters the rest is left out."""
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST - 1] + "…"
