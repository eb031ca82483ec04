import type { Channel } from "amqplib";

/**
 * Closes a channel. Resolves when it is closed, by whatever: amqplib's own promise stays open when the connection goes before the server has
 * answered, and is rejected when the channel is closed already. Never rejects; a server that is frozen leaves it open.
 */
export function closeChannel(channel: Channel): Promise<void> {
  return new Promise((resolve) => {
    channel.once("close", () => resolve());
    channel.close().then(resolve, () => resolve());
  });
}
