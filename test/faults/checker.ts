import { History, type MessageHistory, type Sending } from "./history.js";
import type { LedgerEvent } from "./ledger-event.js";
import { findOutOfOrder, type OrderViolation } from "./order.js";
import { findRepeats, type Repeats } from "./repeats.js";

/** How much the resident memory of a process may have grown at the end, against its value after the first tenth. */
export const MEMORY_GROWTH_LIMIT_MB = 50;

/** A message at an endpoint, and why it is in a list. */
export interface Finding {
  readonly id: string;
  readonly endpoint: string;
  readonly text: string;
}

export interface Counts {
  attempted: number;
  acknowledged: number;
  refused: number;
  unknown: number;
  /** Published by handlers: confirmed with their message, not by an outcome of their own. */
  byHandlers: number;
  handled: number;
  deadLettered: number;
  /** Not acknowledged, but handled: legal. */
  recovered: number;
  runs: number;
}

export interface MemoryGrowth {
  readonly process: string;
  readonly earlyMegabytes: number;
  readonly lateMegabytes: number;
}

/** What the ledgers say. The lists are what is wrong; a run is good when all of them are empty. */
export interface Findings {
  readonly counts: Readonly<Counts>;
  /** Those of the schedule. */
  readonly faults: number;
  /** Faults that nobody scheduled: services that died of what they read. */
  readonly deaths: number;
  /** Acknowledged, and at an endpoint neither handled nor dead-lettered. */
  readonly lost: readonly Finding[];
  /** Arrived, though nobody sent it, or where it was not sent to. */
  readonly unexpected: readonly Finding[];
  /** Arrived with another body or key than it was sent with. */
  readonly corrupt: readonly Finding[];
  readonly repeats: Repeats;
  /** One process handled it to the end more than once, which deduplication rules out, fault or no fault. */
  readonly handledTwice: readonly Finding[];
  readonly outOfOrder: readonly OrderViolation[];
  /** Dead-lettered alone, though its handler would have succeeded; handled, though it always fails; or dead-lettered for another reason than its own. */
  readonly misjudged: readonly Finding[];
  /** "refused" was said, which promises that it is not stored, and it arrived. */
  readonly falseRefusals: readonly Finding[];
  readonly stuckQueues: readonly { readonly queue: string; readonly messages: number }[];
  readonly troubles: readonly { readonly process: string; readonly text: string }[];
  readonly memory: readonly MemoryGrowth[];
  readonly leaks: readonly MemoryGrowth[];
}

export interface CheckOptions {
  /** Endpoints that promised order by key. */
  readonly ordered: readonly string[];
  /** So long after its end a fault may still cost a process what it has in hand. @default 10,000 */
  readonly aftermathMs?: number | undefined;
}

/** Compares what was sent with what became of it. */
export async function check(events: Iterable<LedgerEvent> | AsyncIterable<LedgerEvent>, options: CheckOptions): Promise<Findings> {
  const history = new History();
  for await (const event of events) history.add(event);
  return judge(history, options);
}

/** A run is good when nothing is wrong in it. */
export function holds(findings: Findings): boolean {
  return problems(findings).length === 0;
}

/** Each kind of thing that is wrong, with its number. */
export function problems(findings: Findings): readonly { readonly what: string; readonly count: number }[] {
  return [
    { what: "lost", count: findings.lost.length },
    { what: "unexpected", count: findings.unexpected.length },
    { what: "corrupt", count: findings.corrupt.length },
    { what: "repeats", count: findings.repeats.unexplained.length },
    { what: "handled twice by one instance", count: findings.handledTwice.length },
    { what: "out of order", count: findings.outOfOrder.length },
    { what: "misjudged", count: findings.misjudged.length },
    { what: "false refusals", count: findings.falseRefusals.length },
    { what: "stuck queues", count: findings.stuckQueues.length },
    { what: "troubles", count: findings.troubles.length },
    { what: "leaks", count: findings.leaks.length },
  ].filter((problem) => problem.count > 0);
}

