import { type DeliveryState, REJECTED_AS_ASKED, rejectedState } from "../amqp/delivery-state.js";
import type { OutgoingLink, OutgoingLinkHandler, Settlement } from "../amqp/outgoing-link.js";
import { withFilter } from "../amqp/termini.js";
import { type AmqpMap, type AmqpValue, integerOf, isDescribed, long, mapGet, symbolMap, textOf } from "../amqp/values.js";
import type { Delivery, Namespace, Outcome, Receivable, ReceiveMode, Receiver, ReceiverOptions } from "../broker/contracts.js";
import { toAmqpError } from "./errors.js";
import { swapGuidOrder } from "./guid.js";
import { writeMessage } from "./message-format.js";

export const SESSION_FILTER = "com.microsoft:session-filter";
/** How long an accept of the next session waits when the client does not say: "Default service operation timeout is 65 seconds" (the service's own tests for Python). */
const SESSION_TIMEOUT_MILLISECONDS = 65_000;
/** "Settled": the sender settles on the way, which is how the SDKs ask for receive-and-delete. */
const SENDER_SETTLES = 1;

const NO_TAG = Buffer.alloc(0);

/** Brings the messages of an entity to a client, and settles them as it says. */
export class ReceiveLink implements OutgoingLinkHandler {
  readonly #link: OutgoingLink;
  readonly #entity: Receivable;
  readonly #namespace: Namespace;
  readonly #mode: ReceiveMode;
  #receiver: Receiver | undefined;
  #cancel: (() => void) | undefined;

  constructor(link: OutgoingLink, entity: Receivable, namespace: Namespace) {
    this.#link = link;
    this.#entity = entity;
    this.#namespace = namespace;
    this.#mode = link.attach.sndSettleMode === SENDER_SETTLES ? "receive-and-delete" : "peek-lock";
    link.use(this);
  }

  /** @throws BrokerError when the entity cannot be received from in this way */
  open(): void {
    this.#receiver = this.#entity.openReceiver(this.#options());
    this.#link.accept({});
  }

  /** @param filter the session filter: an id, or null for the next free session; Go's client describes it, Java's does not */
  openSession(filter: AmqpValue): void {
    const { attach } = this.#link;
    const request = this.#entity.openSession({
      ...this.#options(),
      sessionId: textOf(isDescribed(filter) ? filter.value : filter),
      timeoutMilliseconds: Number(integerOf(mapGet(attach.properties, "com.microsoft:timeout")) ?? SESSION_TIMEOUT_MILLISECONDS),
    });
    this.#cancel = () => request.cancel();
    request.receiver.then((receiver) => this.#onSession(receiver)).catch((error: unknown) => this.#link.detach(toAmqpError(error)));
  }

  onCredit(): void {
    this.#receiver?.setCredit(this.#link.deliverable);
  }

  onDrain(): void {
    this.#receiver?.setCredit(this.#link.deliverable);
    this.#receiver?.setCredit(0);
  }

  onSettlement(settlement: Settlement): void {
    // Deliveries that were sent settled have no lock; some clients settle them all the same.
    if (this.#mode === "receive-and-delete") return;
    try {
      const outcome = outcomeOf(settlement.state);
      if (outcome) this.#entity.settle(swapGuidOrder(settlement.tag), outcome);
    } catch (error) {
      this.#answer(settlement, rejectedState(toAmqpError(error)));
      return;
    }
    // Java's client wants the state that it gave; JavaScript's takes an error in it, even its own, for a failure.
    const done = settlement.state.kind === "rejected" ? REJECTED_AS_ASKED : settlement.raw;
    const kept = this.#namespace.kept();
    if (!kept) this.#answer(settlement, done);
    else {
      kept.then(
        () => this.#answer(settlement, done),
        (error: unknown) => this.#answer(settlement, rejectedState(toAmqpError(error))),
      );
    }
  }

  onGone(): void {
    this.#cancel?.();
    this.#receiver?.close();
    this.#receiver = undefined;
  }

  #onSession(receiver: Receiver): void {
    this.#cancel = undefined;
    if (!this.#link.isAttaching) {
      receiver.close();
      return;
    }
    this.#receiver = receiver;
    const { id, lockedUntil } = receiver.session ?? { id: "", lockedUntil: 0 };
    this.#link.accept({
      source: withFilter(this.#link.attach.source, SESSION_FILTER, id),
      properties: symbolMap({ "com.microsoft:locked-until-utc": long(dotnetTicks(lockedUntil)) }),
    });
  }

  #options(): ReceiverOptions {
    return {
      mode: this.#mode,
      onDelivery: (delivery) => this.#deliverOrDetach(delivery),
      onEnd: (error) => this.#link.detach(toAmqpError(error)),
    };
  }

  /** The broker delivers from timers and for other clients' requests: what goes wrong here must end here. */
  #deliverOrDetach(delivery: Delivery): void {
    try {
      this.#deliver(delivery);
    } catch (error) {
      this.#link.detach(toAmqpError(error));
    }
  }

  #deliver({ message, lockToken, lockedUntil }: Delivery): void {
    const isSettled = this.#mode === "receive-and-delete";
    const withOrigin = this.#entity.kind !== "queue";
    const payload = writeMessage(message, isSettled ? { withOrigin } : { lockedUntil, lockToken, withOrigin });
    // What nobody settles has no tag, as the service's own tests for Python tell.
    this.#link.deliver(isSettled ? NO_TAG : swapGuidOrder(lockToken), isSettled, payload);
    // The socket does not drain, or the peer's window is closed: the rest stays in the queue until it does.
    const receiver = this.#receiver;
    if (receiver && receiver.credit > 0 && this.#link.deliverable === 0) receiver.setCredit(0);
  }

  #answer(settlement: Settlement, state: AmqpValue): void {
    if (!settlement.settled) this.#link.settle(settlement.deliveryId, state);
  }
}

/** What the SDKs mean by each state of a delivery; undefined when it stays as it is. */
function outcomeOf(state: DeliveryState): Outcome | undefined {
  switch (state.kind) {
    case "accepted":
      return { kind: "complete" };
    case "released":
      return { kind: "release" };
    case "modified":
      return { kind: state.undeliverableHere ? "defer" : "abandon", properties: propertiesOf(state.annotations, []) };
    case "rejected": {
      const reason = textOf(mapGet(state.info, "DeadLetterReason")) ?? ownCondition(state.condition);
      const description = textOf(mapGet(state.info, "DeadLetterErrorDescription")) ?? (ownCondition(state.condition) && state.description);
      return {
        kind: "dead-letter",
        reason,
        description,
        properties: propertiesOf(state.info, ["DeadLetterReason", "DeadLetterErrorDescription"]),
      };
    }
    default:
      return undefined;
  }
}

/** A condition other than the one that the SDKs always give says why a client refuses a message. */
function ownCondition(condition: string | undefined): string | undefined {
  return condition === "com.microsoft:dead-letter" ? undefined : condition;
}

/** The entries of a map that change application properties. */
export function propertiesOf(values: AmqpMap | undefined, except: readonly string[]): ReadonlyMap<string, AmqpValue> | undefined {
  if (!values) return undefined;
  const properties = new Map<string, AmqpValue>();
  for (const [key, value] of values.entries) {
    const name = textOf(key);
    if (name !== undefined && !except.includes(name)) properties.set(name, value);
  }
  return properties.size > 0 ? properties : undefined;
}

/** 100 ns since the year 1, as .NET counts time. */
function dotnetTicks(epochMilliseconds: number): bigint {
  return BigInt(Math.floor(epochMilliseconds)) * 10_000n + 621_355_968_000_000_000n;
}
