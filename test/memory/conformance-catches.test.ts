import assert from "node:assert/strict";
import { describe, expect, test } from "vitest";
import type { Delivery, SendResult } from "../../src/index.js";
import { testTransport } from "../../testing/conformance/index.js";
import { memory } from "../../transports/memory/index.js";
import { alteredDelivery, type Breakage, brokenTransport } from "../support/broken-transport.js";

const sent: SendResult = { outcome: "sent" };
const settled = async (): Promise<"settled"> => "settled";
const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.toLowerCase()]));
let count = 0;

/** What is wrong with a transport, and the sentence of the suite that has to turn red for it. */
const breakages: readonly (readonly [what: string, sentence: RegExp, breakage: Breakage])[] = [
  [
    "loses one message in fifty that it said to have stored",
    /^P1 of 10,000 messages/,
    {
      send: async (messages, pass) => {
        await pass(messages.filter(() => ++count % 50 !== 0));
        return messages.map(() => sent);
      },
    },
  ],
  [
    "stores a message twice",
    /^P1 instances of an endpoint share/,
    {
      send: async (messages, pass) => {
        await pass(messages);
        return pass(messages);
      },
    },
  ],
  [
    "says that an unroutable command was sent",
    /^P1 a command for an endpoint that does not exist/,
    { send: async (messages, pass) => (await pass(messages)).map(() => sent) },
  ],
  [
    "acknowledges before the message is handled",
    /^P6 past the deadline the handler is aborted/,
    {
      deliver: (delivery, { from }, pass) => {
        if (from === "dead-letter") return pass(delivery);
        delivery.complete();
        pass(alteredDelivery(delivery, { complete: () => "settled", retry: settled, deadLetter: settled, release: settled }));
      },
    },
  ],
  [
    "forgets what is to be retried later",
    /^P4 a message that succeeds at its last attempt/,
    { deliver: (delivery, _, pass) => pass(alteredDelivery(delivery, { retry: async () => delivery.complete() })) },
  ],
  [
    "retries at once instead of later",
    /^P4 a delayed retry is never early/,
    {
      receive: (source) => ({ ...source, endpoint: { ...source.endpoint, retryDelaysMs: [...source.endpoint.retryDelaysMs, 1] } }),
      deliver: (delivery, _, pass) => pass(alteredDelivery(delivery, { retry: (_delayMs, failure) => delivery.retry(1, failure) })),
    },
  ],
  [
    "forgets on a retry how often the message has failed",
    /^P4 a failing message runs/,
    { deliver: (delivery, _, pass) => pass(alteredDelivery(delivery, { retry: (delayMs) => delivery.retry(delayMs, {}) })) },
  ],
  [
    "alters the headers of a dead letter",
    /^P4 a message dead-lettered at once keeps its body and headers/,
    {
      deliver: (delivery, { from }, pass) =>
        pass(from === "endpoint" ? delivery : alteredDelivery(delivery, { headers: lowerCase(delivery.headers) })),
    },
  ],
  [
    "deletes a dead letter that was kept",
    /^P4 kept letters stay/,
    {
      deliver: (delivery, { from }, pass) =>
        pass(from === "endpoint" ? delivery : alteredDelivery(delivery, { release: async () => delivery.complete() })),
    },
  ],
  ["hands out more than the prefetch", /^P5 the adapter never has more/, { receive: (source) => ({ ...source, prefetch: 100 }) }],
  [
    "drops what is given back",
    /^P6 stop lets a running handler finish/,
    {
      deliver: (delivery, { from }, pass) =>
        pass(from === "dead-letter" ? delivery : alteredDelivery(delivery, { release: async () => delivery.complete() })),
    },
  ],
  ["hands out messages in another order", /^P7 messages of one key are handled one after the other/, { deliver: outOfOrder() }],
  ["leaves out the name prefix", /^P8 the same endpoint under two prefixes/, { open: (host) => ({ ...host, namePrefix: "" }) }],
  ["creates what it is only to verify", /^P8 topology: "verify"/, { provision: (plan) => [plan, "create"] }],
];

describe("the conformance suite turns red for a transport that", () => {
  test.each(breakages)(
    "%s",
    async (_what, sentence, breakage) => {
      const healthy = testOf(sentence, {}, 1);
      const broken = testOf(sentence, breakage, 0.1);

      await healthy();
      await expect(broken()).rejects.toThrow();
    },
    60_000,
  );
});

/** The body of the one test of the suite with that name, over a memory transport broken in that way. */
function testOf(sentence: RegExp, breakage: Breakage, patience: number): () => Promise<void> {
  const bodies: (() => Promise<void>)[] = [];
  const transport = brokenTransport(memory(), breakage);
  testTransport({
    createTransport: () => transport,
    patience,
    test: (name, body) => {
      if (sentence.test(name)) bodies.push(body);
    },
  });
  const [body] = bodies;
  assert.ok(body && bodies.length === 1, `${bodies.length} tests are called ${sentence}`);
  return body;
}

/** Hands out ten at a time, the last first. */
function outOfOrder(): NonNullable<Breakage["deliver"]> {
  let heldBack: Delivery[] = [];
  return (delivery, _, pass) => {
    heldBack.push(delivery);
    if (heldBack.length < 10) return;
    const batch = heldBack.reverse();
    heldBack = [];
    for (const each of batch) pass(each);
  };
}
