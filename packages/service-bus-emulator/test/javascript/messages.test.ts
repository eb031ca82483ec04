import { describe, expect, test } from "vitest";
import { BrokerServer } from "../support/broker-server.js";

test("a message is sent, received and completed", async () => {
  await using broker = await BrokerServer.start();
  broker.namespace.createQueue("q");
  const client = broker.client();
  await client.createSender("q").sendMessages({ body: { hello: "world" }, messageId: "m1" });
  const receiver = client.createReceiver("q");
  const [message] = await receiver.receiveMessages(1);
  expect(message).toMatchObject({ body: { hello: "world" }, messageId: "m1", deliveryCount: 0 });
  if (message) await receiver.completeMessage(message);
  expect(await receiver.peekMessages(10, { fromSequenceNumber: 0 as never })).toEqual([]);
});
