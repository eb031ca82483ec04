import type { KafkajsModule } from "./kafkajs-home.js";
import { STAND_IN_BYTES, ticketAt } from "./record-batch-ticket.js";
import { encodeRecords } from "./record-encoder.js";

/** What a codec of kafkajs is to those who only write. */
interface Codec {
  compress(encoder: { readonly buffer: Buffer }): Promise<Buffer>;
}
type Codecs = Record<number, (() => Codec) | undefined>;

/** The broker is told the lowest three bits of a codec's number, the others are free: these steps lead to the next number with the same ones. */
const CODEC_STEP = 8;
const CODEC_BITS = 7;
/** Of the only record of a batch as kafkajs writes it: where its value begins (`recordBatch/record/v0`). */
const STAND_IN_AT = 6;

/** The codecs of ours: another copy of this module may have some in the same kafkajs, and knows nothing of our tickets. */
const ours = new WeakSet<() => Codec>();

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
      const ticket = ticketAt(buffer, STAND_IN_AT);
      // Nothing is to be written of a request that was given up before.
      if (!ticket) throw new Error("the records of a request are gone");
      const encoded = encodeRecords(ticket.records);
      ticket.bytes = type === 0 ? encoded : await codecOf(codecs, type).compress({ buffer: encoded });
      return buffer.subarray(STAND_IN_AT, STAND_IN_AT + STAND_IN_BYTES);
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
