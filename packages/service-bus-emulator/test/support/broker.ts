import { encodeValue } from "../../src/amqp/encoder.js";
import { type AmqpValue, described, map, timestamp, ulong } from "../../src/amqp/values.js";
import type { BrokerError } from "../../src/broker/broker-error.js";
import type { Delivery, IncomingMessage, Receivable, ReceiveMode, Receiver, StoredMessage } from "../../src/broker/contracts.js";
import { PropertyIndex, readApplicationProperties } from "../../src/broker/message-sections.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { ManualClock } from "./manual-clock.js";

export interface MessageOptions {
  readonly id?: AmqpValue;
  readonly session?: string;
  readonly subject?: string;
  readonly to?: string;
  readonly correlationId?: string;
  readonly contentType?: string;
  readonly replyTo?: string;
  readonly replyToSessionId?: string;
  readonly timeToLive?: number;
  readonly properties?: Readonly<Record<string, AmqpValue>>;
  /** Epoch milliseconds. */
  readonly scheduledAt?: number;
  readonly body?: Buffer;
}

/** A message as the protocol hands it to the broker. */
export function message(text: string, options: MessageOptions = {}): IncomingMessage {
  const fields: AmqpValue[] = Array(13).fill(null);
  fields[PropertyIndex.messageId] = options.id ?? text;
  fields[PropertyIndex.subject] = options.subject ?? null;
  fields[PropertyIndex.to] = options.to ?? null;
  fields[PropertyIndex.correlationId] = options.correlationId ?? null;
  fields[PropertyIndex.contentType] = options.contentType ?? null;
  fields[PropertyIndex.replyTo] = options.replyTo ?? null;
  fields[PropertyIndex.groupId] = options.session ?? null;
  fields[PropertyIndex.replyToGroupId] = options.replyToSessionId ?? null;
  const sections = [encodeValue(described(ulong(0x73n), fields))];
  if (options.properties) sections.push(encodeValue(described(ulong(0x74n), map(Object.entries(options.properties)))));
  sections.push(encodeValue(described(ulong(0x75n), options.body ?? Buffer.from(text))));
  return {
    durable: true,
    priority: undefined,
    timeToLive: options.timeToLive,
    annotations:
      options.scheduledAt === undefined ? undefined : new Map([["x-opt-scheduled-enqueue-time", timestamp(options.scheduledAt)]]),
    bare: Buffer.concat(sections),
  };
}

/** The text that a message of `message(text)` was made with. */
export function textOfMessage(stored: StoredMessage): string {
  const at = stored.bare.lastIndexOf(Buffer.from([0x53, 0x75, 0xa0]));
  return stored.bare.subarray(at + 4).toString();
}

export function propertiesOf(stored: StoredMessage): Record<string, AmqpValue> {
  return Object.fromEntries(readApplicationProperties(stored.bare));
}

/** A link of a test: keeps what it gets. */
export class TestReceiver {
  readonly deliveries: Delivery[] = [];
  ended: BrokerError | undefined;
  link!: Receiver;

  /** Of each delivery, as it was then. */
  readonly texts: string[] = [];
  readonly deliveryCounts: number[] = [];

  get last(): Delivery {
    const last = this.deliveries.at(-1);
    if (!last) throw new Error("nothing was delivered");
    return last;
  }

  readonly options = {
    mode: "peek-lock" as ReceiveMode,
    onDelivery: (delivery: Delivery): void => {
      this.deliveries.push(delivery);
      this.texts.push(textOfMessage(delivery.message));
      this.deliveryCounts.push(delivery.message.deliveryCount);
    },
    onEnd: (error: BrokerError): void => {
      this.ended = error;
    },
  };
}

/** A receiver with credit. */
export function receive(entity: Receivable, credit = 100, mode: ReceiveMode = "peek-lock"): TestReceiver {
  const receiver = new TestReceiver();
  receiver.link = entity.openReceiver({ ...receiver.options, mode });
  receiver.link.setCredit(credit);
  return receiver;
}

/** A receiver of a session, without credit yet. */
export async function acceptSession(entity: Receivable, sessionId: string | undefined, timeoutMilliseconds = 1000): Promise<TestReceiver> {
  const receiver = new TestReceiver();
  receiver.link = await entity.openSession({ ...receiver.options, sessionId, timeoutMilliseconds }).receiver;
  return receiver;
}

export function namespaceOfTest(): { readonly clock: ManualClock; readonly namespace: ServiceBusNamespace } {
  const clock = new ManualClock();
  return { clock, namespace: new ServiceBusNamespace({ clock }) };
}

/** What a call refuses with. */
export function refusal(call: () => unknown): { condition: string; message: string } {
  try {
    call();
  } catch (error) {
    const { condition, message: text } = error as BrokerError;
    return { condition, message: text };
  }
  throw new Error("it was not refused");
}
