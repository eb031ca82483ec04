import { expect, test } from "vitest";
import type { KafkaConnection } from "../../transports/kafka/connection.js";
import type { DriverProducer } from "../../transports/kafka/driver.js";
import { Sender } from "../../transports/kafka/sender.js";
import type { TopicDirectory } from "../../transports/kafka/topic-directory.js";

test("what waits when the producer goes is sent when there is one again, not when its time is up", async () => {
  const produced: string[] = [];
  const producer = {
    produce: async (records: readonly { readonly topic: string }[]) => void produced.push(...records.map(({ topic }) => topic)),
  } as unknown as DriverProducer;
  const connection: { producer: DriverProducer | undefined } = { producer };
  const state = { topic: "orders", partitions: [{ partition: 0, leader: 1, replicas: [1] }], maxMessageBytes: 1_000_000 };
  const directory = { known: () => state, forget: () => {} };
  const sender = new Sender(
    connection as unknown as KafkaConnection,
    directory as unknown as TopicDirectory,
    { repairTopic: () => false },
    1_000,
  );

  const record = { topic: "orders", mandatory: false, key: null, value: Buffer.from("x"), headers: {} };
  const sending = sender.send([record], AbortSignal.timeout(10_000));
  connection.producer = undefined;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(produced).toEqual([]);

  connection.producer = producer;
  sender.connected();
  expect(await sending).toEqual([{ outcome: "sent" }]);
  expect(produced).toEqual(["orders"]);
});
