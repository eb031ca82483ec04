/**
 * The messages that the services share. A message is an instance of a class with a static `messageType`, its name on the
 * wire. There are two ways to write one, and both are published and consumed alike.
 */
import { defineMessage } from "trolleybus";
import { z } from "zod";

/** From a schema (any Standard Schema library): checked when it is made, and again when it comes off the wire. */
export class OrderPlaced extends defineMessage(
  "shop.order-placed",
  z.object({
    orderId: z.string(),
    customer: z.string(),
    town: z.string(),
    email: z.string(),
    item: z.string(),
    cents: z.number().int().positive(),
  }),
) {}

/** By hand: needs no import at all. */
export class OrderShipped {
  static readonly messageType = "shop.order-shipped";
  constructor(
    readonly orderId: string,
    readonly tracking: string,
  ) {}
}
