import type { AmqpValue } from "./values.js";

/** The performatives of AMQP 1.0 part 2, 2.7, and the SASL frames of part 5, 5.3. What the peer left out, or set to null, is undefined. */
export interface Open {
  readonly kind: "open";
  readonly containerId?: string | undefined;
  readonly hostname?: string | undefined;
  readonly maxFrameSize?: number | undefined;
  readonly channelMax?: number | undefined;
  /** Milliseconds. */
  readonly idleTimeOut?: number | undefined;
  readonly outgoingLocales?: AmqpValue | undefined;
  readonly incomingLocales?: AmqpValue | undefined;
  readonly offeredCapabilities?: AmqpValue | undefined;
  readonly desiredCapabilities?: AmqpValue | undefined;
  readonly properties?: AmqpValue | undefined;
}

export interface Begin {
  readonly kind: "begin";
  readonly remoteChannel?: number | undefined;
  readonly nextOutgoingId?: number | undefined;
  readonly incomingWindow?: number | undefined;
  readonly outgoingWindow?: number | undefined;
  readonly handleMax?: number | undefined;
  readonly offeredCapabilities?: AmqpValue | undefined;
  readonly desiredCapabilities?: AmqpValue | undefined;
  readonly properties?: AmqpValue | undefined;
}

export interface Attach {
  readonly kind: "attach";
  readonly name?: string | undefined;
  readonly handle?: number | undefined;
  /** True for a receiver. */
  readonly role?: boolean | undefined;
  readonly sndSettleMode?: number | undefined;
  readonly rcvSettleMode?: number | undefined;
  readonly source?: AmqpValue | undefined;
  readonly target?: AmqpValue | undefined;
  readonly unsettled?: AmqpValue | undefined;
  readonly incompleteUnsettled?: boolean | undefined;
  readonly initialDeliveryCount?: number | undefined;
  readonly maxMessageSize?: number | undefined;
  readonly offeredCapabilities?: AmqpValue | undefined;
  readonly desiredCapabilities?: AmqpValue | undefined;
  readonly properties?: AmqpValue | undefined;
}

export interface Flow {
  readonly kind: "flow";
  readonly nextIncomingId?: number | undefined;
  readonly incomingWindow?: number | undefined;
  readonly nextOutgoingId?: number | undefined;
  readonly outgoingWindow?: number | undefined;
  readonly handle?: number | undefined;
  readonly deliveryCount?: number | undefined;
  readonly linkCredit?: number | undefined;
  readonly available?: number | undefined;
  readonly drain?: boolean | undefined;
  readonly echo?: boolean | undefined;
  readonly properties?: AmqpValue | undefined;
}

export interface Transfer {
  readonly kind: "transfer";
  readonly handle?: number | undefined;
  readonly deliveryId?: number | undefined;
  readonly deliveryTag?: Buffer | undefined;
  readonly messageFormat?: number | undefined;
  readonly settled?: boolean | undefined;
  readonly more?: boolean | undefined;
  readonly rcvSettleMode?: number | undefined;
  readonly state?: AmqpValue | undefined;
  readonly resume?: boolean | undefined;
  readonly aborted?: boolean | undefined;
  readonly batchable?: boolean | undefined;
}

export interface Disposition {
  readonly kind: "disposition";
  /** True when a receiver tells of what it received. */
  readonly role?: boolean | undefined;
  readonly first?: number | undefined;
  readonly last?: number | undefined;
  readonly settled?: boolean | undefined;
  readonly state?: AmqpValue | undefined;
  readonly batchable?: boolean | undefined;
}

export interface Detach {
  readonly kind: "detach";
  readonly handle?: number | undefined;
  readonly closed?: boolean | undefined;
  readonly error?: AmqpValue | undefined;
}

export interface End {
  readonly kind: "end";
  readonly error?: AmqpValue | undefined;
}

export interface Close {
  readonly kind: "close";
  readonly error?: AmqpValue | undefined;
}

export interface SaslMechanisms {
  readonly kind: "sasl-mechanisms";
  readonly mechanisms?: AmqpValue | undefined;
}

export interface SaslInit {
  readonly kind: "sasl-init";
  readonly mechanism?: string | undefined;
  readonly initialResponse?: Buffer | undefined;
  readonly hostname?: string | undefined;
}

export interface SaslOutcome {
  readonly kind: "sasl-outcome";
  readonly code?: AmqpValue | undefined;
  readonly additionalData?: Buffer | undefined;
}

export type Performative =
  | Open
  | Begin
  | Attach
  | Flow
  | Transfer
  | Disposition
  | Detach
  | End
  | Close
  | SaslMechanisms
  | SaslInit
  | SaslOutcome;
