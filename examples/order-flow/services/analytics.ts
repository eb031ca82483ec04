import { createBus, type IConsumer } from "trolleybus";
import { OrderPlaced, OrderShipped } from "../contracts.js";
import { serve } from "../http/serve.js";
import { operations } from "./operations.js";
import { type Reporter, type StartService, serviceOf, tellFailures } from "./service.js";

/** One consumer of two types. */
export class FiguresConsumer implements IConsumer<OrderPlaced | OrderShipped> {
  #placed = 0;
  #shipped = 0;
  #cents = 0;

  constructor(private readonly tell: Reporter["tell"]) {}

  consume(message: OrderPlaced | OrderShipped): void {
    if (message instanceof OrderPlaced) {
      this.#placed += 1;
      this.#cents += message.cents;
    } else {
      this.#shipped += 1;
    }
    const text = `${this.#placed} placed, ${this.#shipped} shipped, ${(this.#cents / 100).toFixed(2)} EUR`;
    this.tell({ subject: message.constructor.name, orderId: message.orderId, text });
  }
}

export const startAnalytics: StartService = async (settings, reporter) => {
  const bus = createBus({ service: "analytics", ...settings.bus, logger: reporter.logger });
  bus.use(tellFailures(reporter));
  bus.subscribe([OrderPlaced, OrderShipped], new FiguresConsumer(reporter.tell));
  await bus.start();

  const server = await serve(operations(bus));
  return serviceOf(server, bus);
};
