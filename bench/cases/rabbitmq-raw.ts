import { type Channel, type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import { atRate, countdown, type Figures, meter, meterAfter, pump, quantile } from "../meter.js";
import { OrderPlaced, rawDocument } from "../payload.js";
import { BACKLOG, LATENCY_RATE, LATENCY_SECONDS, MESSAGES, OUTSTANDING, PREFETCH, url, WARM_UP } from "./rabbitmq-settings.js";

interface Raw {
  readonly connections: readonly ChannelModel[];
  readonly publishing: ConfirmChannel;
  readonly consuming: Channel;
  readonly exchange: string;
  readonly queue: string;
}

/** Two connections without Nagle's algorithm and a quorum queue: what the bus has. */
async function open(prefix: string): Promise<Raw> {
  const connections = await Promise.all([connect(url, { noDelay: true }), connect(url, { noDelay: true })]);
  const publishing = await connections[0].createConfirmChannel();
  const consuming = await connections[1].createChannel();
  const exchange = `${prefix}bench-raw-exchange`;
  const queue = `${prefix}bench-raw`;
  await publishing.assertExchange(exchange, "fanout", { durable: true });
  await publishing.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await publishing.bindQueue(queue, exchange, "");
  return { connections, publishing, consuming, exchange, queue };
}

async function close({ connections, publishing }: Raw): Promise<void> {
  // A message may be handled before it is confirmed, and a confirm that does not come any more ends the process.
  await publishing.waitForConfirms();
  await Promise.all(connections.map((connection) => connection.close()));
}

/** The same properties and the same bytes as the bus, a promise a message, resolved by the broker's confirm. */
function publish({ publishing, exchange }: Raw, message: OrderPlaced): Promise<void> {
  const { id, text } = rawDocument(message);
  return new Promise((resolve, reject) => {
    publishing.publish(
      exchange,
      "",
      Buffer.from(text),
      { persistent: true, contentType: "application/cloudevents+json", messageId: id, type: OrderPlaced.messageType, correlationId: id },
      (error) => (error ? reject(error as Error) : resolve()),
    );
  });
}

async function consume(raw: Raw, handle: (message: OrderPlaced) => void): Promise<void> {
  await raw.consuming.prefetch(PREFETCH);
  await raw.consuming.consume(raw.queue, (delivery) => {
    if (!delivery) return;
    handle((JSON.parse(delivery.content.toString()) as { readonly data: OrderPlaced }).data);
    raw.consuming.ack(delivery);
  });
}

export async function rabbitmqRawPublish(prefix: string): Promise<Figures> {
  const raw = await open(prefix);
  await pump(WARM_UP, OUTSTANDING, (i) => publish(raw, new OrderPlaced(i, 0)));
  const measured = meter();
  await pump(MESSAGES, OUTSTANDING, (i) => publish(raw, new OrderPlaced(i, 0)));
  const figures = measured.stop(MESSAGES);
  await close(raw);
  return figures;
}

export async function rabbitmqRawDrain(prefix: string): Promise<Figures> {
  const filler = await open(prefix);
  await pump(BACKLOG, OUTSTANDING, (i) => publish(filler, new OrderPlaced(i, 0)));
  await close(filler);
  const handled = meterAfter(WARM_UP, MESSAGES);
  const raw = await open(prefix);
  await consume(raw, handled.hit);
  const figures = await handled.done;
  await close(raw);
  return figures;
}

export async function rabbitmqRawEndToEnd(prefix: string): Promise<Figures> {
  const raw = await open(prefix);
  const handled = meterAfter(WARM_UP, MESSAGES);
  await consume(raw, handled.hit);
  await pump(BACKLOG, OUTSTANDING, (i) => publish(raw, new OrderPlaced(i, 0)));
  const figures = await handled.done;
  await close(raw);
  return figures;
}

export async function rabbitmqRawLatency(prefix: string): Promise<Figures> {
  const raw = await open(prefix);
  const handled = countdown(LATENCY_RATE * LATENCY_SECONDS);
  const took: number[] = [];
  await consume(raw, (message) => {
    took.push(performance.now() - message.sentAtMs);
    handled.hit();
  });
  const measured = meter();
  const sent = await atRate(LATENCY_RATE, LATENCY_SECONDS, () => void publish(raw, new OrderPlaced(0, performance.now())));
  await handled.done;
  const figures = { ...measured.stop(sent), p50Ms: quantile(took, 0.5), p99Ms: quantile(took, 0.99) };
  await close(raw);
  return figures;
}

/** Takes away what a round left in the broker. */
export async function removeAll(prefix: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const queues = [
    "bench",
    "bench.dead-letter",
    "bench.suspect",
    "bench.suspect.runs",
    "bench.retry.10s",
    "bench.retry.1m",
    "bench.retry.10m",
    "bench-raw",
  ];
  for (const queue of queues) await channel.deleteQueue(prefix + queue);
  for (const exchange of [OrderPlaced.messageType, "bench-raw-exchange"]) await channel.deleteExchange(prefix + exchange);
  await connection.close();
}
