import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { SkippedTestsReporter } from "./test/support/skipped-tests-reporter.js";

/** A path of this project, absolute. */
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** Where `.ci/run` wants the results as JSON. */
const report = process.env["TROLLEYBUS_TEST_REPORT"];

/**
 * In CI a test on a real broker is tried once more: of thousands on a shared machine one or the other meets what it is not about. What passed at its second try
 * only is named at the end of `.ci/run`, with what its first try said: it may as well be a defect.
 */
const retry = process.env["CI"] ? 1 : 0;

export default defineConfig({
  resolve: {
    // The sources, not dist/: tests never run against a stale build. (test/package.test.ts tests the build itself.)
    alias: [
      { find: /^trolleybus$/, replacement: path("src/index.ts") },
      { find: /^trolleybus\/(memory|rabbitmq|kafka|azure-service-bus)$/, replacement: `${path("transports")}/$1/index.ts` },
      { find: "trolleybus/testing/conformance", replacement: path("testing/conformance/index.ts") },
    ],
  },
  test: {
    reporters: [
      "default",
      new SkippedTestsReporter(),
      ...(report ? [["json", { outputFile: report }] as ["json", { outputFile: string }]] : []),
    ],
    hookTimeout: 30_000,
    // The conformance suites on brokers run their tests side by side, for each has names of its own and mostly waits.
    maxConcurrency: 4,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts", "transports/**/*.ts", "testing/**/*.ts"],
      reporter: ["text-summary", "html", "json-summary"],
    },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/*.test.ts", "test/{unit,memory,support,faults,types,examples}/**/*.test.ts"],
          exclude: ["test/package.test.ts"],
          testTimeout: 15_000,
        },
      },
      {
        extends: true,
        test: {
          name: "rabbitmq",
          include: ["test/rabbitmq/**/*.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          // One file at a time, and not beside the other projects: a broker and its tests need the processors to themselves.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          retry,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "kafka",
          include: ["test/kafka/**/*.test.ts"],
          globalSetup: ["test/support/global-setup-kafka.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          retry,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "azure-service-bus",
          include: ["test/azure-service-bus/**/*.test.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 3 },
          retry,
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: "service-bus-emulator",
          include: ["packages/service-bus-emulator/test/**/*.test.ts"],
          sequence: { groupOrder: 4 },
          retry,
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: "package",
          include: ["test/package.test.ts"],
          globalSetup: ["test/support/global-setup.ts"],
          fileParallelism: false,
          sequence: { groupOrder: 5 },
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
