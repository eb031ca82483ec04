import { type FaultKind, hitAll, type Injected, type Scene } from "../kinds/fault-kind.js";
import { Echo, ENDPOINTS, Step, Task, WORK } from "../messages.js";
import type { KafkaUnderFault } from "./kafka.js";
import { type KafkaNode, SESSION_TIMEOUT_MS } from "./kafka-control.js";
import { type Standstill, StandstillWatch } from "./kafka-standstill.js";

/** What was deleted must have been made again within this time, by whoever needs it. */
const REPAIR_LIMIT_MS = 90_000;
/** A retry topic is made anew by the first retry that needs it, which comes soon, but may not come at all. */
const RETRY_COMES_WITHIN_MS = 30_000;
/** Every publisher has looked for new partitions by then. */
const METADATA_AGE_MS = 35_000;
/** More would make a topic of a long run as wide as the run is long. */
const MOST_PARTITIONS = 40;
/** Partitions of a member that was killed go on after one session, and a rebalance takes another; of few instances, who takes one over is often the next to be killed. */
const SESSIONS_AT_A_STANDSTILL = 4;
/** What a busy machine takes to start a process. */
const LENIENCY_MS = 3_000;
/** A handler that is many sessions long, with thousands of records handled behind it meanwhile. */
const LONG_MS = 45_000;
/** Commits are set back by so many records at most. */
const SET_BACK = 20;

/** The ways to break one Kafka server, and the endpoints that live on it. */
export function kafkaFaults(server: KafkaUnderFault): readonly FaultKind[] {
  const node = (): KafkaNode => {
    const [only] = server.nodes;
    if (!only) throw new Error("there is no node");
    return only;
  };
  return [
    broker("killed and started", 4, async (scene) => {
      await node().kill();
      await scene.wait(scene.random.integer(0, 4_000));
      await node().start();
    }),
    broker("stopped and started politely", 2, async (scene) => {
      await node().stop();
      await scene.wait(scene.random.integer(0, 3_000));
      await node().start();
    }),
    broker("frozen for longer than the session", 2, (scene) => freeze(node(), scene, SESSION_TIMEOUT_MS + 1_000, 3 * SESSION_TIMEOUT_MS)),
    broker("frozen for less than the session", 1, (scene) => freeze(node(), scene, 500, SESSION_TIMEOUT_MS / 2)),
    ...topicFaults(server),
    ...groupFaults(server),
  ];
}

/** A fault that may cost every service its connection, once. `work` returns what the log should say. */
export function broker(name: string, weight: number, work: (scene: Scene) => Promise<unknown>): FaultKind {
  return {
    kind: `broker: ${name}`,
    group: "broker",
    weight,
    async inject(scene): Promise<Injected> {
      const detail = await work(scene);
      return { hits: hitAll(scene), ...(typeof detail === "string" ? { detail } : {}) };
    },
  };
}

export async function freeze(node: KafkaNode, { random, wait }: Scene, least: number, most: number): Promise<string> {
  const ms = random.integer(least, most);
  node.freeze();
  try {
    await wait(ms);
  } finally {
    node.thaw();
  }
  return `${node.name} for ${ms} ms`;
}

/** What happens to topics and to what a group has committed, whatever the number of nodes. */
export function topicFaults(server: KafkaUnderFault): readonly FaultKind[] {
  return [...deletions(server), ...growths(server), ...retentions(server)];
}

/**
 * A deleted topic takes its records with it: so it is done while nothing is on its way, and publishing goes on only when the topic is there
 * again. Its groups' commits go with it.
 */
