"""Signals that end a run: each is noted when it arrives, and raised only where a run is ready to end.

There are two such places: calls that may wait for another program (`while_waiting`: to read from a pipe, or to write to
one), and `check`, which a run calls between batches. A run is interrupted nowhere else, so no step has to be repaired
afterwards. Only the main thread is interrupted.

This module is a leaf: it must not import anything of txfast, nor `signal`, whose enumerations take longer to import
than a small file to replay.
"""

import _signal  # type: ignore[import-not-found]
import _thread

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Returned = TypeVar("Returned")

# Ctrl-C on a terminal, the end that a service manager asks for, and a terminal that was closed.
NAMES = {_signal.SIGINT: "SIGINT", _signal.SIGTERM: "SIGTERM", _signal.SIGHUP: "SIGHUP"}
# How long a wait in the main thread lasts before it looks for a signal.
POLL_SECONDS = 0.05


class Interrupted(KeyboardInterrupt):
    """A signal arrived that ends the run: any of NAMES, not Ctrl-C alone. `signal_name` says which."""

    def __init__(self, number: int) -> None:
        self.signal_name = NAMES[number]
        super().__init__(self.signal_name)


class Listener:
    """Notes the first signal that arrives. There is one, `LISTENER`, since signals belong to the process."""

    __slots__ = ("_handlers", "_is_deferring", "_is_holding", "_thread", "_waits", "arrived")

    def __init__(self) -> None:
        self.arrived: int | None = None
        self._handlers: dict[int, object] = {}  # those that were there before, by number
        self._thread = 0
        self._is_deferring = self._is_holding = False
        self._waits = 0  # calls under way that a signal may end, one inside the other

    @property
    def is_listening(self) -> bool:
        return bool(self._handlers)

    @property
    def is_listening_here(self) -> bool:
        """Whether this thread is the one that listens."""
        return self.is_listening and _thread.get_ident() == self._thread

    def listen(self, numbers: "Sequence[int]" = tuple(NAMES)) -> None:
        """Note these signals from here on, except those that the process was told to ignore, as nohup does."""
        self.arrived = None
        self._is_deferring = self._is_holding = False
        self._waits = 0
        self._thread = _thread.get_ident()
        for number in numbers:
            handler = _signal.getsignal(number)
            if handler != _signal.SIG_IGN:
                _signal.signal(number, self._note)
                self._handlers[number] = handler

    def stop_listening(self) -> None:
        """Put back the handlers that were there before, and forget a signal that arrived."""
        self.arrived = None
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            # None stands for a handler that was not set from Python, and cannot be set from there again.
            _signal.signal(number, _signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: "FrameType | None") -> None:  # noqa: ARG002 (the protocol's arguments)
        if self.arrived is None:
            self.arrived = number
        else:
            self._is_deferring = False  # a user who asks twice means at once
        if self._waits:
            self.check()

    def check(self) -> None:
        """Raise Interrupted where a signal has arrived, in the thread that listens."""
        if self.arrived is None or self._is_holding or self._is_deferring:
            return
        if _thread.get_ident() == self._thread:
            raise Interrupted(self.arrived)

    def defer(self) -> None:
        """Raise nothing for a first signal until `stop_deferring`: the run takes a checkpoint first."""
        self._is_deferring = True

    def stop_deferring(self) -> None:
        """Raise as ever, and at once where a signal has arrived."""
        self._is_deferring = False
        self.check()

    def hold(self) -> None:
        """Raise nothing from here on: results are published, or what is left of a run is removed."""
        self._is_holding = True

    def __enter__(self) -> None:
        """Raise Interrupted as soon as a signal arrives, until the `with` block ends. The block only waits for another
        program."""
        if _thread.get_ident() == self._thread:
            self._waits += 1
            try:
                self.check()
            except Interrupted:
                self._waits -= 1
                raise

    def __exit__(self, *_: object) -> None:
        if _thread.get_ident() == self._thread:
            self._waits -= 1


LISTENER = Listener()
check = LISTENER.check


def while_waiting(
    call: "Callable[Parameters, Returned]", *arguments: "Parameters.args", **named: "Parameters.kwargs"
) -> "Returned":
    """Make a call that may wait for somebody else, and let a signal end it. Raises Interrupted, and what it raises."""
    with LISTENER:
        return call(*arguments, **named)


def in_a_thread(
    call: "Callable[Parameters, Returned]", *arguments: "Parameters.args", **named: "Parameters.kwargs"
) -> "Returned":
    """Make a call that no signal ends, such as a library's that asks a network again and again, in a thread of its own,
    and wait for it. Raises Interrupted, which leaves that thread to the end of the process, and what the call raises.

    In another thread than the one that listens, the call is made there.
    """
    if not LISTENER.is_listening_here:
        return call(*arguments, **named)
    import threading

    results: list[Returned] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(call(*arguments, **named))
        except BaseException as error:
            errors.append(error)
        done.set()

    threading.Thread(target=run, daemon=True).start()
    with LISTENER:
        while not done.wait(POLL_SECONDS):
            LISTENER.check()
    if errors:
        raise errors[0]
    return results[0]


class NotedInterrupts:
    """While a program calls the library: Ctrl-C is noted, and raised where the run is ready for it.

    Changes nothing where the program has its own handler, or calls from another thread than the main one.
    """

    __slots__ = ("_is_listening",)

    def __enter__(self) -> None:
        self._is_listening = False
        if LISTENER.is_listening or _signal.getsignal(_signal.SIGINT) is not _signal.default_int_handler:
            return
        try:
            LISTENER.listen((_signal.SIGINT,))
        except ValueError:
            return  # it is not the main thread
        self._is_listening = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Raises KeyboardInterrupt where Ctrl-C came too late for the run to look for it."""
        if self._is_listening:
            came_late = error is None and LISTENER.arrived is not None
            LISTENER.stop_listening()
            if came_late:
                raise KeyboardInterrupt


def end_by_signal(name: str) -> int:
    """End the process by this signal, as if it had not been caught, so that the parent process sees it.

    Returns the exit code for a process in which the signal is blocked.
    """
    import os
    import signal

    number = signal.Signals[name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
