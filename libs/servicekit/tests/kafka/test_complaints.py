"""What the client complains of is told once, and with what would mend it."""

import logging

import pytest

from servicekit.kafka.complaints import QUIET_SECONDS, ClientLog, Complaints, remedy_for

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


def test_a_complaint_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    complaints = Complaints(lambda: now[0])
    with caplog.at_level(logging.WARNING, "servicekit.kafka"):
        for millisecond in range(5):
            complaints.note(f"{WRONG} (after {millisecond}ms in state AUTH_REQ)")
        assert len(caplog.records) == 1
        assert caplog.records[0].levelno == logging.ERROR
        now[0] = QUIET_SECONDS
        complaints.note(WRONG)
    assert len(caplog.records) == 2


def test_a_cause_that_is_old_is_none() -> None:
    now = [0.0]
    complaints = Complaints(lambda: now[0])
    assert complaints.cause is None
    complaints.note(WRONG)
    assert "KAFKA_SASL_PASSWORD" in str(complaints.cause)
    now[0] = 31.0
    assert complaints.cause is None


def test_a_failure_that_is_only_logged_counts_as_one_that_is_told() -> None:
    complaints = Complaints(lambda: 0.0)
    log = ClientLog(complaints)
    log.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#producer-1", f"[thrd:b]: {WRONG}")
    assert str(complaints.cause).startswith("sasl_ssl://b:1")
