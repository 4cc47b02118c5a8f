"""The one exception that a user is meant to read: it names the file or key and the remedy."""


class InputError(Exception):
    """Bad input, found before long work starts.

    The message is one line: what is wrong, where (file and key), and what to do about it.
    Code that raises it leaves every finished file as it was.
    """
