"""The one exception that speaks to users."""


class InputError(Exception):
    """A mistake in what the user gave: config key, file, map or option.

    The message is one line that names the file or key, what it got and what to do. Programs
    print it without a traceback and exit with status 1; anything else that is raised is a bug.
    """
