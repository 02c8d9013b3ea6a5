"""Feast's registry without code in it; Feast loads this by its name.

Feast keeps transformations as pickled functions and as source, and runs both while it parses the
registry. So its protobuf is looked through before Feast sees it, each time that it is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feast.infra.registry.registry import get_registry_store_class_from_scheme
from feast.infra.registry.registry_store import RegistryStore
from feast.protos.feast.core.FeatureView_pb2 import FeatureView
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.core.StreamFeatureView_pb2 import StreamFeatureView
from feast.repo_config import RegistryConfig
from google.protobuf.message import DecodeError, Message

from stores.feast import CodeInRegistryError

_CODE = frozenset(
    f"feast.core.{name}"
    for name in (
        "OnDemandFeatureView",
        "UserDefinedFunction",
        "UserDefinedFunctionV2",
        "SubstraitTransformationV2",
        "GEValidationProfiler",
        "GEValidationProfile",
    )
)
"""Messages whose bytes or text Feast runs."""
_VERSIONS: dict[str, type[Message]] = {
    "feature_view": FeatureView,
    "stream_feature_view": StreamFeatureView,
}
"""What the bytes of an older version are; a kind that is not listed is refused."""


class GuardedRegistryStore(RegistryStore):
    """The store that Feast has for a path; what it reads and writes holds no code."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        store: Any = get_registry_store_class_from_scheme(registry_config.path)
        self._inner = store(registry_config, repo_path)

    def get_registry_proto(self) -> Registry:
        """See `RegistryStore`; raises CodeInRegistryError."""
        found = self._inner.get_registry_proto()
        require_no_code(found)
        return found

    def update_registry_proto(self, registry_proto: Registry) -> None:
        """See `RegistryStore`; raises CodeInRegistryError, and writes nothing then."""
        require_no_code(registry_proto)
        self._inner.update_registry_proto(registry_proto)

    def teardown(self) -> None:
        """See `RegistryStore`."""
        self._inner.teardown()

    def set_project_metadata(self, project: str, key: str, value: str) -> None:
        """See Feast's stores."""
        self._inner.set_project_metadata(project, key, value)

    def get_project_metadata(self, project: str, key: str) -> str | None:
        """See Feast's stores."""
        return self._inner.get_project_metadata(project, key)


def require_no_code(registry: Message) -> None:
    """Raise CodeInRegistryError where a registry holds what Feast would run."""
    for where, part in _parts(registry, ""):
        kind = part.DESCRIPTOR.full_name
        if kind in _CODE:
            raise CodeInRegistryError(
                f"the Feast registry holds code ({where}, a {kind.rpartition('.')[2]}), which is"
                " never run: transformations belong into a model's pipeline; take them out of"
                " features.py, and have ingest write a new registry.db"
            )
        if kind == "feast.core.DataSource":
            source: str = getattr(part, "data_source_class_type")  # noqa: B009 - of a Message
            if source and not source.startswith("feast."):
                raise CodeInRegistryError(
                    f"the Feast registry names the class {source[:200]!r} ({where}), which is not"
                    " Feast's own and never imported: use one of Feast's data sources"
                )


def _parts(message: Message, where: str) -> Iterator[tuple[str, Message]]:
    """A message and all that is set inside of it, with the path to each."""
    yield where.lstrip("."), message
    if message.DESCRIPTOR.full_name == "feast.core.FeatureViewVersionRecord":
        yield from _parts(_older(message), f"{where}.feature_view_proto")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        path = f"{where}.{field.name}"
        if field.message_type.GetOptions().map_entry:
            values = list(value.values())
        else:
            values = [value] if isinstance(value, Message) else list(value)
        for each in values:
            if isinstance(each, Message):
                yield from _parts(each, path)


def _older(record: Any) -> Message:
    kind = _VERSIONS.get(record.feature_view_type)
    try:
        if kind is not None:
            return kind.FromString(record.feature_view_proto)
    except DecodeError:
        pass
    raise CodeInRegistryError(
        f"the Feast registry holds an older version of {record.feature_view_name[:200]!r} that is"
        " no plain feature view: have ingest write a new registry.db"
    )
