import { closeSync, openSync, writevSync } from "node:fs";
import { BrokerError } from "../broker/broker-error.js";

/** What is waited for until it is written. */
interface Batch {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: BrokerError) => void;
}

/** The kernel takes no more buffers in one call. */
const MOST_BUFFERS = 1024;

/**
 * A file that is appended to. What is written in one turn of the event loop goes out in one call to the system, and one promise tells all
 * who wait for it. The data is with the kernel then: it survives the end of the process, kill -9 too, but not that of the machine.
 */
export class AppendLog {
  #file: number;
  #pending: Buffer[] = [];
  #batch: Batch | undefined;
  #bytes = 0;
  #failure: BrokerError | undefined;

  /** @throws the system's error when the file cannot be opened. */
  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  /** Written since this was opened or switched to another file. */
  get bytes(): number {
    return this.#bytes;
  }

  append(record: Buffer): void {
    if (this.#pending.push(record) > 1) return;
    setImmediate(() => this.flush());
  }

  /** Settles when all that was appended is written; `undefined` when it is. */
  kept(): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#pending.length === 0) return undefined;
    this.#batch ??= newBatch();
    return this.#batch.promise;
  }

  flush(): void {
    const records = this.#pending;
    const batch = this.#batch;
    this.#pending = [];
    this.#batch = undefined;
    if (records.length === 0) return;
    try {
      if (this.#failure) throw this.#failure;
      this.#write(records);
      batch?.resolve();
    } catch (error) {
      // A record may be cut off in the file now: whatever came after it would not be read again, so nothing is accepted any more.
      this.#failure ??= new BrokerError("amqp:internal-error", `The data folder cannot be written: ${(error as Error).message}.`);
      batch?.reject(this.#failure);
    }
  }

  /** Goes on in another file. */
  switchTo(path: string): void {
    this.flush();
    const next = openSync(path, "a");
    closeSync(this.#file);
    this.#file = next;
    this.#bytes = 0;
  }

  close(): void {
    this.flush();
    closeSync(this.#file);
  }

  #write(records: readonly Buffer[]): void {
    for (let at = 0; at < records.length; at += MOST_BUFFERS) {
      let rest = records.slice(at, at + MOST_BUFFERS);
      while (rest.length > 0) {
        const written = writevSync(this.#file, rest);
        this.#bytes += written;
        rest = unwritten(rest, written);
      }
    }
  }
}

function unwritten(buffers: readonly Buffer[], written: number): Buffer[] {
  let left = written;
  for (const [i, buffer] of buffers.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(i + 1)];
    left -= buffer.length;
  }
  return [];
}

function newBatch(): Batch {
  let resolve: () => void = () => {};
  let reject: (error: BrokerError) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
