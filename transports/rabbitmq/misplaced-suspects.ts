import type { Channel } from "amqplib";
import { closeChannel } from "./close-channel.js";
import type { CopyStore } from "./copy-store.js";
import { RabbitMqError, serverAnswer, textOf, unavailable } from "./errors.js";
import { openedInTime } from "./open-channel.js";
import type { ReceiverEnvironment } from "./receiver-environment.js";
import { answered } from "./time-limit.js";

/**
 * Puts back into the queue of an ordered endpoint what stands among its suspects: messages that were moved there while the endpoint, before its
 * queue was deleted and made anew, had `order: "none"`. Nobody would read them there. Each copy is stored before its original is answered.
 * @throws RabbitMqError "topology" when the suspects may not be read, else what may pass; what has not been moved is where it was
 */
export async function putBackMisplacedSuspects(environment: ReceiverEnvironment, endpoint: string, copies: CopyStore): Promise<void> {
  const { connection, names, logger } = environment;
  const from = names.suspectQueue(endpoint);
  const to = names.queue(endpoint);
  const model = await connection.whenConnected();
  const channel = await openedInTime(model, () => model.createChannel());
  // Without this listener a channel that the server closes would take the connection with it.
  channel.on("error", () => {});
  try {
    const moved = await moveAll(channel, copies, from, to);
    if (moved > 0)
      logger.warn(`${moved} messages that stood in "${from}" are back in "${to}", at its end: with order "key" nothing is read there.`);
  } catch (error) {
    // With topology "none" there may be no such queue, and then nothing in it.
    const answer = serverAnswer(error);
    if (answer?.code === 404) return;
    if (answer?.code === 403) {
      const text = `RabbitMQ does not let this user read the queue "${from}": ${answer.text}. Grant the right "read".`;
      throw new RabbitMqError("topology", text, { retryable: false, cause: error });
    }
    throw unavailable(
      `The messages in "${from}", which an endpoint with order "key" does not read, cannot be put back: ${textOf(error)}`,
      error,
    );
  } finally {
    await answered(closeChannel(channel)).catch(() => {});
  }
}

async function moveAll(channel: Channel, copies: CopyStore, from: string, to: string): Promise<number> {
  for (let moved = 0; ; moved++) {
    const message = await answered(channel.get(from));
    if (!message) return moved;
    // What no client can publish again goes to the dead letters by the broker's own means.
    if ((await copies.storeUnlessUncarriable(message, to, {})) === "reject") channel.nack(message, false, false);
    else channel.ack(message);
  }
}
