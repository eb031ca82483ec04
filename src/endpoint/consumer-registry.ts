import type { BusOptions } from "../contracts/bus-options.js";
import type { ConsumeFunction, ConsumerClass, ConsumerOf, IConsumer } from "../contracts/consumer.js";
import type { MessageClass } from "../contracts/message-class.js";
import type { IncomingContext } from "../contracts/steps.js";
import { TrolleybusError } from "../errors.js";
import { show } from "../options/show.js";
import { mistakeInMessageType } from "../util/names.js";

/** Runs a consumer. */
export type Invoke = (context: IncomingContext) => Promise<void> | void;

/** The consumer of one type at one endpoint. */
export interface RegisteredConsumer {
  readonly messageClass: MessageClass;
  readonly invoke: Invoke;
}

type AnyConsumer = ConsumerOf<never>;

/** The consumers of one endpoint, by message type. */
export class ConsumerRegistry {
  readonly #endpoint: string;
  readonly #resolve: BusOptions["resolve"];
  readonly #byType: Map<string, RegisteredConsumer> = new Map();

  constructor(endpoint: string, resolve: BusOptions["resolve"]) {
    this.#endpoint = endpoint;
    this.#resolve = resolve;
  }

  get types(): readonly string[] {
    return [...this.#byType.keys()];
  }

  find(messageType: string): RegisteredConsumer | undefined {
    return this.#byType.get(messageType);
  }

  /** @throws TrolleybusError "configuration" when a type has no proper name or has a consumer already, or `consumer` is none */
  add(types: MessageClass | readonly MessageClass[], consumer: AnyConsumer): void {
    const classes: readonly MessageClass[] = Array.isArray(types) ? types : [types as MessageClass];
    if (classes.length === 0) throw this.#wrong("subscribe is given an empty list of types.");
    for (const messageClass of classes) this.#checkType(messageClass);
    const invoke = this.#invokeOf(consumer);
    for (const messageClass of classes) {
      if (this.#byType.has(messageClass.messageType)) {
        throw this.#wrong(
          `it has a consumer for "${messageClass.messageType}" already. Give the second one an endpoint of its own, bus.endpoint("another-name"): sharing one, each would run again because the other failed.`,
        );
      }
      this.#byType.set(messageClass.messageType, { messageClass, invoke });
    }
  }

  #checkType(messageClass: MessageClass): void {
    const name: unknown = typeof messageClass === "function" ? messageClass.name : undefined;
    if (typeof messageClass !== "function" || typeof messageClass.messageType !== "string") {
      throw this.#wrong(
        `subscribe is given ${name ? `the class ${name}` : show(messageClass)} as a message type, which has no static messageType. Add one: static readonly messageType = "shop.order-placed".`,
      );
    }
    const mistake = mistakeInMessageType(messageClass.messageType);
    if (mistake) throw this.#wrong(mistake);
  }

  #invokeOf(consumer: AnyConsumer): Invoke {
    if (typeof consumer === "function" && isClass(consumer as ConsumerClass)) return this.#invokeClass(consumer as ConsumerClass);
    if (typeof consumer === "function") {
      const consume = consumer as ConsumeFunction<object>;
      return (context) => consume(context.message, context);
    }
    const object = consumer as IConsumer<object>;
    if (typeof object?.consume !== "function") {
      throw this.#wrong(
        `subscribe is given ${show(consumer)} as a consumer. It is an object with consume(message, context), a class of such objects, or a function.`,
      );
    }
    return (context) => object.consume(context.message, context);
  }

  #invokeClass(consumerClass: ConsumerClass): Invoke {
    const resolve = this.#resolve;
    if (!resolve && consumerClass.length > 0) {
      throw this.#wrong(
        `the consumer class ${consumerClass.name} has ${consumerClass.length} constructor arguments and nobody to give them. Set the bus's resolve option, (type) => container.get(type), or subscribe an object.`,
      );
    }
    const make: NonNullable<BusOptions["resolve"]> = resolve ?? ((type) => new type());
    // What the arguments are is the container's business.
    const type = consumerClass as new (...args: unknown[]) => IConsumer<never>;
    return async (context) => {
      const made: unknown = await make(type, context);
      const consumer = made as IConsumer<object> | undefined;
      if (typeof consumer?.consume !== "function") {
        throw new TrolleybusError(
          "configuration",
          `resolve made ${show(made)} of ${consumerClass.name}; a consumer has consume(message, context).`,
          { cause: undefined, retryable: false },
        );
      }
      await consumer.consume(context.message, context);
    };
  }

  #wrong(text: string): TrolleybusError {
    return new TrolleybusError("configuration", `Endpoint "${this.#endpoint}": ${text}`, { cause: undefined, retryable: false });
  }
}

// Classes that a compiler made functions of have their methods on the prototype; those with a field `consume` are written as classes.
function isClass(value: ConsumerClass): boolean {
  return typeof value.prototype?.consume === "function" || /^class\b/.test(Function.prototype.toString.call(value));
}
