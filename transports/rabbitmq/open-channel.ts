import type { Channel, ChannelModel } from "amqplib";
import { delay } from "../../src/util/delay.js";
import { closeChannel } from "./close-channel.js";
import { answered } from "./time-limit.js";

/** Time for what a channel had still to send when the server closed it. */
const FRAMES_LEAVE_MS = 100;

const closedAt = new WeakMap<ChannelModel, number>();

/**
 * The server has closed a channel that sends without waiting for answers. amqplib gives its number to the next one while frames of it may still be in its buffers, and
 * RabbitMQ ends the connection on which a channel is opened between them. So the next one, whoever opens it, waits until they have left.
 */
export function closedByServer(model: ChannelModel): void {
  closedAt.set(model, performance.now());
}

/** The channel that `open` asks for. One that comes too late is closed again. @throws RabbitMqError "unavailable" when there is no answer in time */
export async function openedInTime<T extends Channel>(model: ChannelModel, open: () => Promise<T>): Promise<T> {
  const sinceClosed = performance.now() - (closedAt.get(model) ?? Number.NEGATIVE_INFINITY);
  if (sinceClosed < FRAMES_LEAVE_MS) await delay(FRAMES_LEAVE_MS - sinceClosed);
  const opening = open();
  try {
    return await answered(opening);
  } catch (error) {
    opening.then(
      (late) => {
        // Without this listener a channel that the server closes would take the connection with it.
        late.on("error", () => {});
        void closeChannel(late);
      },
      () => {},
    );
    throw error;
  }
}
