import { AmqpError } from "../../amqp/amqp-error.js";
import type { Receivable, Right, Sendable, Subscription } from "../../broker/contracts.js";
import { Fields, type Request, type Response } from "../request.js";
import {
  cancelScheduled,
  deleteMessages,
  peekMessages,
  receiveBySequenceNumber,
  renewLocks,
  scheduleMessages,
  updateDisposition,
} from "./messages.js";
import { addRule, listRules, removeRule } from "./rules.js";
import { getSessionState, listSessions, renewSessionLock, setSessionState } from "./sessions.js";

export type AnyEntity = Sendable | Receivable | Subscription;
type Operation = (entity: AnyEntity, fields: Fields) => Response;

/** What can be asked at `<entity>/$management` (learn.microsoft.com, service-bus-amqp-request-response). */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  "com.microsoft:peek-message": peekMessages,
  "com.microsoft:renew-lock": onReceivable(renewLocks),
  "com.microsoft:receive-by-sequence-number": onReceivable(receiveBySequenceNumber),
  "com.microsoft:update-disposition": onReceivable(updateDisposition),
  "com.microsoft:batch-delete-messages": onReceivable(deleteMessages),
  "com.microsoft:schedule-message": onSendable(scheduleMessages),
  "com.microsoft:cancel-scheduled-message": onSendable(cancelScheduled),
  "com.microsoft:renew-session-lock": onReceivable(renewSessionLock),
  "com.microsoft:get-session-state": onReceivable(getSessionState),
  "com.microsoft:set-session-state": onReceivable(setSessionState),
  "com.microsoft:get-message-sessions": onReceivable(listSessions),
  "com.microsoft:add-rule": onSubscription(addRule),
  "com.microsoft:remove-rule": onSubscription(removeRule),
  "com.microsoft:enumerate-rules": onSubscription(listRules),
};

const SENDING: ReadonlySet<string> = new Set(["com.microsoft:schedule-message", "com.microsoft:cancel-scheduled-message"]);

/** The right that an operation needs: to schedule is to send, everything else is for those who receive. */
export function rightFor(operation: string): Right {
  return SENDING.has(operation) ? "Send" : "Listen";
}

/** @throws AmqpError or BrokerError when the request is refused */
export function perform(entity: AnyEntity, request: Request): Response {
  const operation = Object.hasOwn(OPERATIONS, request.operation) ? OPERATIONS[request.operation] : undefined;
  if (!operation) throw new AmqpError("amqp:not-implemented", `The operation "${request.operation}" is not implemented.`);
  return operation(entity, new Fields(request.body));
}

function onReceivable(operation: (entity: Receivable, fields: Fields) => Response): Operation {
  return (entity, fields) => {
    if (!isReceivable(entity)) throw notFor(entity);
    return operation(entity, fields);
  };
}

function onSendable(operation: (entity: Sendable, fields: Fields) => Response): Operation {
  return (entity, fields) => {
    if (!isSendable(entity)) throw notFor(entity);
    return operation(entity, fields);
  };
}

function onSubscription(operation: (entity: Subscription, fields: Fields) => Response): Operation {
  return (entity, fields) => {
    if (!isSubscription(entity)) throw notFor(entity);
    return operation(entity, fields);
  };
}

export function isSubscription(entity: AnyEntity): entity is Subscription {
  return entity.kind === "subscription";
}

export function isSendable(entity: AnyEntity): entity is Sendable {
  return entity.kind === "queue" || entity.kind === "topic";
}

export function isReceivable(entity: AnyEntity): entity is Receivable {
  return entity.kind !== "topic";
}

function notFor(entity: AnyEntity): AmqpError {
  return new AmqpError(
    "amqp:not-allowed",
    `The operation cannot be done on "${entity.path}", which is a ${entity.kind.replaceAll("-", " ")}.`,
  );
}
