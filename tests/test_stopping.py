"""Signals that ask for an end: noted, handed on to whoever had them before, and never lost."""

import os
import signal
import threading

import pytest

from synthassay.stopping import Stopped, stop_requests

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_obeyed_later_and_handlers_are_set_back(number: signal.Signals) -> None:
    before = handlers()
    with stop_requests() as stop:
        assert stop.number == 0
        os.kill(os.getpid(), number)
        assert stop.number == number
        with pytest.raises(Stopped) as stopped:
            stop.obey()
    assert stopped.value.exit_code == 128 + number
    assert number.name in str(stopped.value)
    assert handlers() == before


def test_a_signal_that_came_at_the_very_end_is_obeyed_all_the_same() -> None:
    def work() -> None:
        with stop_requests():
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        work()


def test_whoever_handled_the_signal_gets_it_once_and_may_let_the_work_go_on() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: got.append(number))
    try:
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert got == []
            stop.obey()
            assert got == [signal.SIGUSR2]
            stop.obey()
        assert got == [signal.SIGUSR2]
        with stop_requests() as stop:
            stop.obey(signal.SIGUSR2)  # it came to another process of the team
        assert len(got) == 2
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.number == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_installs_nothing() -> None:
    before = handlers()
    inside: list[list[object]] = []

    def work() -> None:
        with stop_requests():
            inside.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before]
