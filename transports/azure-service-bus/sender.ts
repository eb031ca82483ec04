import type { SendResult } from "../../src/contracts/transport.js";
import { SharedDeadlines } from "../../src/util/shared-deadlines.js";
import type { ManagedClient } from "./connection.js";
import { AzureServiceBusError, unavailable } from "./errors.js";
import type { Send } from "./mapping.js";
import type { SendFailure } from "./send-error.js";
import { SenderLink } from "./sender-link.js";
import { SendCall, Submission } from "./submission.js";
import { settledBy } from "./time-limit.js";

/** What the sender asks of, and tells to, the transport. */
export interface SenderOwner {
  status(status: "up" | "degraded" | "down", reason?: string): void;
  /** The service does not know this topic. Resolves when sending may go on, whatever came of it. */
  repairTopic(topic: string): Promise<void>;
}

/** Links that are kept; of more, the one that was used longest ago and has nothing to do is closed. A connection takes about 5,000. */
const MAX_LINKS = 500;
/** A copy of a delivery (retry, suspect) that is not confirmed by then counts as not stored, and is tried again. */
const COPY_TIMEOUT_MS = 30_000;

/** Sends over one link for each queue and topic. Never rejects, and answers only what it knows. */
export class Sender {
  readonly #connection: ManagedClient;
  readonly #owner: SenderOwner;
  readonly #links = new Map<string, SenderLink>();
  readonly #deadlines = new SharedDeadlines<Submission>((entries) => giveUp(entries));
  readonly #leave: () => void;
  #maxBytes: number;
  #status: "up" | "degraded" | "down" = "up";
  #idle: (() => void)[] = [];

  /** @param maxBytes the largest message that the tier takes; a link may say less */
  constructor(connection: ManagedClient, maxBytes: number, owner: SenderOwner) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
    this.#owner = owner;
    this.#leave = connection.onReset((reason) => {
      this.#tellStatus("down", reason);
      for (const link of this.#links.values()) link.renew();
    });
    owner.status("up");
  }

  /** Largest message that the service is known to take. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Resolves with one result for each, in order, at the latest when `signal` aborts. */
  send(sends: readonly Send[], signal: AbortSignal): Promise<readonly SendResult[]> {
    if (sends.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const entries: Submission[] = [];
      const call = new SendCall(sends.length, (results) => {
        this.#deadlines.remove(deadline);
        resolve(results);
      });
      for (let i = 0; i < sends.length; i++) {
        const send = sends[i];
        if (send) entries.push(new Submission(send, call, i));
      }
      const deadline = this.#deadlines.add(signal, entries);
      if (signal.aborted || this.#connection.isClosing) giveUp(entries);
      else this.#take(entries);
    });
  }

  /** Sends the copy of a delivery. "sent": the service has stored it. */
  async copy(send: Send): Promise<SendResult> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), COPY_TIMEOUT_MS);
    const [result] = await this.send([send], timeout.signal);
    clearTimeout(timer);
    return result ?? { outcome: "refused", error: unavailable("The copy was not sent.") };
  }

  /** Waits until the service has answered everything, at most until `deadline` (a `performance.now()` time), and lets go of the links. */
  async close(deadline: number): Promise<void> {
    if (!this.#isIdle) await settledBy(deadline, new Promise<void>((resolve) => this.#idle.push(resolve)));
    this.#leave();
    const links = [...this.#links.values()];
    this.#links.clear();
    await settledBy(deadline, Promise.allSettled(links.map((link) => link.close())));
  }

  get #isIdle(): boolean {
    for (const link of this.#links.values()) if (!link.isIdle) return false;
    return true;
  }

  #take(entries: readonly Submission[]): void {
    const touched = new Set<SenderLink>();
    let link: SenderLink | undefined;
    for (const entry of entries) {
      const { entity, isEvent } = entry.send;
      if (link?.entity !== entity) {
        link = this.#linkTo(entity, isEvent);
        touched.add(link);
      }
      link.take(entry);
    }
    for (const link of touched) link.pump();
  }

  #linkTo(entity: string, isEvent: boolean): SenderLink {
    let link = this.#links.get(entity);
    if (link) {
      this.#links.delete(entity);
    } else {
      link = new SenderLink(entity, isEvent, this.#connection, {
        limit: (maxBytes) => {
          this.#maxBytes = Math.min(this.#maxBytes, maxBytes);
        },
        succeeded: () => this.#tellStatus("up"),
        failed: (failure) => this.#failed(failure),
        repair: (topic) => this.#owner.repairTopic(topic),
        idle: () => this.#tellIdle(),
      });
    }
    this.#links.set(entity, link);
    if (this.#links.size > MAX_LINKS) this.#dropOne();
    return link;
  }

  #dropOne(): void {
    for (const [entity, link] of this.#links) {
      if (!link.isIdle) continue;
      this.#links.delete(entity);
      void link.close().catch(() => {});
      return;
    }
  }

  #failed({ error }: SendFailure): void {
    if (error.code === "unroutable" || error.code === "too-large" || !error.retryable) return;
    this.#tellStatus(error.code === "unavailable" && !/throttling/.test(error.message) ? "down" : "degraded", error.message);
  }

  #tellStatus(status: "up" | "degraded" | "down", reason?: string): void {
    if (status === this.#status && status === "up") return;
    this.#status = status;
    this.#owner.status(status, reason);
  }

  #tellIdle(): void {
    if (this.#idle.length === 0 || !this.#isIdle) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function giveUp(entries: readonly Submission[]): void {
  for (const entry of entries) {
    if (entry.isAnswered) continue;
    if (entry.isHandedOver) {
      entry.unknown(
        new AzureServiceBusError("timeout", "Azure Service Bus has not confirmed the message in time; it may have it.", {
          retryable: true,
        }),
      );
    } else {
      entry.refused(
        new AzureServiceBusError("timeout", "The message was not stored: it was not handed to Azure Service Bus in time.", {
          retryable: true,
        }),
      );
    }
  }
}
