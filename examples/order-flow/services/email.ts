import { createBus, type IConsumer } from "trolleybus";
import { OrderPlaced } from "../contracts.js";
import { call } from "../http/call.js";
import { serve } from "../http/serve.js";
import { operations } from "./operations.js";
import { type Reporter, type StartService, serviceOf, tellFailures } from "./service.js";

/** Has an effect that cannot be taken back: it relies on the bus to recognise a message that was handled before. */
export class ConfirmationConsumer implements IConsumer<OrderPlaced> {
  constructor(
    private readonly mailboxUrl: string,
    private readonly tell: Reporter["tell"],
  ) {}

  async consume({ orderId, email, item }: OrderPlaced): Promise<void> {
    const mail = { to: email, orderId, subject: `Your order: ${item}` };
    const answer = await call("POST", `${this.mailboxUrl}/mails`, mail, { timeoutMs: 2_000, tries: 1, pauseMs: 0 });
    if (answer.status !== 202) throw new Error(`the mail server answered ${answer.status}`);
    this.tell({ subject: "OrderPlaced", orderId, text: `confirmation sent to ${email}` });
  }
}

export const startEmail: StartService = async (settings, reporter) => {
  const bus = createBus({ service: "email", ...settings.bus, logger: reporter.logger });
  bus.use(tellFailures(reporter));
  bus.subscribe(OrderPlaced, new ConfirmationConsumer(settings.urls.mailbox, reporter.tell));
  await bus.start();

  const server = await serve(operations(bus));
  return serviceOf(server, bus);
};
