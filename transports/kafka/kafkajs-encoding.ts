import type { RecordContent } from "./driver.js";
import type { KafkajsModule } from "./kafkajs-home.js";
import { encodeRecords } from "./record-encoder.js";

/** What a codec of kafkajs is to those who only write. */
interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
}
type Codecs = Record<number, (() => Codec) | undefined>;

/** The broker is told the lowest three bits of a codec's number, the others are free: these steps lead to the next number with the same ones. */
const CODEC_STEP = 8;
const CODEC_BITS = 7;
/** Of the only record with content of a batch as kafkajs writes it: where its value begins (`recordBatch/record/v0`), and how long it is. */
const TICKET_AT = 6;
const TICKET_BYTES = 4;
const TICKETS = 2 ** 32;

const waiting = new Map<number, readonly RecordContent[]>();
/** The codecs of ours: another copy of this module may have some in the same kafkajs, and knows nothing of our tickets. */
const ours = new WeakSet<() => Codec>();
let tickets = 0;

/** Stands for a record whose bytes come from {@link RecordBatchTicket}. */
export interface Placeholder {
  readonly partition: number;
  readonly value: Buffer | null;
}

/**
 * The records of one partition in a request. kafkajs makes a buffer for each record and for each of its headers, which takes longer than everything else that a
 * publish does: so it is given placeholders, as many as there are records, and a codec of ours gives the bytes of all of them at once.
 */
export class RecordBatchTicket {
  readonly placeholders: Placeholder[];
  readonly #number: number;

  constructor(partition: number, records: readonly RecordContent[]) {
    const ticket = Buffer.allocUnsafe(TICKET_BYTES);
    this.#number = tickets++ % TICKETS;
    ticket.writeUInt32BE(this.#number);
    const placeholder: Placeholder = { partition, value: null };
    const placeholders = new Array<Placeholder>(records.length).fill(placeholder);
    placeholders[0] = { partition, value: ticket };
    this.placeholders = placeholders;
    waiting.set(this.#number, records);
  }

  /** The request is over, whether or not it was ever written. */
  close(): void {
    waiting.delete(this.#number);
  }
}

/** The number of the codec that writes the records of tickets, and then compresses as the codec with the number `type` does. */
export function encodingCodec(module: KafkajsModule, type: number): number {
  const codecs = module.CompressionCodecs as unknown as Codecs;
  let number = type;
  for (;;) {
    number += CODEC_STEP;
    const taken = codecs[number];
    if (!taken) break;
    if (ours.has(taken)) return number;
  }
  const make = (): Codec => ({
    async compress({ buffer }) {
      const ticket = buffer.readUInt32BE(TICKET_AT);
      const records = waiting.get(ticket);
      // Nothing is to be written of a request that was given up before.
      if (!records) throw new Error(`the records of request ${ticket} are gone`);
      const encoded = encodeRecords(records);
      return type === 0 ? encoded : await codecOf(codecs, type).compress({ buffer: encoded });
    },
  });
  codecs[number] = make;
  ours.add(make);
  return number;
}

function codecOf(codecs: Codecs, type: number): Codec {
  const make = codecs[type & CODEC_BITS];
  if (!make) throw new Error(`kafkajs has no codec ${type}`);
  return make();
}
