import type {
  Delivery,
  DeliverySink,
  EndpointPlan,
  OutgoingMessage,
  Receiver,
  SendResult,
  Transport,
  TransportHost,
} from "../../src/contracts/transport.js";

/** What the adapter told the core. */
export interface RecordingHost extends TransportHost {
  readonly statuses: { readonly part: object; readonly status: string }[];
  readonly lags: { readonly endpoint: string; readonly messages: number }[];
  readonly warnings: string[];
}

export function recordingHost(namePrefix = ""): RecordingHost {
  const statuses: RecordingHost["statuses"] = [];
  const lags: RecordingHost["lags"] = [];
  const warnings: string[] = [];
  const ignore = (): void => {};
  return {
    service: "shop",
    namePrefix,
    logger: { debug: ignore, info: ignore, warn: (text) => warnings.push(text), error: ignore },
    statuses,
    lags,
    warnings,
    status: (part, status) => statuses.push({ part, status }),
    lag: (endpoint, messages) => lags.push({ endpoint, messages }),
  };
}

export const never: AbortSignal = new AbortController().signal;

/** A transport of its own for one bus, opened. */
export async function connect(transport: Transport, namePrefix = "", host: TransportHost = recordingHost(namePrefix)): Promise<Transport> {
  const connection = transport.share?.() ?? transport;
  await connection.open(host, never);
  return connection;
}

export function endpoint(name: string, changes: Partial<EndpointPlan> = {}): EndpointPlan {
  return { name, subscribed: [], unsubscribed: [], retryDelaysMs: [20, 60_000], order: "none", ...changes };
}

export function message(
  to: OutgoingMessage["to"],
  id: string,
  changes: { headers?: Record<string, string>; key?: string } = {},
): OutgoingMessage {
  return {
    to,
    body: new TextEncoder().encode(id),
    headers: changes.headers ?? {},
    properties: {
      messageId: id,
      messageType: "shop.thing",
      contentType: "text/plain",
      correlationId: `correlation-${id}`,
      partitionKey: changes.key,
    },
  };
}

/** Sends commands with these ids, and expects all of them to be taken. */
export async function sendCommands(transport: Transport, to: string, ids: readonly string[], key?: string): Promise<void> {
  const changes = key === undefined ? {} : { key };
  const results = await transport.send(
    ids.map((id) => message({ endpoint: to }, id, changes)),
    never,
  );
  for (const result of results) if (result.outcome !== "sent") throw result.error;
}

export async function sendOne(transport: Transport, outgoing: OutgoingMessage): Promise<SendResult> {
  const [result, ...more] = await transport.send([outgoing], never);
  if (!result || more.length > 0) throw new Error("one message must have one result");
  return result;
}

/** Collects what is delivered. */
export class Inbox implements DeliverySink {
  readonly deliveries: Delivery[] = [];
  timesExhausted = 0;
  readonly #onDelivery: (delivery: Delivery) => void;
  #waiters: { readonly ready: () => boolean; readonly resolve: () => void }[] = [];

  constructor(onDelivery: (delivery: Delivery) => void = () => {}) {
    this.#onDelivery = onDelivery;
  }

  get ids(): string[] {
    return this.deliveries.map(idOf);
  }

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery);
    this.#onDelivery(delivery);
    this.#wake();
  }

  exhausted(): void {
    this.timesExhausted++;
    this.#wake();
  }

  /** Resolves with the deliveries when there are at least `count`. */
  async received(count: number): Promise<Delivery[]> {
    await this.#until(() => this.deliveries.length >= count);
    return this.deliveries;
  }

  async wasExhausted(): Promise<void> {
    await this.#until(() => this.timesExhausted > 0);
  }

  #until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ ready, resolve }));
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ ready }) => !ready());
    for (const { ready, resolve } of waiters) if (ready()) resolve();
  }
}

/** Completes each delivery as it comes. */
export function completingInbox(): Inbox {
  return new Inbox((delivery) => delivery.complete());
}

export function receive(transport: Transport, plan: EndpointPlan, inbox: Inbox, prefetch = 100): Promise<Receiver> {
  return transport.receive({ endpoint: plan, from: "endpoint", prefetch }, inbox);
}

export function receiveDeadLetters(transport: Transport, plan: EndpointPlan, inbox: Inbox, prefetch = 100): Promise<Receiver> {
  return transport.receive({ endpoint: plan, from: "dead-letter", prefetch }, inbox);
}

/** Lets the event loop go round often enough for anything that was going to be delivered now. */
export async function settledLoop(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export function idOf(delivery: Delivery): string {
  return new TextDecoder().decode(delivery.body);
}

export function at(deliveries: readonly Delivery[], index: number): Delivery {
  const delivery = deliveries[index];
  if (!delivery) throw new Error(`there is no delivery ${index}`);
  return delivery;
}
