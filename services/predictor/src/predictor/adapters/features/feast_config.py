"""How Feast is told of its registry and of its online store."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from stores.storage import StorageUri, inside

PROJECT = "tailrace"


def repo_config(repo: StorageUri, online_store: Mapping[str, Any], project: str = PROJECT) -> Any:
    """The `feast.RepoConfig` of the place that holds `registry.db`."""
    from feast import RepoConfig

    return RepoConfig(
        project=project,
        provider="local",
        registry={"path": inside(repo, "registry.db"), "cache_ttl_seconds": 0},
        online_store=dict(online_store),
        entity_key_serialization_version=3,
    )


def redis_online_store(redis_url: str) -> dict[str, str]:
    """Feast's configuration of the Redis at a URL.

    Raises:
        ValueError: see `connection_string`.
    """
    return {"type": "redis", "connection_string": connection_string(redis_url)}


def connection_string(redis_url: str) -> str:
    """Feast's way to write a Redis URL: `host:port,db=0,password="…"`.

    Raises:
        ValueError: it is no Redis URL, or its password has a comma, which Feast cannot carry.
    """
    url = urlsplit(redis_url)
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ValueError(
            f"REDIS_URL starts with {url.scheme or 'no scheme'!r}: write redis://host:port/db"
        )
    if "," in unquote(url.password or "") or "," in unquote(url.username or ""):
        raise ValueError("REDIS_URL has a comma in its user or password, which Feast cannot carry")
    parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
    if url.scheme == "rediss":
        parts.append("ssl=true")
    if url.username:
        parts.append(f"username={json.dumps(unquote(url.username))}")
    if url.password:
        parts.append(f"password={json.dumps(unquote(url.password))}")
    # An answer later than this is worth nothing to a request.
    parts += ["socket_connect_timeout=1", "socket_timeout=1"]
    return ",".join(parts)
