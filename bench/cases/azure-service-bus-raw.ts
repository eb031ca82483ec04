import { ServiceBusAdministrationClient, ServiceBusClient, type ServiceBusMessage } from "@azure/service-bus";
import { type Figures, meter, meterAfter, pump } from "../meter.js";
import { OrderPlaced, rawDocument } from "../payload.js";
import {
  adminPort,
  BACKLOG,
  connectionString,
  MESSAGES,
  OUTSTANDING,
  PREFETCH,
  PUBLISH_WARM_UP,
  WARM_UP,
} from "./azure-service-bus-settings.js";

function administration(): ServiceBusAdministrationClient {
  const client = new ServiceBusAdministrationClient(connectionString.replace(/(sb:\/\/[^:;/]+)(:\d+)?/, `$1:${adminPort}`));
  client.pipeline.addPolicy({
    name: "plain HTTP",
    sendRequest: (request, next) => {
      request.url = request.url.replace(/^https:/, "http:");
      request.allowInsecureConnection = true;
      return next(request);
    },
  });
  return client;
}

async function open(prefix: string): Promise<{ readonly client: ServiceBusClient; readonly queue: string }> {
  const queue = `${prefix}bench-raw`;
  if (!(await administration().queueExists(queue))) await administration().createQueue(queue);
  return { client: new ServiceBusClient(connectionString), queue };
}

/** The same properties and the same bytes as the bus. */
function messageOf(order: OrderPlaced): ServiceBusMessage {
  const { id, text } = rawDocument(order);
  return {
    body: Buffer.from(text),
    messageId: id,
    subject: OrderPlaced.messageType,
    contentType: "application/cloudevents+json",
    correlationId: id,
  };
}

/** A send a message, each confirmed. */
export async function serviceBusRawPublish(prefix: string): Promise<Figures> {
  const { client, queue } = await open(prefix);
  const sender = client.createSender(queue);
  await pump(PUBLISH_WARM_UP, OUTSTANDING, (i) => sender.sendMessages(messageOf(new OrderPlaced(i, 0))));
  const measured = meter();
  await pump(MESSAGES, OUTSTANDING, (i) => sender.sendMessages(messageOf(new OrderPlaced(i, 0))));
  const figures = measured.stop(MESSAGES);
  await client.close();
  return figures;
}

/** Each message is completed, and room for another is given when the broker has confirmed it. */
export async function serviceBusRawDrain(prefix: string): Promise<Figures> {
  const { client, queue } = await open(prefix);
  const sender = client.createSender(queue);
  await pump(BACKLOG, OUTSTANDING, (i) => sender.sendMessages(messageOf(new OrderPlaced(i, 0))));
  const handled = meterAfter(WARM_UP, MESSAGES);
  const receiver = client.createReceiver(queue, { skipParsingBodyAsJson: true, maxAutoLockRenewalDurationInMs: 0 });
  receiver.subscribe(
    {
      processMessage: async (message) => {
        JSON.parse((message.body as Buffer).toString("utf8"));
        handled.hit();
        await receiver.completeMessage(message);
      },
      processError: async ({ error }) => {
        throw error;
      },
    },
    { autoCompleteMessages: false, maxConcurrentCalls: PREFETCH },
  );
  const figures = await handled.done;
  await client.close();
  return figures;
}

/** Takes away what a round left in the broker. */
export async function removeAllOfServiceBus(prefix: string): Promise<void> {
  const client = administration();
  for (const queue of ["bench", "bench.suspect", "bench-raw"])
    if (await client.queueExists(prefix + queue)) await client.deleteQueue(prefix + queue);
  const topic = prefix + OrderPlaced.messageType;
  if (await client.topicExists(topic)) await client.deleteTopic(topic);
}
