import type { Random } from "../../support/random.js";
import { RETRY_DELAYS_MS } from "../clients/trolleybus.js";
import type { FaultKind, Scene } from "../kinds/fault-kind.js";
import { AUDIT, Echo, ORDERED, Step, Task, WORK } from "../messages.js";
import type { SupervisedService } from "../supervisor.js";
import type { KafkaUnderFault } from "./kafka.js";
import { SESSION_TIMEOUT_MS } from "./kafka-control.js";
import { told } from "./kafka-faults.js";
import { PartitionRuns } from "./kafka-runs.js";
import { StandstillWatch } from "./kafka-standstill.js";

const CHURN_MS = 300_000;
/** No partition with something to do may stand still for longer. */
const STANDSTILL_LIMIT_MS = 2 * SESSION_TIMEOUT_MS;
/**
 * Where the order is kept nothing is done while all keys of a partition wait for the next attempt of a record that failed. That one begun is enough there: of a partition
 * with a single key nothing may be committed until a record has failed for the last time.
 */
const ORDERED_LIMIT_MS = STANDSTILL_LIMIT_MS + RETRY_DELAYS_MS;
/** Of so many instances at most one is away. */
const PRESENT_FOR_EACH_AWAY = 4;
const AWAY_MS = 5_000;
/** One in so many goes without a word. The others' sessions are over before the next one does, or nobody could keep to the limit. */
const KILLED_ONE_IN = 6;
const BETWEEN_KILLS_MS = 3 * SESSION_TIMEOUT_MS;
/** As many partitions are told in the log. */
const TOLD = 3;

/** How often instances went. */
interface Leavings {
  politely: number;
  killed: number;
}

/** What the mix "churn" is for: instances of one service that come and go for five minutes under load, several at a time. */
export function churnFaults(server: KafkaUnderFault): readonly FaultKind[] {
  return [
    {
      kind: "churn: instances come and go for five minutes",
      group: "service",
      weight: 1,
      async inject(scene) {
        const { admin } = server;
        const runs = new PartitionRuns(scene.folder, ORDERED, Step.messageType);
        const watches = [
          { limitMs: STANDSTILL_LIMIT_MS, watch: new StandstillWatch(admin, WORK, [Task.messageType, Step.messageType, WORK]) },
          { limitMs: ORDERED_LIMIT_MS, watch: new StandstillWatch(admin, ORDERED, [Step.messageType], runs) },
          { limitMs: STANDSTILL_LIMIT_MS, watch: new StandstillWatch(admin, AUDIT, [Echo.messageType]) },
        ];
        const leavings = await churn(scene);
        const ended = watches.map(async ({ watch, limitMs }) =>
          (await watch.end()).map((stood) => ({ stood, isTooLong: stood.ms > limitMs })),
        );
        const all = (await Promise.all(ended)).flat().sort((a, b) => b.stood.ms - a.stood.ms);
        const longest = all.slice(0, TOLD).map(({ stood }) => told(stood));
        const detail = `${leavings.politely} times politely, ${leavings.killed} times killed; of ${all.length} partitions ${longest.join(", ")}`;
        if (all.some(({ isTooLong }) => isTooLong))
          throw new Error(`${detail}; the limit is ${STANDSTILL_LIMIT_MS} ms, with retries in order ${ORDERED_LIMIT_MS} ms`);
        // Whoever leaves and comes back moves partitions twice: its own, and as many as the others give it.
        const moves = 2 * (leavings.politely + leavings.killed);
        return { hits: scene.supervisor.consumers.map((service) => service.hit(moves)), detail };
      },
    },
  ];
}

async function churn({ random, supervisor, wait }: Scene): Promise<Leavings> {
  const { consumers } = supervisor;
  const most = Math.max(1, Math.floor(consumers.length / PRESENT_FOR_EACH_AWAY));
  const leavings: Leavings = { politely: 0, killed: 0 };
  const away = new Map<SupervisedService, Promise<void>>();
  const troubles: unknown[] = [];
  const until = performance.now() + CHURN_MS;
  let noKillBefore = 0;
  while (performance.now() < until) {
    await wait(random.integer(300, 2_000));
    const present = consumers.filter((service) => !away.has(service));
    if (away.size >= most || present.length === 0) continue;
    const target = random.pick(present);
    const isKilled = random.chance(1 / KILLED_ONE_IN) && performance.now() >= noKillBefore;
    if (isKilled) {
      noKillBefore = performance.now() + BETWEEN_KILLS_MS;
      leavings.killed++;
    } else {
      leavings.politely++;
    }
    const absence = (isKilled ? target.kill() : leave(target, random, wait))
      .catch((error: unknown) => void troubles.push(error))
      .finally(() => away.delete(target));
    away.set(target, absence);
  }
  await Promise.all(away.values());
  if (troubles.length > 0) throw troubles[0];
  return leavings;
}

async function leave(service: SupervisedService, random: Random, wait: Scene["wait"]): Promise<void> {
  const ms = random.integer(0, AWAY_MS);
  await service.stop();
  await wait(ms);
  await service.start();
}
