import type { IncomingDelivery, IncomingLink } from "../amqp/incoming-link.js";
import type { Namespace, Sendable } from "../broker/contracts.js";
import { toAmqpError } from "./errors.js";
import { readMessages } from "./message-format.js";

/** Takes what a client sends into an entity, and answers each delivery when it is kept. */
export function openSendLink(link: IncomingLink, entity: Sendable, namespace: Namespace): void {
  const take = (delivery: IncomingDelivery): void => {
    try {
      entity.send(readMessages(delivery.payload, delivery.messageFormat));
    } catch (error) {
      // A refusal for what the entity is ends up in the answer; so does a fault of ours.
      link.rejected(delivery, toAmqpError(error));
      return;
    }
    const kept = namespace.kept();
    if (!kept) link.accepted(delivery);
    else {
      kept.then(
        () => link.accepted(delivery),
        (error: unknown) => link.rejected(delivery, toAmqpError(error)),
      );
    }
  };
  const onGone = entity.openSender((error) => link.detach(toAmqpError(error)));
  link.use({ onDelivery: take, onGone }, entity.maxMessageSize);
  link.accept({ maxMessageSize: entity.maxMessageSize });
}
