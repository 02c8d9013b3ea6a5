"""A text of an error is told without what is secret in it."""

import pytest

from servicekit.redaction import redacted


@pytest.mark.parametrize("user", ["me:secret", "me:se@cret", "me:se/cret", "secret", ":secret"])
def test_fault_1_9_an_address_is_told_without_its_password(user: str) -> None:
    text = f"404 for url: https://{user}@mlflow.example/api, and redis://h:1 of me@example.org"
    shown = "404 for url: https://***@mlflow.example/api, and redis://h:1 of me@example.org"
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "AWSAccessKeyId",
        "api_key",
        "sig",
        "PWD",
    ],
)
def test_fault_1_9_an_address_is_told_without_secret_parameters(name: str) -> None:
    for first in ("?", "?page=2&"):
        text = f"GET https://s3.example/a{first}{name}=s3cr%2Ft&part=1 failed"
        assert redacted(text) == f"GET https://s3.example/a{first}{name}=***&part=1 failed"


def test_fault_1_9_a_list_of_options_is_told_without_its_password() -> None:
    assert redacted("redis at h:6379,password=secret,db=1") == "redis at h:6379,password=***,db=1"


@pytest.mark.parametrize(
    "text", ["", "s3://lake/a=b/c", "tokens=12, 3 of 4", "https://h/?page=2&size=10", "a@b = c"]
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
