"""An S3 for tests: Moto's server, which keeps the rule of conditional writes that Delta needs."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def embedded_s3(bucket: str) -> Iterator[dict[str, str]]:
    """Run a server with one bucket, and yield AWS's variables that lead to it."""
    # Only the tests that ask for it need the packages.
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        variables = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        client = boto3.client(
            "s3",  # pyright: ignore[reportCallIssue, reportArgumentType]
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="tests",
            aws_secret_access_key="tests",  # noqa: S106 - Moto takes any
        )
        client.create_bucket(Bucket=bucket)
        yield variables
    finally:
        server.stop()
