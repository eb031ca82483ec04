import type { ChannelModel, ConfirmChannel, Options } from "amqplib";
import { closeChannel } from "./close-channel.js";
import { RabbitMqError, type ServerAnswer, serverAnswer, textOf, unavailable } from "./errors.js";
import { PUBLISH_HEADER } from "./mapping.js";
import { closedByServer, openedInTime } from "./open-channel.js";
import type { Publication } from "./publication.js";

/** Most messages that wait for their confirms; more would not make it faster, only the doubt after a lost connection larger. */
export const MAX_UNCONFIRMED = 1000;
/** The same in bytes, so that large messages do not pile up in the socket's buffers. One message always fits. */
const MAX_UNCONFIRMED_BYTES = 16 * 1024 * 1024;

/** What a {@link PublishChannel} tells its owner. */
export interface PublishChannelOwner {
  /** There may be room again. */
  hasRoom(): void;
  /** The channel is gone, and everything that was on it is answered. `answer`: what the server said, when it said something. */
  closed(reason: string, answer: ServerAnswer | undefined): void;
}

/** One confirm channel while it lives: what was handed to the broker on it, and what came back. */
export class PublishChannel {
  readonly #channel: ConfirmChannel;
  readonly #owner: PublishChannelOwner;
  readonly #returnable = new Map<string, Publication>();
  #unconfirmed = 0;
  #unconfirmedBytes = 0;
  #abandoned = 0;
  #isFull = false;
  #isOpen = true;
  /** What the broker had not answered when the channel ended, in the order in which it was handed over, and what its caller gave up among it. */
  readonly #cutOff: Publication[] = [];
  #publishes = 0;
  #answer: ServerAnswer | undefined;
  #reason = "the channel was closed";

  /** @throws RabbitMqError "unavailable" when there is no answer in time, else what amqplib throws when the connection goes meanwhile. */
  static async open(model: ChannelModel, owner: PublishChannelOwner): Promise<PublishChannel> {
    const channel = await openedInTime(model, () => model.createConfirmChannel());
    channel.on("error", () => closedByServer(model));
    return new PublishChannel(channel, owner);
  }

  private constructor(channel: ConfirmChannel, owner: PublishChannelOwner) {
    this.#channel = channel;
    this.#owner = owner;
    channel.on("error", (error) => {
      this.#answer = serverAnswer(error);
      this.#reason = this.#answer?.text ?? textOf(error);
    });
    channel.on("handler-error", (error) => {
      this.#reason = `a listener failed: ${textOf(error)}`;
    });
    channel.on("return", (message) => {
      const { exchange, routingKey } = message.fields;
      const own: unknown = message.properties.headers?.[PUBLISH_HEADER];
      const publication = this.#returnable.get(
        typeof own === "string" ? own : returnKey(exchange, routingKey, message.properties.messageId),
      );
      if (publication) publication.isReturned = true;
    });
    channel.on("drain", () => {
      this.#isFull = false;
      owner.hasRoom();
    });
    // amqplib has called back for everything unconfirmed by now.
    channel.once("close", () => {
      this.#isOpen = false;
      this.#answerCutOff();
      owner.closed(this.#reason, this.#answer);
    });
  }

  /** Handed over and not answered by the broker, less what the callers have given up. */
  get unconfirmed(): number {
    return this.#unconfirmed - this.#abandoned;
  }

  /** Given up by the callers while the broker still owes an answer. */
  get abandoned(): number {
    return this.#abandoned;
  }

  get hasRoom(): boolean {
    const count = this.#unconfirmed - this.#abandoned;
    return this.#isOpen && !this.#isFull && count < MAX_UNCONFIRMED && (this.#unconfirmedBytes < MAX_UNCONFIRMED_BYTES || count === 0);
  }

  /** Hands one message to the broker. From here on its outcome is the broker's to tell. */
  hand(publication: Publication): void {
    const { exchange, routingKey, content, properties, mandatory } = publication.publish;
    if (mandatory) this.#expectReturn(publication);
    try {
      const options = properties as Options.Publish;
      if (!this.#channel.publish(exchange, routingKey, content, options, (error) => this.#confirmed(publication, error)))
        this.#isFull = true;
    } catch (cause) {
      if (publication.returnKey !== undefined) this.#returnable.delete(publication.returnKey);
      publication.refused(
        isOfTheCodec(cause) ? notEncodable(cause) : unavailable(`The connection to RabbitMQ closed: ${this.#reason}.`, cause),
      );
      return;
    }
    publication.handedTo = this;
    this.#unconfirmed++;
    this.#unconfirmedBytes += content.length;
  }

  /** The caller of a message that was handed over no longer waits. */
  abandon(): void {
    this.#abandoned++;
  }

  close(): Promise<void> {
    return closeChannel(this.#channel);
  }

  #expectReturn(publication: Publication): void {
    const { exchange, routingKey, properties } = publication.publish;
    let key = returnKey(exchange, routingKey, properties.messageId);
    // The same id to the same queue is on its way already (a second try): a return would not tell which of the two came back.
    if (this.#returnable.has(key)) {
      key = String(++this.#publishes);
      properties.headers = { ...properties.headers, [PUBLISH_HEADER]: key };
    }
    publication.returnKey = key;
    this.#returnable.set(key, publication);
  }

  #confirmed(publication: Publication, error: unknown): void {
    this.#unconfirmed--;
    this.#unconfirmedBytes -= publication.publish.content.length;
    if (publication.returnKey !== undefined) this.#returnable.delete(publication.returnKey);
    const isStored = error === null || error === undefined;
    // amqplib gives a negative confirm and the end of the channel to the same callback and tells them apart by the text alone. At the end
    // nothing more can be handed over, and what the server said is weighed when all that it concerns is known.
    const isEnd = !isStored && textOf(error) !== "message nacked";
    if (publication.isAnswered) this.#abandoned--;
    if (isEnd) {
      this.#cutOff.push(publication);
      return;
    }
    if (isStored) this.#accepted(publication);
    else publication.unknown(negative(publication.publish, error));
    this.#owner.hasRoom();
  }

  #accepted(publication: Publication): void {
    if (publication.isReturned) publication.refused(unroutable(publication.publish.routingKey));
    else publication.sent();
  }

