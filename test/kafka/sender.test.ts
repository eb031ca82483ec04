import { expect, test } from "vitest";
import type { KafkaConnection } from "../../transports/kafka/connection.js";
import type { DriverProducer, OutgoingBatch } from "../../transports/kafka/driver.js";
import { Sender } from "../../transports/kafka/sender.js";
import type { TopicDirectory } from "../../transports/kafka/topic-directory.js";

const record = { topic: "orders", mandatory: false, key: null, value: Buffer.from("x"), headers: {} };

function senderWith(connection: { producer: DriverProducer | undefined }): Sender {
  const state = { topic: "orders", partitions: [{ partition: 0, leader: 1, replicas: [1] }], maxMessageBytes: 1_000_000 };
  const directory = { known: () => state, forget: () => {} };
  return new Sender(connection as unknown as KafkaConnection, directory as unknown as TopicDirectory, { repairTopic: () => false }, 1_000);
}

test("what waits when the producer goes is sent when there is one again, not when its time is up", async () => {
  const produced: string[] = [];
  const producer = {
    produce: async (records: readonly { readonly topic: string }[]) => void produced.push(...records.map(({ topic }) => topic)),
  } as unknown as DriverProducer;
  const connection: { producer: DriverProducer | undefined } = { producer };
  const sender = senderWith(connection);

  const sending = sender.send([record], AbortSignal.timeout(10_000));
  connection.producer = undefined;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(produced).toEqual([]);

  connection.producer = producer;
  sender.connected();
  expect(await sending).toEqual([{ outcome: "sent" }]);
  expect(produced).toEqual(["orders"]);
});

test("what is sent in one callback goes in one request, at once while no other is on its way, and at the end of the turn while one is", async () => {
  const requests: number[] = [];
  const answers: (() => void)[] = [];
  const produce = (batches: readonly OutgoingBatch[]): Promise<void> => {
    requests.push(batches.reduce((sum, { records }) => sum + records.length, 0));
    return new Promise((resolve) => answers.push(resolve));
  };
  const sender = senderWith({ producer: { produce } as unknown as DriverProducer });
  const send = () => sender.send([record], AbortSignal.timeout(10_000));
  const sent: Promise<unknown>[] = [];
  const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const endOfCallback = (): Promise<void> => new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)));

  // In a turn that had begun before, whose end is the next immediate.
  await endOfTurn();
  sent.push(send());
  await Promise.resolve();
  sent.push(send());
  expect(requests).toEqual([]);
  await endOfCallback();
  expect(requests).toEqual([2]);

  sent.push(send());
  await endOfCallback();
  sent.push(send());
  await endOfCallback();
  expect(requests).toEqual([2]);
  await endOfTurn();
  expect(requests).toEqual([2, 2]);
  for (const answer of answers) answer();
  expect(await Promise.all(sent)).toEqual(new Array(4).fill([{ outcome: "sent" }]));
});
