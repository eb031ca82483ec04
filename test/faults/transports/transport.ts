import type { FaultKind } from "../kinds/fault-kind.js";
import type { PoisonPatience } from "../kinds/service-faults.js";
import type { BrokerAddress } from "../network.js";

/** A broker that the suite may break: all that it must know about a transport. A new transport is a file beside this one and a line in index.ts. */
export interface FaultTransport {
  readonly name: string;
  /** Servers, versions or shapes of it that can be had; the first is the default. */
  readonly brokers: readonly string[];
  /** Starts a broker of the suite's own, with no data, for so many services. */
  start(broker: string, services: number): Promise<BrokerUnderTest>;
}

export interface BrokerUnderTest {
  /** Versions, and the settings on which durability depends, for the head of the report. */
  readonly description: Readonly<Record<string, string>>;
  /** Where it, or each of its nodes, takes the service of this number, from 0; the suite puts a proxy before each. */
  addresses(service: number): readonly BrokerAddress[];
  /** The `transport` option of a service that reaches the broker through these ports, one for each address. */
  transportThrough(ports: readonly number[]): unknown;
  /** The same without a proxy, for the suite itself. */
  readonly direct: unknown;
  /** Whoever joins or leaves an endpoint takes deliveries from its other instances (Kafka): a fault that hits one consumer hits all. */
  readonly rebalances: boolean;
  /** So long after its end a fault may still cost an instance what it has in hand. @default 10,000 */
  readonly aftermathMs?: number;
  /** Where what a dead process held is not given out again at once. @default 15 s of quiet, 120 s in all */
  readonly poisonPatience?: PoisonPatience;
  /** The ways in which this broker can be broken. */
  readonly kinds: readonly FaultKind[];
  /** Mixes of this transport alone, by name. */
  readonly mixes?: Readonly<Record<string, readonly FaultKind[]>>;
  /** What waits in every queue that belongs to the suite. The figures may be `depthsAgeMs` old. */
  depths(): Promise<readonly QueueState[]>;
  readonly depthsAgeMs: number;
  /** Undoes what an interrupted fault may have left behind: everything runs, nothing is refused. */
  mend(): Promise<void>;
  /** Stops it and deletes its data. */
  close(): Promise<void>;
}

export interface QueueState {
  readonly queue: string;
  /** Waiting or delivered, but not settled. */
  readonly messages: number;
  /** Nobody empties it while the run lasts. */
  readonly deadLetters: boolean;
}
