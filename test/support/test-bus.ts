import type { BusOptions } from "../../src/contracts/bus-options.js";
import type { Bus } from "../../src/index.js";
import { createBus } from "../../src/index.js";
import { RecordingLogger } from "./recording-logger.js";
import { ScriptedTransport } from "./scripted-transport.js";

/** A type that the tests of the core send and receive. */
export class Placed {
  static readonly messageType = "shop.placed";
  constructor(readonly n: number) {}
}
/** What a consumer of {@link Placed} publishes. */
export class Shipped {
  static readonly messageType = "shop.shipped";
  constructor(readonly n: number) {}
}

export interface TestBus {
  readonly bus: Bus;
  readonly transport: ScriptedTransport;
  readonly logger: RecordingLogger;
}

/** A bus of the service "shop" on a scripted transport; not started. Retries at once take no time. */
export function testBus(options: Partial<BusOptions> = {}, transport: ScriptedTransport = new ScriptedTransport()): TestBus {
  const logger = new RecordingLogger();
  const retry = options.retry ?? { immediateDelay: 0 };
  return { bus: createBus({ service: "shop", transport, logger, ...options, retry }), transport, logger };
}
