import type { Duration, Transport } from "../../src/index.js";
import { Mistakes } from "../../src/util/mistakes.js";
import { isOptionsObject } from "../../src/util/options-object.js";

/** A test runner's `test`. Those of vitest and jest fit as they are; `docs/testing-a-transport.md` has the line for `node:test`. */
export type TestFunction = (name: string, body: () => Promise<void>, timeoutMs: number) => unknown;

/** A test runner's `describe`. */
export type DescribeFunction = (name: string, body: () => void) => unknown;

/** One way of running the whole suite. A transport passes when it passes all of {@link conformanceVariants}. */
export interface ConformanceVariant {
  /** For the test report. */
  readonly name: string;
  /** Every endpoint of the suite is made with it. Left out where the transport's `capabilities.order` is "none". */
  readonly order?: "key";
  /** Every bus of the suite is made with it. */
  readonly namePrefix?: string;
}

/** What a test created in the broker, by the user's names. */
export interface LeftBehind {
  readonly namePrefix: string;
  readonly endpoints: readonly string[];
  readonly messageTypes: readonly string[];
  /** Every delay with which one of the endpoints was made: where delays are queues or topics, each has its own. */
  readonly retryDelays: readonly Duration[];
}

/** What {@link testTransport} is given. */
export interface ConformanceOptions {
  readonly test: TestFunction;
  /** Groups the tests in the report. @default the tests stand alone */
  readonly describe?: DescribeFunction;
  /**
   * Makes the transport of one bus; called for every bus of a test, so that instances have connections of their own. In-process
   * transports give each the same broker. It must neither connect nor throw: it is called once while the tests are collected, for its
   * capabilities.
   */
  readonly createTransport: () => Transport;
  /** @default the default options of every endpoint and bus */
  readonly variant?: ConformanceVariant;
  /** Multiplies how long the suite waits for something before it fails; passing tests get no slower. @default 1 */
  readonly patience?: number;
  /** Deletes what a test left in the broker; called after each, passed or failed, when its buses have stopped. @default leaves it */
  readonly cleanUp?: (left: LeftBehind) => Promise<void>;
}

/** The ways in which every transport is tested. */
export const conformanceVariants: readonly ConformanceVariant[] = [
  { name: "default options" },
  { name: 'order: "key"', order: "key" },
  { name: "a name prefix", namePrefix: "conformance.eu." },
];

const OPTIONS: readonly string[] = [
  "test",
  "describe",
  "createTransport",
  "variant",
  "patience",
  "cleanUp",
] satisfies (keyof ConformanceOptions)[];
const VARIANT_OPTIONS: readonly string[] = ["name", "order", "namePrefix"] satisfies (keyof ConformanceVariant)[];

/** @throws TrolleybusError "configuration" listing every mistake: an option that was ignored would leave something untested. */
export function checkOptions(options: ConformanceOptions): void {
  const mistakes = new Mistakes();
  if (isOptionsObject(options)) {
    mistakes.unknownKeys("testTransport", options, OPTIONS);
    const { variant, patience } = options;
    for (const name of ["test", "createTransport"] as const) {
      if (typeof options[name] !== "function") mistakes.add(`${name} must be a function.`);
    }
    for (const name of ["describe", "cleanUp"] as const) {
      if (options[name] !== undefined && typeof options[name] !== "function") mistakes.add(`${name} must be a function, or left out.`);
    }
    if (patience !== undefined && !(Number.isFinite(patience) && patience > 0)) mistakes.add("patience must be a number above 0.");
    if (variant !== undefined) checkVariant(variant, mistakes);
  } else mistakes.add("the options must be an object, with test and createTransport.");
  mistakes.throwIfAny("The conformance suite cannot be made");
}

function checkVariant(variant: ConformanceVariant, mistakes: Mistakes): void {
  if (!isOptionsObject(variant)) {
    mistakes.add("variant must be an object, one of conformanceVariants.");
    return;
  }
  mistakes.unknownKeys("variant", variant, VARIANT_OPTIONS);
  const { name, order, namePrefix } = variant;
  if (typeof name !== "string") mistakes.add("variant.name must be text.");
  if (order !== undefined && order !== "key") mistakes.add('variant.order must be "key", or left out.');
  if (namePrefix !== undefined && typeof namePrefix !== "string") mistakes.add("variant.namePrefix must be text, or left out.");
}
