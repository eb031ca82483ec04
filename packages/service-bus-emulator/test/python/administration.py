"""Checks of the administration API with Microsoft's client for Python. Usage: administration.py HOST:PORT

Each check prints "ok NAME" or "FAILED NAME reason". The client knows https alone: a transport sends its requests in plain text.
"""

import sys
import traceback
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import (
    AuthorizationRule,
    CorrelationRuleFilter,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)


class PlainText(RequestsTransport):
    def send(self, request, **kwargs):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **kwargs)


def client(address, key="SAS_KEY_VALUE"):
    text = f"Endpoint=sb://{address};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key};UseDevelopmentEmulator=true;"
    return ServiceBusAdministrationClient.from_connection_string(text, transport=PlainText(), retry_total=0)


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def queues(admin):
    admin.create_queue("target")
    rule = AuthorizationRule(
        type="SharedAccessAuthorizationRule", claim_type="SharedAccessKey", claim_value="None", rights=["Send"], key_name="k",
        primary_key="cHJpbWFyeQ==", secondary_key="c2Vjb25kYXJ5", created_at_utc=datetime.now(timezone.utc), modified_at_utc=datetime.now(timezone.utc),
    )
    created = admin.create_queue(
        "py-queue",
        lock_duration=timedelta(seconds=13), max_size_in_megabytes=3072, requires_duplicate_detection=True, requires_session=False,
        default_message_time_to_live=timedelta(days=1, seconds=5), dead_lettering_on_message_expiration=True,
        duplicate_detection_history_time_window=timedelta(minutes=12), max_delivery_count=14, enable_batched_operations=False,
        user_metadata="<a> & b", auto_delete_on_idle=timedelta(hours=2), enable_partitioning=True,
        forward_to="target", forward_dead_lettered_messages_to="target", authorization_rules=[rule],
    )
    read = admin.get_queue("py-queue")
    for queue in (created, read):
        assert queue.name == "py-queue", queue.name
        assert queue.lock_duration == timedelta(seconds=13), queue.lock_duration
        assert queue.default_message_time_to_live == timedelta(days=1, seconds=5)
        assert queue.duplicate_detection_history_time_window == timedelta(minutes=12)
        assert queue.auto_delete_on_idle == timedelta(hours=2)
        # A partition has that size, and there are 16.
        assert (queue.max_size_in_megabytes, queue.max_delivery_count) == (16 * 3072, 14)
        assert (queue.requires_duplicate_detection, queue.requires_session, queue.enable_batched_operations) == (True, False, False)
        assert queue.user_metadata == "<a> & b", queue.user_metadata
        assert queue.forward_to.endswith("/target"), queue.forward_to
        assert queue.authorization_rules[0].key_name == "k" and queue.authorization_rules[0].rights == ["Send"]
        assert queue.status == "Active"
        assert queue.max_message_size_in_kilobytes == 256
    read.max_delivery_count = 3
    read.forward_to = None
    admin.update_queue(read)
    updated = admin.get_queue("py-queue")
    assert updated.max_delivery_count == 3 and updated.forward_to is None, updated.forward_to
    raises(ResourceExistsError, lambda: admin.create_queue("py-queue"))
    admin.delete_queue("py-queue")
    raises(ResourceNotFoundError, lambda: admin.get_queue("py-queue"))
    raises(ResourceNotFoundError, lambda: admin.delete_queue("py-queue"))
    raises(ResourceNotFoundError, lambda: admin.get_queue_runtime_properties("py-queue"))
    raises(HttpResponseError, lambda: admin.create_queue("py-bad", lock_duration=timedelta(minutes=6)))


