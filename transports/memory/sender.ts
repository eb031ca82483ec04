import type { OutgoingMessage, SendResult } from "../../src/contracts/transport.js";
import type { Namespace } from "./broker.js";
import { MemoryTransportError } from "./errors.js";
import { sizeOf, storedFrom } from "./mapping.js";
import type { EndpointQueue } from "./queue.js";

const SENT: SendResult = Object.freeze({ outcome: "sent" });

/** Puts each message into the queues that it is for; what returns "sent" is there. Nothing is half sent: a refused event is in no queue. */
export function sendAll(namespace: Namespace, messages: readonly OutgoingMessage[], maxMessageBytes: number): SendResult[] {
  const results: SendResult[] = [];
  for (const message of messages) results.push(sendOne(namespace, message, maxMessageBytes));
  return results;
}

/** The same refusal for every message of a call. */
export function refuseAll(messages: readonly OutgoingMessage[], error: MemoryTransportError): SendResult[] {
  const result: SendResult = { outcome: "refused", error };
  return messages.map(() => result);
}

function sendOne(namespace: Namespace, message: OutgoingMessage, maxMessageBytes: number): SendResult {
  const size = sizeOf(message);
  if (size > maxMessageBytes) {
    const text = `The message has ${size} bytes with its headers, and the memory transport takes at most ${maxMessageBytes}.`;
    return refused("too-large", `${text} Send less, or a reference to where the data is.`, false);
  }
  return "event" in message.to ? publish(namespace, message.to.event, message) : command(namespace, message.to.endpoint, message);
}

function publish(namespace: Namespace, type: string, message: OutgoingMessage): SendResult {
  const subscribers = namespace.subscriptions.get(type);
  if (!subscribers) {
    // A real broker has no exchange or topic to take it either; accepting it here would hide the mistake until then.
    const text = `The event type "${type}" does not exist in the memory broker, so that the event can go nowhere.`;
    return refused("topology", `${text} Leave the option "topology" at "create", or let another bus of this broker make it first.`, false);
  }
  for (const queue of subscribers) if (!queue.hasRoomFor(message)) return full(queue, namespace, message);
  if (subscribers.length > 0) {
    const stored = storedFrom(message);
    for (const queue of subscribers) queue.accept(stored);
  }
  return SENT;
}

function command(namespace: Namespace, endpoint: string, message: OutgoingMessage): SendResult {
  const queue = namespace.queues.get(endpoint);
  if (!queue) {
    const text = `There is no endpoint "${endpoint}" in the memory broker, so that the command would be lost.`;
    return refused("unroutable", `${text} Check the name; the service that has it must have started once in this process.`, false);
  }
  if (!queue.hasRoomFor(message)) return full(queue, namespace, message);
  queue.accept(storedFrom(message));
  return SENT;
}

function full(queue: EndpointQueue, { queues }: Namespace, { publishedBy }: OutgoingMessage): SendResult {
  const text = `The endpoint "${queue.name}" has ${queue.size} messages, which is the most that the memory broker keeps for one (maxQueueLength).`;
  if (publishedBy !== undefined && queues.get(publishedBy) === queue) {
    // Waiting, its handlers would wait for each other.
    return refused(
      "refused",
      `${text} That is twice the limit: its own handlers publish more to it than they take. Raise maxQueueLength, or publish less.`,
      false,
    );
  }
  return refused("unavailable", `${text} It takes more when its consumers have handled some.`, true);
}

function refused(code: MemoryTransportError["code"], text: string, retryable: boolean): SendResult {
  return { outcome: "refused", error: new MemoryTransportError(code, text, retryable) };
}
