import { AmqpError } from "../amqp/amqp-error.js";
import type { ConnectionHandler } from "../amqp/connection.js";
import { type IncomingDelivery, IncomingLink } from "../amqp/incoming-link.js";
import type { OutgoingLink } from "../amqp/outgoing-link.js";
import { filterOf, isCoordinator } from "../amqp/termini.js";
import { mapGet, textOf } from "../amqp/values.js";
import { createSharedAccessSignature } from "../authorization/shared-access-signature.js";
import { BrokerError } from "../broker/broker-error.js";
import type { Authorizer, Namespace } from "../broker/contracts.js";
import { Claims } from "./claims.js";
import { toAmqpError } from "./errors.js";
import { type AnyEntity, isReceivable, isSendable, perform, rightFor } from "./management/operations.js";
import { ReceiveLink, SESSION_FILTER } from "./receive-link.js";
import { ReplyLink } from "./reply-link.js";
import { failure, ok, type Request, type Response, readRequest, writeResponse } from "./request.js";
import { SendLink } from "./send-link.js";

const CBS = "$cbs";
/** What a key given by SASL PLAIN allows holds for the connection: ten years are longer than any. */
const PLAIN_SECONDS = 315_360_000;
const MANAGEMENT = /\/?\$management$/i;
/** Bytes that a request may have besides the messages that it schedules. */
const MIN_REQUEST_SIZE = 1_048_576;

/** What one client does: it shows its tokens, attaches links to entities and makes requests. */
export class ServiceBusConnection implements ConnectionHandler {
  readonly #namespace: Namespace;
  readonly #authorizer: Authorizer;
  readonly #claims = new Claims();
  /** By address of the node ("$cbs", "orders/$management", ...), in the order in which they were attached. */
  readonly #replyLinks = new Map<string, ReplyLink[]>();

  constructor(namespace: Namespace, authorizer: Authorizer) {
    this.#namespace = namespace;
    this.#authorizer = authorizer;
  }

  /** The SDKs come in without credentials and put tokens at $cbs; other AMQP clients give a key as user name and password (SASL PLAIN). */
  authenticate(mechanism: string, response: Buffer | undefined): boolean {
    if (mechanism !== "PLAIN") return true;
    const [, keyName, key] = response?.toString().split("\0") ?? [];
    if (!keyName || !key) return false;
    try {
      this.#claims.add(
        this.#authorizer.authorize(createSharedAccessSignature("sb://localhost/", keyName, key, PLAIN_SECONDS), "sb://localhost/"),
      );
      return true;
    } catch {
      return false;
    }
  }

  onAttach(link: IncomingLink | OutgoingLink): void {
    try {
      if (link instanceof IncomingLink) this.#openIncoming(link);
      else this.#openOutgoing(link);
    } catch (error) {
      link.refuse(toAmqpError(error));
    }
  }

  onClosed(): void {
    this.#replyLinks.clear();
  }

  #openIncoming(link: IncomingLink): void {
    if (isCoordinator(link.attach.target)) throw new AmqpError("amqp:not-implemented", "Transactions are not implemented by the emulator.");
    const address = this.#address(link);
    if (isNode(address)) this.#openRequests(link, address);
    else {
      this.#claims.demand("Send", address);
      const entity = this.#find(address);
      if (!isSendable(entity))
        throw new AmqpError("amqp:not-allowed", `Nothing can be sent to "${entity.path}": it is a ${words(entity)}.`);
      new SendLink(link, address, entity, this.#namespace);
    }
  }

  #openOutgoing(link: OutgoingLink): void {
    const address = this.#address(link);
    if (isNode(address)) {
      this.#openReplies(link, address);
      return;
    }
    this.#claims.demand("Listen", address);
    const entity = this.#find(address);
    if (!isReceivable(entity)) throw new AmqpError("amqp:not-allowed", `Nothing can be received from "${entity.path}": it is a topic.`);
    const receiveLink = new ReceiveLink(link, entity, this.#namespace);
    const filter = filterOf(link.attach.source, SESSION_FILTER);
    if (filter === undefined) receiveLink.open();
    else receiveLink.openSession(filter);
  }

  #openRequests(link: IncomingLink, address: string): void {
    let maxMessageSize = MIN_REQUEST_SIZE;
    if (address !== CBS) {
      this.#claims.demandAny(address);
      maxMessageSize += this.#find(address.replace(MANAGEMENT, "")).maxMessageSize;
    }
    link.use({ onDelivery: (delivery) => this.#onRequest(link, address, delivery), onGone: () => {} }, maxMessageSize);
    link.accept({ maxMessageSize });
  }

  #openReplies(link: OutgoingLink, address: string): void {
    if (address !== CBS) this.#claims.demandAny(address);
    const links = this.#replyLinks.get(address) ?? [];
    const replyLink: ReplyLink = new ReplyLink(link, () => {
      const others = links.filter((other) => other !== replyLink);
      links.splice(0, links.length, ...others);
      if (others.length === 0) this.#replyLinks.delete(address);
    });
    links.push(replyLink);
    this.#replyLinks.set(address, links);
  }

  #onRequest(link: IncomingLink, address: string, delivery: IncomingDelivery): void {
    let request: Request;
    try {
      request = readRequest(delivery.payload);
    } catch (error) {
      link.rejected(delivery, toAmqpError(error));
      return;
    }
    link.accepted(delivery);
    const response = this.#respond(address, request);
    const kept = this.#namespace.kept();
    if (!kept) this.#reply(address, request, response);
    else {
      kept.then(
        () => this.#reply(address, request, response),
        (error: unknown) => this.#reply(address, request, failure(toAmqpError(error))),
      );
    }
  }

  #respond(address: string, request: Request): Response {
    try {
      if (address === CBS) return this.#putToken(request);
      this.#claims.demand(rightFor(request.operation), address);
      return perform(this.#find(address.replace(MANAGEMENT, "")), request);
    } catch (error) {
      return failure(toAmqpError(error));
    }
  }

  #putToken({ operation, applicationProperties, body }: Request): Response {
    if (operation !== "put-token") throw new AmqpError("amqp:not-implemented", `$cbs knows the operation "put-token", not "${operation}".`);
    const audience = textOf(mapGet(applicationProperties, "name"));
    const token = textOf(body);
    if (audience === undefined || token === undefined) throw new AmqpError("amqp:invalid-field", "put-token needs a name and a token.");
    // The property "type" says nothing: Python's client calls a shared access signature "jwt".
    this.#claims.add(this.#authorizer.authorize(token, audience));
    return { ...ok(), statusCode: 202, description: "Accepted" };
  }

  /** To the link that the request names, or else to the newest one for answers of the same node. */
  #reply(address: string, request: Request, response: Response): void {
    const links = this.#replyLinks.get(address) ?? [];
    const link = links.find((candidate) => request.replyTo !== undefined && candidate.replyTo === request.replyTo) ?? links.at(-1);
    link?.send(writeResponse(request, response));
  }

  #address(link: IncomingLink | OutgoingLink): string {
    if (link.address === undefined) throw new AmqpError("amqp:invalid-field", "A link needs the address of an entity.");
    return link.address.toLowerCase() === CBS ? CBS : link.address;
  }

  #find(address: string): AnyEntity {
    const entity = this.#namespace.find(address);
    if (entity) return entity;
    throw new BrokerError("amqp:not-found", `The messaging entity '${address}' could not be found.`);
  }
}

function isNode(address: string): boolean {
  return address === CBS || MANAGEMENT.test(address);
}

function words(entity: AnyEntity): string {
  return entity.kind.replaceAll("-", " ");
}
