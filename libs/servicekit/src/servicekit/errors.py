"""What can go wrong in the kit, and who acts.

    ServicekitError
    ├── PoisonMessageError       nobody can handle it: to the dead letters, and on
    │   ├── UndecodableError     not a CloudEvent, or not JSON
    │   ├── UnknownEventError    a CloudEvent of a type that no contract names
    │   ├── InvalidBodyError     breaks the contract of its type
    │   ├── TooManyHopsError     events that cause each other without end
    │   └── TooLargeError        larger than a topic takes
    ├── UnavailableError         an outage: wait, and try the same message again
    │   └── TransactionAbortedError  nothing was published; the batch is read again
    ├── OverloadedError          a bounded queue is full: the caller is told to come back
    ├── RefusedResetError        a start that would have events counted twice: the person decides
    └── FatalBusError            this process can do no more: it exits, and is started again

What a handler raises beside these is its bug: the message goes to the dead letters with the text.
What the business expects (a training that fails) is no error but an event.
"""


class ServicekitError(Exception):
    """Root of the kit's errors."""


class PoisonMessageError(ServicekitError):
    """A message that will never be handled, however often it is tried."""


class UndecodableError(PoisonMessageError):
    """The bytes are no CloudEvent with a JSON body."""


class UnknownEventError(PoisonMessageError):
    """The type is in no contract."""


class InvalidBodyError(PoisonMessageError):
    """The body breaks the contract of its type; the text names field, value and rule."""


class TooManyHopsError(PoisonMessageError):
    """The chain of causes is longer than any turn of the loop."""


class TooLargeError(PoisonMessageError):
    """A body or a value of the state is larger than a topic takes."""


class UnavailableError(ServicekitError):
    """An outage of something the service depends on; raised by adapters, retried by loops."""


class TransactionAbortedError(UnavailableError):
    """The transaction was given up: none of its outputs exists."""


class OverloadedError(ServicekitError):
    """A bounded queue is full."""


class RefusedResetError(ServicekitError):
    """To go on reading from there would do harm, as the text says."""


class FatalBusError(ServicekitError):
    """The client was fenced or is broken beyond repair."""
