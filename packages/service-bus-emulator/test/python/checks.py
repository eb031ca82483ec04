"""Checks of the emulator under Microsoft's azure-servicebus for Python, which has an AMQP implementation of its own.

Usage: python checks.py CONNECTION_STRING. Prints one line for each check, "ok NAME" or "FAILED NAME" with the reason; exits 1 when one failed.
"""

import datetime
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor

from azure.servicebus import (
    AutoLockRenewer,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
    NEXT_AVAILABLE_SESSION,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus import exceptions

CHECKS = {}

# Of a call that is refused, which does not take it. Less, on a busy machine, is a time-out before the link is open.
REFUSED_WITHIN = 20


def check(group):
    """Checks of a group share queues and run one after the other; the groups run side by side, because the SDK sleeps a lot."""

    def add(function):
        CHECKS.setdefault(group, []).append(function)
        return function

    return add


def expect(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def utc(seconds):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


def text(message):
    return b"".join(message.body).decode()


def send(client, queue, *messages):
    with client.get_queue_sender(queue) as sender:
        sender.send_messages(list(messages))


def receive_all(receiver, count, seconds=10):
    received = []
    deadline = time.monotonic() + seconds
    while len(received) < count and time.monotonic() < deadline:
        received += receiver.receive_messages(max_message_count=count - len(received), max_wait_time=1)
    return received


@check("plain")
def send_receive_complete(client):
    with client.get_queue_sender("plain") as sender:
        sender.send_messages(ServiceBusMessage("hello", message_id="m1"))
    with client.get_queue_receiver("plain", max_wait_time=2) as receiver:
        for message in receiver:
            expect(text(message), "hello")
            expect(message.message_id, "m1")
            expect(message.delivery_count, 0)
            receiver.complete_message(message)
            break
        expect(receiver.peek_messages(sequence_number=1), [])


@check("plain")
def properties_keep_their_types(client):
    value = uuid.uuid4()
    when = datetime.datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=datetime.timezone.utc)
    properties = {"text": "grüße", "int": 42, "negative": -(2**31), "double": 3.0, "yes": True, "no": False,
                  "uuid": value, "none": None, "when": when}
    message = ServiceBusMessage(b"\x00\x01\xff", application_properties=properties, subject="s", correlation_id="c", to="t", reply_to="r",
                                content_type="x/y", session_id=None, time_to_live=datetime.timedelta(minutes=5))
    send(client, "plain", message)
    with client.get_queue_receiver("plain") as receiver:
        [received] = receive_all(receiver, 1)
        expect(b"".join(received.body), b"\x00\x01\xff")
        got = {key.decode(): item for key, item in received.application_properties.items()}
        expect(got["text"], b"gr\xc3\xbc\xc3\x9fe")
        for name in ("int", "negative", "double", "yes", "no", "uuid", "none"):
            expect(got[name], properties[name])
            expect(type(got[name]), type(properties[name]))
        expect([received.subject, received.correlation_id, received.to, received.reply_to, received.content_type], ["s", "c", "t", "r", "x/y"])
        expect(received.time_to_live, datetime.timedelta(minutes=5))
        assert received.sequence_number > 0 and received.enqueued_time_utc and received.locked_until_utc > utc(0)
        receiver.complete_message(received)


@check("plain")
def annotated_messages_of_every_body(client):
    with client.get_queue_sender("plain") as sender:
        sender.send_messages(AmqpAnnotatedMessage(value_body={"a": [1, 2.0, True]}))
        sender.send_messages(AmqpAnnotatedMessage(sequence_body=[[1, "two"], [None]]))
        sender.send_messages(AmqpAnnotatedMessage(data_body=[b"a", b"b"], footer={"f": 1}, annotations={"x-own": 5}))
    with client.get_queue_receiver("plain") as receiver:
        value, sequence, data = receive_all(receiver, 3)
        expect(value.raw_amqp_message.body, {b"a": [1, 2.0, True]})
        expect([list(part) for part in sequence.raw_amqp_message.body], [[1, b"two"], [None]])
        expect(list(data.raw_amqp_message.body), [b"a", b"b"])
        expect(data.raw_amqp_message.footer, {b"f": 1})
        expect(data.raw_amqp_message.annotations[b"x-own"], 5)
        for message in (value, sequence, data):
            receiver.complete_message(message)


@check("plain")
def batches_and_size_limits(client):
    with client.get_queue_sender("plain") as sender:
        batch = sender.create_message_batch()
        count = 0
        while True:
            try:
                batch.add_message(ServiceBusMessage(b"x" * 1000, message_id=f"m{count}"))
                count += 1
            except exceptions.MessageSizeExceededError:
                break
        assert count > 200, count
        sender.send_messages(batch)
        raises(exceptions.MessageSizeExceededError, lambda: sender.send_messages(ServiceBusMessage(b"x" * 300_000)))
        sender.send_messages(ServiceBusMessage(b"y" * 200_000))
    with client.get_queue_receiver("plain", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver:
        received = receive_all(receiver, count + 1, 10)
        expect([message.message_id for message in received[:count]], [f"m{i}" for i in range(count)])
        expect(len(b"".join(received[count].body)), 200_000)
        expect(receiver.peek_messages(sequence_number=1), [])


@check("plain")
def abandon_and_dead_letter(client):
    send(client, "plain", ServiceBusMessage("a", application_properties={"own": 1}))
    with client.get_queue_receiver("plain") as receiver:
        [first] = receive_all(receiver, 1)
        receiver.abandon_message(first)
        [again] = receive_all(receiver, 1)
        expect(again.delivery_count, 1)
        receiver.dead_letter_message(again, reason="broken", error_description="cannot be read")
        expect(receive_all(receiver, 1, 1), [])
    with client.get_queue_receiver("plain", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        [dead] = receive_all(receiver, 1)
        expect([text(dead), dead.dead_letter_reason, dead.dead_letter_error_description], ["a", "broken", "cannot be read"])
        expect(dead.application_properties[b"own"], 1)
        receiver.complete_message(dead)
        expect(receiver.peek_messages(sequence_number=1), [])


@check("plain")
def dead_letters_are_given_out_without_being_counted(client):
    send(client, "plain", ServiceBusMessage("a"))
    with client.get_queue_receiver("plain") as receiver:
        [message] = receive_all(receiver, 1)
        receiver.abandon_message(message)
        [message] = receive_all(receiver, 1)
        receiver.dead_letter_message(message)
    with client.get_queue_receiver("plain", sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
        for _ in range(3):
            [dead] = receive_all(receiver, 1)
            expect(dead.delivery_count, 1)
            receiver.abandon_message(dead)
        receiver.complete_message(receive_all(receiver, 1)[0])


@check("plain")
def a_received_message_is_sent_again(client):
    # This client writes the delivery annotations that came with it after the body.
    send(client, "plain", ServiceBusMessage("again", message_id="m", subject="s", application_properties={"a": 1}))
    with client.get_queue_receiver("plain") as receiver:
        [first] = receive_all(receiver, 1)
        receiver.complete_message(first)
        send(client, "plain", first)
        [second] = receive_all(receiver, 1)
        expect([text(second), second.message_id, second.subject, second.application_properties], ["again", "m", "s", {b"a": 1}])
        assert second.sequence_number > first.sequence_number
        receiver.complete_message(second)


@check("plain")
def the_service_writes_what_its_own_tests_expect(client):
    send(client, "plain", ServiceBusMessage("a"), ServiceBusMessage("b"))
    with client.get_queue_receiver("plain") as receiver:
        [message] = receive_all(receiver, 1)
        raw = message.raw_amqp_message
        expect(sorted(raw.annotations), [b"x-opt-enqueued-time", b"x-opt-locked-until", b"x-opt-sequence-number"])
        expect(list(raw.delivery_annotations), [b"x-opt-lock-token"])
        expect([raw.header.durable, raw.header.priority, raw.header.delivery_count], [None, None, 0])
        expect(message.state, ServiceBusMessageState.ACTIVE)
        receiver.complete_message(message)
    with client.get_queue_receiver("plain", receive_mode="receiveanddelete") as receiver:
        [message] = receive_all(receiver, 1)
        expect(sorted(message.raw_amqp_message.annotations), [b"x-opt-enqueued-time", b"x-opt-sequence-number"])
        expect([message.lock_token, message.locked_until_utc], [None, None])


@check("others")
def too_many_deliveries(client):
    send(client, "twice", ServiceBusMessage("a"))
    with client.get_queue_receiver("twice") as receiver:
        for _ in range(2):
            [message] = receive_all(receiver, 1)
            receiver.abandon_message(message)
        expect(receive_all(receiver, 1, 1), [])
    with client.get_queue_receiver("twice", sub_queue="deadletter", receive_mode="receiveanddelete") as receiver:
        [dead] = receive_all(receiver, 1)
        expect(dead.dead_letter_reason, "MaxDeliveryCountExceeded")


@check("plain")
def defer_and_receive_deferred(client):
    send(client, "plain", ServiceBusMessage("a"), ServiceBusMessage("b"))
    with client.get_queue_receiver("plain") as receiver:
        first, second = receive_all(receiver, 2)
        receiver.defer_message(first)
        receiver.complete_message(second)
        [peeked] = receiver.peek_messages(5, sequence_number=1)
        expect(peeked.state, ServiceBusMessageState.DEFERRED)
        [deferred] = receiver.receive_deferred_messages(first.sequence_number)
        expect(text(deferred), "a")
        assert deferred.lock_token
        receiver.renew_message_lock(deferred)
        receiver.complete_message(deferred)
        raises(exceptions.MessageNotFoundError, lambda: receiver.receive_deferred_messages(first.sequence_number))


@check("plain")
def deferred_messages_are_dead_lettered_and_abandoned(client):
    send(client, "plain", ServiceBusMessage("a"), ServiceBusMessage("b"))
    with client.get_queue_receiver("plain") as receiver:
        messages = receive_all(receiver, 2)
        for message in messages:
            receiver.defer_message(message)
        one, two = receiver.receive_deferred_messages([message.sequence_number for message in messages])
        receiver.dead_letter_message(one, reason="why", error_description="because")
        receiver.abandon_message(two)
        [back] = receiver.receive_deferred_messages(two.sequence_number)
        receiver.complete_message(back)
    with client.get_queue_receiver("plain", sub_queue="deadletter", receive_mode="receiveanddelete") as receiver:
        [dead] = receive_all(receiver, 1)
        expect([text(dead), dead.dead_letter_reason], ["a", "why"])


@check("others")
def locks_are_renewed_and_lost(client):
    send(client, "short", ServiceBusMessage("a"))
    with client.get_queue_receiver("short") as receiver:
        [message] = receive_all(receiver, 1)
        time.sleep(1)
        until = receiver.renew_message_lock(message)
        assert until > utc(1), until
        time.sleep(2.2)
        raises(exceptions.MessageLockLostError, lambda: receiver.complete_message(message))
        [again] = receive_all(receiver, 1)
        expect(again.delivery_count, 1)
        receiver.complete_message(again)


@check("others")
def locks_are_renewed_by_the_renewer(client):
    send(client, "short", ServiceBusMessage("a"))
    with client.get_queue_receiver("short") as receiver, AutoLockRenewer() as renewer:
        [message] = receive_all(receiver, 1)
        renewer.register(receiver, message, max_lock_renewal_duration=30)
        time.sleep(4)
        receiver.complete_message(message)
        expect(receiver.peek_messages(sequence_number=1), [])


@check("plain")
def schedule_and_cancel(client):
    due = utc(6)
    with client.get_queue_sender("plain") as sender:
        numbers = sender.schedule_messages([ServiceBusMessage("due"), ServiceBusMessage("cancelled")], due)
        expect(len(numbers), 2)
        sender.cancel_scheduled_messages(numbers[1])
        raises(exceptions.ServiceBusError, lambda: sender.cancel_scheduled_messages(numbers[1]))
    with client.get_queue_receiver("plain") as receiver:
        [peeked] = receiver.peek_messages(5, sequence_number=1)
        expect(peeked.state, ServiceBusMessageState.SCHEDULED)
        [message] = receive_all(receiver, 1, 10)
        assert utc(0) >= due - datetime.timedelta(milliseconds=5)
        expect(text(message), "due")
        expect(abs((message.scheduled_enqueue_time_utc - due).total_seconds()) < 0.002, True)
        receiver.complete_message(message)


@check("plain")
def peek_pages(client):
    send(client, "plain", *[ServiceBusMessage(str(i)) for i in range(30)])
    with client.get_queue_receiver("plain", receive_mode="receiveanddelete") as receiver:
        seen = []
        number = 1
        while True:
            page = receiver.peek_messages(max_message_count=7, sequence_number=number)
            if not page:
                break
            seen += [text(message) for message in page]
            number = page[-1].sequence_number + 1
        expect(seen, [str(i) for i in range(30)])
        expect(len(receive_all(receiver, 30)), 30)


@check("plain")
def prefetch(client):
    send(client, "plain", *[ServiceBusMessage(str(i)) for i in range(50)])
    with client.get_queue_receiver("plain", prefetch_count=20, max_wait_time=2) as receiver:
        seen = []
        for message in receiver:
            seen.append(text(message))
            receiver.complete_message(message)
            if len(seen) == 50:
                break
        expect(seen, [str(i) for i in range(50)])


@check("sessions")
def sessions(client):
    with client.get_queue_sender("sessions") as sender:
        for i in range(3):
            sender.send_messages(ServiceBusMessage(f"a{i}", session_id="a"))
            sender.send_messages(ServiceBusMessage(f"b{i}", session_id="b"))
        raises(exceptions.ServiceBusError, lambda: sender.send_messages(ServiceBusMessage("none")))
    with client.get_queue_receiver("sessions", session_id="a") as receiver:
        expect(receiver.session.session_id, "a")
        assert utc(0) < receiver.session.locked_until_utc < utc(120), receiver.session.locked_until_utc
        receiver.session.set_state("half way")
        expect(receiver.session.get_state(), b"half way")
        assert receiver.session.renew_lock() > utc(0)
        messages = receive_all(receiver, 3)
        expect([text(message) for message in messages], ["a0", "a1", "a2"])
        expect([text(message) for message in receiver.peek_messages(10, sequence_number=1)], ["a0", "a1", "a2"])
        raises(exceptions.SessionCannotBeLockedError, lambda: client.get_queue_receiver("sessions", session_id="a").__enter__())
        receiver.defer_message(messages[0])
        [deferred] = receiver.receive_deferred_messages(messages[0].sequence_number)
        receiver.complete_message(deferred)
        for message in messages[1:]:
            receiver.complete_message(message)
    with client.get_queue_receiver("sessions", session_id=NEXT_AVAILABLE_SESSION) as receiver:
        expect(receiver.session.session_id, "b")
        for message in receive_all(receiver, 3):
            receiver.complete_message(message)
    with client.get_queue_receiver("sessions", session_id="a") as receiver:
        expect(receiver.session.get_state(), b"half way")
        receiver.session.set_state(None)
        expect(receiver.session.get_state(), None)
        receiver.session.set_state("again")
        receiver.session.set_state(b"")
        expect(receiver.session.get_state(), None)


@check("sessions")
def no_session_is_a_timeout(client):
    receiver = client.get_queue_receiver("sessions", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1)
    raises(exceptions.OperationTimeoutError, lambda: receiver.receive_messages(max_wait_time=1))
    receiver.close()


@check("sessions")
def wrong_kinds_of_receivers(client):
    raises(exceptions.ServiceBusError, lambda: client.get_queue_receiver("sessions").receive_messages(max_wait_time=REFUSED_WITHIN))
    raises(exceptions.ServiceBusError, lambda: client.get_queue_receiver("plain", session_id="a").receive_messages(max_wait_time=REFUSED_WITHIN))


@check("others")
def topics_filters_and_forwarding(client):
    with client.get_topic_sender("events") as sender:
        sender.send_messages([
            ServiceBusMessage("red", subject="paint", application_properties={"color": "red", "size": 5}),
            ServiceBusMessage("blue", subject="paint", application_properties={"color": "blue", "size": 1}),
        ])
        sender.schedule_messages(ServiceBusMessage("late", application_properties={"color": "red", "size": 9}), utc(1))
    with client.get_subscription_receiver("events", "all", receive_mode="receiveanddelete") as receiver:
        expect([text(message) for message in receive_all(receiver, 3)], ["red", "blue", "late"])
    with client.get_subscription_receiver("events", "red", receive_mode="receiveanddelete") as receiver:
        expect([text(message) for message in receive_all(receiver, 3, 2)], ["red", "late"])
    with client.get_queue_receiver("target", receive_mode="receiveanddelete") as receiver:
        expect([text(message) for message in receive_all(receiver, 1)], ["blue"])
    raises(exceptions.ServiceBusError, lambda: client.get_subscription_receiver("events", "forwarding").receive_messages(max_wait_time=REFUSED_WITHIN))
    with client.get_subscription_receiver("events", "all") as receiver:
        expect(receiver.peek_messages(sequence_number=1), [])


@check("others")
def missing_entities(client):
    # The SDK's own live tests expect an error of authentication: the token for the entity is what is refused.
    raises(exceptions.ServiceBusAuthenticationError, lambda: client.get_queue_sender("missing").send_messages(ServiceBusMessage("x")))
    raises(exceptions.ServiceBusAuthenticationError, lambda: client.get_queue_receiver("missing").receive_messages(max_wait_time=REFUSED_WITHIN))


@check("sessions")
def a_wrong_key(client):
    wrong = sys.argv[1].replace("SharedAccessKey=", "SharedAccessKey=x")
    with ServiceBusClient.from_connection_string(wrong, retry_total=0) as stranger:
        raises(exceptions.ServiceBusAuthenticationError, lambda: stranger.get_queue_sender("plain").send_messages(ServiceBusMessage("x")))


@check("plain")
def deletes_in_batches(client):
    send(client, "plain", *[ServiceBusMessage(str(i)) for i in range(10)])
    with client.get_queue_receiver("plain", receive_mode="receiveanddelete") as receiver:
        delete = getattr(receiver, "delete_messages", None) or getattr(receiver, "_delete_messages", None)
        if delete is None:
            expect(len(receive_all(receiver, 10)), 10)
            return
        expect(delete(max_message_count=4), 4)
        expect(len(receiver.peek_messages(20, sequence_number=1)), 6)
        expect(len(receive_all(receiver, 6)), 6)


@check("sessions")
def lists_sessions(client):
    list_sessions = getattr(client, "list_queue_sessions", None)
    if list_sessions is None:
        return
    send(client, "sessions", ServiceBusMessage("x", session_id="listed"))
    assert "listed" in list(list_sessions("sessions"))
    with client.get_queue_receiver("sessions", session_id="listed", receive_mode="receiveanddelete") as receiver:
        expect(len(receive_all(receiver, 1)), 1)


def tell(line):
    # In one piece: the groups write at the same time.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(function):
    begun = time.monotonic()
    try:
        with ServiceBusClient.from_connection_string(sys.argv[1], retry_total=1, retry_backoff_factor=0.1) as client:
            function(client)
        tell(f"ok {function.__name__} {time.monotonic() - begun:.1f} s")
        return True
    except Exception:
        tell(f"FAILED {function.__name__} {traceback.format_exc()}")
        return False


def main():
    chosen = sys.argv[2:]
    with ThreadPoolExecutor() as threads:
        groups = [
            threads.submit(lambda checks: [run(function) for function in checks if not chosen or function.__name__ in chosen], checks)
            for checks in CHECKS.values()
        ]
    sys.exit(0 if all(ok for group in groups for ok in group.result()) else 1)


main()
