"""The one exception for what the user gave us and can mend."""


class InputError(ValueError):
    """A problem with the data, an option or a checkpoint.

    The message is one line that says what is wrong, where, and what to do. The commands print it without a traceback and
    exit with a code that is not 0.
    """