def refusals(admin):
    raises(HttpResponseError, lambda: admin.create_queue(""))
    raises(HttpResponseError, lambda: admin.create_queue("py-large", max_message_size_in_kilobytes=1024))
    raises(HttpResponseError, lambda: admin.create_topic("py-large", max_message_size_in_kilobytes=1024))
    raises(HttpResponseError, lambda: admin.create_queue("py-express", enable_express=True, requires_duplicate_detection=True))
    queue = admin.create_queue("py-refusals")
    assert queue.max_message_size_in_kilobytes == 256
    # Python's client reads the year 1, which the service writes of what nobody has used.
    assert admin.get_queue_runtime_properties("py-refusals").accessed_at_utc.year == 1
    queue.name = ""
    raises(HttpResponseError, lambda: admin.update_queue(queue))
    queue.name = "py-refusals"
    queue.forward_to = "py-refusals"
    admin.update_queue(queue)
    assert admin.get_queue("py-refusals").forward_to.endswith("/py-refusals")


def topics_and_subscriptions(admin):
    admin.create_topic("py-topic", default_message_time_to_live=timedelta(hours=3), user_metadata="t", support_ordering=True)
    topic = admin.get_topic("py-topic")
    assert topic.default_message_time_to_live == timedelta(hours=3) and topic.user_metadata == "t"
    admin.create_subscription("py-topic", "s", lock_duration=timedelta(seconds=33), max_delivery_count=4, forward_to="target", dead_lettering_on_filter_evaluation_exceptions=False)
    subscription = admin.get_subscription("py-topic", "s")
    assert subscription.name == "s" and subscription.lock_duration == timedelta(seconds=33) and subscription.max_delivery_count == 4
    assert subscription.dead_lettering_on_filter_evaluation_exceptions is False
    assert subscription.availability_status == "Available"
    raises(ResourceExistsError, lambda: admin.create_subscription("py-topic", "s"))
    raises(ResourceNotFoundError, lambda: admin.get_subscription("py-topic", "missing"))
    raises(ResourceNotFoundError, lambda: admin.create_subscription("py-missing", "s"))
    subscription.max_delivery_count = 6
    admin.update_subscription("py-topic", subscription)
    assert admin.get_subscription("py-topic", "s").max_delivery_count == 6
    assert admin.get_topic_runtime_properties("py-topic").subscription_count == 1
    admin.delete_topic("py-topic")
    raises(ResourceNotFoundError, lambda: admin.get_topic("py-topic"))
    raises(ResourceNotFoundError, lambda: admin.get_subscription("py-topic", "s"))


def rules(admin):
    admin.create_topic("py-rules")
    admin.create_subscription("py-rules", "s")
    assert [rule.name for rule in admin.list_rules("py-rules", "s")] == ["$Default"]
    assert isinstance(admin.get_rule("py-rules", "s", "$Default").filter, TrueRuleFilter)
    at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
    parameters = {"@int": 5, "@long": 2**40, "@double": 1.5, "@text": "a<b", "@flag": True, "@at": at}
    admin.create_rule("py-rules", "s", "sql", filter=SqlRuleFilter("a = @int AND b < '<x>'", parameters), action=SqlRuleAction("SET a = @v", {"@v": 7}))
    sql = admin.get_rule("py-rules", "s", "sql")
    assert sql.filter.sql_expression == "a = @int AND b < '<x>'", sql.filter.sql_expression
    assert sql.filter.parameters == parameters, sql.filter.parameters
    assert sql.action.sql_expression == "SET a = @v" and sql.action.parameters == {"@v": 7}
    properties = {"n": 5, "big": 2**40, "d": 2.5, "t": "x", "f": False, "at": at}
    admin.create_rule("py-rules", "s", "correlation", filter=CorrelationRuleFilter(
        correlation_id="c", message_id="m", to="t", reply_to="r", label="l & l", session_id="si", reply_to_session_id="rs", content_type="ct", properties=properties))
    correlation = admin.get_rule("py-rules", "s", "correlation").filter
    assert (correlation.correlation_id, correlation.message_id, correlation.to, correlation.reply_to) == ("c", "m", "t", "r")
    assert (correlation.label, correlation.session_id, correlation.reply_to_session_id, correlation.content_type) == ("l & l", "si", "rs", "ct")
    assert correlation.properties == properties, correlation.properties
    local = {"@naive": datetime(2026, 3, 4, 5, 6, 7), "@span": timedelta(days=1, hours=2, minutes=3)}
    admin.create_rule("py-rules", "s", "zoneless", filter=SqlRuleFilter("a = @naive", local))
    assert admin.get_rule("py-rules", "s", "zoneless").filter.parameters == local
    admin.delete_rule("py-rules", "s", "zoneless")
    nameless = admin.get_rule("py-rules", "s", "sql")
    nameless.name = ""
    raises(HttpResponseError, lambda: admin.update_rule("py-rules", "s", nameless))
    admin.create_rule("py-rules", "s", "never", filter=FalseRuleFilter())
    never = admin.get_rule("py-rules", "s", "never")
    assert isinstance(never.filter, FalseRuleFilter)
    never.filter = SqlRuleFilter("x = 1")
    admin.update_rule("py-rules", "s", never)
    assert admin.get_rule("py-rules", "s", "never").filter.sql_expression == "x = 1"
    raises(ResourceExistsError, lambda: admin.create_rule("py-rules", "s", "sql"))
    raises(ResourceNotFoundError, lambda: admin.get_rule("py-rules", "s", "missing"))
    raises(HttpResponseError, lambda: admin.create_rule("py-rules", "s", "bad", filter=SqlRuleFilter("a ==")))
    admin.delete_rule("py-rules", "s", "sql")
    assert sorted(rule.name for rule in admin.list_rules("py-rules", "s")) == ["$Default", "correlation", "never"]


