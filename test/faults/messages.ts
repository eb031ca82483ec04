import { checksumOf } from "./ledger.js";

/** What the handler of a message does. */
export type Plan =
  /** Works for so long, then succeeds. */
  | { readonly kind: "work"; readonly ms: number }
  /** Fails so often, then succeeds. */
  | { readonly kind: "fail"; readonly times: number }
  /** Works, and publishes an {@link Echo} with this id. */
  | { readonly kind: "echo"; readonly ms: number; readonly echoId: string }
  /** Always fails: "retryable" goes through all retries first. */
  | { readonly kind: "poison"; readonly retryable: boolean }
  /** Kills the process that handles it, after a while in which others begin: by a signal, or by using up its memory. */
  | { readonly kind: "kill"; readonly how: "exit" | "out-of-memory"; readonly afterMs: number };

/** The fields that every message of the fault suite has. `id` is the ledger's, and the bus's unless the bus derives one. */
export interface FaultMessage {
  readonly id: string;
  readonly key: string | null;
  readonly plan: Plan;
  readonly padding: string;
}

abstract class Message implements FaultMessage {
  constructor(
    readonly id: string,
    readonly key: string | null,
    readonly plan: Plan,
    readonly padding: string,
  ) {}
}

/** An event for the endpoint "work". */
export class Task extends Message {
  static readonly messageType = "faults.task";
}

/** An event with a key for the endpoints "ordered" and "work". */
export class Step extends Message {
  static readonly messageType = "faults.step";
}

/** A command to the endpoint "work". */
export class Order extends Message {
  static readonly messageType = "faults.order";
}

/** What a handler publishes, for the endpoint "audit". */
export class Echo extends Message {
  static readonly messageType = "faults.echo";
}

export const WORK = "faults-work";
export const ORDERED = "faults-ordered";
export const AUDIT = "faults-audit";
export const ENDPOINTS: readonly string[] = [WORK, ORDERED, AUDIT];

/** Over every field, as it was sent or as it came. */
export function checksum(message: FaultMessage): string {
  return checksumOf(message.id, message.key ?? undefined, JSON.stringify(message.plan), message.padding);
}

/** What the plan means for the ledger. */
export function expectation(plan: Plan): { readonly expect: "handled" | "dead-lettered"; readonly reason?: string } {
  if (plan.kind === "poison") return { expect: "dead-lettered", reason: "failed" };
  if (plan.kind === "kill") return { expect: "dead-lettered", reason: "crashed" };
  return { expect: "handled" };
}
