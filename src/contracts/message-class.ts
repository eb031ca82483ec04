/**
 * The class of a message. A message is an **instance of a class with a static `messageType`**: write the class by hand,
 * or let {@link defineMessage} write it from a schema. Both are published, subscribed to and received in the same way.
 *
 * ```ts
 * export class OrderPlaced {
 *   static readonly messageType = "shop.order-placed";
 *   constructor(readonly orderId: string, readonly customerId: string) {}
 * }
 * ```
 * A hand-written contract needs no import, so a package of contracts does not depend on Trolleybus.
 */
export interface MessageClass<out T extends object = object> {
  /** Never called on a message that was received: its data is put on an object of this prototype instead. */
  new (...args: never[]): T;
  /**
   * The name on the wire, and the identity of the message for ever: it never follows a renamed or minified class.
   * 1 to 200 letters, digits, `.` and `-`, starting and ending with a letter or digit; two types of one bus may not differ
   * by case alone, nor equal the name of an endpoint (Service Bus would make them one entity).
   *
   * A change that old readers survive (a new optional field) keeps the name. Any other change is a new type with a new
   * name (`shop.order-placed.v2`): publish both until the last reader of the old one is gone.
   */
  readonly messageType: string;
  /**
   * Makes the message from what came off the wire. Without it the data is copied onto an object with this class as its
   * prototype (methods and `instanceof` work; the constructor does not run; `#private` fields are absent).
   * Needed when a field is not JSON, a `Date` for example. What it throws makes the message invalid: dead-lettered, not retried.
   */
  readonly fromWire?: (data: unknown) => T;
}

/** The message that a class stands for: `MessageOf<typeof OrderPlaced>` is `OrderPlaced`. */
export type MessageOf<C extends MessageClass> = C extends MessageClass<infer T> ? T : never;
