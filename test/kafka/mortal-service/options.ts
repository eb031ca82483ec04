/** What the service is told when it is started. */
export interface MortalServiceOptions {
  readonly brokers: readonly string[];
  readonly namePrefix: string;
  readonly concurrency: number;
  readonly prefetch: number;
  /** How long the handler of message 0 takes, in milliseconds. */
  readonly slowMs: number;
}

export class Placed {
  static readonly messageType = "orders.placed";
  constructor(readonly n: number) {}
}
