"""The progress of a run: a bar on a terminal, elsewhere a line every two seconds.

The rate is that of the last five seconds, not of the whole run. It is computed anew while no input comes, so that a
stalled pipe shows as stalled. The time left is shown if the size of all inputs is known.

This module must not know what the bytes and rows mean.
"""

import time

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from txfast.log.journal import Journal
    from txfast.log.standard_error import StandardError

# A shorter run shows no bar, and so does not import rich.
FIRST_SHOWN_SECONDS = 0.5
REDRAWN_SECONDS = 0.1
# While no input comes, a thread of the bar redraws it.
REDRAWN_IDLE_SECONDS = 1.0
LINE_SECONDS = 2.0
RATE_SECONDS = 5.0
# After this long without input, the stage is "waiting for input".
WAITING_SECONDS = 2.0
JOIN_SECONDS = 0.2

BAR_COLUMNS = 24
# A narrower terminal has no room for a bar.
BAR_TERMINAL_COLUMNS_MIN = 64


class Progress:
    """Shows how far a run is. Call `advance` with each batch, and `close` when all input is read, or use it in `with`.
    After that, `settling` shows it again on a terminal, until the next `close`.

    `total_bytes` is the size of all inputs, None if the size of one is unknown. Create it when reading starts, if
    `Journal.shows_progress` says so.
    """

    def __init__(self, journal: "Journal", total_bytes: int | None = None) -> None:
        self.bytes = 0
        self.rows = 0
        self.total_bytes = total_bytes
        self._journal = journal
        self._started = self._advanced_at = time.monotonic()
        self._due = self._started + (FIRST_SHOWN_SECONDS if journal.on_terminal else LINE_SECONDS)
        # (time, bytes, rows) within the last RATE_SECONDS, from which the rate is computed.
        self._samples = [(self._started, 0, 0)]
        self._bar: Bar | None = None
        self._settling = ""  # which part of how many, in words

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    def advance(self, bytes_read: int, rows: int) -> None:
        """Add bytes and rows that are done."""
        self.bytes += bytes_read
        self.rows += rows
        self._advanced_at = now = time.monotonic()
        if now >= self._due:
            self._show()

    def settling(self, part: int, parts: int) -> None:
        """Show on a terminal that this part of what went to disk is being settled."""
        if not self._journal.on_terminal:
            return
        now = time.monotonic()
        if not self._settling:
            self._due = max(now, self._started + FIRST_SHOWN_SECONDS)
        self._settling = f"settling part {part:,} of {parts:,}"
        if now >= self._due:
            self._show()

    def close(self) -> None:
        """Erase the bar. Nothing more is shown."""
        self._due = float("inf")
        self._settling = ""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _show(self) -> None:
        if self._journal.on_terminal:
            if self._bar is None:
                self._bar = Bar(self, self._journal.standard_error, has_colors=self._journal.has_colors)
            self._due = time.monotonic() + REDRAWN_SECONDS
            self._bar.redraw()
        else:
            figures = self.figures()
            self._due = time.monotonic() + LINE_SECONDS
            self._journal.progress(", ".join(figure_texts(figures)), figures)

    def figures(self) -> "dict[str, Any]":
        """Return how far the run is: bytes and rows done, the rate, seconds spent and left, and the stage."""
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
            "stage": self._stage(now),
        }

    def _stage(self, now: float) -> str | None:
        """What is shown in place of the rate: what is settled, that all is read, or that no input comes; else None."""
        if self._settling:
            return self._settling
        if self.total_bytes is not None and self.bytes >= self.total_bytes:
            return "all input read"
        return "waiting for input" if now - self._advanced_at >= WAITING_SECONDS else None


def figure_texts(figures: "dict[str, Any]") -> tuple[str, str, str, str]:
    """Return figures as texts: bytes, rows, rate or stage, and the time left or else the time spent."""
    read, total, rate = figures["bytes"], figures["total_bytes"], figures["rows_per_second"]
    size = f"{read / 1e6:,.1f} MB" if total is None else f"{read / 1e6:,.1f} of {total / 1e6:,.1f} MB"
    rows = f"{figures['rows']:,} rows"
    if figures["stage"] is not None:
        return size, rows, figures["stage"], clock_text(figures["seconds"])
    left = figures["seconds_left"]
    left_or_spent = clock_text(figures["seconds"]) if left is None else f"{clock_text(left)} left"
    return size, rows, f"{rate:,} rows/s", left_or_spent


def clock_text(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours if there are any: 1:05, 2:00:00."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Bar:
    """The bar, drawn below the log.

    `Progress.advance` redraws it. If that has not happened for a while, the bar's thread does: the rate of a run that
    waits must fall to zero.
    """

    def __init__(self, progress: Progress, standard_error: "StandardError", *, has_colors: bool = True) -> None:
        import sys
        import threading

        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Layout

        known = progress.total_bytes is not None
        self._progress = progress
        self._standard_error = standard_error
        self._console = Console(
            file=sys.stderr, force_terminal=True, color_system="auto" if has_colors else None, markup=False,
            highlight=False,
        )  # fmt: skip
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
        # Held by the thread that computes the figures and draws them.
        self._drawing = threading.Lock()
        self._drawn_at = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._redraw_while_idle, daemon=True)
        self._thread.start()

    def redraw(self) -> None:
        """Draw the bar as it is now, unless the other thread is drawing it at this moment."""
        if not self._drawing.acquire(blocking=False):
            return
        try:
            if not self._closing.is_set():
                self._standard_error.draw(self._line())
                self._drawn_at = time.monotonic()
        finally:
            self._drawing.release()

    def close(self) -> None:
        """End the bar's thread, and erase the bar."""
        self._closing.set()
        self._thread.join(JOIN_SECONDS)
        self._standard_error.erase(JOIN_SECONDS)

    def _line(self) -> str:
        figures = self._progress.figures()
        size, rows, rate, spent = figure_texts(figures)
        # The last column stays free: some terminals begin a new line after a character there.
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
