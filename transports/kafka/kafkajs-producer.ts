import type { Producer } from "kafkajs";
import { within } from "../../src/util/time-limit.js";
import { DriverError, type DriverProducer, type OutgoingBatch } from "./driver.js";
import { encodingCodec } from "./kafkajs-encoding.js";
import { driverErrorOf } from "./kafkajs-errors.js";
import type { KafkajsHome } from "./kafkajs-home.js";
import { type Placeholder, RecordBatchTicket } from "./record-batch-ticket.js";

/** The broker gives up waiting for its replicas this much before we give up waiting for the broker, so that it can say so. */
const ANSWER_MS = 1_000;
/** How old kafkajs may let its own knowledge of leaders and partitions get. */
const METADATA_MAX_AGE_MS = 30_000;

/** kafkajs's producer: never idempotent, for it acknowledges then what it lost; without retries of its own. */
export class KafkajsProducer implements DriverProducer {
  readonly #home: KafkajsHome;
  readonly #producer: Producer;
  readonly #timeoutMs: number;
  readonly #codec: number;
  /** For what is too large otherwise: that of the option, or the one that every client has. */
  readonly #shrinkingCodec: number;

  lastAnswered: number = Number.NEGATIVE_INFINITY;

  constructor(home: KafkajsHome) {
    const { module, options } = home;
    this.#home = home;
    this.#timeoutMs = Math.max(options.requestTimeoutMs / 2, options.requestTimeoutMs - ANSWER_MS);
    this.#codec = encodingCodec(module, compressionType(home));
    this.#shrinkingCodec = options.compression === "none" ? encodingCodec(module, module.CompressionTypes.GZIP) : this.#codec;
    this.#producer = home.kafka.producer({
      allowAutoTopicCreation: false,
      idempotent: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      retry: { retries: 0 },
      // The sender has chosen; without one of its own kafkajs warns of a change of its default.
      createPartitioner: module.Partitioners.DefaultPartitioner,
    });
  }

  async connect(): Promise<void> {
    await this.#producer.connect().catch(rethrow);
  }

  async produce(batches: readonly OutgoingBatch[], limitMs: number): Promise<void> {
    const tickets: RecordBatchTicket[] = [];
    const topicMessages: { topic: string; messages: Placeholder[] }[] = [];
    for (const { topic, partition, records } of batches) {
      const ticket = new RecordBatchTicket(partition, records);
      tickets.push(ticket);
      topicMessages.push({ topic, messages: ticket.placeholders });
    }
    const compression = batches.some(({ isOversized }) => isOversized) ? this.#shrinkingCodec : this.#codec;
    try {
      const request = this.#producer.sendBatch({ acks: -1, timeout: this.#timeoutMs, compression, topicMessages });
      const answers = await within(limitMs, request, () => new DriverError("timeout", "no answer in time"));
      this.lastAnswered = performance.now();
      // kafkajs leaves out, without a word, what is for a partition that it does not know yet, and resolves.
      if (answers.length !== batches.length) {
        throw new DriverError("unavailable", `the broker answered for ${answers.length} of ${batches.length} partitions`);
      }
    } catch (error) {
      throw produceErrorOf(error);
    } finally {
      for (const ticket of tickets) ticket.close();
    }
  }

  async disconnect(): Promise<void> {
    await this.#producer.disconnect().catch(rethrow);
    this.#home.cut();
  }

  cut(): void {
    this.#home.cut();
  }
}

function compressionType({ module, options }: KafkajsHome): number {
  const { CompressionTypes } = module;
  const { none, gzip, snappy, lz4, zstd } = {
    none: CompressionTypes.None,
    gzip: CompressionTypes.GZIP,
    snappy: CompressionTypes.Snappy,
    lz4: CompressionTypes.LZ4,
    zstd: CompressionTypes.ZSTD,
  };
  return { none, gzip, snappy, lz4, zstd }[options.compression];
}

/**
 * kafkajs looks for the leaders again after a request that was not answered, and when that is refused the refusal is all that it rejects with, in an error of its
 * own; it hands on as it is only what answered the records.
 */
function produceErrorOf(error: unknown): DriverError {
  const known = driverErrorOf(error);
  const isAnswer = error instanceof Error && error.name === "KafkaJSProtocolError";
  return known.kind === "forbidden" && !isAnswer ? new DriverError("unavailable", known.message, { cause: error }) : known;
}

function rethrow(error: unknown): never {
  throw driverErrorOf(error);
}
