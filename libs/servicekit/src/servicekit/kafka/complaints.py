"""What librdkafka complains of while it tries again, told once and with what would mend it."""

import logging
import re
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

log = logging.getLogger("servicekit.kafka")
client_log = logging.getLogger("servicekit.kafka.client")

QUIET_SECONDS = 60.0
"""Before the same complaint is told again; the client has it with every attempt to connect."""
FRESH_SECONDS = 30.0
"""How long a complaint may be taken for the cause of what fails now."""

REMEDIES = (
    (
        re.compile(r"certificate verify failed|self.signed certificate|unable to get .* issuer"),
        "KAFKA_CA_FILE has to name the authority that signed the brokers' certificates",
    ),
    (
        re.compile(r"alert (bad certificate|certificate required)|alert handshake failure"),
        "the brokers ask for a client certificate: set KAFKA_CERT_FILE and KAFKA_KEY_FILE",
    ),
    (
        re.compile(r"[Uu]nsupported SASL mechanism"),
        "set KAFKA_SASL_MECHANISM to one of theirs",
    ),
    (
        re.compile(r"[Aa]uthentication (error|failed|failure)"),
        "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM",
    ),
    (
        re.compile(r"connecting to a PLAINTEXT broker listener|wrong version number|SSL handshake"),
        "check KAFKA_SECURITY_PROTOCOL: this listener does not seem to speak TLS",
    ),
    (
        re.compile(
            r"connecting to a (SASL_)?SSL|ApiVersionRequest failed|security\.protocol"
            r"|SASL mechanism handshake failed"
        ),
        "check KAFKA_SECURITY_PROTOCOL: this listener does not seem to speak as it says",
    ),
)
"""What to change, by what the client says; the first that fits counts."""

_VARYING = re.compile(
    r" \(after \d+ms in state \w+(, \d+ identical error\(s\) suppressed)?\)"
    r"|, \d+ identical error\(s\) suppressed"
)
_FAILURE = re.compile(r"FAIL \[[^]]*\](?: \[[^]]*\])*: (.*)", re.DOTALL)


class Complaints:
    """Takes what a process's Kafka clients complain of.

    Args:
        clock: Seconds that only go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._refused: tuple[float, str] | None = None

    def take(self, error: KafkaError) -> None:
        """The client's `error_cb`."""
        self.note(error.str(), fatal=error.fatal())

    def note(self, text: str, *, fatal: bool = False) -> None:
        """Tell a complaint, unless it was told lately."""
        text = _VARYING.sub("", text)
        now = self._clock()
        remedy = remedy_for(text)
        if remedy:
            text = f"{text}: {remedy}"
            self._refused = (now, text)
        if now - self._told.get(text, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._told[text] = now
        # Every call that fails for it raises as well; this is for whoever reads the logs.
        log.log(logging.ERROR if fatal or remedy else logging.WARNING, "%s", text)

    @property
    def cause(self) -> str | None:
        """Why the brokers do not let this process in, if they lately said so."""
        if self._refused is None or self._clock() - self._refused[0] > FRESH_SECONDS:
            return None
        return self._refused[1]


def remedy_for(text: str) -> str | None:
    """What a person has to change, if the client says that it is not let in."""
    return next((remedy for pattern, remedy in REMEDIES if pattern.search(text)), None)


class ClientLog:
    """Stands as the logger of librdkafka, which tells some failures here and to no callback."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints

    def log(self, level: int, line: str, *words: object) -> None:
        """Take one line, such as `FAIL [rdkafka#consumer-1] [thrd:…]: host:9092/1: …`."""
        if failure := _FAILURE.match(line % words):
            self._complaints.note(failure.group(1))
        else:
            client_log.log(level, line, *words)
