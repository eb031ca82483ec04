import type { Channel } from "amqplib";
import { expect, test } from "vitest";
import { HeldDeliveries } from "../../transports/rabbitmq/held-deliveries.js";

/** Answers of amqplib's that no broker can be made to give at will: what a channel is told to acknowledge, as "tag" or "up to tag". */
function channelWithLog(): { readonly channel: Channel; readonly acknowledged: string[] } {
  const acknowledged: string[] = [];
  const ack = (message: { fields: { deliveryTag: number } }, isMultiple: boolean): void => {
    acknowledged.push(`${isMultiple ? "up to " : ""}${message.fields.deliveryTag}`);
  };
  return { channel: { ack } as unknown as Channel, acknowledged };
}

class Held {
  isLost = false;
  lose(): void {
    this.isLost = true;
  }
  announceLoss(): void {}
}

test("P1 a delivery that reached nobody is not acknowledged with those that came after it", () => {
  const { channel, acknowledged } = channelWithLog();
  const held = new HeldDeliveries<Held>(channel);
  held.add(1, new Held());
  held.add(3, new Held());
  held.add(4, new Held());

  for (const tag of [1, 3, 4]) held.settle(tag);
  held.flush();

  expect(acknowledged).toEqual(["up to 1", "3", "4"]);
});

test("P2 a delivery that comes with the end of its channel is lost at once, and nobody waits for its end", async () => {
  const held = new HeldDeliveries<Held>(channelWithLog().channel);
  held.lose();
  const late = new Held();

  held.add(1, late);

  expect(late.isLost).toBe(true);
  await held.whenEmpty();
});
