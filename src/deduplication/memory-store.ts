import type { Claim, ClaimRequest, Store, StoreCapabilities, StoreHost } from "../contracts/store.js";
import { TrolleybusError } from "../errors.js";
import { show } from "../options/show.js";
import { Mistakes } from "../util/mistakes.js";
import { isOptionsObject } from "../util/options-object.js";
import { HandledIds } from "./handled-ids.js";

export interface MemoryStoreOptions {
  /** Most ids remembered at one endpoint; beyond it the oldest are forgotten, with a warning. About 150 bytes each. @default 100_000 */
  readonly maxIds?: number;
}

const DEFAULT_MAX_IDS = 100_000;
const DEFAULT_WINDOW_MS = 30 * 60_000;
/** A Map takes no more entries than 2^24. */
const MOST_IDS = 10_000_000;

/**
 * Remembers handled ids in this process: a message that another instance handled, or this one before it was restarted, is not
 * recognised. The default of `createBus`. Give a shared store where a repeat must not reach another instance either.
 *
 * It belongs to one bus; two buses of a process each get their own. @throws TrolleybusError "configuration" when `options` is no object, has
 * another option, or `maxIds` is not a whole number from 1 to 10,000,000.
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const mistakes = new Mistakes();
  if (isOptionsObject(options)) mistakes.unknownKeys("memoryStore()", options, ["maxIds"]);
  else mistakes.add(`its options are ${show(options)}; they are an object, such as { maxIds: 50_000 }.`);
  const { maxIds = DEFAULT_MAX_IDS }: MemoryStoreOptions = isOptionsObject(options) ? options : {};
  if (!Number.isInteger(maxIds) || maxIds < 1 || maxIds > MOST_IDS) {
    mistakes.add(`maxIds is ${String(maxIds)}; it must be a whole number from 1 to ${MOST_IDS}.`);
  }
  mistakes.throwIfAny("The memory store cannot be made");
  return new MemoryStore(maxIds);
}

class MemoryStore implements Store {
  readonly name = "memory";
  readonly capabilities: StoreCapabilities = {
    shared: false,
    transactional: false,
    defaultWindowMs: DEFAULT_WINDOW_MS,
    maxClaims: Number.POSITIVE_INFINITY,
  };
  readonly outbox = undefined;
  readonly #maxIds: number;
  readonly #endpoints = new Map<string, HandledIds>();
  #host: StoreHost | undefined;

  constructor(maxIds: number) {
    this.#maxIds = maxIds;
  }

  async open(host: StoreHost): Promise<void> {
    if (this.#host !== undefined && this.#host !== host) {
      throw new TrolleybusError(
        "configuration",
        `This memoryStore() is already used by the bus of the service "${this.#host.service}". Two buses that shared it would take each ` +
          "other's messages for duplicates: give each bus a store of its own.",
        { cause: undefined, retryable: false },
      );
    }
    this.#host = host;
    host.status("up");
  }

  async provision(): Promise<void> {}

  claim(request: ClaimRequest): Claim {
    let ids = this.#endpoints.get(request.endpoint);
    if (ids === undefined) {
      ids = new HandledIds(request.endpoint, this.#maxIds, (text, fields) => this.#host?.logger.warn(text, fields));
      this.#endpoints.set(request.endpoint, ids);
    }
    return ids.claim(request.messageId, request.windowMs, request.leaseMs);
  }

  /** What was handled stays known, so that a bus made anew in this process with the same store recognises it. */
  async close(): Promise<void> {
    for (const ids of this.#endpoints.values()) ids.giveBackClaims();
    this.#host = undefined;
  }
}
