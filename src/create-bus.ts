import type { Bus } from "./contracts/bus.js";
import type { BusOptions } from "./contracts/bus-options.js";

/** Makes a bus. Nothing is connected before `start()` or the first publish. @throws TrolleybusError "configuration" listing every mistake. */
export function createBus(options: BusOptions): Bus {
  throw new Error(`the core is being built (${options.service})`);
}
