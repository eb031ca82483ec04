import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from "amqplib";
import { connect } from "amqplib";
import {
  type Delivery,
  type DeliverySink,
  type OutgoingMessage,
  type Receiver,
  type ReceiveSource,
  type SendResult,
  type TopologyPlan,
  type Transport,
  type TransportCapabilities,
  TrolleybusError,
} from "trolleybus";

/** The mistakes that it makes. With none of them it loses nothing, which shows that the others do. */
export interface Mistakes {
  /** Messages are transient, and so is everything in a classic queue when the broker dies. */
  readonly transient?: boolean;
  /** "sent" is said as soon as the bytes are handed to the socket. */
  readonly noConfirms?: boolean;
  /** Deliveries are acknowledged when they arrive. */
  readonly acknowledgeFirst?: boolean;
  /** A delivery of a channel that is gone is acknowledged on the new one, by a number that means something else there. */
  readonly staleTags?: boolean;
}

const RECONNECT_MS = 200;

/**
 * A small RabbitMQ transport for the controls: raw amqplib behind the port, without retries and dead letters, on classic queues. The services that
 * use it run the "plain" workload, in which no handler fails.
 */
export class CarelessTransport implements Transport {
  readonly name = "careless";
  readonly capabilities: TransportCapabilities = {
    durable: true,
    order: "none",
    settlesIndividually: true,
    countsStarts: false,
    keeps: "until-settled",
    maxHoldMs: 1_800_000,
    maxMessageBytes: 10_000_000,
    maxNameLength: 200,
  };
  readonly #url: string;
  readonly #mistakes: Mistakes;
  readonly #receivers = new Set<CarelessReceiver>();
  #connection: ChannelModel | undefined;
  #publishing: Channel | ConfirmChannel | undefined;
  #plan: TopologyPlan = { events: [], endpoints: [] };
  #closed = false;

  constructor(url: string, mistakes: Mistakes) {
    this.#url = url;
    this.#mistakes = mistakes;
  }

  async open(): Promise<void> {
    await this.#connect();
  }

  async provision(plan: TopologyPlan): Promise<void> {
    this.#plan = plan;
    await this.#declare();
  }

  async send(messages: readonly OutgoingMessage[]): Promise<readonly SendResult[]> {
    return await Promise.all(messages.map((message) => this.#sendOne(message)));
  }

  async receive(source: ReceiveSource, sink: DeliverySink): Promise<Receiver> {
    if (source.from === "dead-letter")
      throw new TrolleybusError("unsupported", "the control has no dead letters", { cause: undefined, retryable: false });
    const receiver = new CarelessReceiver(source, sink, this.#mistakes, {
      gone: () => void this.#receivers.delete(receiver),
      newChannel: async () => await this.#connection?.createChannel(),
    });
    this.#receivers.add(receiver);
    if (this.#connection) await receiver.attach(await this.#connection.createChannel());
    return receiver;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connection?.close().catch(() => {});
  }

  async #connect(): Promise<void> {
    while (!this.#closed) {
      try {
        const connection = await connect(this.#url, { noDelay: true });
        connection.on("error", () => {});
        connection.on("close", () => {
          this.#connection = undefined;
          this.#publishing = undefined;
          void this.#connect();
        });
        const publishing = this.#mistakes.noConfirms ? await connection.createChannel() : await connection.createConfirmChannel();
        publishing.on("error", () => {});
        this.#connection = connection;
        this.#publishing = publishing;
        await this.#declare();
        for (const receiver of this.#receivers) await receiver.attach(await connection.createChannel());
        return;
      } catch {
        this.#publishing = undefined;
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
      }
    }
  }

  async #declare(): Promise<void> {
    const channel = this.#publishing;
    if (!channel) return;
    const { events, endpoints } = this.#plan;
    for (const event of new Set([...events, ...endpoints.flatMap((endpoint) => endpoint.subscribed)])) {
      await channel.assertExchange(event, "fanout", { durable: true });
    }
    for (const { name, subscribed } of endpoints) {
      await channel.assertQueue(name, { durable: true });
      for (const event of subscribed) await channel.bindQueue(name, event, "");
    }
  }

  async #sendOne({ to, body, properties, headers }: OutgoingMessage): Promise<SendResult> {
    const channel = this.#publishing;
    if (!channel) return { outcome: "refused", error: unavailable("not connected") };
    const [exchange, routingKey] = "event" in to ? [to.event, ""] : ["", to.endpoint];
    const options = {
      headers,
      messageId: properties.messageId,
      type: properties.messageType,
      contentType: properties.contentType,
      correlationId: properties.correlationId,
      persistent: this.#mistakes.transient !== true,
    };
    try {
      if (!("waitForConfirms" in channel)) {
        channel.publish(exchange, routingKey, Buffer.from(body), options);
        return { outcome: "sent" };
      }
      return await new Promise((resolve) => {
        channel.publish(exchange, routingKey, Buffer.from(body), options, (error: unknown) =>
          resolve(error ? { outcome: "unknown", error: unavailable(String(error)) } : { outcome: "sent" }),
        );
      });
    } catch (error) {
      return { outcome: "refused", error: unavailable(String(error)) };
    }
  }
}

interface ReceiverHost {
  readonly gone: () => void;
  /** On the connection that there is; `undefined` while there is none. */
  readonly newChannel: () => Promise<Channel | undefined>;
}

class CarelessReceiver implements Receiver {
  readonly #source: ReceiveSource;
  readonly #sink: DeliverySink;
  readonly #gone: () => void;
  readonly #newChannel: () => Promise<Channel | undefined>;
  readonly mistakes: Mistakes;
  channel: Channel | undefined;
  #consumerTag: string | undefined;

