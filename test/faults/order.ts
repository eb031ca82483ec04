import type { History, MessageHistory } from "./history.js";

export interface OrderViolation {
  readonly endpoint: string;
  readonly key: string;
  /** Published, and acknowledged, before `later` was published. */
  readonly earlier: string;
  readonly later: string;
  readonly text: string;
}

/**
 * Where order by key was promised (P7): of two messages of one key, the second published after the first was acknowledged, the first
 * must have been handled once before the second is begun. Runs that are repeated later do not count: at-least-once may repeat.
 */
export function findOutOfOrder(history: History, endpoints: readonly string[]): OrderViolation[] {
  const found: OrderViolation[] = [];
  for (const [key, messages] of keyed(history)) {
    for (const endpoint of endpoints) {
      const chain = messages.filter((message) => message.sendings[0]?.attempt.endpoints.includes(endpoint));
      found.push(...violations(chain, endpoint, key));
    }
  }
  return found;
}

function keyed(history: History): Map<string, MessageHistory[]> {
  const byKey = new Map<string, MessageHistory[]>();
  for (const message of history.messages.values()) {
    const key = message.sendings[0]?.attempt.key;
    if (key === undefined) continue;
    const group = byKey.get(key);
    if (group) group.push(message);
    else byKey.set(key, [message]);
  }
  for (const group of byKey.values()) group.sort((a, b) => firstAttemptAt(a) - firstAttemptAt(b));
  return byKey;
}

function violations(chain: readonly MessageHistory[], endpoint: string, key: string): OrderViolation[] {
  const found: OrderViolation[] = [];
  let previous: { readonly id: string; readonly acknowledgedAt: number; readonly handledAt: number } | undefined;
  for (const message of chain) {
    const runs = message.runs.filter((run) => run.endpoint === endpoint);
    const startedAt = Math.min(...runs.map((run) => run.startedAt));
    if (previous && firstAttemptAt(message) > previous.acknowledgedAt && startedAt < previous.handledAt) {
      const ms = (previous.handledAt - startedAt).toFixed(1);
      found.push({ endpoint, key, earlier: previous.id, later: message.id, text: `begun ${ms} ms before the one before it was handled` });
    }
    const handledAt = Math.min(...runs.filter((run) => run.result === "handled").map((run) => run.endedAt));
    const acknowledgedAt = Math.min(...message.sendings.filter((s) => s.outcome === "acknowledged").map((s) => s.endedAt));
    // One that was not acknowledged, or not handled (dead-lettered), promises nothing to the one after it.
    if (Number.isFinite(handledAt) && Number.isFinite(acknowledgedAt)) previous = { id: message.id, acknowledgedAt, handledAt };
  }
  return found;
}

function firstAttemptAt(message: MessageHistory): number {
  return message.sendings[0]?.at ?? Number.POSITIVE_INFINITY;
}
