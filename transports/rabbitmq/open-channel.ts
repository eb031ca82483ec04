import type { Channel } from "amqplib";
import { closeChannel } from "./close-channel.js";
import { answered } from "./time-limit.js";

/** The channel that was asked for. One that comes too late is closed again. @throws RabbitMqError "unavailable" when there is no answer in time */
export async function openedInTime<T extends Channel>(opening: Promise<T>): Promise<T> {
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