function deletions(server: KafkaUnderFault): readonly FaultKind[] {
  const { admin } = server;
  const remove = (topic: string): Promise<void> => admin.do((client) => client.deleteTopics({ topics: [topic] }));
  const kinds = [
    broker("topic deleted under its consumers", 1, async (scene) => {
      const topic = scene.random.pick([Task.messageType, Step.messageType, Echo.messageType, WORK]);
      await scene.whileEmpty(async () => {
        await remove(topic);
        await until(`${topic} to be made again`, REPAIR_LIMIT_MS, scene, async () => (await admin.topics()).includes(topic));
      });
      return topic;
    }),
    broker("retry topic deleted", 0.5, async (scene) => {
      const topics = (await Promise.all(ENDPOINTS.map((endpoint) => server.topicsOf(endpoint)))).flat();
      const topic = scene.random.pick(topics.filter((name) => name.includes(".retry.")));
      await scene.whileEmpty(() => remove(topic));
      const isBack = async (): Promise<boolean> => (await admin.topics()).includes(topic);
      const deadline = performance.now() + RETRY_COMES_WITHIN_MS;
      while (performance.now() < deadline && !(await isBack())) await scene.wait(200);
      return topic;
    }),
  ];
  return kinds.map((kind) => ({ ...kind, fullOnly: true }));
}

/** More partitions move keys to other partitions: where order by key is promised they are added while nothing of any key is on its way. */
function growths({ admin }: KafkaUnderFault): readonly FaultKind[] {
  const grow = async (topic: string, by: number): Promise<string> => {
    const before = (await admin.offsets(topic)).length;
    const count = Math.min(MOST_PARTITIONS, before + by);
    if (count > before) await admin.do((client) => client.createPartitions({ topicPartitions: [{ topic, count }] }));
    return `${topic} from ${before} to ${count}`;
  };
  return [
    broker("partitions added", 1, ({ random }) => grow(random.pick([Task.messageType, WORK]), random.integer(1, 3))),
    {
      ...broker("partitions added to a topic with order", 0.5, async (scene) => {
        let done = "";
        await scene.whileEmpty(async () => {
          done = await grow(Step.messageType, scene.random.integer(1, 3));
          // Until then a publisher that has not looked again would put a key where it was before.
          await scene.wait(METADATA_AGE_MS);
        });
        return done;
      }),
      fullOnly: true,
    },
  ];
}

/** What retention deletes is not lost when it was handled before; and a group whose commits are older than the log goes on at its beginning. */
function retentions(server: KafkaUnderFault): readonly FaultKind[] {
  const { admin } = server;
  return [
    broker("log deleted up to what every group has committed", 1, async ({ random }) => {
      const topic = random.pick([Task.messageType, Step.messageType, WORK]);
      const readers = await endpointsOf(server, topic);
      const committed = await Promise.all(readers.map((endpoint) => admin.committed(endpoint, topic)));
      const partitions = (await admin.offsets(topic))
        .map(({ partition, low, high }) => ({
          partition,
          low,
          high,
          offset: Math.min(...committed.map((each) => each.get(partition) ?? -1)),
        }))
        .filter(({ low, offset }) => offset > low);
      // What stands beside a topic that was just made again was committed of the one before it, and nothing here is handled.
      if (partitions.some(({ high, offset }) => offset > high)) return `${topic}, which was just made again: nothing`;
      await admin.deleteRecords(topic, partitions);
      return `${topic}, ${partitions.length} partitions`;
    }),
    {
      ...broker("commits older than the log", 1, async (scene) => {
        const endpoint = scene.random.pick(ENDPOINTS);
        const consumers = scene.supervisor.consumers;
        await scene.whileEmpty(async () => {
          await scene.supervisor.stop(consumers);
          try {
            for (const topic of await server.topicsOf(endpoint)) await expire(server, topic, endpoint, scene);
          } finally {
            await Promise.all(consumers.map((service) => service.start()));
          }
        });
        return endpoint;
      }),
      fullOnly: true,
    },
  ];
}

