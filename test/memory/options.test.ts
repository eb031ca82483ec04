import { expect, test } from "vitest";
import type { TransportConfig } from "../../src/contracts/bus-options.js";
import { TrolleybusError } from "../../src/errors.js";
import { type MemoryOptions, memory, transportFromConfig, transportFromUrl } from "../../transports/memory/index.js";

function mistakeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof TrolleybusError && error.code === "configuration" && !error.retryable) return error.message;
    throw error;
  }
  throw new Error("nothing was wrong");
}

const urls: Record<string, RegExp> = {
  "amqp://localhost": /must begin with "memory:"/,
  "memory://orders": /without slashes/,
  "memory:a b": /"a b" cannot be the name/,
  [`memory:${"a".repeat(51)}`]: /1 to 50/,
  "memory:a?max-queue-lenght=5": /no option "max-queue-lenght"; did you mean "max-queue-length"/,
  "memory:?max-queue-length=0": /max-queue-length must be a whole number of messages, at least 1, not 0/,
  "memory:?max-queue-length=": /not ""/,
  "memory:?max-queue-length=1e3": /not "1e3"/,
  "memory:?max-queue-length=1&max-queue-length=2": /more than once/,
};
for (const [url, mistake] of Object.entries(urls)) {
  test(`the URL ${url.slice(0, 60)} is refused with its mistake`, () => expect(mistakeOf(() => transportFromUrl(url))).toMatch(mistake));
}

const configs: readonly (readonly [TransportConfig, RegExp])[] = [
  [{ type: "memory", nmae: "a" }, /no option "nmae"; did you mean "name"/],
  [{ type: "memory", name: "" }, /name must be 1 to 50 letters.*Leave it out/],
  [{ type: "memory", name: 5 }, /name must be .* not 5/],
  [{ type: "memory", maxQueueLength: "5" }, /maxQueueLength must be a whole number of messages, at least 1, not "5"/],
  [{ type: "rabbitmq", url: "amqp://localhost" }, /type must be "memory", not "rabbitmq"/],
];
for (const [config, mistake] of configs) {
  test(`the configuration ${JSON.stringify(config)} is refused with its mistake`, () =>
    expect(mistakeOf(() => transportFromConfig(config))).toMatch(mistake));
}

for (const maxQueueLength of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
  test(`memory() refuses maxQueueLength ${maxQueueLength}`, () =>
    expect(mistakeOf(() => memory({ maxQueueLength }))).toContain("maxQueueLength"));
}

test("all mistakes are told at once", () => {
  const text = mistakeOf(() => transportFromUrl("memory:a b?max-queue-length=x&other=1"));
  for (const mistake of ['"a b"', '"x"', '"other"']) expect(text).toContain(mistake);
});

test.each([5, null, "small", [], new Map([["maxQueueLength", 5]])])("memory(%j) is refused", (options) => {
  expect(mistakeOf(() => memory(options as MemoryOptions))).toContain("the options must be an object");
});

test("memory() refuses an unknown option, with a suggestion", () => {
  const options = { maxQueueLenght: 5 } as MemoryOptions;
  expect(mistakeOf(() => memory(options))).toContain('did you mean "maxQueueLength"');
});

test("a name that is in use with another bound is refused, and with the same one shared", () => {
  transportFromUrl("memory:bounded?max-queue-length=5");
  transportFromConfig({ type: "memory", name: "bounded", maxQueueLength: 5 });
  expect(mistakeOf(() => transportFromUrl("memory:bounded"))).toMatch(/"bounded".*maxQueueLength 5.*100000/s);
});

test("the scheme may be written in capitals", () => {
  expect(transportFromUrl("MEMORY:capitals").name).toBe("memory");
});

test("the capabilities say what a memory broker can do", () => {
  expect(memory().capabilities).toEqual({
    durable: false,
    order: "endpoint",
    settlesIndividually: true,
    countsStarts: false,
    keeps: "until-settled",
    maxHoldMs: Number.POSITIVE_INFINITY,
    maxMessageBytes: 128 * 1024 * 1024 - 8 * 1024,
    maxNameLength: 255,
  });
});
