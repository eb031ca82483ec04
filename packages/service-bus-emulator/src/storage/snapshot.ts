import { type FileHandle, open, rename } from "node:fs/promises";
import type { MessageQueue } from "../broker/message-queue.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { writeEntityRecord } from "./entity-record.js";
import { encodeRecord, type Record } from "./record-codec.js";

/** Bytes that are written at once; between two writes the emulator does its other work. */
const SLICE = 1_048_576;

/**
 * Writes all that is there into a new file. The broker goes on meanwhile: what it changes stands in the log that was begun before, and is
 * applied after the snapshot when both are read.
 * @param isWanted asked between the writes; `false` leaves an unfinished file and ends.
 * @returns its length in bytes; `undefined` when it was not finished.
 */
export async function writeSnapshot(namespace: ServiceBusNamespace, path: string, isWanted: () => boolean): Promise<number | undefined> {
  const unfinished = `${path}.tmp`;
  const file = await open(unfinished, "w");
  const output = new Output(file);
  try {
    for (const record of headRecords(namespace)) output.add(record);
    for (const queue of [...namespace.messageQueues()]) {
      if (!(await writeQueue(queue, output, isWanted))) return undefined;
    }
    output.add({ kind: "end" });
    await output.flush();
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  return output.bytes;
}

/** Everything but the messages: little, and written in one piece. */
function* headRecords(namespace: ServiceBusNamespace): Generator<Record> {
  for (const topic of namespace.topics) yield { kind: "entity", json: writeEntityRecord(topic) };
  for (const queue of namespace.primaryQueues()) yield { kind: "entity", json: writeEntityRecord(queue) };
  for (const { id, intake } of [...namespace.queues, ...namespace.topics]) {
    for (const [key, at] of intake.history.entries()) yield { kind: "duplicate", queue: id, key, at };
  }
  for (const queue of namespace.messageQueues()) {
    yield { kind: "sequence", queue: queue.id, sequence: queue.store.lastSequence };
    for (const { id, state, stateSetAt } of queue.sessions?.values() ?? []) {
      if (state) yield { kind: "session", queue: queue.id, id, at: stateSetAt, state };
    }
  }
}

/** Goes on by sequence number after each pause, since messages come and go meanwhile. */
async function writeQueue(queue: MessageQueue, output: Output, isWanted: () => boolean): Promise<boolean> {
  for (let from = 0; ; ) {
    for (const message of queue.store.log.from(from)) {
      output.add({ kind: "added", queue: queue.id, message });
      from = message.sequence + 1;
      if (output.isFull) break;
    }
    if (!output.isFull) return true;
    await output.flush();
    if (!isWanted()) return false;
  }
}

class Output {
  readonly #file: FileHandle;
  #records: Buffer[] = [];
  #pending = 0;
  bytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get isFull(): boolean {
    return this.#pending >= SLICE;
  }

  add(record: Record): void {
    const encoded = encodeRecord(record);
    this.#records.push(encoded);
    this.#pending += encoded.length;
  }

  async flush(): Promise<void> {
    const bytes = Buffer.concat(this.#records);
    this.#records = [];
    this.#pending = 0;
    this.bytes += bytes.length;
    await this.#file.writeFile(bytes);
  }
}