  constructor(source: ReceiveSource, sink: DeliverySink, mistakes: Mistakes, host: ReceiverHost) {
    this.#source = source;
    this.#sink = sink;
    this.mistakes = mistakes;
    this.#gone = host.gone;
    this.#newChannel = host.newChannel;
  }

  async #reattach(): Promise<void> {
    try {
      const channel = await this.#newChannel();
      if (channel && !this.channel) await this.attach(channel);
    } catch {
      // The connection has gone as well; what brings it back attaches this receiver.
    }
  }

  async attach(channel: Channel): Promise<void> {
    channel.on("error", () => {});
    channel.on("close", () => {
      if (this.channel !== channel) return;
      this.channel = undefined;
      // The connection may live on: then nobody else brings the channel back.
      void this.#reattach();
    });
    await channel.prefetch(this.#source.prefetch);
    this.channel = channel;
    const { consumerTag } = await channel.consume(this.#source.endpoint.name, (message) => message && this.#deliver(channel, message));
    this.#consumerTag = consumerTag;
  }

  async stop(): Promise<void> {
    this.#gone();
    if (this.#consumerTag !== undefined) await this.channel?.cancel(this.#consumerTag).catch(() => {});
  }

  async close(): Promise<void> {
    await this.channel?.close().catch(() => {});
  }

  #deliver(channel: Channel, message: ConsumeMessage): void {
    if (this.mistakes.acknowledgeFirst) channel.ack(message);
    this.#sink.deliver(new CarelessDelivery(this, channel, message));
  }
}

class CarelessDelivery implements Delivery {
  readonly #receiver: CarelessReceiver;
  readonly #channel: Channel;
  readonly #message: ConsumeMessage;
  readonly #loss = new AbortController();
  readonly suspicion = "none";
  readonly headers = {};

  constructor(receiver: CarelessReceiver, channel: Channel, message: ConsumeMessage) {
    this.#receiver = receiver;
    this.#channel = channel;
    this.#message = message;
    if (!receiver.mistakes.staleTags) channel.once("close", () => this.#loss.abort());
    channel.setMaxListeners(0);
  }

  get body(): Uint8Array {
    return this.#message.content;
  }

  get properties(): Delivery["properties"] {
    const { messageId, type, contentType, correlationId } = this.#message.properties;
    return Object.fromEntries(
      Object.entries({ messageId, messageType: type, contentType, correlationId }).filter(([, value]) => value !== undefined),
    );
  }

  get source(): string {
    return this.#message.fields.routingKey;
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  get isLost(): boolean {
    return this.#loss.signal.aborted;
  }

  complete(): "settled" | "lost" {
    if (this.isLost) return "lost";
    if (this.#receiver.mistakes.acknowledgeFirst) return "settled";
    const channel = this.#receiver.mistakes.staleTags ? this.#receiver.channel : this.#channel;
    try {
      channel?.ack(this.#message);
    } catch {
      return "lost";
    }
    return "settled";
  }

  async release(): Promise<"settled" | "lost"> {
    if (this.isLost) return "lost";
    if (!this.#receiver.mistakes.acknowledgeFirst) this.#channel.nack(this.#message);
    return "settled";
  }

  async retry(): Promise<never> {
    throw unavailable("the control retries nothing: no handler of its workload fails");
  }

  async deadLetter(): Promise<never> {
    throw unavailable("the control has no dead letters: no handler of its workload fails");
  }
}

function unavailable(text: string): TrolleybusError & { readonly code: "unavailable" } {
  return new TrolleybusError("unavailable", text, { cause: undefined, retryable: true }) as TrolleybusError & {
    readonly code: "unavailable";
  };
}
