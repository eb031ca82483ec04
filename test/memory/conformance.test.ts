import { describe, test } from "vitest";
import { conformanceVariants, testTransport } from "../../testing/conformance/index.js";
import { memory } from "../../transports/memory/index.js";

for (const variant of conformanceVariants) {
  const broker = memory();
  testTransport({ test, describe, variant, createTransport: () => broker });
}
