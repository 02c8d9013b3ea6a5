"""Feast as every service configures it: one project, one registry, one online store."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stores.storage import StorageUri, inside

if TYPE_CHECKING:
    from feast import RepoConfig

PROJECT = "tailrace"


class CodeInRegistryError(Exception):
    """The registry holds what Feast would run while it reads; nothing of it was run."""


def registry_of(repo: StorageUri) -> str:
    """The address of the registry, which ingest writes."""
    return inside(repo, "registry.db")


def repo_config(
    repo: StorageUri,
    online_store: Mapping[str, Any] | None,
    project: str = PROJECT,
    **others: Any,
) -> "RepoConfig":
    """Feast's configuration.

    Args:
        repo: place that holds `registry.db`; it is read anew only when somebody says so.
        online_store: Feast's configuration of the online store, if one is used.
        project: the Feast project.
        others: what else is not Feast's default.
    """
    from feast import RepoConfig

    return RepoConfig(
        project=project,
        provider="local",
        registry={
            "path": registry_of(repo),
            "cache_ttl_seconds": 0,
            # By name, since it imports Feast.
            "registry_store_type": "stores.feast_registry.GuardedRegistryStore",
        },
        online_store=None if online_store is None else dict(online_store),
        entity_key_serialization_version=3,
        **others,
    )


def redis_online_store(redis_url: str, *, timeout_seconds: int | None = 1) -> dict[str, str]:
    """Feast's configuration of the Redis at a URL.

    Args:
        redis_url: `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS.
        timeout_seconds: of each answer, since a later one is worth nothing to a request; None:
            however long it takes.

    Raises:
        ValueError: see `connection_string`.
    """
    limits = ("socket_connect_timeout", "socket_timeout") if timeout_seconds else ()
    parameters = {name: str(timeout_seconds) for name in limits}
    return {"type": "redis", "connection_string": connection_string(redis_url, parameters)}


def connection_string(redis_url: str, parameters: Mapping[str, str] | None = None) -> str:
    """Feast's way to write a Redis URL: `host:port,db=0,password="…"`.

    Args:
        redis_url: of the Redis; its query may hold further parameters of the client.
        parameters: of the client, unless the URL says otherwise.

    Raises:
        ValueError: it is no Redis URL, or it holds what Feast cannot carry: the address of an IPv6
            host, or a comma in its query.
    """
    url = urlsplit(redis_url)
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ValueError("REDIS_URL: write redis://[user:password@]host:port[/db] or rediss://…")
    if ":" in url.hostname:
        raise ValueError(
            "REDIS_URL: Feast cannot read an IPv6 address such as [::1]: give the host by its name"
        )
    parts = {"db": url.path.strip("/") or "0"}
    if url.scheme == "rediss":
        parts["ssl"] = "true"
    # Quoted, for Feast would read a password such as 1234 as a number; it splits at each comma
    # before it reads a value as JSON.
    for name, given in (("username", url.username), ("password", url.password)):
        if given:
            parts[name] = json.dumps(unquote(given)).replace(",", "\\u002c")
    parts |= {**(parameters or {}), **dict(parse_qsl(url.query))}
    if any("," in value for value in parts.values()):
        raise ValueError("REDIS_URL: a comma in its query cannot be given to Feast")
    given = [f"{name}={value}" for name, value in parts.items()]
    return ",".join([f"{url.hostname}:{url.port or 6379}", *given])


def dataset_of(view: Any) -> str:
    """The dataset whose table a feature view is made of."""
    return str(view.batch_source.path).rstrip("/").rpartition("/")[2]
