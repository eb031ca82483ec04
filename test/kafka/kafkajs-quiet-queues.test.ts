import { createRequire } from "node:module";
import kafkajs from "kafkajs";
import { describe, expect, test, vi } from "vitest";
import { delay } from "../../src/util/delay.js";
import { loadDriver } from "../../transports/kafka/client.js";
import type { KafkajsModule } from "../../transports/kafka/kafkajs-home.js";
import { quietQueues } from "../../transports/kafka/kafkajs-quiet-queues.js";
import { resolveOptions } from "../../transports/kafka/options.js";
import { describeWithKafka } from "../support/brokers.js";
import { RecordingLogger } from "../support/recording-logger.js";

interface Queue {
  readonly pending: readonly unknown[];
  checkPendingRequests(): void;
  maybeThrottle(ms: number): void;
  push(request: { entry: object; expectResponse: boolean; sendRequest: () => void }): void;
  fulfillRequest(response: { correlationId: number; size: number; payload: Buffer }): void;
  destroy(): void;
}
const RequestQueue = createRequire(import.meta.url)("kafkajs/src/network/requestQueue/index.js") as {
  new (options: object): Queue;
  readonly prototype: Queue;
};
const logger = new RecordingLogger();

describe("the requests of kafkajs that wait", () => {
  quietQueues(kafkajs as unknown as KafkajsModule, logger);

  function makeQueue(maxInFlightRequests: number | null): { queue: Queue; sent: number[]; request: (correlationId: number) => void } {
    const kafkajsLogger = { debug: () => {}, warn: () => {} };
    const queue = new RequestQueue({ maxInFlightRequests, requestTimeout: 30_000, clientId: "tests", broker: "b", logger: kafkajsLogger });
    const sent: number[] = [];
    const request = (correlationId: number): void => {
      const entry = { correlationId, resolve: () => {}, reject: () => {} };
      queue.push({ entry, expectResponse: true, sendRequest: () => sent.push(correlationId) });
    };
    return { queue, sent, request };
  }

  test("are sent when the pause that the broker asked for is over", async () => {
    const { queue, sent, request } = makeQueue(null);
    queue.maybeThrottle(50);
    request(1);
    request(2);
    expect(sent).toEqual([]);
    await vi.waitFor(() => expect(sent).toEqual([1, 2]));
    queue.destroy();
  });

  test("are sent at the answer to one of as many as may be under way", () => {
    const { queue, sent, request } = makeQueue(1);
    request(1);
    request(2);
    expect(sent).toEqual([1]);
    queue.fulfillRequest({ correlationId: 1, size: 0, payload: Buffer.alloc(0) });
    expect(sent).toEqual([1, 2]);
    queue.destroy();
  });
});

describeWithKafka("a connection without requests", ({ brokers }) => {
  test("wakes nobody", async () => {
    const driver = await loadDriver(resolveOptions({ brokers }), "tests", logger);
    const admin = driver.admin();
    await admin.connect();
    await admin.listTopics();
    const looks = vi.spyOn(RequestQueue.prototype, "checkPendingRequests");
    await delay(200);
    expect(looks.mock.calls.length).toBeLessThan(5);
    looks.mockRestore();
    await admin.disconnect();
  });
});
