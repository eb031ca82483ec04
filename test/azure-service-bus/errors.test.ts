import { expect, test } from "vitest";
import { mistakeInQueue } from "../../transports/azure-service-bus/errors.js";

/** As the client throws it. */
const said = (code: string, text: string): Error => Object.assign(new Error(text), { name: "ServiceBusError", code });

test.each([
  [
    "that requires sessions",
    "It is not possible for an entity that requires sessions to create a non-sessionful message receiver. TrackingId:1, SystemTracker:shop:Queue:orders",
  ],
  [
    "without sessions",
    "A sessionful message receiver cannot be created on an entity that does not require sessions. Ensure RequiresSession is set to true when creating a Queue or Subscription to enable sessionful behavior.",
  ],
])("a queue %s, which should be otherwise, is a mistake that a start fails for", (_, text) => {
  expect(mistakeInQueue(said("GeneralError", text), "orders")).toMatch(/another form.*another name/);
});

test.each([
  ["MessagingEntityNotFound", "The messaging entity 'sb://shop/user-sessions' could not be found."],
  ["ServiceTimeout", "Unable to create the amqp session due to operation timeout."],
  ["ServiceTimeout", "Unable to create the amqp receiver 'user-sessions-1' on amqp session 'local-1' due to operation timeout."],
  ["ServiceBusy", "The request was terminated because the namespace is being throttled. SystemTracker:shop:Queue:user-sessions"],
  ["MessagingEntityDisabled", "Messaging entity 'user-sessions' is currently disabled."],
  ["SessionLockLost", "The session lock has expired on the MessageSession. Accept a new MessageSession."],
])("what may pass is none, though it speaks of sessions: %s, %s", (code, text) => {
  expect(mistakeInQueue(said(code, text), "user-sessions")).toBeUndefined();
});
