"""Carries out faults on a running machine, and takes each one back when its time is over."""

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chaos.machine import Machine
from tests.chaos.schedule import Fault, Kind

from local.proxy import Proxy

TWIN_SECONDS = 60.0
"""How long a second process of a slot may take to take over."""
FENCED_SECONDS = 30.0
"""How long the old one may take to notice."""


SKEW = Path(__file__).with_name("skew.c")


def skewed_clock(folder: Path) -> Path | None:
    """Compile the library that moves a process's clock; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "skew.so"
    command = (compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SKEW), "-lpthread")
    subprocess.run(command, check=True)
    return library


class Disk:
    """A small file system of its own that can be filled; it needs root to be mounted."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._megabytes = megabytes

    def mount(self) -> bool:
        """Mount it; False where that is not allowed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ("-o", f"size={self._megabytes}m,mode=0700")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", *options, "tmpfs", str(self.folder)], capture_output=True
        )
        return done.returncode == 0

    def unmount(self) -> None:
        """Unmount it, at once or when the last process has left it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True)

    def fill(self) -> None:
        """Write until nothing more fits."""
        block = bytes(1 << 16)
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            while True:
                try:
                    if ballast.write(block) < len(block):
                        return
                except OSError:
                    return

    def free(self) -> None:
        """Remove what `fill` wrote."""
        (self.folder / "ballast").unlink(missing_ok=True)


class Striker:
    """Strikes a machine.

    Args:
        machine: Whom.
        disks: File systems that can be filled, by name.
        clock: Library that moves the clock of a process; None: no clock can be skewed.
        log: Takes a line about each thing that happens.
    """

    def __init__(
        self,
        machine: Machine,
        disks: dict[str, Disk],
        clock: Path | None,
        log: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._disks = disks
        self._clock = clock
        self._log = log
        self.broker_kills: list[tuple[str, float]] = []
        """Each single broker that was killed, and when on the monotonic clock."""
        self._skewed: set[str] = set()

    async def strike(self, faults: Sequence[Fault]) -> None:
        """Carry out all faults, each at its time; returns when the last one is over."""
        await asyncio.gather(*(self._one(fault) for fault in faults))

    async def mend(self) -> None:
        """Let everything run, at the right time, with all links up and room on every disk."""
        for proxies in self._machine.links.values():
            for proxy in proxies:
                proxy.mend()
        for disk in self._disks.values():
            disk.free()
        for name in list(self._machine.running):
            self._machine.carry_on(name)
            if "~" not in name:
                self._machine.resume(name)
        for name in sorted(self._skewed):
            self._machine.resume(name, extra={})
            self._machine.kill(name)
        self._skewed.clear()

    async def _one(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        self._log(f"    {fault}")
        match fault.kind:
            case Kind.KILL:
                await self._killed([fault.target], fault.seconds)
            case Kind.BROKER_KILL:
                self.broker_kills.append((fault.target, time.monotonic()))
                await self._killed([fault.target], fault.seconds)
            case Kind.BROKERS_KILL:
                await self._killed(self._machine.brokers, fault.seconds)
            case Kind.PAUSE | Kind.BROKER_PAUSE:
                self._machine.pause(fault.target)
                await asyncio.sleep(fault.seconds)
                self._machine.carry_on(fault.target)
            case Kind.SLOW:
                await self._linked(fault, lambda proxy: proxy.delay(fault.amount))
            case Kind.CUT:
                await self._linked(fault, lambda proxy: proxy.cut())
            case Kind.BLACK_HOLE:
                await self._linked(fault, lambda proxy: proxy.swallow())
            case Kind.DISK_FULL:
                await asyncio.to_thread(self._disks[fault.target].fill)
                await asyncio.sleep(fault.seconds)
                self._disks[fault.target].free()
            case Kind.SKEW:
                await self._skew(fault)
            case Kind.SCALE:
                await self._scale(fault)
            case Kind.ZOMBIE:
                await self._zombie(fault)

    async def _killed(self, names: Sequence[str], seconds: float) -> None:
        for name in names:
            self._machine.kill(name, stay=True)
        await asyncio.sleep(seconds)
        for name in names:
            self._machine.resume(name)

    async def _linked(self, fault: Fault, act: Callable[[Proxy], None]) -> None:
        for proxy in self._machine.links[fault.target]:
            act(proxy)
        await asyncio.sleep(fault.seconds)
        for proxy in self._machine.links[fault.target]:
            proxy.mend()

    async def _skew(self, fault: Fault) -> None:
        if self._clock is None:
            return
        self._skewed.add(fault.target)
        self._machine.kill(fault.target, stay=True)
        await asyncio.sleep(fault.seconds)
        clock = {"LD_PRELOAD": str(self._clock), "SKEW_SECONDS": f"{fault.amount:.0f}"}
        self._machine.resume(fault.target, extra=clock)

    async def _scale(self, fault: Fault) -> None:
        """One predictor more, or two more of the live monitors; the last of them is killed."""
        more = 1 if fault.target == "predictor" else 2
        names = [f"{fault.target}~{number + 2}" for number in range(more)]
        for number, name in enumerate(names):
            variables = {"REPLICA_SLOT": str(number + 1)}
            if self._machine.settings.broker == "embedded":
                variables["SCORE_REQUESTED"] = "false"  # it never misses a member that was killed
            self._machine.add_replica(fault.target, name, variables)
        await self._ready(names, TWIN_SECONDS)
        await asyncio.sleep(fault.seconds)
        for name in names[:-1]:
            self._machine.terminate(name)
        self._machine.kill(names[-1], stay=True)

    async def _zombie(self, fault: Fault) -> None:
        """A process stops, another takes its slot, and the first wakes up: it must be fenced."""
        machine, old, twin = self._machine, fault.target, f"{fault.target}~twin"
        machine.pause(old)
        machine.running[old].wanted = False
        process = machine.running[old].process
        machine.add_replica(old, twin, {})
        await self._ready([twin], TWIN_SECONDS)
        machine.running[old].signal(signal.SIGCONT)
        await asyncio.sleep(fault.seconds)
        machine.terminate(twin)
        await self._gone(twin, FENCED_SECONDS)
        machine.kill(twin, stay=True)
        if process is not None and process.poll() is None:
            # It had nothing to write, so nobody has told it yet.
            machine.kill(old, stay=True)
        machine.resume(old)

    async def _ready(self, names: Sequence[str], seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            if all([await asyncio.to_thread(self._machine.ready, name) for name in names]):
                return
            await asyncio.sleep(0.3)

    async def _gone(self, name: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while self._machine.running[name].alive and loop.time() < until:  # noqa: ASYNC110 no bell
            await asyncio.sleep(0.1)