function judge(history: History, options: CheckOptions): Findings {
  const lost: Finding[] = [];
  const unexpected: Finding[] = [];
  const corrupt: Finding[] = [];
  const misjudged: Finding[] = [];
  const falseRefusals: Finding[] = [];
  const handledTwice: Finding[] = [];
  const counts: Counts = {
    attempted: 0,
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    byHandlers: 0,
    handled: 0,
    deadLettered: 0,
    recovered: 0,
    runs: 0,
  };
  for (const message of history.messages.values()) {
    count(message, counts);
    lost.push(...findLost(message, history));
    unexpected.push(...findUnexpected(message));
    corrupt.push(...findCorrupt(message));
    misjudged.push(...findMisjudged(message));
    falseRefusals.push(...findFalseRefusal(message));
    handledTwice.push(...findHandledTwice(message));
  }
  const memory = memoryGrowth(history);
  return {
    counts,
    faults: history.faults.filter((fault) => fault.fault > 0).length,
    deaths: history.faults.filter((fault) => fault.fault === 0).length,
    lost,
    unexpected,
    corrupt,
    repeats: findRepeats(history, options.aftermathMs),
    handledTwice,
    outOfOrder: findOutOfOrder(history, options.ordered),
    misjudged,
    falseRefusals,
    stuckQueues: history.depths.filter((depth) => depth.messages > 0),
    troubles: [
      ...history.troubles,
      ...history.strayEnds.map((end) => ({
        process: end.process,
        text: `the end of a run that never began: ${end.id} at ${end.endpoint}`,
      })),
    ],
    memory,
    leaks: memory.filter((growth) => growth.lateMegabytes - growth.earlyMegabytes > MEMORY_GROWTH_LIMIT_MB),
  };
}

function count(message: MessageHistory, counts: Counts): void {
  const { sendings, runs, deadLetters } = message;
  const byHandler = sendings[0]?.attempt.parent !== undefined;
  const acknowledged = isAcknowledged(sendings);
  const handled = runs.some((run) => run.result === "handled");
  if (byHandler) counts.byHandlers++;
  else if (acknowledged) counts.acknowledged++;
  else if (sendings.length > 0 && sendings.every((sending) => sending.outcome === "refused")) counts.refused++;
  else if (sendings.length > 0) counts.unknown++;
  if (sendings.length > 0) counts.attempted++;
  if (handled) counts.handled++;
  if (handled && !acknowledged && !byHandler) counts.recovered++;
  if (deadLetters.length > 0) counts.deadLettered++;
  counts.runs += runs.length;
}

function isAcknowledged(sendings: readonly Sending[]): boolean {
  return sendings.some((sending) => sending.outcome === "acknowledged");
}

function isHandled(message: MessageHistory, endpoint: string): boolean {
  return message.runs.some((run) => run.endpoint === endpoint && run.result === "handled");
}

function isDeadLettered(message: MessageHistory, endpoint: string): boolean {
  return message.deadLetters.some((letter) => letter.endpoint === endpoint);
}

function findLost(message: MessageHistory, history: History): Finding[] {
  const first = message.sendings[0]?.attempt;
  if (!first) return [];
  // What a handler publishes is confirmed before its message is settled, so it must arrive once its parent was handled for good.
  const parent = first.parent === undefined ? undefined : history.messages.get(first.parent);
  const promised = parent
    ? parent.runs.some((run) => run.result === "handled") && parent.deadLetters.length === 0
    : isAcknowledged(message.sendings);
  if (!promised) return [];
  const missing = first.endpoints.filter((endpoint) => !isHandled(message, endpoint) && !isDeadLettered(message, endpoint));
  const why = parent ? `its parent ${parent.id} was handled` : "it was acknowledged";
  return missing.map((endpoint) => ({ id: message.id, endpoint, text: `${why}, but it was neither handled nor dead-lettered` }));
}

