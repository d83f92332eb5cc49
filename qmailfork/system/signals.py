"""Signals without the signal module, whose enum costs a cold start 8 ms: CPython's own _signal beneath it."""

from _signal import (
    SIG_BLOCK,
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGALRM,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGTERM,
    alarm,
    getsignal,
    pthread_sigmask,
    set_wakeup_fd,
    signal,
    valid_signals,
)

__all__ = [
    "IGNORED", "NOTICED", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM",
    "SIG_BLOCK", "SIG_DFL", "SIG_IGN", "SIG_SETMASK", "SIG_UNBLOCK", "alarm", "getsignal", "pthread_sigmask",
    "set_wakeup_fd", "signal", "valid_signals",
]  # fmt: skip

NOTICED = 5000  # milliseconds of one poll(2), after which a signal is noticed that came right before it

# What is ignored stays so over an exec: Python's own SIGPIPE, whatever a parent left behind (nohup), and SIGINT, which
# the listener's workers leave to their parent.
IGNORED = [number for number in valid_signals() if number == SIGINT or getsignal(number) == SIG_IGN]