  /**
   * Gone with the channel, unconfirmed. RabbitMQ takes what comes in its order and names the exchange that made it close the channel, but not
   * the message. So only of the last one to that exchange it is certain that it was not stored; those before may have been routed already.
   */
  #answerCutOff(): void {
    const cutOff = this.#cutOff.splice(0);
    const limit = limitIn(this.#answer);
    const missing = missingExchange(this.#answer);
    const forbidden = forbiddenExchange(this.#answer);
    const last = cutOff.findLast(({ publish }) => publish.exchange === (missing ?? forbidden));
    for (const publication of cutOff) {
      const { exchange, content } = publication.publish;
      if (limit !== undefined && content.length > limit) {
        publication.refused(tooLarge(content.length, limit));
        continue;
      }
      const error =
        exchange === missing
          ? unavailable(`The exchange "${exchange}" is not there in RabbitMQ.`)
          : exchange === forbidden
            ? writeForbidden(exchange, this.#reason)
            : unavailable(`The connection to RabbitMQ went before the message was confirmed: ${this.#reason}.`);
      if (publication === last) publication.refused(error);
      else publication.unknown(error);
    }
  }
}

/** The limit that the server named when it closed the channel over a message that was too large. */
export function limitIn(answer: ServerAnswer | undefined): number | undefined {
  const match = answer?.code === 406 ? /larger than (?:configured )?max size (\d+)/.exec(answer.text) : null;
  return match ? Number(match[1]) : undefined;
}

/** The exchange whose absence made the server close the channel. */
export function missingExchange(answer: ServerAnswer | undefined): string | undefined {
  return answer?.code === 404 ? /no exchange '([^']*)'/.exec(answer.text)?.[1] : undefined;
}

/** The exchange that the user may not write to, which made the server close the channel. */
function forbiddenExchange(answer: ServerAnswer | undefined): string | undefined {
  const name = answer?.code === 403 ? /exchange '([^']*)'/.exec(answer.text)?.[1] : undefined;
  return name === "amq.default" ? "" : name;
}

function writeForbidden(exchange: string, reason: string): RabbitMqError {
  const text = `RabbitMQ does not let this user write to the exchange "${exchange || "amq.default"}": ${reason}. Grant the right "write".`;
  return new RabbitMqError("refused", text, { retryable: false });
}

function negative({ exchange, routingKey }: Publication["publish"], cause: unknown): RabbitMqError {
  const text = `RabbitMQ refused the message for "${exchange || routingKey}": a queue is full or has failed.`;
  return new RabbitMqError("refused", text, { retryable: true, cause });
}

function unroutable(queue: string): RabbitMqError {
  return new RabbitMqError(
    "unroutable",
    `There is no queue "${queue}" in RabbitMQ, so the message was not stored. Is the endpoint's name right, and has it been started once?`,
    { retryable: false },
  );
}

export function tooLarge(bytes: number, limit: number): RabbitMqError {
  return new RabbitMqError(
    "too-large",
    `The message has ${bytes} bytes and RabbitMQ takes at most ${limit}. Send less, keep large content elsewhere and send where it is, or raise max_message_size of the broker.`,
    { retryable: false },
  );
}

// What amqplib throws for a channel that has ended is neither.
function isOfTheCodec(cause: unknown): boolean {
  return cause instanceof RangeError || cause instanceof TypeError;
}

function notEncodable(cause: unknown): RabbitMqError {
  if (cause instanceof RangeError) {
    return new RabbitMqError(
      "too-large",
      "The headers of the message are larger than AMQP's clients carry (64 KiB). Send less in headers.",
      { retryable: false, cause },
    );
  }
  return new RabbitMqError("refused", `The message cannot be written as AMQP: ${textOf(cause)}`, { retryable: false, cause });
}

function returnKey(exchange: string, routingKey: string, messageId: unknown): string {
  return `${exchange}\n${routingKey}\n${typeof messageId === "string" ? messageId : ""}`;
}
