import type { Behaviour } from "../../support/tcp-proxy.js";
import type { SupervisedService } from "../supervisor.js";
import type { FaultKind, Injected, Scene } from "./fault-kind.js";

/** Every behaviour of the proxy, between the broker and one service, some services, or all. */
export const networkFaults: readonly FaultKind[] = [
  network("latency", ({ random }) => ({ type: "latency", ms: random.integer(20, 800), jitterMs: random.integer(0, 200) })),
  network("connection refused", () => ({ type: "down" })),
  network("bandwidth", ({ random }) => ({ type: "bandwidth", bytesPerSecond: random.integer(5, 100) * 1_000 })),
  network("slow close", ({ random }) => ({ type: "slow-close", ms: random.integer(500, 5_000) }), { thenReset: true }),
  network("black hole", ({ random }) => ({ type: "black-hole", direction: random.pick(["both", "upstream", "downstream"]) }), {
    minMs: 3_000,
  }),
  network("black hole that closes", ({ random }) => ({ type: "black-hole", closeAfterMs: random.integer(500, 3_000) })),
  network("reset", ({ random }) => ({ type: "reset", afterMs: random.integer(0, 2_000) })),
  network("slicer", ({ random }) => ({ type: "slicer", bytes: random.integer(1, 200), variation: random.integer(0, 20), pauseMs: 1 })),
  network("limit", ({ random }) => ({ type: "limit", bytes: random.integer(1, 400) * 1_000 })),
];

interface NetworkFaultOptions {
  readonly minMs?: number;
  /** The behaviour shows only at the end of a connection: so connections are closed while it lasts. */
  readonly thenReset?: boolean;
}

function network(name: string, draw: (scene: Scene) => Behaviour, options: NetworkFaultOptions = {}): FaultKind {
  return {
    kind: `network: ${name}`,
    group: "network",
    weight: 1,
    async inject(scene) {
      const { random } = scene;
      const targets = pickTargets(scene);
      const networks = targets.map(scene.networkOf);
      const cutsBefore = networks.map((each) => each.cuts);
      const behaviour = draw(scene);
      const ms = random.integer(options.minMs ?? 1_000, 10_000);
      await Promise.all(networks.map((each) => each.apply(behaviour)));
      await scene.wait(ms);
      if (options.thenReset) {
        await Promise.all(networks.map((each) => each.apply({ type: "down" })));
        await scene.wait(random.integer(100, 1_000));
      }
      await Promise.all(networks.map((each) => each.heal()));
      const cuts = networks.map((each, i) => each.cuts - (cutsBefore[i] ?? 0));
      return describe(targets, cuts, behaviour, ms);
    },
  };
}

/** A connection may be broken again and again while a behaviour lasts, and each time what is in flight comes again. */
function describe(targets: readonly SupervisedService[], cuts: readonly number[], behaviour: Behaviour, ms: number): Injected {
  const hits = targets.map((service, i) => service.hit(Math.max(1, cuts[i] ?? 0)));
  const names = targets.map((service, i) => `${service.name} (cut ${cuts[i]} times)`).join(", ");
  return { hits, detail: `${JSON.stringify(behaviour)} for ${ms} ms between the broker and ${names}` };
}

function pickTargets({ random, supervisor }: Scene): readonly SupervisedService[] {
  const { services } = supervisor;
  if (random.chance(0.3)) return services;
  return random.chance(0.5)
    ? [random.pick(services)]
    : services
        .filter(() => random.chance(0.5))
        .concat(random.pick(services))
        .filter(unique);
}

function unique<T>(item: T, index: number, all: readonly T[]): boolean {
  return all.indexOf(item) === index;
}
