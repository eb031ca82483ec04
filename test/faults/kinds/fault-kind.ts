import type { Random } from "../../support/random.js";
import type { FaultHit } from "../ledger-event.js";
import type { ServiceNetwork } from "../network.js";
import type { SupervisedService, Supervisor } from "../supervisor.js";

/** What a fault may use. */
export interface Scene {
  readonly random: Random;
  readonly supervisor: Supervisor;
  /** Where everybody's ledger is. */
  readonly folder: string;
  readonly networkOf: (service: SupervisedService) => ServiceNetwork;
  /** Waits; throws when the run is interrupted. */
  readonly wait: (ms: number) => Promise<void>;
  /** Runs `work` while nothing is published and every queue is empty: for faults that destroy what the queues hold. */
  readonly whileEmpty: (work: () => Promise<void>) => Promise<void>;
}

/** One way of breaking things, which also mends them: `inject` resolves when nothing is broken any more. */
export interface FaultKind {
  /** As the log names it, and `--only`. */
  readonly kind: string;
  readonly group: "broker" | "network" | "service";
  /** How often it is drawn, against the others. */
  readonly weight: number;
  /** It needs what only the full workload has (all endpoints, dead letters), and nothing else broken meanwhile. */
  readonly fullOnly?: boolean;
  /** Nothing else may be broken meanwhile. */
  readonly alone?: boolean;
  readonly inject: (scene: Scene) => Promise<Injected>;
}

export interface Injected {
  readonly hits: readonly FaultHit[];
  readonly detail?: string;
}

/** All services at once, as a fault of the broker does; `times` when it breaks each connection so often. */
export function hitAll(scene: Scene, times = 1): readonly FaultHit[] {
  return scene.supervisor.services.map((service) => service.hit(times));
}
