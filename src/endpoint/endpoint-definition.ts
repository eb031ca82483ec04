import type { Endpoint } from "../contracts/bus.js";
import type { BusOptions } from "../contracts/bus-options.js";
import type { ConsumerOf } from "../contracts/consumer.js";
import type { EndpointOptions } from "../contracts/endpoint-options.js";
import type { MessageClass, MessageOf } from "../contracts/message-class.js";
import type { Receivable } from "../contracts/wire-safe.js";
import { TrolleybusError } from "../errors.js";
import { checkEndpointOptions } from "../options/endpoint-settings.js";
import { show } from "../options/show.js";
import { Mistakes } from "../util/mistakes.js";
import { mistakeInMessageType } from "../util/names.js";
import { isOptionsObject } from "../util/options-object.js";
import { ConsumerRegistry } from "./consumer-registry.js";

/** What has been said of an endpoint before the start. */
export class EndpointDefinition implements Endpoint {
  readonly name: string;
  readonly consumers: ConsumerRegistry;
  readonly unsubscribed: Set<string> = new Set();
  readonly #assertNotStarted: () => void;
  #options: EndpointOptions | undefined;

  constructor(name: string, resolve: BusOptions["resolve"], assertNotStarted: () => void) {
    this.name = name;
    this.consumers = new ConsumerRegistry(name, resolve);
    this.#assertNotStarted = assertNotStarted;
  }

  get options(): EndpointOptions {
    return this.#options ?? {};
  }

  /** @throws TrolleybusError "configuration" when options were given before, or are wrong: all mistakes at once */
  configure(options: EndpointOptions): void {
    if (!isOptionsObject(options)) throw this.#wrong(`its options are ${show(options)}; they are an object.`);
    if (this.#options) {
      throw this.#wrong(
        `its options are given a second time. Give them once, where the endpoint is first named; bus.endpoint("${this.name}") without options gives the same endpoint.`,
      );
    }
    const mistakes = new Mistakes();
    checkEndpointOptions(`endpoint "${this.name}"`, options, mistakes);
    mistakes.throwIfAny("The options of an endpoint are wrong");
    this.#options = { ...options };
  }

  #wrong(text: string): TrolleybusError {
    return new TrolleybusError("configuration", `Endpoint "${this.name}": ${text}`, { cause: undefined, retryable: false });
  }

  subscribe<C extends MessageClass>(types: (C | readonly C[]) & Receivable<C>, consumer: ConsumerOf<MessageOf<C>>): this {
    this.#assertNotStarted();
    this.consumers.add(types, consumer as ConsumerOf<never>);
    return this;
  }

  unsubscribe(...types: readonly MessageClass[]): this {
    this.#assertNotStarted();
    for (const type of types) {
      const mistake = typeof type === "function" ? mistakeInMessageType(type.messageType) : `It is ${show(type)}.`;
      if (mistake) throw this.#wrong(`unsubscribe is given the classes of messages. ${mistake}`);
      this.unsubscribed.add(type.messageType);
    }
    return this;
  }
}
