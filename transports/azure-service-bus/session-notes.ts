import type { ServiceBusSessionReceiver } from "@azure/service-bus";
import { answered } from "./time-limit.js";

/** How often the message `id` has begun to run alone. */
interface Note {
  readonly id: string;
  readonly starts: number;
}

/**
 * Where an ordered endpoint keeps, over the death of its processes, which message began to run alone and how often: in the state of its session. The
 * broker's own count cannot tell: it rises for everything that was held behind the culprit. One process holds a session at a time, so there is one note.
 */
export class SessionNotes {
  readonly #session: ServiceBusSessionReceiver;
  readonly #timeoutMs: number;

  constructor(session: ServiceBusSessionReceiver, timeoutMs: number) {
    this.#session = session;
    this.#timeoutMs = timeoutMs;
  }

  /** Notes, confirmed by the broker, that the message begins to run alone. @returns how often it had before. @throws what may pass */
  async begin(id: string): Promise<number> {
    const note = noteIn(await answered(this.#session.getSessionState(), this.#timeoutMs));
    const starts = note?.id === id ? note.starts : 0;
    await answered(this.#session.setSessionState({ id, starts: starts + 1 }), this.#timeoutMs);
    return starts;
  }

  /** The message that ran alone is settled. @throws what may pass; a note that stays is replaced by the next {@link begin} */
  async end(): Promise<void> {
    await answered(this.#session.setSessionState(null), this.#timeoutMs);
  }
}

function noteIn(value: unknown): Note | undefined {
  if (typeof value !== "object" || value === null || !("id" in value) || !("starts" in value)) return undefined;
  return typeof value.id === "string" && typeof value.starts === "number" && value.starts >= 0
    ? { id: value.id, starts: value.starts }
    : undefined;
}
