/** One member of a group as its leader sees it. */
export interface GroupMember {
  readonly memberId: string;
  /** The topics that it subscribed. */
  readonly topics: readonly string[];
  /** The partitions that it had until now, by its own word. */
  readonly owned: Assignment;
  /** Of topics that several types share: those that it handles, for it passes the others over. Of a topic that is not here it takes all. */
  readonly types: TypesByTopic;
}
export type TypesByTopic = ReadonlyMap<string, readonly string[]>;
/** Partitions by topic. */
export type Assignment = ReadonlyMap<string, readonly number[]>;

/**
 * Who reads which partition. Each topic is shared evenly among the members that subscribed it and nobody else, whatever the leader itself
 * subscribes: two versions of a service in one group then read what they know. A member keeps what it has as far as that is even, so that few
 * records are begun twice; who gets one more than others is who has least in all. The same members and topics always give the same result.
 *
 * A topic that several types share goes to the members alone that handle all types that any of them does: in a rolling deployment the others would pass over,
 * for the whole group, what is new.
 *
 * @param partitionsOf the partitions of each topic that exists
 * @param divided told of a shared topic of which no member handles all types; it goes to all of them
 */
export function assignPartitions(
  members: readonly GroupMember[],
  partitionsOf: ReadonlyMap<string, readonly number[]>,
  divided?: (topic: string) => void,
): ReadonlyMap<string, Assignment> {
  const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const shares = new Map<string, Share>(sorted.map((member) => [member.memberId, { member, total: 0, assigned: new Map() }]));
  for (const topic of [...partitionsOf.keys()].sort()) {
    const readers = [...shares.values()].filter(({ member }) => member.topics.includes(topic));
    const knowing = readers.filter(({ member }) => knowsAll(topic, member, readers));
    if (knowing.length === 0 && readers.length > 0) divided?.(topic);
    const chosen = knowing.length > 0 ? knowing : readers;
    if (chosen.length > 0) shareOut(topic, partitionsOf.get(topic) ?? [], chosen);
  }
  return new Map([...shares].map(([memberId, { assigned }]) => [memberId, assigned]));
}

/** Whether the member handles every type of the topic that one of the readers does. */
function knowsAll(topic: string, { types }: GroupMember, readers: readonly Share[]): boolean {
  const own = types.get(topic);
  return own === undefined || readers.every(({ member }) => member.types.get(topic)?.every((type) => own.includes(type)) ?? false);
}

interface Share {
  readonly member: GroupMember;
  readonly assigned: Map<string, number[]>;
  total: number;
}

function shareOut(topic: string, partitions: readonly number[], readers: readonly Share[]): void {
  const free = new Set(partitions);
  const kept = new Map<Share, number[]>();
  for (const reader of readers) {
    const still = (reader.member.owned.get(topic) ?? []).filter((partition) => free.delete(partition));
    kept.set(reader, still);
  }
  const least = Math.floor(partitions.length / readers.length);
  const rest = partitions.length % readers.length;
  // Those that have more than the least keep one of it first, then those that have little of other topics get one.
  const byClaim = readers.toSorted((a, b) => Number(countOf(kept, b) > least) - Number(countOf(kept, a) > least) || a.total - b.total);
  const wanting: { readonly reader: Share; readonly mine: number[]; readonly quota: number }[] = [];
  for (const [index, reader] of byClaim.entries()) {
    const quota = least + (index < rest ? 1 : 0);
    const mine = kept.get(reader) ?? [];
    for (const surplus of mine.splice(quota)) free.add(surplus);
    wanting.push({ reader, mine, quota });
  }
  const unassigned = [...free].sort((a, b) => a - b);
  for (const { reader, mine, quota } of wanting) {
    mine.push(...unassigned.splice(0, quota - mine.length));
    if (mine.length === 0) continue;
    reader.assigned.set(
      topic,
      mine.sort((a, b) => a - b),
    );
    reader.total += mine.length;
  }
}

function countOf(kept: ReadonlyMap<Share, readonly number[]>, reader: Share): number {
  return kept.get(reader)?.length ?? 0;
}
