import type { ServiceBusSessionReceiver } from "@azure/service-bus";
import type { Logger } from "../../src/contracts/logger.js";
import { CRASHED_AFTER } from "./suspicion.js";
import { answered } from "./time-limit.js";

/** Of messages that ran alone and were never settled; of more, the first are forgotten. */
const MAX_RUNS = 32;

/** The state of a session, as it is written. A holder is one run of one receiver, which never comes back after its process has died. */
interface State {
  /** Tells that it is ours, and in which form. */
  readonly trolleybus: 1;
  /** The first message of the session when `holders` took it. */
  readonly head: string;
  /** Who took the session with that message in front, and has not said that it lived. */
  readonly holders: readonly string[];
  /** Messages that began to run alone, with those who began it and have not said that they lived. */
  readonly alone: readonly Run[];
}

interface Run {
  readonly id: string;
  readonly holders: readonly string[];
}

/**
 * What an ordered endpoint keeps over the death of its processes, in the state of its session: who took the session while which message was the first,
 * and which messages began to run alone. The broker's own count cannot tell: a session whose link is gone is given back uncounted
 * (learn.microsoft.com, message-sessions, "Impact of delivery count"), and one whose lock ended counts for everything that was held behind the culprit.
 * That the first message has gone is progress, which makes what was noted void, so that nothing is written for it. One process holds a
 * session at a time: nobody else writes meanwhile.
 */
export class SessionNotes {
  readonly #session: ServiceBusSessionReceiver;
  readonly #holder: string;
  readonly #timeoutMs: number;
  readonly #logger: Logger;
  #head: string | undefined;
  #isHeadSettled = false;
  #hasSurvived = false;
  /** As it was last read or written. */
  #kept: State | undefined;

  /** @param holder names the receiver, and no other */
  constructor(session: ServiceBusSessionReceiver, holder: string, timeoutMs: number, logger: Logger) {
    this.#session = session;
    this.#holder = holder;
    this.#timeoutMs = timeoutMs;
    this.#logger = logger;
  }

  /**
   * Notes, confirmed by the broker, that the session is held; not again where the same receiver noted it last, for which a death goes uncounted once.
   * @returns how many held it before with the same first message, and have not said that they lived. @throws what may pass
   */
  async open(head: string): Promise<number> {
    const kept = this.#stateIn(await answered(this.#session.getSessionState(), this.#timeoutMs));
    const others = kept?.head === head ? this.#others(kept.holders) : [];
    this.#kept = kept;
    // Before it is written: a session that is given back meanwhile takes it back.
    this.#head = head;
    if (!kept?.holders.includes(this.#holder)) {
      await this.#write({ trolleybus: 1, head, holders: [...others, this.#holder], alone: kept?.alone ?? [] });
    }
    return others.length;
  }

  /** Whether it ran alone before, and somebody has not said that he lived through it. */
  hasRunAlone(id: () => string): boolean {
    const runs = this.#kept?.alone ?? [];
    return runs.length > 0 && this.#unfinished(id()).length > 0;
  }

  /** Notes, confirmed by the broker, that the message begins to run alone. @returns how often it had before and nobody lived. @throws what may pass */
  async begin(id: string): Promise<number> {
    const unfinished = this.#unfinished(id);
    await this.#write(this.#withRun(id, [...unfinished, this.#holder]));
    return unfinished.length;
  }

  /**
   * This process lived through the run. @param isInnocent whether it came to an end: then nothing of it is kept
   * @throws what may pass; a note that stays is taken away by the next {@link begin} or {@link close}, or whenever this receiver has the session again
   */
  async end(id: string, isInnocent: boolean): Promise<void> {
    await this.#write(this.#withRun(id, isInnocent ? [] : this.#unfinished(id)));
  }

  /** The message that was the first is settled. */
  headSettled(): void {
    this.#isHeadSettled = true;
  }

  /** All that may have been held with the first message ran alone, and killed nobody: what was noted before is no evidence. */
  survived(): void {
    this.#hasSurvived = true;
  }

  /**
   * Nobody died: the session is given back on purpose. Writes only where what was noted would tell otherwise, or would stay for ever.
   * @param isLasting whether the session is one of few that are used again and again @throws what may pass
   */
  async close(isLasting: boolean): Promise<void> {
    const kept = this.#kept;
    if (this.#head === undefined || !kept) return;
    const isVoid = this.#isHeadSettled || this.#hasSurvived || kept.head !== this.#head;
    const holders = isVoid ? [] : this.#others(kept.holders);
    const alone = kept.alone.map((run) => ({ ...run, holders: this.#others(run.holders) })).filter((run) => run.holders.length > 0);
    const isEmpty = holders.length === 0 && alone.length === 0;
    const isProgress = this.#isHeadSettled || kept.head !== this.#head;
    const isTrue = isProgress && !kept.alone.some((run) => run.holders.includes(this.#holder));
    if (isTrue && (isLasting || !isEmpty)) return;
    await this.#write(isEmpty ? undefined : { ...kept, holders, alone });
  }

  #unfinished(id: string): readonly string[] {
    return this.#others(this.#kept?.alone.find((run) => run.id === id)?.holders ?? []);
  }

  #others(holders: readonly string[]): readonly string[] {
    return holders.filter((holder) => holder !== this.#holder).slice(-CRASHED_AFTER);
  }

  #withRun(id: string, holders: readonly string[]): State {
    const { head = id, holders: sessionHolders = [], alone = [] } = this.#kept ?? {};
    const others = alone.filter((run) => run.id !== id);
    const runs = holders.length === 0 ? others : [...others, { id, holders }];
    return { trolleybus: 1, head, holders: sessionHolders, alone: runs.slice(-MAX_RUNS) };
  }

  // What was asked for is taken for kept before it is confirmed: each write has everything, so that the next mends one that failed.
  async #write(state: State | undefined): Promise<void> {
    this.#kept = state;
    await answered(this.#session.setSessionState(state ?? null), this.#timeoutMs);
  }

  #stateIn(value: unknown): State | undefined {
    if (isState(value)) return value;
    if (value !== undefined && value !== null) {
      this.#logger.warn(
        `The session ${this.#session.sessionId} has a state that is not the bus's, and gets the bus's own: there it is noted which messages kill their process.`,
      );
    }
    return undefined;
  }
}

function isState(value: unknown): value is State {
  return (
    isRecord(value) &&
    value["trolleybus"] === 1 &&
    typeof value["head"] === "string" &&
    areTexts(value["holders"]) &&
    Array.isArray(value["alone"]) &&
    value["alone"].every((run: unknown) => isRecord(run) && typeof run["id"] === "string" && areTexts(run["holders"]))
  );
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
