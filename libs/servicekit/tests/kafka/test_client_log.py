"""What the client reports is logged once a minute, with the setting that mends it."""

import logging

import pytest

from servicekit.kafka.client_log import QUIET_SECONDS, ErrorLog, LibrdkafkaLogger, remedy_for

WRONG = "sasl_ssl://b:1/bootstrap: SASL authentication error: Authentication failed"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("SSL handshake failed: certificate verify failed", "KAFKA_CA_FILE"),
        ("ssl/tls alert bad certificate: SSL alert number 42", "KAFKA_CERT_FILE"),
        (WRONG, "KAFKA_SASL_PASSWORD"),
        ("mechanism handshake failed: Unsupported SASL mechanism", "KAFKA_SASL_MECHANISM"),
        ("connecting to a PLAINTEXT broker listener?", "KAFKA_SECURITY_PROTOCOL"),
        ("connecting to a SSL listener?", "KAFKA_SECURITY_PROTOCOL"),
    ],
)
def test_what_a_setting_would_mend_names_it(text: str, remedy: str) -> None:
    assert remedy in str(remedy_for(text))


def test_a_broker_that_is_away_is_no_matter_of_settings() -> None:
    assert remedy_for("Connect to ipv4#127.0.0.1:9 failed: Connection refused") is None


def test_an_error_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    errors = ErrorLog(lambda: now[0])
    with caplog.at_level(logging.WARNING, "servicekit.kafka"):
        for millisecond in range(5):
            errors.report(f"{WRONG} (after {millisecond}ms in state AUTH_REQ)")
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.ERROR
        now[0] = QUIET_SECONDS
        errors.report(WRONG)
    assert len(caplog.records) == 2


def test_a_cause_that_is_old_is_none() -> None:
    now = [0.0]
    errors = ErrorLog(lambda: now[0])
    assert errors.cause is None
    errors.report(WRONG)
    assert "KAFKA_SASL_PASSWORD" in str(errors.cause)
    now[0] = 31.0
    assert errors.cause is None


def test_a_failure_that_librdkafka_only_logs_counts_as_one_that_it_reports() -> None:
    errors = ErrorLog(lambda: 0.0)
    log = LibrdkafkaLogger(errors)
    log.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#producer-1", f"[thrd:b]: {WRONG}")
    assert str(errors.cause).startswith("sasl_ssl://b:1")
