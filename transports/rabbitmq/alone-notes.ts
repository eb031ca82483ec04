import type { Channel } from "amqplib";
import { closeChannel } from "./close-channel.js";
import type { Publish } from "./mapping.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { answered } from "./time-limit.js";

/** Only one is ever needed; more are left by processes that died between writing one and taking the older away. */
const MAX_NOTES = 100;

/** How often the message `id` has begun to run alone. */
interface Note {
  readonly id: string;
  readonly starts: number;
}

/**
 * Where an ordered endpoint keeps, over the death of its processes, which message began to run alone and how often: as a message in
 * `<endpoint>.suspect`. The broker's own count cannot tell: in a queue whose messages keep their place it rises for everything
 * that was held behind the culprit. One consumer is active at a time, so there is one note at most.
 */
export class AloneNotes {
  readonly #environment: ReceiverEnvironment;
  readonly #queue: string;

  constructor(environment: ReceiverEnvironment, queue: string) {
    this.#environment = environment;
    this.#queue = queue;
  }

  /** Notes, confirmed by the broker, that the message begins to run alone. @returns how often it had before. @throws what may pass */
  async begin(id: string): Promise<number> {
    return this.#withChannel(async (channel) => {
      let starts = 0;
      let newest: number | undefined;
      for (let i = 0; i < MAX_NOTES; i++) {
        const message = await answered(channel.get(this.#queue));
        if (!message) break;
        newest = message.fields.deliveryTag;
        const note = noteIn(message.content);
        if (note?.id === id) starts = Math.max(starts, note.starts);
      }
      const result = await this.#environment.sender.copy(publishOf({ id, starts: starts + 1 }, this.#queue));
      if (result.outcome !== "sent") throw result.error;
      if (newest !== undefined) channel.ackAll();
      return starts;
    });
  }

  /** The message that ran alone is settled. @throws what may pass; a note that stays is taken away by the next {@link begin} */
  async end(): Promise<void> {
    await this.#withChannel((channel) => answered(channel.purgeQueue(this.#queue)));
  }

  async #withChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const model = await this.#environment.connection.whenConnected();
    const channel = await answered(model.createChannel());
    // Without this listener a channel that the server closes would take the connection with it.
    channel.on("error", () => {});
    try {
      return await work(channel);
    } finally {
      await answered(closeChannel(channel)).catch(() => {});
    }
  }
}

function publishOf(note: Note, queue: string): Publish {
  return {
    exchange: "",
    routingKey: queue,
    content: Buffer.from(JSON.stringify(note)),
    mandatory: true,
    properties: { persistent: true, mandatory: true, contentType: "application/json", type: "trolleybus.alone" },
  };
}

function noteIn(content: Buffer): Note | undefined {
  try {
    const value: unknown = JSON.parse(content.toString("utf8"));
    if (typeof value !== "object" || value === null || !("id" in value) || !("starts" in value)) return undefined;
    return typeof value.id === "string" && typeof value.starts === "number" && value.starts >= 0
      ? { id: value.id, starts: value.starts }
      : undefined;
  } catch {
    return undefined;
  }
}
