"""The exceptions that a user is meant to read, in one line each."""


class InputError(Exception):
    """Bad input, found before long work starts.

    The message is one line: what is wrong, where (file and key), and what to do about it.
    Code that raises it leaves every finished file as it was.
    """


class Interrupted(Exception):
    """A signal ended the work before it was done; the message says where, and how it goes on."""
