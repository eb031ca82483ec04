import { type FaultKind, hitAll, type Injected, type Scene } from "../kinds/fault-kind.js";
import { AUDIT, Echo, Step, Task } from "../messages.js";
import type { ServiceBusUnderFault } from "./azure-service-bus.js";

/** What was deleted must have been made again within this time, by whoever needs it. */
const REPAIR_LIMIT_MS = 90_000;

/** The ways to break one emulator of Service Bus. */
export function azureServiceBusFaults({ emulator, admin }: ServiceBusUnderFault): readonly FaultKind[] {
  return [
    broker("killed and started", 4, async (scene) => {
      await emulator.kill();
      await scene.wait(scene.random.integer(0, 4_000));
      await emulator.start();
      return undefined;
    }),
    broker("stopped and started politely", 2, async (scene) => {
      await emulator.stop();
      await scene.wait(scene.random.integer(0, 3_000));
      await emulator.start();
      return undefined;
    }),
    broker("frozen for longer than the locks", 1, (scene) => freeze(12_000, 20_000, scene)),
    broker("frozen for less than a request may take", 1, (scene) => freeze(500, 2_500, scene)),
    broker("drops all connections", 3, () => emulator.hook("drop-connections").then(once)),
    broker("detaches all links", 3, () => emulator.hook("detach-links").then(once)),
    broker("ends all locks", 3, () => emulator.hook("expire-locks").then(once)),
    broker("ends all locks again and again", 1, async (scene) => {
      const times = scene.random.integer(2, 4);
      for (let i = 0; i < times; i++) {
        await emulator.hook("expire-locks");
        await scene.wait(scene.random.integer(100, 1_500));
      }
      return { detail: `${times} times`, times };
    }),
    broker("throttles", 2, async (scene) => {
      const ms = scene.random.pick([1_000, 4_000, 14_000]);
      await emulator.hook("throttle", ms);
      await scene.wait(ms);
      return { detail: `${ms} ms`, times: 1 };
    }),
    ...deletions({ emulator, admin }),
  ];

  async function freeze(least: number, most: number, { random, wait }: Scene): Promise<Told> {
    const ms = random.integer(least, most);
    emulator.freeze();
    try {
      await wait(ms);
    } finally {
      emulator.thaw();
    }
    return { detail: `${ms} ms`, times: 1 };
  }
}

/**
 * A deleted entity takes its messages with it, dead letters too, which only the audit never has: so this is done while nothing is on its way, and publishing goes on only when it is
 * there again.
 */
function deletions({ admin }: ServiceBusUnderFault): readonly FaultKind[] {
  const kinds = [
    broker("queue deleted under its consumers", 1, async (scene) => {
      await scene.whileEmpty(async () => {
        await admin.deleteQueue(AUDIT);
        await untilBack(AUDIT, () => admin.queueExists(AUDIT), scene);
      });
      return { detail: AUDIT, times: 1 };
    }),
    broker("topic deleted", 1, async (scene) => {
      const topic = scene.random.pick([Task.messageType, Step.messageType, Echo.messageType]);
      await scene.whileEmpty(async () => {
        const before = await subscriptionsOf(admin, topic);
        await admin.deleteTopic(topic);
        const areBack = async (): Promise<boolean> => {
          const now = (await admin.topicExists(topic)) ? await subscriptionsOf(admin, topic) : [];
          return before.every((name) => now.includes(name));
        };
        await untilBack(topic, areBack, scene);
      });
      return { detail: topic, times: 1 };
    }),
  ];
  return kinds.map((kind) => ({ ...kind, fullOnly: true }));
}

async function subscriptionsOf(admin: ServiceBusUnderFault["admin"], topic: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { subscriptionName } of admin.listSubscriptions(topic)) names.push(subscriptionName);
  return names;
}

async function untilBack(what: string, isBack: () => Promise<boolean>, { wait }: Scene): Promise<void> {
  const deadline = performance.now() + REPAIR_LIMIT_MS;
  while (!(await isBack())) {
    if (performance.now() > deadline) throw new Error(`not made again within ${REPAIR_LIMIT_MS} ms: ${what}`);
    await wait(200);
  }
}

/** What a fault tells of itself; `times` when it breaks what every service holds so often. */
interface Told {
  readonly detail: string;
  readonly times: number;
}

const once = (): undefined => undefined;

/** A fault that may cost every service what it holds. */
function broker(name: string, weight: number, work: (scene: Scene) => Promise<Told | undefined>): FaultKind {
  return {
    kind: `broker: ${name}`,
    group: "broker",
    weight,
    async inject(scene): Promise<Injected> {
      const told = await work(scene);
      return told ? { hits: hitAll(scene, told.times), detail: told.detail } : { hits: hitAll(scene) };
    },
  };
}
