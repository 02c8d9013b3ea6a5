"""Where the files of a stack lie inside its home folder."""

from pathlib import Path


class Layout:
    """The files and folders of one stack."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        """Folder of the broker's, Valkey's and MLflow's data, one folder a part."""
        self.logs = home / "logs"
        """Folder of the logs, one file a part."""
        self.run = home / "run"
        """Folder of what is only true while the stack runs."""
        self.lake = home / "lake"
        """The lake, unless LAKE_URI names another."""
        self.feast = home / "feast"
        """The feature repository, unless FEAST_REPO names another."""
        self.jars = home / "jars"
        """Apache Kafka's, one folder a version."""
        self.owned = (self.data, self.logs, self.run, self.lake, self.feast, self.jars)
        """What a wipe removes. The home folder may hold things of others."""
        self.circus_ini = self.run / "circus.ini"
        """The supervisor's generated configuration."""
        self.record = self.run / "stack.json"
        """What `up` started, for the commands that come later."""
        self.lock = home / ".lock"
        """Held while one command starts or stops the stack."""

    def log(self, part: str) -> Path:
        """Log file of a part."""
        return self.logs / f"{part}.log"

    def starts(self, part: str) -> Path:
        """One line for each start of a part since `up`: the Unix time in seconds."""
        return self.run / f"{part}.starts"
