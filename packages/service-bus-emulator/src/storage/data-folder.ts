import { mkdir, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { NamespaceJournal } from "../broker/namespace-journal.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { AppendLog } from "./append-log.js";
import { writeEntityRecord } from "./entity-record.js";
import { FolderLock } from "./folder-lock.js";
import { encodeRecord, type Record } from "./record-codec.js";
import { readRecords } from "./record-file.js";
import { RecoveredState } from "./recovered-state.js";
import { writeSnapshot } from "./snapshot.js";

/** A log that has grown to this is replaced by a snapshot, unless the snapshot would be hardly smaller. */
const LOG_LIMIT = 64 * 1_048_576;
/** So many logs of earlier runs are read at a start; with more a snapshot is made, however small they are. */
const MOST_LOGS = 16;
const FILE = /^(log|snapshot)-(\d{8})$/;

/**
 * A folder that keeps what a namespace accepted: a log that every change is appended to, and from time to time a snapshot in place of the
 * logs before it. "snapshot-00000003" is what "log-00000003" and those after it are applied to.
 */
export class DataFolder {
  readonly journal: NamespaceJournal;
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #log: AppendLog;
  readonly #state: RecoveredState;
  #namespace: ServiceBusNamespace | undefined;
  #number: number;
  #snapshotBytes: number;
  /** Of the logs of earlier runs, which the snapshot does not hold. */
  #earlier: { readonly logs: number; readonly bytes: number };
  #compaction: Promise<void> | undefined;
  #closed = false;
  /** What a snapshot in the background failed with, to be told at the end. */
  #failure: unknown;

  private constructor(folder: string, lock: FolderLock, found: Found, state: RecoveredState) {
    this.#folder = folder;
    this.#lock = lock;
    this.#state = state;
    this.#snapshotBytes = found.snapshotBytes;
    this.#earlier = found.earlier;
    // A log of its own for each run: the last one may end within a record.
    this.#number = found.lastNumber + 1;
    this.#log = new AppendLog(this.#path("log", this.#number));
    this.journal = this.#newJournal();
  }

  /**
   * Opens a folder, which is made when it is not there, and reads what it holds.
   * @throws the system's error when it cannot be used; an Error when another emulator uses it.
   */
  static async open(folder: string): Promise<DataFolder> {
    await mkdir(folder, { recursive: true });
    const lock = await FolderLock.take(folder);
    const state = new RecoveredState();
    const names = (await readdir(folder)).map((name) => FILE.exec(name)).filter((match) => match !== null);
    const numbers = (kind: string): number[] => names.filter((match) => match[1] === kind).map((match) => Number(match[2]));
    const snapshot = Math.max(0, ...numbers("snapshot"));
    const logs = numbers("log")
      .filter((number) => number >= snapshot)
      .sort((a, b) => a - b);
    const apply = (record: Record): void => state.apply(record);
    const load = async (name: string): Promise<number> => {
      await readRecords(join(folder, name), apply);
      return (await stat(join(folder, name))).size;
    };
    const snapshotBytes = snapshot > 0 ? await load(fileName("snapshot", snapshot)) : 0;
    let bytes = 0;
    for (const log of logs) bytes += await load(fileName("log", log));
    const found = { snapshotBytes, earlier: { logs: logs.length, bytes }, lastNumber: Math.max(snapshot, ...logs) };
    return new DataFolder(folder, lock, found, state);
  }

  /** Puts what was read into a namespace that is empty yet. */
  restore(namespace: ServiceBusNamespace): void {
    this.#namespace = namespace;
    this.#state.restore(namespace);
    this.#state.clear();
  }

  /** Settles when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#compaction;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#compaction;
    this.#log.close();
    await this.#lock.release();
    if (this.#failure) throw this.#failure;
  }

  #newJournal(): NamespaceJournal {
    return {
      added: (queue, message) => this.#append({ kind: "added", queue, message }),
      changed: (queue, { sequence, deliveryCount, state, bare }, bareChanged) =>
        this.#append({ kind: "changed", queue, sequence, deliveryCount, state, bare: bareChanged ? bare : undefined }),
      removed: (queue, sequence) => this.#append({ kind: "removed", queue, sequence }),
      sessionStateSet: (queue, id, state, at) => this.#append({ kind: "session", queue, id, at, state }),
      duplicateKeySeen: (queue, key, at) => this.#append({ kind: "duplicate", queue, key, at }),
      entityStored: (entity) => this.#append({ kind: "entity", json: writeEntityRecord(entity) }),
      entityRemoved: (id) => this.#append({ kind: "entity-removed", id }),
      kept: () => this.#log.kept(),
    };
  }

  #append(record: Record): void {
    this.#log.append(encodeRecord(record));
    const bytes = this.#earlier.bytes + this.#log.bytes;
    if (bytes > Math.max(LOG_LIMIT, this.#snapshotBytes) || this.#earlier.logs > MOST_LOGS) this.#compact();
  }

  #compact(): void {
    const namespace = this.#namespace;
    if (this.#compaction || this.#closed || !namespace) return;
    this.#compaction = this.#replaceLogs(namespace)
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#compaction = undefined;
      });
  }

  async #replaceLogs(namespace: ServiceBusNamespace): Promise<void> {
    this.#number++;
    const number = this.#number;
    // Should the snapshot fail, the next one is tried when the log has grown again, not with the next record.
    this.#earlier = { logs: 0, bytes: 0 };
    this.#log.switchTo(this.#path("log", number));
    const bytes = await writeSnapshot(namespace, this.#path("snapshot", number), () => !this.#closed);
    if (bytes === undefined) return;
    this.#snapshotBytes = bytes;
    for (const name of await readdir(this.#folder)) {
      const match = FILE.exec(name);
      if (name.endsWith(".tmp") || (match && Number(match[2]) < number)) await unlink(join(this.#folder, name));
    }
  }

  #path(kind: "log" | "snapshot", number: number): string {
    return join(this.#folder, fileName(kind, number));
  }
}

/** What a folder held when it was opened. */
interface Found {
  readonly snapshotBytes: number;
  readonly earlier: { readonly logs: number; readonly bytes: number };
  readonly lastNumber: number;
}

function fileName(kind: "log" | "snapshot", number: number): string {
  return `${kind}-${String(number).padStart(8, "0")}`;
}
