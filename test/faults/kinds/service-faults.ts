import type { FaultKind, Scene } from "./fault-kind.js";

/** How long a poison message is waited for. */
export interface PoisonPatience {
  /** It is through when nobody has died of it for so long: the restart, and the time until it is given out again and tried alone. */
  readonly quietMs: number;
  readonly limitMs: number;
}

/** Where what a dead process held is given out again at once. */
export const USUAL_POISON_PATIENCE: PoisonPatience = { quietMs: 15_000, limitMs: 120_000 };

/** Our own processes: killed, frozen, stopped, and killed by what they read. */
export function serviceFaults(patience: PoisonPatience): readonly FaultKind[] {
  return [
    ...killingFaults,
    poison("service: killed by a poison message", "exit", 0, patience),
    poison("service: out of memory by a poison message", "out-of-memory", 0, patience),
  ];
}

/** What the mix "poison" is for: a message that kills its process while 31 innocent ones are being handled there. */
export function poisonFaults(patience: PoisonPatience): readonly FaultKind[] {
  return [
    poison("poison: a process killed, with 31 innocent messages in flight", "exit", 31, patience),
    poison("poison: a process out of memory, with 31 innocent messages in flight", "out-of-memory", 31, patience),
  ];
}

const killingFaults: readonly FaultKind[] = [
  {
    kind: "service: consumer killed in the middle of its handlers",
    group: "service",
    weight: 3,
    async inject({ random, supervisor }) {
      const target = random.pick(supervisor.consumers);
      const { running } = target.status;
      await target.kill();
      return { hits: [target.hit()], detail: `${target.name}, about ${running} handlers running` };
    },
  },
  {
    kind: "service: all consumers killed at once",
    group: "service",
    weight: 1,
    async inject({ supervisor }) {
      await Promise.all(supervisor.consumers.map((service) => service.kill()));
      return { hits: supervisor.consumers.map((service) => service.hit()) };
    },
  },
  {
    kind: "service: publisher killed",
    group: "service",
    weight: 1,
    async inject({ random, supervisor }) {
      const target = random.pick(supervisor.publishers);
      await target.kill();
      return { hits: [target.hit()], detail: target.name };
    },
  },
  {
    kind: "service: frozen",
    group: "service",
    weight: 2,
    async inject({ random, supervisor, wait }) {
      const target = random.pick(supervisor.services);
      const ms = random.pick([1_000, 5_000, 15_000]);
      target.freeze();
      await wait(ms);
      target.thaw();
      return { hits: [target.hit()], detail: `${target.name} for ${ms} ms` };
    },
  },
  {
    kind: "service: stopped politely and started",
    group: "service",
    weight: 2,
    async inject({ random, supervisor }) {
      const target = random.pick(supervisor.services);
      await target.restartPolitely();
      return { hits: [target.hit()], detail: target.name };
    },
  },
  {
    kind: "service: connections closed, then a consumer killed",
    group: "service",
    weight: 1,
    async inject({ random, supervisor, networkOf, wait }) {
      const target = random.pick(supervisor.consumers);
      const network = networkOf(target);
      await network.apply({ type: "reset" });
      await wait(50);
      await network.heal();
      await wait(random.integer(300, 1_500));
      await target.kill();
      return { hits: [target.hit(2)], detail: target.name };
    },
  },
];

/** The deaths are faults of their own, which the supervisor writes down; the one that sends the message is hit by nothing. */
function poison(kind: string, how: "exit" | "out-of-memory", innocents: number, { quietMs, limitMs }: PoisonPatience): FaultKind {
  return {
    kind,
    group: "service",
    weight: 0.5,
    fullOnly: true,
    async inject(scene) {
      const before = deaths(scene);
      scene.random.pick(scene.supervisor.publishers).send({ command: "poison", how, innocents });
      const deadline = performance.now() + limitMs;
      let seen = before;
      let quietSince = performance.now();
      while (performance.now() < deadline && performance.now() - quietSince < quietMs) {
        await scene.wait(200);
        if (deaths(scene) === seen) continue;
        seen = deaths(scene);
        quietSince = performance.now();
      }
      return { hits: [], detail: `${seen - before} deaths` };
    },
  };
}

function deaths({ supervisor }: Scene): number {
  return supervisor.services.reduce((sum, service) => sum + service.deaths, 0);
}