def lists(admin):
    for i in range(5):
        admin.create_queue(f"py-list-{i}")
    names = [queue.name for queue in admin.list_queues(max_page_size=2)]
    assert [name for name in names if name.startswith("py-list-")] == [f"py-list-{i}" for i in range(5)], names
    runtime = [queue.name for queue in admin.list_queues_runtime_properties(max_page_size=3)]
    assert runtime == names
    admin.create_topic("py-list")
    for i in range(3):
        admin.create_subscription("py-list", f"s{i}")
    assert [subscription.name for subscription in admin.list_subscriptions("py-list", max_page_size=2)] == ["s0", "s1", "s2"]
    assert "py-list" in [topic.name for topic in admin.list_topics()]


def counts(admin, amqp):
    admin.create_queue("py-counts")
    with ServiceBusClient.from_connection_string(amqp) as messages:
        with messages.get_queue_sender("py-counts") as sender:
            sender.send_messages([ServiceBusMessage("1"), ServiceBusMessage("2")])
            sender.schedule_messages(ServiceBusMessage("3"), datetime.now(timezone.utc) + timedelta(minutes=5))
        with messages.get_queue_receiver("py-counts") as receiver:
            receiver.dead_letter_message(receiver.receive_messages(1, max_wait_time=5)[0], reason="r")
    runtime = admin.get_queue_runtime_properties("py-counts")
    assert (runtime.active_message_count, runtime.dead_letter_message_count, runtime.scheduled_message_count) == (1, 1, 1)
    assert runtime.total_message_count == 3 and runtime.size_in_bytes > 0
    assert runtime.created_at_utc <= runtime.accessed_at_utc


def namespace(admin):
    properties = admin.get_namespace_properties()
    assert properties.name == "sbemulatorns" and properties.messaging_sku == "Standard", properties
    assert properties.created_at_utc.tzinfo is not None


def wrong_key(admin):
    del admin
    with client(sys.argv[1], "wrong") as stranger:
        raises(ClientAuthenticationError, lambda: stranger.get_queue("target"))


def main():
    with client(sys.argv[1]) as admin:
        for check in (queues, refusals, topics_and_subscriptions, rules, lists, counts, namespace, wrong_key):
            try:
                check(admin, sys.argv[2]) if check is counts else check(admin)
                print("ok", check.__name__, flush=True)
            except Exception:  # every failure is told, the other checks still run
                print("FAILED", check.__name__, traceback.format_exc().replace("\n", " | "), flush=True)


main()
