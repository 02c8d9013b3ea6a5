"""The real processes of a platform, started and struck by this suite.

The commands and environments are those of `tailrace up`. Between the services and Kafka, Valkey and
MLflow stand proxies; each broker has a listener for its peers, which go past them.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from local.endpoint import Endpoint
from local.process import free_port
from local.proxy import Proxies, Proxy, proxies
from local.servers import apache
from local.servers.server import LOOPBACK, Server, Stage
from local.stack.layout import Layout
from local.stack.plan import plan
from local.stack.settings import StackSettings, free_ports

ROOT = Path(__file__).parents[2]
RESTART_SECONDS = 0.5
"""From the end of a process that nobody asked to end to its next start."""


class MachineError(Exception):
    """A part did not start; the text holds the last lines of its log."""


@dataclass
class Running:
    """A part that is to run, and its process."""

    part: Server
    log: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    """Whether it is started again when it ends."""
    due: float = 0.0
    """When it may be started again, on the monotonic clock."""
    exits: list[int] = field(default_factory=list)
    """Codes of the processes that ended; a negative one is a signal."""
    extra: dict[str, str] = field(default_factory=dict)
    """Variables of the next start."""

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.part.environment, **self.extra},
                start_new_session=True,
            )

    def signal(self, number: int) -> None:
        """Send a signal to the process, and to no process that has its number by now."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, number)

    def end(self) -> None:
        """Kill the process with all that it started, and wait."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class Machine:
    """All parts of a platform."""

    def __init__(self, home: Path, models: Path, made: Proxies, broker: str, nodes: int) -> None:
        self.home = home
        self._proxies = made
        self.settings = StackSettings.model_validate(
            {
                **free_ports(),
                "tailrace_home": home,
                "models_dir": models,
                "broker": broker,
                "nodes": nodes,
                "kafka_pom": ROOT / "compose/local/pom.xml",
                "log_level": os.environ.get("CHAOS_LOG_LEVEL", "INFO"),
            }
        )
        self.layout = Layout(home)
        if broker == "apache":
            _share_jars(self.layout, self.settings.kafka_pom)
        self.links: dict[str, list[Proxy]] = {}
        """Proxies by what lies behind: a store, a broker, or `kafka` for all brokers."""
        self.running: dict[str, Running] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="machine", daemon=True)
        self._build()

    @property
    def brokers(self) -> tuple[str, ...]:
        """Names of the brokers."""
        return tuple(n for n, r in self.running.items() if r.part.stage is Stage.BROKER)

    @property
    def bootstrap(self) -> str:
        """Where this suite itself reaches the brokers: through the proxies, like everybody."""
        return self._bootstrap

    def url(self, part: str) -> str:
        """Where a part answers over HTTP."""
        return self.running[part].part.endpoint.address

    def start(self, log: Callable[[str], None]) -> None:
        """Start everything, and wait until all of it is ready.

        Raises:
            MachineError: a part was not ready in time.
        """
        for each in self.running.values():
            if each.part.prepare:
                each.part.prepare()
        self._advertise_proxies()
        self._thread.start()
        begun = time.monotonic()
        for stage in (Stage.BROKER, Stage.STORE, Stage.SERVICE):
            names = [n for n, r in self.running.items() if r.part.stage is stage]
            for name in names:
                self.resume(name)
            if stage is Stage.BROKER:
                self.wait_ready(names, 120)
        self.wait_ready(list(self.running), 240)
        log(f"{len(self.running)} processes are ready after {time.monotonic() - begun:.0f} s")

    def wait_ready(self, names: Sequence[str], seconds: float) -> None:
        """Wait until some parts answer as ready ones do.

        Raises:
            MachineError: one did not in time.
        """
        until = time.monotonic() + seconds
        waiting = list(names)
        while waiting:
            waiting = [n for n in waiting if not self.ready(n)]
            if waiting and time.monotonic() > until:
                words = self.running[waiting[0]].last_words()
                raise MachineError(f"{', '.join(waiting)} not ready in {seconds:g} s:\n{words}")
            time.sleep(0.2)

    def ready(self, name: str) -> bool:
        """Whether a part answers as a ready one does."""
        each = self.running[name]
        return each.alive and each.part.endpoint.ready()

    def resume(self, name: str, extra: Mapping[str, str] | None = None) -> None:
        """Let a part run, and start it again whenever it ends.

        Args:
            name: The part.
            extra: Variables of the starts from now on.
        """
        with self._lock:
            each = self.running[name]
            each.wanted, each.due = True, 0.0
            if extra is not None:
                each.extra = dict(extra)

    def kill(self, name: str, *, stay: bool = False) -> None:
        """SIGKILL; with `stay` it is not started again before `resume`."""
        with self._lock:
            each = self.running[name]
            each.wanted = not stay
            each.due = time.monotonic() + RESTART_SECONDS
            each.signal(signal.SIGKILL)

    def terminate(self, name: str) -> None:
        """SIGTERM, and no new start."""
        with self._lock:
            self.running[name].wanted = False
            self.running[name].signal(signal.SIGTERM)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.running[name].signal(signal.SIGSTOP)

    def carry_on(self, name: str) -> None:
        """SIGCONT."""
        self.running[name].signal(signal.SIGCONT)

    def add_replica(self, of: str, name: str, extra: Mapping[str, str]) -> None:
        """One more process of a service, on a port of its own."""
        with self._lock:
            if name not in self.running:
                part = self.running[of].part
                port = free_port()
                address = f"http://{LOOPBACK}:{port}"
                self.running[name] = self._running(
                    replace(
                        part,
                        name=name,
                        port=port,
                        endpoint=replace(part.endpoint, address=address),
                        environment={**part.environment, "HTTP_PORT": str(port), **extra},
                    )
                )
        self.resume(name)

    def close(self) -> None:
        """End every process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for each in self.running.values():
            each.wanted = False
        for stage in Stage:
            for each in self.running.values():
                if each.part.stage is stage:
                    each.end()

    def _supervise(self) -> None:
        while not self._stop.wait(0.05):
            with self._lock:
                for each in self.running.values():
                    if each.process is not None and each.process.poll() is not None:
                        each.exits.append(each.process.returncode)
                        each.process = None
                        each.due = max(each.due, time.monotonic() + RESTART_SECONDS)
                    if each.process is None and each.wanted and time.monotonic() >= each.due:
                        each.start()

    def _build(self) -> None:
        stack = plan(self.settings)
        behind: dict[str, int] = {}
        for part in stack.parts:
            if part.stage is not Stage.SERVICE:
                behind[part.name] = part.port
        for name, port in behind.items():
            proxy = self._proxies.before(port)
            self.links[name] = [proxy]
        brokers = [p.name for p in stack.parts if p.stage is Stage.BROKER]
        self.links["kafka"] = [proxy for name in brokers for proxy in self.links[name]]
        if self.settings.broker == "embedded":
            # It tells clients the address that it listens on, so nothing can stand before it.
            del self.links["kafka"]
            bootstrap = f"{LOOPBACK}:{self.settings.kafka_port}"
        else:
            bootstrap = ",".join(f"{LOOPBACK}:{p.port}" for p in self.links["kafka"])
        self._bootstrap = bootstrap
        addresses = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "REDIS_URL": f"redis://{LOOPBACK}:{self.links['valkey'][0].port}/0",
            "SCORE_REQUESTED": "true",
            "MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{self.links['mlflow'][0].port}",
        }
        for part in stack.parts:
            if part.stage is Stage.SERVICE:
                part = replace(part, environment={**part.environment, **addresses})
            self.running[part.name] = self._running(part)

    def _running(self, part: Server) -> Running:
        folder = self.layout.data / part.name
        for each in (folder, self.layout.logs):
            each.mkdir(parents=True, exist_ok=True)
        return Running(part, self.layout.log(part.name), folder)

    def _advertise_proxies(self) -> None:
        """Tell clients of each broker's proxy; the brokers themselves talk past it."""
        if self.settings.broker != "apache":
            return
        for name in self.brokers:
            each = self.running[name]
            peers = free_port()
            controller = self.settings.kafka_port + 10 + self.brokers.index(name)
            path = each.folder / "server.properties"
            lines = {
                "listeners": f"PLAINTEXT://{LOOPBACK}:{each.part.port},"
                f"PEERS://{LOOPBACK}:{peers},CONTROLLER://{LOOPBACK}:{controller}",
                "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.links[name][0].port},"
                f"PEERS://{LOOPBACK}:{peers}",
                "inter.broker.listener.name": "PEERS",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PEERS:PLAINTEXT,"
                "CONTROLLER:PLAINTEXT",
            }
            # In a file of properties the last line of a name counts.
            path.write_text(path.read_text() + "".join(f"{k}={v}\n" for k, v in lines.items()))


def _share_jars(layout: Layout, pom: Path) -> None:
    """All homes share the jars of the checkout: they are fetched once."""
    jars = ROOT / ".tailrace" / "jars"
    jars.mkdir(parents=True, exist_ok=True)
    apache.fetch(pom, apache.jars_folder(pom, jars))
    layout.jars.parent.mkdir(parents=True, exist_ok=True)
    layout.jars.symlink_to(jars)


@contextmanager
def machine(
    home: Path, models: Path, broker: str, nodes: int, log: Callable[[str], None]
) -> Iterator[Machine]:
    """Run a platform while the block runs, and leave no process."""
    with ExitStack() as stack:
        made = stack.enter_context(proxies())
        each = Machine(home, models, made, broker, nodes)
        stack.callback(each.close)
        each.start(log)
        yield each


def wipe(home: Path) -> None:
    """Remove what a platform has stored."""
    shutil.rmtree(home, ignore_errors=True)


__all__ = ["Endpoint", "Machine", "MachineError", "machine", "wipe"]
