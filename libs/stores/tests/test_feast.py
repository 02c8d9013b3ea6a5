"""Redis URLs as Feast reads them."""

from pathlib import Path
from urllib.parse import quote

import pytest

from stores.feast import connection_string, redis_online_store, registry_of


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://127.0.0.1:16379/0", "127.0.0.1:16379,db=0"),
        ("redis://valkey", "valkey:6379,db=0"),
        ("redis://:s3cret@valkey:1/2", 'valkey:1,db=2,password="s3cret"'),
        ("redis://:p%40ss@h:1/2", 'h:1,db=2,password="p@ss"'),
        ("redis://me:1234@valkey", 'valkey:6379,db=0,username="me",password="1234"'),
        ("redis://:a%40b%3D@valkey", 'valkey:6379,db=0,password="a@b="'),
        ("rediss://valkey:1", "valkey:1,db=0,ssl=true"),
        ("rediss://u:p@h:1", 'h:1,db=0,ssl=true,username="u",password="p"'),
        ("redis://h?health_check_interval=5", "h:6379,db=0,health_check_interval=5"),
    ],
)
def test_a_redis_url_is_written_as_feast_reads_it(url: str, text: str) -> None:
    assert connection_string(url) == text


@pytest.mark.parametrize(
    "url",
    ["valkey:6379", "127.0.0.1:6379", "http://valkey", "redis://", "redis://valkey?a=b,c"],
)
def test_a_url_that_feast_cannot_carry_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="REDIS_URL") as error:
        connection_string(url)
    assert url not in str(error.value).replace("redis://[", "")


def test_an_answer_is_waited_for_as_long_as_is_said_and_the_url_has_the_last_word() -> None:
    def waits(url: str, **timeout: int | None) -> str:
        return redis_online_store(url, **timeout)["connection_string"].removeprefix("h:6379,db=0")

    assert waits("redis://h") == ",socket_connect_timeout=1,socket_timeout=1"
    assert waits("redis://h", timeout_seconds=None) == ""
    assert waits("redis://h?socket_timeout=9") == ",socket_connect_timeout=1,socket_timeout=9"


def test_the_registry_lies_in_the_repository(tmp_path: Path) -> None:
    assert registry_of(tmp_path) == f"{tmp_path}/registry.db"
    assert registry_of("s3://bucket/feast") == "s3://bucket/feast/registry.db"


@pytest.mark.parametrize(
    "password",
    ["1234", "true", "null", '"quoted"', "[1]", '{"a":1}', "a,b=c", "1e5", "p@ss/:", "ü"],
)
def test_fault_6_12_feast_reads_a_password_back_as_it_is(password: str) -> None:
    from feast.infra.online_stores.redis import RedisOnlineStore

    text = connection_string(f"redis://:{quote(password, safe='')}@valkey:1/2")
    nodes, parameters = RedisOnlineStore._parse_connection_string(text)
    assert nodes == [{"host": "valkey", "port": "1"}]
    assert parameters == {"db": 2, "password": password}


def test_fault_6_12_an_address_that_feast_cannot_read_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="IPv6 address"):
        connection_string("redis://[::1]:6379/0")
