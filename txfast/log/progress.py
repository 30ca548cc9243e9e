"""How far a run is, while it goes on: a bar on a terminal, a line now and then elsewhere.

A rate is that of the last seconds, not of the run, and goes on being looked at while no input comes: what is shown of
a pipe that has stalled is that it has stalled. Time left is told where the size of all inputs is known.

This module must not know what the bytes and rows are.
"""

import time

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from txfast.log.journal import Journal
    from txfast.log.standard_error import StandardError

# A run that is over by then shows nothing, and does not pay for what shows it.
FIRST_SHOWN_SECONDS = 0.5
REDRAWN_SECONDS = 0.1
# While nothing comes in. The bar has a thread for that.
REDRAWN_IDLE_SECONDS = 1.0
LINE_SECONDS = 2.0
RATE_SECONDS = 5.0
# Where nothing has come for so long, the run waits.
WAITING_SECONDS = 2.0
JOIN_SECONDS = 0.2

BAR_COLUMNS = 24
# A narrower terminal has no room for a bar.
BAR_TERMINAL_COLUMNS_MIN = 64


class Progress:
    """Shows how far a run is: tell it to `advance` with each batch, and `close` it when all input is read.

    `total_bytes` is the size of all inputs, None where one of them has none. The bytes told are counted the same way
    (of a compressed input, as they are in the file). As a context manager it closes itself. Create it when reading
    starts; ask `Journal.shows_progress` whether to.
    """

    def __init__(self, journal: "Journal", total_bytes: int | None = None) -> None:
        self.bytes = 0
        self.rows = 0
        self.total_bytes = total_bytes
        self._journal = journal
        self._stage: str | None = None
        self._started = self._advanced_at = time.monotonic()
        self._due = self._started + (FIRST_SHOWN_SECONDS if journal.on_terminal else LINE_SECONDS)
        # When how much had come in: what the rate is told from.
        self._samples = [(self._started, 0, 0)]
        self._bar: Bar | None = None

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    def advance(self, bytes_read: int, rows: int) -> None:
        """So many more bytes and rows are done."""
        self.bytes += bytes_read
        self.rows += rows
        self._advanced_at = now = time.monotonic()
        if now >= self._due:
            self._show()

    def stage(self, name: str) -> None:
        """Say what the run does now, in place of a rate; once all input is read, what it still has to do."""
        self._stage = name
        if self._bar is not None or time.monotonic() >= self._due:
            self._show()

    def close(self) -> None:
        """Leave nothing on the terminal. Nothing is shown from then on."""
        self._due = float("inf")
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self) -> None:
        if self._journal.on_terminal:
            if self._bar is None:
                self._bar = Bar(self, self._journal.standard_error)
            self._due = time.monotonic() + REDRAWN_SECONDS
            self._bar.redraw()
        else:
            figures = self.figures()
            self._due = time.monotonic() + LINE_SECONDS
            self._journal.progress(", ".join(words(figures)), figures)

    def figures(self) -> "dict[str, Any]":
        """How far the run is at this moment."""
        now = time.monotonic()
        samples, read, rows = self._samples, self.bytes, self.rows
        samples.append((now, read, rows))
        while len(samples) > 2 and samples[1][0] <= now - RATE_SECONDS:
            del samples[0]
        since, bytes_then, rows_then = samples[0]
        seconds = max(now - since, 1e-9)
        bytes_per_second = (read - bytes_then) / seconds
        total = self.total_bytes
        left = None if total is None else max(0, total - read)
        return {
            "bytes": read,
            "total_bytes": total,
            "rows": rows,
            "rows_per_second": round((rows - rows_then) / seconds),
            "seconds": round(now - self._started, 1),
            "seconds_left": None if left is None or not bytes_per_second else round(left / bytes_per_second, 1),
            "stage": self._stage or self._unnamed_stage(now),
        }

    def _unnamed_stage(self, now: float) -> str | None:
        """What can be told of what the run does, other than to get on."""
        if self.total_bytes is not None and self.bytes >= self.total_bytes:
            return "all input read"
        return "waiting for input" if now - self._advanced_at >= WAITING_SECONDS else None


def words(figures: "dict[str, Any]") -> tuple[str, str, str, str]:
    """Bytes, rows, rate or what else the run does, and the time left or taken."""
    read, total, rate = figures["bytes"], figures["total_bytes"], figures["rows_per_second"]
    size = f"{read / 1e6:,.1f} MB" if total is None else f"{read / 1e6:,.1f} of {total / 1e6:,.1f} MB"
    rows = f"{figures['rows']:,} rows"
    if figures["stage"] is not None:
        return size, rows, figures["stage"], clock(figures["seconds"])
    left = figures["seconds_left"]
    return size, rows, f"{rate:,} rows/s", clock(figures["seconds"]) if left is None else f"{clock(left)} left"


def clock(seconds: float) -> str:
    """A duration as a clock shows it."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Bar:
    """The bar itself, drawn below the log.

    Whoever advances redraws it. Its thread does where nobody has for a while, so that no rate stays that is none.
    """

    def __init__(self, progress: Progress, standard_error: "StandardError") -> None:
        import sys
        import threading

        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Layout

        known = progress.total_bytes is not None
        self._progress = progress
        self._standard_error = standard_error
        self._console = Console(file=sys.stderr, force_terminal=True, markup=False, highlight=False)
        self._layout = Layout(
            *((BarColumn(BAR_COLUMNS), TaskProgressColumn()) if known else ()),
            TextColumn("{task.fields[size]}", "progress.download", markup=False),
            TextColumn("{task.fields[rows]}", "progress.filesize.total", markup=False),
            TextColumn("{task.fields[rate]}", "progress.data.speed", markup=False),
            TextColumn("{task.fields[time]}", "progress.remaining", markup=False),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._layout.add_task("", total=progress.total_bytes, size="", rows="", rate="", time="")
        # One thread at a time looks at the figures and draws them.
        self._drawing = threading.Lock()
        self._drawn_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._redraw_while_idle, daemon=True)
        self._thread.start()

    def redraw(self) -> None:
        """Show how far the run is now, but where the other thread is just about it."""
        if not self._drawing.acquire(blocking=False):
            return
        try:
            if not self._closing.is_set():
                self._standard_error.draw(self._line())
                self._drawn_at = time.monotonic()
        finally:
            self._drawing.release()

    def close(self) -> None:
        """Take the bar away, and end its thread."""
        self._closing.set()
        self._thread.join(JOIN_SECONDS)
        self._standard_error.erase(JOIN_SECONDS)

    def _line(self) -> str:
        figures = self._progress.figures()
        size, rows, rate, spent = words(figures)
        # The last column stays free: a terminal may take a character there for the start of a new line.
        width = self._standard_error.columns - 1
        if width < BAR_TERMINAL_COLUMNS_MIN:
            return ", ".join((size, rows, rate, spent))[:width]
        self._layout.update(self._task, completed=figures["bytes"], size=size, rows=rows, rate=rate, time=spent)
        self._console.width = width
        with self._console.capture() as captured:
            self._console.print(self._layout.get_renderable(), end="", no_wrap=True, overflow="crop")
        return captured.get().partition("\n")[0].rstrip()

    def _redraw_while_idle(self) -> None:
        while not self._closing.wait(REDRAWN_IDLE_SECONDS):
            if time.monotonic() - self._drawn_at >= REDRAWN_IDLE_SECONDS:
                self.redraw()
