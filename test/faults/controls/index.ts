import type { BusOptions } from "trolleybus";
import type { ServiceConfig } from "../protocol.js";
import { CarelessTransport, type Mistakes } from "./careless-transport.js";

/** A mistake that the suite must see: a way of building a bus that loses or repeats messages. */
export interface Control {
  /** What it must turn red; "nothing" for the control of the controls. */
  readonly red: "lost" | "repeats" | "nothing";
  /** The fault that shows it: the text that `--only` takes. */
  readonly only: string;
  readonly options: (config: ServiceConfig) => Partial<BusOptions>;
}

export const CONTROLS: Readonly<Record<string, Control>> = {
  /** The same small transport without a mistake: what the others show is not its doing. */
  careful: { red: "nothing", only: "broker: killed and started", options: careless({}) },
  "not-persistent": { red: "lost", only: "broker: killed and started", options: careless({ transient: true }) },
  "acknowledge-first": { red: "lost", only: "consumer killed", options: careless({ acknowledgeFirst: true }) },
  "no-confirms": { red: "lost", only: "network: black hole", options: careless({ noConfirms: true }) },
  "stale-tags": { red: "lost", only: "connections closed, then a consumer killed", options: careless({ staleTags: true }) },
  "no-deduplication": { red: "repeats", only: "latency", options: () => ({ deduplication: false }) },
};

/** What the control of this run changes; nothing without one. */
export function controlOptions(config: ServiceConfig): Partial<BusOptions> {
  return config.control === undefined ? {} : controlNamed(config.control).options(config);
}

/** @throws Error for a name that is not known. */
export function controlNamed(name: string): Control {
  const control = CONTROLS[name];
  if (!control) throw new Error(`there is no control "${name}"; there are ${Object.keys(CONTROLS).join(", ")}`);
  return control;
}

function careless(mistakes: Mistakes): Control["options"] {
  return ({ transport }) => {
    const { url } = transport as { readonly url: string };
    return { transport: new CarelessTransport(url, mistakes) };
  };
}
