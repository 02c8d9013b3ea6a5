"""Places where files lie: a folder of this machine, or a prefix in an object store."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from servicekit.errors import UnavailableError
from servicekit.settings import plain_folder


def _known(place: str | Path) -> str:
    place = str(place)
    scheme, given, _ = place.partition("://")
    if given and scheme != "s3":
        raise ValueError(f"{scheme}:// is not known: write a folder or s3://bucket/prefix")
    return place if given else plain_folder(place)


StorageUri = Annotated[str, BeforeValidator(_known)]
"""A folder, or `s3://bucket/prefix`, reached with AWS's own variables (`AWS_ENDPOINT_URL` …)."""


def inside(place: str | Path, name: str) -> str:
    """The address of a file in a place; one in a folder is absolute."""
    text = str(place)
    return f"{text.rstrip('/')}/{name}" if "://" in text else str(Path(text).absolute() / name)


def is_there(address: str) -> bool:
    """Whether there is a file at an address; blocks.

    Raises:
        UnavailableError: the object store is away, or refuses to tell.
    """
    scheme, given, rest = address.partition("://")
    if not given:
        return Path(address).exists()
    # Imported here: only those who keep files in an object store have, and pay for, the client.
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = rest.partition("/")
    try:
        boto3.client(scheme).head_object(Bucket=bucket, Key=key)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NoSuchBucket"):
            return False
        raise UnavailableError(f"{address}: {error}") from error
    except BotoCoreError as error:
        raise UnavailableError(f"{address}: {error}") from error
    return True
