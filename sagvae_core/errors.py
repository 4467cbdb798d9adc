"""The one error type for input a person can mend: what was expected, what came, and the remedy."""

from __future__ import annotations


class SagvaeError(ValueError):
    """Something given from outside (a file, an option, a table) cannot be used as it is.

    The command line prints the sentence and exits with code 2, a page shows it in place; a traceback is
    reserved for our own mistakes.
    """


def expected(what: str, wanted: object, got: object, remedy: str = "") -> SagvaeError:
    """Build the error "``what`` must be ``wanted``, got ``got``. ``remedy``" every module raises."""
    return SagvaeError(f"{what} must be {wanted}, got {got}." + (f" {remedy}" if remedy else ""))