/** Every record of the topic is deleted, as all are handled, and the group's commits set back to before the new beginning of the log. */
async function expire({ admin }: KafkaUnderFault, topic: string, group: string, { random }: Scene): Promise<void> {
  const ends = (await admin.offsets(topic)).filter(({ high }) => high > 0);
  if (ends.length === 0) return;
  const allOf = ends.map(({ partition, high }) => ({ partition, offset: high }));
  await admin.deleteRecords(topic, allOf);
  const partitions = allOf.map(({ partition, offset }) => ({
    partition,
    offset: String(Math.max(0, offset - random.integer(1, SET_BACK))),
  }));
  await admin.do((client) => client.setOffsets({ groupId: group, topic, partitions }));
}

async function endpointsOf(server: KafkaUnderFault, topic: string): Promise<readonly string[]> {
  const reads = await Promise.all(ENDPOINTS.map(async (endpoint) => (await server.topicsOf(endpoint)).includes(topic)));
  return ENDPOINTS.filter((_, index) => reads[index]);
}

/** What a group of instances goes through: most of it moves partitions from one to the other. */
export function groupFaults(server: KafkaUnderFault): readonly FaultKind[] {
  return [
    {
      kind: "service: instances come and go every few seconds",
      group: "service",
      weight: 1,
      async inject({ random, supervisor, wait }) {
        const rounds = random.integer(3, 6);
        const gone: string[] = [];
        const watch = new StandstillWatch(server.admin, WORK, [Task.messageType]);
        for (let round = 0; round < rounds; round++) {
          const target = random.pick(supervisor.consumers);
          const politely = random.chance(0.5);
          await (politely ? target.restartPolitely() : target.kill());
          gone.push(`${target.name}${politely ? "" : " (killed)"}`);
          await wait(random.integer(500, 3_000));
        }
        const [longest] = await watch.end();
        const ms = longest?.ms ?? 0;
        const stood = longest ? told(longest) : "nothing stood still";
        if (ms > SESSIONS_AT_A_STANDSTILL * SESSION_TIMEOUT_MS + LENIENCY_MS)
          throw new Error(`${stood} while ${gone.join(", ")} came and went`);
        // Each of them leaves, and comes: twice the partitions move.
        return { hits: supervisor.consumers.map((service) => service.hit(2 * rounds)), detail: `${gone.join(", ")}; ${stood}` };
      },
    },
    {
      kind: "service: frozen past its session and woken",
      group: "service",
      weight: 2,
      async inject({ random, supervisor, wait }) {
        const target = random.pick(supervisor.consumers);
        const ms = random.integer(SESSION_TIMEOUT_MS + 1_000, 3 * SESSION_TIMEOUT_MS);
        target.freeze();
        await wait(ms);
        target.thaw();
        // It leaves the group and comes back to it: its partitions move twice.
        return { hits: [target.hit(2)], detail: `${target.name} for ${ms} ms` };
      },
    },
    {
      kind: "service: a handler that runs for much longer than the session",
      group: "service",
      weight: 0.3,
      fullOnly: true,
      async inject({ random, supervisor, wait }) {
        random.pick(supervisor.publishers).send({ command: "long", ms: LONG_MS });
        await wait(LONG_MS + SESSION_TIMEOUT_MS);
        return { hits: [], detail: `${LONG_MS} ms` };
      },
    },
    {
      kind: "service: all consumers killed behind a handler that has run for long",
      group: "service",
      weight: 0.3,
      fullOnly: true,
      async inject({ random, supervisor, wait }) {
        random.pick(supervisor.publishers).send({ command: "long", ms: LONG_MS });
        await wait(LONG_MS - 5_000);
        await Promise.all(supervisor.consumers.map((service) => service.kill()));
        return { hits: supervisor.consumers.map((service) => service.hit()) };
      },
    },
  ];
}

/** A standstill as the log says it. */
export function told({ ms, owner, partition }: Standstill): string {
  return `${partition} (${owner}) stood still for ${(ms / 1_000).toFixed(1)} s`;
}

async function until(what: string, limitMs: number, { wait }: Scene, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await wait(200);
  }
}
