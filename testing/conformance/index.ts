import { type ConformanceOptions, checkOptions } from "./options.js";
import { p1Content } from "./p1-content.js";
import { p1HeldMessages } from "./p1-held-messages.js";
import { p1Metadata } from "./p1-metadata.js";
import { p1NothingLost } from "./p1-nothing-lost.js";
import { p2FewRepeats } from "./p2-few-repeats.js";
import { p4DeadLetters } from "./p4-dead-letters.js";
import { p4Poison } from "./p4-poison.js";
import { p4Retries } from "./p4-retries.js";
import { p4TimeOuts } from "./p4-time-outs.js";
import { p5BoundedMemory } from "./p5-bounded-memory.js";
import { p6CleanStop } from "./p6-clean-stop.js";
import { p7Order } from "./p7-order.js";
import { p8SameEverywhere } from "./p8-same-everywhere.js";
import { createSuite, type Suite } from "./suite.js";

export {
  type ConformanceOptions,
  type ConformanceVariant,
  conformanceVariants,
  type DescribeFunction,
  type LeftBehind,
  type TestFunction,
} from "./options.js";

/** P3 is not here: it is the promise of a store, not of a transport. */
const promises: readonly ((suite: Suite) => void)[] = [
  p1NothingLost,
  p1Content,
  p1Metadata,
  p1HeldMessages,
  p2FewRepeats,
  p4Retries,
  p4TimeOuts,
  p4DeadLetters,
  p4Poison,
  p5BoundedMemory,
  p6CleanStop,
  p7Order,
  p8SameEverywhere,
];

/**
 * Registers the conformance suite: what Trolleybus promises, tested through its public API over one transport and its real broker.
 * A transport conforms when the suite passes in each of {@link conformanceVariants}. Each test uses names of its own, so suites may
 * share a broker and run at the same time.
 * @throws TrolleybusError "configuration" listing every mistake in `options`
 */
export function testTransport(options: ConformanceOptions): void {
  checkOptions(options);
  const transport = options.createTransport();
  const suite = createSuite(options, transport.capabilities);
  if (suite.ordered && suite.capabilities.order === "none") return;
  const describe = options.describe ?? ((_name: string, body: () => void): void => body());
  describe(`${transport.name} with ${suite.variant.name}`, () => {
    for (const promise of promises) promise(suite);
  });
}
