import type { EachBatchPayload, IHeaders } from "kafkajs";
import { expect, test } from "vitest";
import { FetchedBatch } from "../../transports/kafka/kafkajs-batch.js";
import { headersOf } from "../../transports/kafka/mapping.js";

// Other clients write headers without a value; kafkajs reads them and cannot write them.
test("a header without a value is an empty one, alone and among several of its name", () => {
  const headers = { alone: null, several: [Buffer.from("1"), null], plain: Buffer.from("p") } as unknown as IHeaders;
  const messages = [{ offset: "7", timestamp: "1", attributes: 0, key: null, value: null, headers }];
  const payload = { batch: { topic: "orders", partition: 0, messages } } as unknown as EachBatchPayload;
  const [record] = new FetchedBatch(payload, 1, false).records;
  if (!record) throw new Error("no record");
  expect(headersOf(record)).toEqual({ alone: "", several: "", plain: "p" });
});
