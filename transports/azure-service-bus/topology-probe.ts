import type { ManagedClient } from "./connection.js";
import { isNotFound, serviceAnswer, unavailable } from "./errors.js";
import { peekFrom } from "./sequence-number.js";
import { answered } from "./time-limit.js";

/**
 * Finds out what is there without the right to manage: by opening links, for which Send and Listen are enough. What a right is missing for counts
 * as there; who uses it is told then.
 */
export class RightsProbe {
  readonly #connection: ManagedClient;

  constructor(connection: ManagedClient) {
    this.#connection = connection;
  }

  queueIsThere(queue: string): Promise<boolean> {
    return this.#peek(() => this.#connection.client.createReceiver(queue));
  }

  async topicIsThere(topic: string): Promise<boolean> {
    const sender = this.#connection.client.createSender(topic);
    return this.#look(
      () => sender.createMessageBatch(),
      () => sender.close(),
    );
  }

  /** A subscription that forwards cannot be received from; its dead letters can. */
  subscriptionIsThere(topic: string, name: string): Promise<boolean> {
    return this.#peek(() => this.#connection.client.createReceiver(topic, name, { subQueueType: "deadLetter" }));
  }

  async #peek(open: () => ReturnType<ManagedClient["client"]["createReceiver"]>): Promise<boolean> {
    const receiver = open();
    return this.#look(
      () => peekFrom(receiver, 0n, 1),
      () => receiver.close(),
    );
  }

  async #look(request: () => Promise<unknown>, close: () => Promise<void>): Promise<boolean> {
    try {
      await answered(request(), this.#connection.requestTimeoutMs);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      const { code, text } = serviceAnswer(error);
      if (code === "UnauthorizedAccess") return true;
      throw unavailable(`Azure Service Bus cannot be asked what is there: ${text}`, error);
    } finally {
      void close().catch(() => {});
    }
  }
}
