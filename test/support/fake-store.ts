import type { Claim, ClaimRequest, Kept, Lease, Store, StoreCapabilities, StoreHost } from "../../src/contracts/store.js";
import type { OutgoingMessage } from "../../src/contracts/transport.js";

/** What `lease.done` does: commits, commits and then fails all the same, or fails without a commit. */
export type DoneScript = "commit" | "commit-and-reject" | "reject";

/** A store that does what the test says; transactional or not. By default a correct one. */
export class FakeStore implements Store {
  readonly name = "fake";
  readonly outbox = undefined;
  readonly capabilities: StoreCapabilities;
  /** What was called, in order: "claim m1", "done m1", "release m1", "sent m1". */
  readonly log: string[] = [];
  readonly requests: ClaimRequest[] = [];
  readonly doneIds: Set<string> = new Set();
  readonly claimedIds: Set<string> = new Set();
  /** Committed and not marked as sent. */
  readonly unsent: Map<string, readonly OutgoingMessage[]> = new Map();
  /** Scripted answers of the next claims: an error is thrown, "default" is what a correct store says. */
  readonly claimScript: (Error | Claim | "default")[] = [];
  readonly doneScript: DoneScript[] = [];
  readonly releaseFails: Error[] = [];
  readonly sentFails: Error[] = [];
  /** What `renew` answers. */
  renews: boolean | Error = true;
  host: StoreHost | undefined;
  onOpen: (signal: AbortSignal) => Promise<void> | void = () => {};

  constructor(capabilities: Partial<StoreCapabilities> = {}) {
    this.capabilities = {
      shared: false,
      transactional: false,
      defaultWindowMs: 30 * 60_000,
      maxClaims: Number.POSITIVE_INFINITY,
      ...capabilities,
    };
  }

  async open(host: StoreHost, signal: AbortSignal): Promise<void> {
    this.log.push("open");
    this.host = host;
    await this.onOpen(signal);
  }

  async provision(): Promise<void> {
    this.log.push("provision");
  }

  async claim(request: ClaimRequest): Promise<Claim> {
    const { messageId } = request;
    this.log.push(`claim ${messageId}`);
    this.requests.push(request);
    const scripted = this.claimScript.shift();
    if (scripted instanceof Error) throw scripted;
    if (scripted !== undefined && scripted !== "default") return scripted;
    if (this.doneIds.has(messageId)) return { state: "done", unsent: this.#kept(messageId) };
    if (this.claimedIds.has(messageId)) return { state: "busy", againInMs: 5 };
    this.claimedIds.add(messageId);
    return { state: "mine", lease: this.#lease(messageId) };
  }

  async close(): Promise<void> {
    this.log.push("close");
  }

  #lease(messageId: string): Lease {
    return {
      transaction: this.capabilities.transactional ? { of: messageId } : undefined,
      renew: async () => {
        if (this.renews instanceof Error) throw this.renews;
        return this.renews;
      },
      done: async (outgoing) => {
        const script = this.doneScript.shift() ?? "commit";
        this.log.push(`done ${messageId}${outgoing.length > 0 ? ` with ${outgoing.length}` : ""}`);
        this.claimedIds.delete(messageId);
        if (script !== "reject") {
          this.doneIds.add(messageId);
          if (outgoing.length > 0) this.unsent.set(messageId, outgoing);
        }
        if (script !== "commit") throw new Error(`the connection to the store was lost in ${script}`);
        return this.#kept(messageId);
      },
      release: async () => {
        this.log.push(`release ${messageId}`);
        this.claimedIds.delete(messageId);
        const error = this.releaseFails.shift();
        if (error) throw error;
      },
    };
  }

  #kept(messageId: string): Kept | undefined {
    const messages = this.unsent.get(messageId);
    if (!messages) return undefined;
    return {
      messages,
      sent: async () => {
        this.log.push(`sent ${messageId}`);
        const error = this.sentFails.shift();
        if (error) throw error;
        this.unsent.delete(messageId);
      },
    };
  }
}
