import { AmqpError } from "../amqp/amqp-error.js";
import type { IncomingDelivery, IncomingLink, IncomingLinkHandler } from "../amqp/incoming-link.js";
import { long, symbolMap } from "../amqp/values.js";
import type { BrokerError } from "../broker/broker-error.js";
import type { Namespace, Sendable } from "../broker/contracts.js";
import { toAmqpError } from "./errors.js";
import { isSendable } from "./management/operations.js";
import { BATCH_FORMAT, readMessages } from "./message-format.js";

/**
 * How long deliveries to an entity that was deleted are refused before their link is detached, milliseconds: of a delivery that crosses the
 * detach a client hears nothing, and JavaScript's waits for its answer until it times out.
 */
const REFUSING_MILLISECONDS = 500;

/**
 * Bytes of a batch, however large a message may be (https://github.com/Azure/azure-sdk-for-net/pull/57941): 1 MB in Premium; in the other tiers no message is
 * allowed as much.
 */
const MAX_BATCH_SIZE = 1_048_576;

/** Takes what a client sends into an entity, and answers each delivery when it is kept. */
export class SendLink implements IncomingLinkHandler {
  readonly #link: IncomingLink;
  readonly #address: string;
  readonly #namespace: Namespace;
  #entity: Sendable;
  #leave: () => void;
  /** Set while the entity is deleted. */
  #detaching: NodeJS.Timeout | undefined;

  /** @param address where the entity was found, and where another may be made in its place */
  constructor(link: IncomingLink, address: string, entity: Sendable, namespace: Namespace) {
    this.#link = link;
    this.#address = address;
    this.#namespace = namespace;
    this.#entity = entity;
    this.#leave = entity.openSender((error) => this.#onEnd(error));
    link.use(this, entity.maxMessageSize);
    const maxBatchSize = Math.min(entity.maxMessageSize, MAX_BATCH_SIZE);
    link.accept({
      maxMessageSize: entity.maxMessageSize,
      properties: symbolMap({ "com.microsoft:max-message-batch-size": long(BigInt(maxBatchSize)) }),
    });
  }

  onDelivery(delivery: IncomingDelivery): void {
    try {
      if (this.#detaching) this.#findAgain();
      if (delivery.messageFormat === BATCH_FORMAT) assertBatchSize(delivery.payload.length);
      this.#entity.send(readMessages(delivery.payload, delivery.messageFormat));
    } catch (error) {
      // A refusal for what the entity is ends up in the answer; so does a fault of ours.
      this.#link.rejected(delivery, toAmqpError(error));
      return;
    }
    const kept = this.#namespace.kept();
    if (!kept) this.#link.accepted(delivery);
    else {
      kept.then(
        () => this.#link.accepted(delivery),
        (error: unknown) => this.#link.rejected(delivery, toAmqpError(error)),
      );
    }
  }

  onGone(): void {
    clearTimeout(this.#detaching);
    this.#leave();
  }

  #onEnd(error: BrokerError): void {
    this.#detaching = setTimeout(() => this.#link.detach(toAmqpError(error)), REFUSING_MILLISECONDS);
  }

  #findAgain(): void {
    const entity = this.#namespace.find(this.#address);
    if (!entity || !isSendable(entity)) return;
    clearTimeout(this.#detaching);
    this.#detaching = undefined;
    this.#entity = entity;
    this.#leave = entity.openSender((error) => this.#onEnd(error));
  }
}

/** The service detaches the link instead, with the same condition, and says that the batch "has no data in it" (https://github.com/Azure/azure-sdk-for-net/issues/44261). */
function assertBatchSize(bytes: number): void {
  if (bytes <= MAX_BATCH_SIZE) return;
  const text = `The batch has ${bytes} bytes, but no batch may have more than ${MAX_BATCH_SIZE}. Send larger messages one by one.`;
  throw new AmqpError("amqp:not-allowed", text);
}
