import pytest

from predictor.adapters.features.feast_config import connection_string

LIMITS = "socket_connect_timeout=1,socket_timeout=1"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://127.0.0.1:16379/0", "127.0.0.1:16379,db=0"),
        ("redis://valkey", "valkey:6379,db=0"),
        ("redis://:s3cret@valkey:1/2", 'valkey:1,db=2,password="s3cret"'),
        ("redis://me:1234@valkey", 'valkey:6379,db=0,username="me",password="1234"'),
        ("redis://:a%40b%3D@valkey", 'valkey:6379,db=0,password="a@b="'),
        ("rediss://valkey:1", "valkey:1,db=0,ssl=true"),
    ],
)
def test_a_redis_url_is_written_as_feast_reads_it(url: str, text: str) -> None:
    assert connection_string(url) == f"{text},{LIMITS}"


@pytest.mark.parametrize("url", ["valkey:6379", "http://valkey", "redis://", "redis://:a,b@valkey"])
def test_a_url_that_feast_cannot_carry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL"):
        connection_string(url)
