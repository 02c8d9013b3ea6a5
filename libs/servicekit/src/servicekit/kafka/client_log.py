"""Logs what librdkafka reports while it retries: once a minute, with the setting that mends it."""

import logging
import re
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

log = logging.getLogger("servicekit.kafka")
client_log = logging.getLogger("servicekit.kafka.client")

QUIET_SECONDS = 60.0
"""Before the same error is logged again; the client reports it with every attempt to connect."""
FRESH_SECONDS = 30.0
"""How long a reported error may be taken for the cause of what fails now."""

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


class ErrorLog:
    """Logs the errors that a process's Kafka clients report.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._refused: tuple[float, str] | None = None

    def on_error(self, error: KafkaError) -> None:
        """Handle the client's `error_cb`."""
        self.report(error.str(), fatal=error.fatal())

    def report(self, text: str, *, fatal: bool = False) -> None:
        """Log an error, unless it was logged within the last minute."""
        text = _VARYING.sub("", text)
        now = self._clock()
        remedy = remedy_for(text)
        if remedy:
            text = f"{text}: {remedy}"
            self._refused = (now, text)
        if now - self._logged_at.get(text, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._logged_at[text] = now
        # Every call that fails for it raises as well; this is for whoever reads the logs.
        log.log(logging.ERROR if fatal or remedy else logging.WARNING, "%s", text)

    @property
    def cause(self) -> str | None:
        """Why the brokers refuse this process, if they said so lately."""
        if self._refused is None or self._clock() - self._refused[0] > FRESH_SECONDS:
            return None
        return self._refused[1]


def remedy_for(text: str) -> str | None:
    """Return what a person has to change, if the text says that the brokers refuse the client."""
    return next((remedy for pattern, remedy in REMEDIES if pattern.search(text)), None)


class LibrdkafkaLogger:
    """The logger of librdkafka, which reports some failures here and to no callback."""

    def __init__(self, errors: ErrorLog) -> None:
        self._errors = errors

    def log(self, level: int, line: str, *words: object) -> None:
        """Log one line, such as `FAIL [rdkafka#consumer-1] [thrd:…]: host:9092/1: …`."""
        if failure := _FAILURE.match(line % words):
            self._errors.report(failure.group(1))
        else:
            client_log.log(level, line, *words)
