import type { TransportCapabilities } from "../../src/index.js";
import type { ConformanceOptions, ConformanceVariant } from "./options.js";
import { Stage } from "./stage.js";

const TEST_TIMEOUT_MS = 60_000;

/** What the file of each promise is given. */
export interface Suite {
  readonly capabilities: TransportCapabilities;
  readonly variant: ConformanceVariant;
  /** Whether the suite is made with `order: "key"`; where one instance may then get all messages. */
  readonly ordered: boolean;
  /** Whether a free instance takes what a busy one has not begun. */
  readonly competing: boolean;
  /** Registers the test of one sentence. */
  readonly promise: (sentence: string, body: (stage: Stage) => Promise<void>) => void;
}

export function createSuite(options: ConformanceOptions, capabilities: TransportCapabilities): Suite {
  const variant = options.variant ?? { name: "default options" };
  const timeoutMs = TEST_TIMEOUT_MS * (options.patience ?? 1);
  return {
    capabilities,
    variant,
    ordered: variant.order === "key",
    competing: variant.order !== "key" && capabilities.partitioned !== true,
    promise: (sentence, body) => {
      options.test(sentence, () => run(new Stage(options, capabilities), body), timeoutMs);
    },
  };
}

async function run(stage: Stage, body: (stage: Stage) => Promise<void>): Promise<void> {
  try {
    await body(stage);
  } catch (error) {
    if (error instanceof Error && stage.log !== "") error.message += `\n\nWhat the buses logged:\n${stage.log}`;
    throw error;
  } finally {
    await stage.close();
  }
}
