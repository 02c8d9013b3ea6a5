"""The terminal while the demo runs: where the replay is, who answers, how well, and why."""

import time
from collections import deque
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tailrace.demo.options import DemoOptions
from tailrace.demo.quality import Quality, labelled, over
from tailrace.describe import describe
from tailrace.flights.journal import Journal
from tailrace.traffic.platform import Traffic

SHOWN_EVENTS = 9
WINDOW = timedelta(days=14)
"""Event time over which the realised quality is shown."""
NEWEST = 20_000
"""Labels that are looked at to show it; two weeks of flights are 14,000."""
PLAIN_SECONDS = 10.0
"""Between two lines where the output is no terminal."""


class LiveView:
    """Draws the state of the replay; prints lines where there is no terminal to draw on."""

    def __init__(
        self, console: Console, options: DemoOptions, journal: Journal, traffic: Traffic
    ) -> None:
        self._console = console
        self._options = options
        self._journal = journal
        self._traffic = traffic
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._rates: deque[tuple[float, int]] = deque(maxlen=10)
        self._quality: tuple[Quality, Quality] | None = None
        self._last_quality = 0.0
        self._last_plain = 0.0
        self._shown = 0

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, now: datetime, note: str = "") -> None:
        """Draw the state as of an event time."""
        wall = time.monotonic()
        self._rates.append((wall, self._traffic.answered))
        if wall - self._last_quality > 2:
            self._last_quality = wall
            self._journal.score_pending()
            period = over(labelled(self._journal.predictions, NEWEST), now - WINDOW, now)
            self._quality = (period.platform, period.static)
        if self._console.is_terminal:
            self._live.update(self._page(now, note), refresh=True)
        else:
            self._lines(now, wall)

    @property
    def rate(self) -> float:
        """Predictions answered a second, lately."""
        (t0, n0), (t1, n1) = self._rates[0], self._rates[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0

    def _lines(self, now: datetime, wall: float) -> None:
        for event in self._journal.turns[self._shown :]:
            self._console.print(f"  {now:%d %b}  {describe(event)}", markup=False, soft_wrap=True)
            self._shown += 1
        if wall - self._last_plain > PLAIN_SECONDS:
            self._last_plain = wall
            self._console.print(f"{now:%d %b %Y}  {self._summary()}", markup=False)

    def _summary(self) -> str:
        text = f"{self._traffic.answered:,} predictions, {self.rate:,.0f}/s"
        if self._quality:
            ours, static = self._quality
            text += (
                f"; last 14 days log-loss {ours.log_loss:.4f} (v1 alone {static.log_loss:.4f}),"
                f" AUC {ours.auc:.3f} ({static.auc:.3f})"
            )
        return text

    def _page(self, now: datetime, note: str) -> Panel:
        options = self._options
        whole = (options.end - options.start).total_seconds()
        done = min(max((now - options.start).total_seconds(), 0.0), whole)
        head = Table.grid(expand=True, padding=(0, 2))
        head.add_column(no_wrap=True)
        head.add_column(ratio=1)
        head.add_column(no_wrap=True, justify="right")
        head.add_row(
            f"[bold]{now:%a %d %b %Y}[/]",
            ProgressBar(total=whole, completed=done),
            f"{self._traffic.answered:,} predictions  [bold]{self.rate:,.0f}[/]/s"
            f"  {self._traffic.http_errors} errors",
        )
        rows = [head, self._arms(), self._events()]
        if note:
            rows.append(Text(note, style="yellow"))
        return Panel(Group(*rows), title="Tailrace: the loop turns", border_style="cyan")

    def _arms(self) -> Table:
        table = Table.grid(padding=(0, 3))
        table.add_row("[dim]arm[/]", "[dim]version[/]", "[dim]weight[/]", "[dim]state[/]")
        steps = self._journal.latest_steps()
        if steps:
            step = steps[-1]
            table.add_row("champion", step.champion.version, f"{1 - step.weight:.0%}", step.outcome)
            if step.challenger:
                table.add_row(
                    "challenger", step.challenger.version, f"{step.weight:.0%}", step.phase
                )
        if self._quality:
            ours, static = self._quality
            table.add_row("", "", "", "")
            table.add_row("[dim]last 14 days[/]", "[dim]log-loss[/]", "[dim]AUC[/]", "")
            table.add_row("the platform", f"{ours.log_loss:.4f}", f"{ours.auc:.3f}", "")
            table.add_row("v1, left alone", f"{static.log_loss:.4f}", f"{static.auc:.3f}", "")
        return table

    def _events(self) -> Group:
        lines = [Text("last events", style="dim")]
        for event in self._journal.turns[-SHOWN_EVENTS:]:
            line = Text(
                f"{event.time:%H:%M:%S}  {describe(event)}", no_wrap=True, overflow="ellipsis"
            )
            lines.append(line)
        return Group(*lines)
