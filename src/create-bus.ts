import { MessageBus } from "./bus/message-bus.js";
import type { Bus } from "./contracts/bus.js";
import type { BusOptions } from "./contracts/bus-options.js";
import { resolveBusSettings } from "./options/bus-settings.js";

/**
 * Makes a bus. Nothing is loaded or connected before `start()` or the first publish.
 * @throws TrolleybusError "configuration" listing every mistake in the options
 */
export function createBus(options: BusOptions): Bus {
  return new MessageBus(resolveBusSettings(options));
}
