import type {
  DeliverySink,
  OutgoingMessage,
  Receiver,
  ReceiveSource,
  SendResult,
  TopologyPlan,
  Transport,
  TransportCapabilities,
  TransportError,
  TransportHost,
} from "../../src/contracts/transport.js";
import { TrolleybusError } from "../../src/errors.js";
import { bodyOf, type DeliveryParts, ScriptedDelivery } from "./scripted-delivery.js";

export const SENT: SendResult = { outcome: "sent" };

export function transportError(code: TransportError["code"] = "unavailable", retryable = true): TransportError {
  return new TrolleybusError(code, `scripted: ${code}`, { cause: undefined, retryable }) as TransportError;
}
export const refused = (code?: TransportError["code"], retryable?: boolean): SendResult => ({
  outcome: "refused",
  error: transportError(code, retryable),
});
export const unknown = (code?: TransportError["code"], retryable?: boolean): SendResult => ({
  outcome: "unknown",
  error: transportError(code, retryable),
});

/** One call of `send` that waits for the test to answer it. */
export class HeldSend {
  readonly messages: readonly OutgoingMessage[];
  readonly signal: AbortSignal;
  readonly results: Promise<readonly SendResult[]>;
  #resolve: (results: readonly SendResult[]) => void = () => {};

  constructor(messages: readonly OutgoingMessage[], signal: AbortSignal) {
    this.messages = messages;
    this.signal = signal;
    this.results = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** One result for each message, or one for all. */
  answer(...results: readonly SendResult[]): void {
    this.#resolve(this.messages.map((_, index) => results[index] ?? results[0] ?? SENT));
  }
}

/** A transport that does what the test says, for what a real broker cannot be made to do. By default everything succeeds at once. */
export class ScriptedTransport implements Transport {
  readonly name = "scripted";
  capabilities: TransportCapabilities = {
    durable: true,
    order: "endpoint",
    settlesIndividually: true,
    countsStarts: true,
    keeps: "until-settled",
    maxHoldMs: Number.POSITIVE_INFINITY,
    maxMessageBytes: 16 * 1024 * 1024,
    maxNameLength: 255,
  };
  /** What was called, in order: "open", "provision", "receive shipping", "stop shipping", "close shipping", "close", "send 3". */
  readonly log: string[] = [];
  readonly plans: TopologyPlan[] = [];
  /** Each call of `send`. */
  readonly batches: (readonly OutgoingMessage[])[] = [];
  readonly sinks: Map<string, DeliverySink> = new Map();
  readonly sources: ReceiveSource[] = [];
  host: TransportHost | undefined;
  onOpen: (signal: AbortSignal) => Promise<void> | void = () => {};
  onProvision: (plan: TopologyPlan) => Promise<void> | void = () => {};
  onSend: (messages: readonly OutgoingMessage[], signal: AbortSignal) => readonly SendResult[] | Promise<readonly SendResult[]> = (
    messages,
  ) => messages.map(() => SENT);
  onReceive: (source: ReceiveSource) => Promise<void> | void = () => {};
  onStop: (source: ReceiveSource) => Promise<void> | void = () => {};
  /** Told of each answer, with the id or the body's text of the delivery. */
  onAnswer: (delivery: ScriptedDelivery) => void = () => {};

  get sent(): readonly OutgoingMessage[] {
    return this.batches.flat();
  }

  /** From now on every `send` waits in the list that is returned. */
  holdSends(): HeldSend[] {
    const held: HeldSend[] = [];
    this.onSend = (messages, signal) => {
      const one = new HeldSend(messages, signal);
      held.push(one);
      return one.results;
    };
    return held;
  }

  async open(host: TransportHost, signal: AbortSignal): Promise<void> {
    this.log.push("open");
    this.host = host;
    await this.onOpen(signal);
  }

  async provision(plan: TopologyPlan): Promise<void> {
    this.log.push("provision");
    this.plans.push(plan);
    await this.onProvision(plan);
  }

  async send(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly SendResult[]> {
    this.log.push(`send ${messages.length}`);
    this.batches.push(messages);
    return this.onSend(messages, signal);
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    const { name } = source.endpoint;
    this.log.push(`receive ${name}`);
    this.sources.push(source);
    this.sinks.set(source.from === "endpoint" ? name : `${name} dead letters`, sink);
    await this.onReceive(source);
    let stopped: Promise<void> | undefined;
    return {
      stop: () => {
        if (!stopped) {
          this.log.push(`stop ${name}`);
          stopped = Promise.resolve(this.onStop(source));
        }
        return stopped;
      },
      close: async () => {
        this.log.push(`close ${name}`);
      },
    };
  }

  async close(): Promise<void> {
    this.log.push("close");
  }

  /** Delivers to an endpoint, or to `"NAME dead letters"`. */
  deliver(to: string, parts: DeliveryParts): ScriptedDelivery {
    const sink = this.sinks.get(to);
    if (!sink) throw new Error(`nothing receives from "${to}"`);
    const delivery = new ScriptedDelivery(parts, (answered) => this.onAnswer(answered));
    sink.deliver(delivery);
    return delivery;
  }

  /** Delivers a message of this type, as another service would have sent it. */
  deliverMessage(
    to: string,
    messageType: string,
    data: unknown,
    envelope: NonNullable<Parameters<typeof bodyOf>[2]> = {},
    parts: DeliveryParts = {},
  ): ScriptedDelivery {
    return this.deliver(to, {
      body: bodyOf(messageType, data, envelope),
      properties: { messageId: envelope.messageId ?? "m1", messageType, contentType: "application/cloudevents+json" },
      ...parts,
    });
  }
}
