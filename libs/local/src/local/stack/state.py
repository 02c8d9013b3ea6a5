"""What a stack must not lose: the files in its home that nothing can make again."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from local.errors import StackError
from local.stack.layout import Layout
from local.stack.settings import StackSettings

CACHES = ("model-cache", "trainer")
"""Folders of downloaded models under `data`: what is missing is fetched again from MLflow."""

OUTSIDE = {
    "kafka_bootstrap_servers": "the topics",
    "redis_url": "the online features",
    "mlflow_tracking_uri": "runs and model versions",
    "lake_uri": "the lake",
    "feast_repo": "the feature registry",
}
"""What lies outside of the home when one of these settings is given."""


def roots(layout: Layout) -> tuple[Path, ...]:
    """The folders of the home that hold state; a wipe removes them."""
    return (layout.data, layout.lake, layout.feast)


def files(layout: Layout) -> Iterator[Path]:
    """Every file of state, in a fixed order.

    Raises:
        StackError: Something is neither file nor folder, and an archive cannot hold it.
    """
    for path in _entries(layout):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            yield path
        elif not stat.S_ISSOCK(mode):
            raise StackError(
                f"{path} is a link or a device, which a backup does not hold: put what it stands "
                "for in its place, or remove it"
            )


def present(layout: Layout) -> list[str]:
    """The folders of the home that hold something already, such as `lake` or `data/kafka`."""
    found = set()
    for path in _entries(layout):
        parts = path.relative_to(layout.home).parts
        found.add("/".join(parts[: 2 if parts[0] == layout.data.name else 1]))
    return sorted(found)


def kept_outside(settings: StackSettings) -> dict[str, str]:
    """What these settings keep outside of the home, by the variable that says so.

    The values stay out: an address may hold a password, and a backup travels.
    """
    return {
        name.upper(): what for name, what in OUTSIDE.items() if getattr(settings, name) is not None
    }


def _entries(layout: Layout) -> Iterator[Path]:
    caches = {layout.data / name for name in CACHES}
    for root in roots(layout):
        if root.is_symlink():
            yield root
            continue
        for folder, names, leaves in os.walk(root):
            here = Path(folder)
            links = [name for name in names if (here / name).is_symlink()]
            names[:] = sorted(
                name for name in names if name not in links and here / name not in caches
            )
            for name in sorted([*links, *leaves]):
                if not name.endswith(".pid"):  # true only while its process runs
                    yield here / name
