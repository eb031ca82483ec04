import type { BusOptions } from "trolleybus";
import type { ServiceConfig } from "../protocol.js";
import { CarelessKafkaTransport, type KafkaMistakes } from "./careless-kafka-transport.js";
import { CarelessTransport, type Mistakes } from "./careless-transport.js";

/** A mistake that the suite must see: a way of building a bus that loses or repeats messages. */
export interface Control {
  /** What it must turn red; "nothing" for the control of the controls. */
  readonly red: "lost" | "repeats" | "handled twice by one instance" | "nothing";
  /** The fault that shows it: the text that `--only` takes. */
  readonly only: string;
  readonly options: (config: ServiceConfig) => Partial<BusOptions>;
}

type Controls = Readonly<Record<string, Control>>;

const noDeduplication: Control = { red: "repeats", only: "latency", options: () => ({ deduplication: false }) };

/** By transport. */
export const CONTROLS: Readonly<Record<string, Controls>> = {
  rabbitmq: {
    /** The same small transport without a mistake: what the others show is not its doing. */
    careful: { red: "nothing", only: "broker: killed and started", options: careless({}) },
    "not-persistent": { red: "lost", only: "broker: killed and started", options: careless({ transient: true }) },
    "acknowledge-first": { red: "lost", only: "consumer killed", options: careless({ acknowledgeFirst: true }) },
    "no-confirms": { red: "lost", only: "network: black hole", options: careless({ noConfirms: true }) },
    "stale-tags": { red: "lost", only: "connections closed, then a consumer killed", options: careless({ staleTags: true }) },
    "no-deduplication": noDeduplication,
  },
  kafka: {
    careful: { red: "nothing", only: "come and go", options: carelessKafka({}) },
    "commit-first": { red: "lost", only: "consumer killed", options: carelessKafka({ commitFirst: true }) },
    // Longer than the freeze, so that it is kafkajs who says that the message is there.
    "idempotent-mode": {
      red: "lost",
      only: "frozen for longer than the session",
      options: (config) => ({ ...carelessKafka({ idempotent: true })(config), publishTimeout: "60s" }),
    },
    "commit-lost": { red: "lost", only: "come and go", options: carelessKafka({ commitLost: true }) },
    "reset-at-rejoin": {
      red: "handled twice by one instance",
      only: "come and go",
      // Which would hide it.
      options: (config) => ({ ...carelessKafka({ resetAtRejoin: true })(config), deduplication: false }),
    },
    "no-deduplication": noDeduplication,
  },
};

/** What the control of this run changes; nothing without one. */
export function controlOptions(config: ServiceConfig): Partial<BusOptions> {
  if (config.control === undefined) return {};
  const { type } = config.transport as { readonly type: string };
  return controlNamed(config.control, type).options(config);
}

/** @throws Error for a name that is not known. */
export function controlNamed(name: string, transport: string): Control {
  const controls = CONTROLS[transport] ?? {};
  const control = controls[name];
  if (!control) throw new Error(`there is no control "${name}" of ${transport}; there are ${Object.keys(controls).join(", ")}`);
  return control;
}

function careless(mistakes: Mistakes): Control["options"] {
  return ({ transport }) => {
    const { url } = transport as { readonly url: string };
    return { transport: new CarelessTransport(url, mistakes) };
  };
}

function carelessKafka(mistakes: KafkaMistakes): Control["options"] {
  return ({ transport }) => {
    const { brokers } = transport as { readonly brokers: readonly string[] };
    return { transport: new CarelessKafkaTransport(brokers, mistakes) };
  };
}
