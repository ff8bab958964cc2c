"""Errors that are the user's to mend: shown as one message without a traceback."""


class UserError(ValueError):
    """Something that the user gave is wrong; the text names file or key, value and remedy."""


class BadItem(Exception):  # noqa: N818
    """One item cannot be used; it is set aside with this reason and the work goes on."""
