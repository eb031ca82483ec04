/**
 * A refusal. `condition` is the AMQP error condition that Azure Service Bus answers ("amqp:not-found",
 * "com.microsoft:message-lock-lost", ...), `message` its description.
 */
export class BrokerError extends Error {
  override readonly name: string = "BrokerError";
  readonly condition: string;

  constructor(condition: string, description: string) {
    super(description);
    this.condition = condition;
  }
}
