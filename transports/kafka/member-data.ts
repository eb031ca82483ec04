import type { Assignment, TypesByTopic } from "./assigner.js";

/** What a member tells the group of itself, beside the topics that it subscribed. */
export interface MemberData {
  /** The partitions that it has. */
  readonly owned: Assignment;
  /** Of topics of which it does not handle all types: those that it does. */
  readonly types: TypesByTopic;
}

/** Stands among the topics, and no topic can be named so. */
const TYPES = "/types";

export function writeMemberData({ owned, types }: MemberData): Buffer {
  return Buffer.from(JSON.stringify({ ...Object.fromEntries(owned), ...(types.size > 0 && { [TYPES]: Object.fromEntries(types) }) }));
}

/** Another version of the service, or another client, may have written anything: what makes no sense is taken for nothing. */
export function readMemberData(bytes: Buffer | undefined): MemberData {
  const owned = new Map<string, readonly number[]>();
  const types = new Map<string, readonly string[]>();
  for (const [topic, given] of entriesOf(parsed(bytes))) {
    if (Array.isArray(given)) owned.set(topic, given.filter(Number.isSafeInteger));
    else if (topic === TYPES)
      for (const [shared, names] of entriesOf(given)) if (Array.isArray(names)) types.set(shared, names.filter(isText));
  }
  return { owned, types };
}

function parsed(bytes: Buffer | undefined): unknown {
  try {
    return JSON.parse(bytes?.toString("utf8") ?? "{}");
  } catch {
    return {};
  }
}

function entriesOf(given: unknown): readonly [string, unknown][] {
  return typeof given === "object" && given !== null ? Object.entries(given) : [];
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
