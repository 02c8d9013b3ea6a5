"""Where the files of a stack lie inside its home folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The files and folders of one stack."""

    home: Path

    @property
    def data(self) -> Path:
        """Folder of the broker's, Valkey's and MLflow's data, one folder a part."""
        return self.home / "data"

    @property
    def logs(self) -> Path:
        """Folder of the logs, one file a part."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Folder of what is only true while the stack runs."""
        return self.home / "run"

    @property
    def lake(self) -> Path:
        """The lake, unless LAKE_URI puts it elsewhere."""
        return self.home / "lake"

    @property
    def feast(self) -> Path:
        """The feature repository, unless FEAST_REPO puts it elsewhere."""
        return self.home / "feast"

    @property
    def jars(self) -> Path:
        """Apache Kafka's, one folder a version."""
        return self.home / "jars"

    @property
    def owned(self) -> tuple[Path, ...]:
        """What a wipe removes. The home folder may hold things of others."""
        return (self.data, self.logs, self.run, self.lake, self.feast, self.jars)

    @property
    def circus_ini(self) -> Path:
        """The supervisor's generated configuration."""
        return self.run / "circus.ini"

    @property
    def record(self) -> Path:
        """What `up` started, for the commands that come later."""
        return self.run / "stack.json"

    @property
    def lock(self) -> Path:
        """Held while one command starts or stops the stack."""
        return self.home / ".lock"

    def log(self, part: str) -> Path:
        """Log file of a part."""
        return self.logs / f"{part}.log"

    def starts(self, part: str) -> Path:
        """One line for each start of a part since `up`: the Unix time in seconds."""
        return self.run / f"{part}.starts"