function findUnexpected(message: MessageHistory): Finding[] {
  const expected = new Set(message.sendings[0]?.attempt.endpoints ?? []);
  const seen = new Set([...message.runs, ...message.deadLetters].map((arrival) => arrival.endpoint));
  const text = message.sendings.length === 0 ? "it arrived, but nobody sent it" : "it arrived where it was not sent to";
  return [...seen].filter((endpoint) => !expected.has(endpoint)).map((endpoint) => ({ id: message.id, endpoint, text }));
}

function findCorrupt(message: MessageHistory): Finding[] {
  const attempt = message.sendings[0]?.attempt;
  if (!attempt) return [];
  const found = new Map<string, Finding>();
  for (const arrival of [...message.runs, ...message.deadLetters]) {
    const { endpoint, checksum } = arrival;
    if (checksum !== attempt.checksum) found.set(endpoint, { id: message.id, endpoint, text: `sent ${attempt.checksum}, got ${checksum}` });
    else if ("startedAt" in arrival && arrival.key !== attempt.key) {
      found.set(endpoint, { id: message.id, endpoint, text: `sent with the key ${attempt.key}, got ${arrival.key}` });
    }
  }
  return [...found.values()];
}

function findMisjudged(message: MessageHistory): Finding[] {
  const attempt = message.sendings[0]?.attempt;
  if (!attempt) return [];
  const found: Finding[] = [];
  for (const endpoint of attempt.endpoints) {
    const handled = isHandled(message, endpoint);
    const letter = message.deadLetters.find((dead) => dead.endpoint === endpoint);
    if (attempt.expect === "dead-lettered" && handled) {
      found.push({ id: message.id, endpoint, text: "it always fails, but it was handled" });
    } else if (attempt.expect === "handled" && letter && !handled) {
      found.push({ id: message.id, endpoint, text: `innocent, but dead-lettered as "${letter.reason}"` });
    } else if (attempt.reason !== undefined && letter && letter.reason !== attempt.reason) {
      found.push({ id: message.id, endpoint, text: `dead-lettered as "${letter.reason}", it should be "${attempt.reason}"` });
    }
  }
  return found;
}

function findFalseRefusal(message: MessageHistory): Finding[] {
  const { sendings, runs, deadLetters } = message;
  if (sendings.length === 0 || !sendings.every((sending) => sending.outcome === "refused")) return [];
  const arrival = runs[0] ?? deadLetters[0];
  return arrival ? [{ id: message.id, endpoint: arrival.endpoint, text: "refused, which says that it is not stored, but it arrived" }] : [];
}

function findHandledTwice(message: MessageHistory): Finding[] {
  const seen = new Set<string>();
  const found = new Map<string, Finding>();
  for (const { endpoint, pid, process, result } of message.runs) {
    if (result !== "handled") continue;
    const where = `${endpoint} ${pid}`;
    if (seen.has(where)) found.set(endpoint, { id: message.id, endpoint, text: `handled more than once by ${process} (${pid})` });
    seen.add(where);
  }
  return [...found.values()];
}

function memoryGrowth(history: History): MemoryGrowth[] {
  const growth: MemoryGrowth[] = [];
  for (const [process, samples] of history.memory) {
    const times = samples.map((sample) => sample.at);
    const begin = times.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
    const end = times.reduce((most, at) => Math.max(most, at), Number.NEGATIVE_INFINITY);
    const tenth = (end - begin) / 10;
    const early = median(samples.filter((sample) => sample.at >= begin + tenth && sample.at <= begin + 2 * tenth));
    const late = median(samples.filter((sample) => sample.at >= end - tenth));
    if (early !== undefined && late !== undefined) growth.push({ process, earlyMegabytes: early, lateMegabytes: late });
  }
  return growth;
}

function median(samples: readonly { readonly megabytes: number }[]): number | undefined {
  return samples.map((sample) => sample.megabytes).sort((a, b) => a - b)[Math.floor(samples.length / 2)];
}
