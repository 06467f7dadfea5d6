"""Delivery beside the verdict: exact books, bounded queues, one line in the log at each edge."""

from __future__ import annotations

import logging
import threading

import pytest

from inference_core.pipeline.sinks.base import Parcel, Refused, Traits, Unreachable
from inference_core.pipeline.sinks.courier import Account, Courier

from .results import frame, result, wait_until


class Receiver:
    """A link whose other end does as it is told."""

    def __init__(self, **traits: object) -> None:
        self.traits = Traits(**{"longest_wait_s": 0.02, **traits})
        self.got: list[int] = []
        self.beats = 0
        self.trouble: Exception | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_asked = threading.Event()
        self.is_closed = False

    def deliver(self, parcel: Parcel) -> None:
        self.is_asked.set()
        self.may_answer.wait(20)
        if self.trouble is not None:
            raise self.trouble
        self.got.append(parcel.result.sequence)

    def beat(self) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.beats += 1

    def close(self) -> None:
        self.is_closed = True


def send(courier: Courier, sequences: range) -> None:
    for sequence in sequences:
        courier.write(frame(sequence), result(sequence))


def balances(account: Account) -> bool:
    return account.accepted == account.delivered + account.dropped + account.waiting


def test_results_arrive_in_order_and_closing_drains_them() -> None:
    receiver = Receiver()
    courier = Courier("test", receiver)
    send(courier, range(200))
    courier.close(10)
    assert receiver.got == list(range(200))
    assert courier.account == Account(accepted=200, delivered=200, dropped=0, waiting=0)
    assert receiver.is_closed


def test_a_slow_receiver_holds_nobody_up_and_the_oldest_are_dropped_exactly() -> None:
    receiver = Receiver(capacity=5)
    receiver.may_answer.clear()
    courier = Courier("test", receiver)
    send(courier, range(1))
    assert receiver.is_asked.wait(10)
    send(courier, range(1, 101))  # returns though the receiver hangs
    assert courier.account == Account(accepted=101, delivered=0, dropped=95, waiting=6)
    receiver.may_answer.set()
    courier.close(10)
    assert receiver.got == [0, 96, 97, 98, 99, 100]
    assert courier.account == Account(accepted=101, delivered=6, dropped=95, waiting=0)


def test_a_receiver_that_comes_back_gets_what_waited(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(capacity=10)
    receiver.trouble = Unreachable("nobody is at home")
    courier = Courier("test", receiver, first_wait_s=0.001)
    with caplog.at_level(logging.WARNING):
        send(courier, range(1))
        wait_until(lambda: bool(caplog.records))
        send(courier, range(1, 30))
        receiver.trouble = None
        wait_until(lambda: courier.account.waiting == 0)
        courier.close(10)
    account = courier.account
    assert balances(account)
    assert account.delivered == len(receiver.got)
    assert receiver.got == list(range(30 - len(receiver.got), 30))
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "sink test is lost: nobody is at home",
        f"sink test is back; {account.dropped} results were dropped",
    ]


def test_what_is_refused_is_dropped_and_the_next_is_tried() -> None:
    receiver = Receiver()
    receiver.trouble = Refused("too long")
    courier = Courier("test", receiver)
    send(courier, range(3))
    wait_until(lambda: courier.account.dropped == 3)
    receiver.trouble = None
    send(courier, range(3, 5))
    courier.close(10)
    assert receiver.got == [3, 4]
    assert courier.account == Account(accepted=5, delivered=2, dropped=3, waiting=0)


def test_a_fault_of_the_library_does_not_end_deliveries() -> None:
    receiver = Receiver()
    receiver.trouble = ZeroDivisionError()
    courier = Courier("test", receiver, first_wait_s=0.001)
    send(courier, range(1))
    wait_until(receiver.is_asked.is_set)
    receiver.trouble = None
    wait_until(lambda: receiver.got == [0])
    courier.close(10)


def test_closing_does_not_wait_for_a_receiver_that_is_away() -> None:
    receiver = Receiver(longest_wait_s=1000.0)
    receiver.trouble = Unreachable("away")
    courier = Courier("test", receiver, first_wait_s=1000.0)
    send(courier, range(3))
    wait_until(receiver.is_asked.is_set)
    courier.close(60)
    assert courier.account == Account(accepted=3, delivered=0, dropped=3, waiting=0)
    assert receiver.is_closed


def test_closing_gives_a_hanging_receiver_up_after_its_time() -> None:
    receiver = Receiver()
    receiver.may_answer.clear()
    courier = Courier("test", receiver)
    send(courier, range(2))
    assert receiver.is_asked.wait(10)
    courier.close(0.01)
    assert courier.account == Account(accepted=2, delivered=0, dropped=2, waiting=0)
    receiver.may_answer.set()
    wait_until(lambda: receiver.is_closed)
    assert courier.account == Account(accepted=2, delivered=0, dropped=2, waiting=0)


def test_what_comes_after_closing_is_dropped_and_counted() -> None:
    courier = Courier("test", Receiver())
    courier.close(10)
    send(courier, range(2))
    assert courier.account == Account(accepted=2, delivered=0, dropped=2, waiting=0)


def test_a_plc_gets_the_newest_verdict_only() -> None:
    receiver = Receiver(capacity=1)
    receiver.may_answer.clear()
    courier = Courier("test", receiver)
    send(courier, range(1))
    assert receiver.is_asked.wait(10)
    send(courier, range(1, 50))
    receiver.may_answer.set()
    courier.close(10)
    assert receiver.got == [0, 49]


def test_a_verdict_that_is_too_old_is_never_told_as_if_it_were_new() -> None:
    receiver = Receiver(capacity=1, max_age_s=1.0)
    receiver.trouble = Unreachable("away")
    courier = Courier("test", receiver, first_wait_s=0.01)
    send(courier, range(1))
    wait_until(lambda: courier.account.dropped == 1)
    receiver.trouble = None
    send(courier, range(1, 2))
    wait_until(lambda: receiver.got == [1])
    courier.close(10)


def test_signs_of_life_go_on_without_results_and_after_a_loss() -> None:
    receiver = Receiver(beat_s=0.005)
    courier = Courier("test", receiver, first_wait_s=0.001)
    wait_until(lambda: receiver.beats >= 3)
    receiver.trouble = Unreachable("away")
    send(courier, range(1))
    wait_until(receiver.is_asked.is_set)
    receiver.trouble, seen = None, receiver.beats
    wait_until(lambda: receiver.beats >= seen + 3)
    courier.close(10)
    assert receiver.got == [0]


def test_many_writers_and_a_moody_receiver_keep_the_books_exact() -> None:
    receiver = Receiver(capacity=7)
    courier = Courier("test", receiver, first_wait_s=0.0001)
    stopped = threading.Event()

    def change_moods() -> None:
        moods = [None, Unreachable("away"), Refused("no"), None]
        while not stopped.wait(0.001):
            receiver.trouble = moods[len(receiver.got) % len(moods)]
            moods.append(moods.pop(0))

    moods = threading.Thread(target=change_moods)
    writers = [threading.Thread(target=send, args=(courier, range(300))) for _ in range(4)]
    for thread in [moods, *writers]:
        thread.start()
    for writer in writers:
        writer.join()
        assert balances(courier.account)
    stopped.set()
    moods.join()
    receiver.trouble = None
    courier.close(10)
    account = courier.account
    assert account.accepted == 1200
    assert account.waiting == 0
    assert account.delivered == len(receiver.got)
    assert account.delivered + account.dropped == 1200
