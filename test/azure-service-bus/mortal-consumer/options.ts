import type { AzureServiceBusOptions } from "../../../transports/azure-service-bus/index.js";

/** What the consumer is told when it is started. */
export interface MortalConsumerOptions {
  readonly transport: AzureServiceBusOptions;
  readonly endpoint: string;
}

/** What a consumer does with a {@link Step}. */
export type Deed = "pass" | "kill" | "fail";

export class Step {
  static readonly messageType = "orders.step";
  constructor(
    readonly name: string,
    readonly deed: Deed,
  ) {}
}
