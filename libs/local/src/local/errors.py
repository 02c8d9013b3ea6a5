"""What can go wrong with the local stack, and who acts on it.

StackError                  the user: the message says what to do
├── ServerError             a server cannot be fetched, set up or started on this machine
└── SupervisorGoneError     the supervisor was killed: `tailrace down` cleans up after it
"""


class StackError(Exception):
    """The stack cannot do what was asked; the message names the remedy."""


class ServerError(StackError):
    """A server cannot be fetched, set up or started here."""


class SupervisorGoneError(StackError):
    """The supervisor does not answer."""
