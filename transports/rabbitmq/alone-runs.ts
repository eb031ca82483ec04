import { randomUUID } from "node:crypto";
import type { Channel } from "amqplib";
import { delay } from "../../src/util/delay.js";
import { closeChannel } from "./close-channel.js";
import { serverAnswer, textOf } from "./errors.js";
import type { Publish } from "./mapping.js";
import { openedInTime } from "./open-channel.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { answered } from "./time-limit.js";

/** More than this would take a hundred messages that each kill ten processes; then the oldest half is forgotten. */
const MAX_NOTES = 1_000;
/** Another instance that counts holds the notes for some milliseconds; so often is looked again for one's own. */
const LOOKS_FOR_OWN = 5;
const FIRST_LOOK_AGAIN_MS = 50;
/** A note that could not be taken away is tried again so much later. */
const TIDY_AFTER_MS = 5_000;
/** RabbitMQ drops a note after a day: its process settled the message, and died before it could take the note away. */
const NOTE_LIFE_MS = 24 * 60 * 60_000;
const CONTENT_TYPE = "application/vnd.trolleybus.alone-run+json";

/** That the message `id` has begun to run alone. */
interface Note {
  readonly id: string;
  readonly run: string;
}

/** A run alone that has been noted. */
export interface AloneRun {
  readonly id: string;
  readonly run: string;
  /** Runs of the same message that began before, and of which no process has said that it lived through them. */
  readonly unfinished: number;
}

/**
 * Which messages began to run alone, kept in the broker over the death of processes: a note in `<endpoint>.suspect.runs` for each run,
 * written before it begins and taken away by its own process when that is still there afterwards, however the run ended. So what is left are the
 * runs that nobody lived through. RabbitMQ's own count cannot tell: it rises for every lost connection, and in a queue whose messages
 * keep their place for all that is held behind the culprit.
 */
export class AloneRuns {
  readonly #environment: ReceiverEnvironment;
  readonly #endpoint: string;
  readonly #queue: string;
  /** Runs that this process has lived through, and whose notes may still be there. */
  readonly #over = new Set<string>();
  /** Messages that are settled, and whose notes could not be taken away yet. */
  readonly #settled = new Set<string>();
  #tidying: NodeJS.Timeout | undefined;

  constructor(environment: ReceiverEnvironment, endpoint: string) {
    this.#environment = environment;
    this.#endpoint = endpoint;
    this.#queue = environment.names.runsQueue(endpoint);
  }

  /** Notes, confirmed by the broker, that the message begins to run alone. @throws what may pass */
  async begin(id: string): Promise<AloneRun> {
    const { sender, keeper } = this.#environment;
    const { unfinished } = await this.#walk(id, () => false).catch(async (error: unknown) => {
      if (serverAnswer(error)?.code === 404) await keeper.repairEndpoint(this.#endpoint);
      throw error;
    });
    const run = randomUUID();
    const result = await sender.copy(publishOf({ id, run }, this.#queue));
    if (result.outcome !== "sent") {
      // It may be there all the same.
      this.#remember(run);
      if (result.error.code === "unroutable") await keeper.repairEndpoint(this.#endpoint);
      throw result.error;
    }
    return { id, run, unfinished };
  }

  /** The message is settled: nothing of it is kept. Never rejects; a note that stays is taken away later. */
  async settled({ id, run }: AloneRun): Promise<void> {
    this.#remember(run);
    try {
      await this.#walk(id, (note) => note.id === id);
    } catch (error) {
      this.#settled.add(id);
      this.#tellStays(error);
    }
  }

  /** This process lived through the run, but the message is not settled. Never rejects; a note that stays is taken away later. */
  async survived({ id, run }: AloneRun): Promise<void> {
    this.#remember(run);
    try {
      for (let look = 0; look < LOOKS_FOR_OWN && this.#over.has(run); look++) {
        if (look > 0) await delay(FIRST_LOOK_AGAIN_MS * 2 ** look, this.#environment.connection.closing);
        await this.#walk(id, () => false);
      }
    } catch (error) {
      this.#tellStays(error);
    }
  }

  #remember(run: string): void {
    this.#over.add(run);
    const oldest = this.#over.values().next();
    if (this.#over.size > MAX_NOTES && !oldest.done) this.#over.delete(oldest.value);
  }

  #tellStays(error: unknown): void {
    this.#environment.logger.debug(`A note of a message that ran alone stays for now: ${textOf(error)}`);
    if (this.#environment.connection.closing.aborted) return;
    this.#tidying ??= setTimeout(() => void this.#tidy(), TIDY_AFTER_MS).unref();
  }

  async #tidy(): Promise<void> {
    this.#tidying = undefined;
    const settled = new Set(this.#settled);
    try {
      await this.#walk("", ({ id }) => settled.has(id));
      for (const id of settled) this.#settled.delete(id);
    } catch (error) {
      this.#tellStays(error);
    }
  }

  /** Counts the notes of `id` and takes away those that are done with. What is no note of ours is left as it is. @throws what may pass */
  async #walk(id: string, isDoneWith: (note: Note) => boolean): Promise<{ unfinished: number }> {
    const model = await this.#environment.connection.whenConnected();
    const channel = await openedInTime(model, () => model.createChannel());
    // Without this listener a channel that the server closes would take the connection with it.
    channel.on("error", () => {});
    try {
      const notes = await this.#read(channel);
      const surplus = notes.length < MAX_NOTES ? 0 : MAX_NOTES / 2;
      const gone = notes.filter(({ note }, index) => index < surplus || this.#over.has(note.run) || isDoneWith(note));
      for (const { message } of gone) channel.ack(message);
      // Only an answer that comes after them tells that the acknowledgements have arrived.
      if (gone.length > 0) await answered(channel.checkQueue(this.#queue));
      for (const { note } of gone) this.#over.delete(note.run);
      return { unfinished: notes.filter((entry) => entry.note.id === id && !gone.includes(entry)).length };
    } finally {
      // Gives back what was only looked at, in its place.
      await answered(closeChannel(channel)).catch(() => {});
    }
  }

  async #read(channel: Channel): Promise<readonly { readonly message: Parameters<Channel["ack"]>[0]; readonly note: Note }[]> {
    const notes = [];
    for (let met = 0; met < 2 * MAX_NOTES && notes.length < MAX_NOTES; met++) {
      const message = await answered(channel.get(this.#queue));
      if (!message) break;
      const note = message.properties.contentType === CONTENT_TYPE ? noteIn(message.content) : undefined;
      if (note) notes.push({ message, note });
    }
    return notes;
  }
}

function publishOf(note: Note, queue: string): Publish {
  return {
    exchange: "",
    routingKey: queue,
    content: Buffer.from(JSON.stringify(note)),
    mandatory: true,
    properties: {
      persistent: true,
      mandatory: true,
      expiration: NOTE_LIFE_MS,
      contentType: CONTENT_TYPE,
      messageId: note.run,
      type: "trolleybus.alone-run",
    },
  };
}

function noteIn(content: Buffer): Note | undefined {
  try {
    const value: unknown = JSON.parse(content.toString("utf8"));
    if (typeof value !== "object" || value === null || !("id" in value) || !("run" in value)) return undefined;
    return typeof value.id === "string" && typeof value.run === "string" ? { id: value.id, run: value.run } : undefined;
  } catch {
    return undefined;
  }
}
