import assert from "node:assert/strict";
import type { Delivery, EndpointPlan, Receiver, Transport, TransportHost } from "../../src/index.js";
import { CLOUD_EVENTS_JSON } from "./cloud-event.js";

/** A message as anybody might send it: no field of it needs to make sense. */
export interface ForeignMessage {
  readonly body: Uint8Array;
  readonly contentType?: string;
  readonly messageId?: string;
  readonly messageType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Uses the transport port beside any bus: puts foreign bytes into queues and looks at deliveries as the adapter gives them. */
export class RawBroker {
  readonly #transport: Transport;
  readonly #receivers: Receiver[] = [];

  private constructor(transport: Transport) {
    this.#transport = transport;
  }

  static async open(given: Transport, namePrefix: string, patienceMs: number): Promise<RawBroker> {
    const silent = (): void => {};
    const host: TransportHost = {
      service: "conformance",
      namePrefix,
      logger: { debug: silent, info: silent, warn: silent, error: silent },
      status: silent,
      lag: silent,
    };
    const transport = given.share?.() ?? given;
    await transport.open(host, AbortSignal.timeout(patienceMs));
    return new RawBroker(transport);
  }

  /** Puts a message into the queue of an endpoint that exists. */
  async send(endpoint: string, message: ForeignMessage): Promise<void> {
    const messageId = message.messageId ?? `raw-${crypto.randomUUID()}`;
    const [result] = await this.#transport.send(
      [
        {
          to: { endpoint },
          body: message.body,
          properties: {
            messageId,
            messageType: message.messageType ?? "foreign",
            contentType: message.contentType ?? CLOUD_EVENTS_JSON,
            correlationId: messageId,
            partitionKey: undefined,
          },
          headers: message.headers ?? {},
        },
      ],
      AbortSignal.timeout(30_000),
    );
    assert.equal(result?.outcome, "sent", `the broker did not take a foreign message: ${JSON.stringify(result)}`);
  }

  /** Receives without settling anything; what `onDelivery` does not settle goes back at the end of the test. */
  async receive(
    endpoint: EndpointPlan,
    from: "endpoint" | "dead-letter",
    prefetch: number,
    onDelivery: (delivery: Delivery) => void,
  ): Promise<Receiver> {
    const receiver = await this.#transport.receive({ endpoint, from, prefetch }, { deliver: onDelivery, exhausted: () => {} });
    this.#receivers.push(receiver);
    return receiver;
  }

  async close(): Promise<void> {
    const deadline = performance.now() + 5_000;
    for (const receiver of this.#receivers) {
      await receiver.stop();
      await receiver.close(deadline);
    }
    await this.#transport.close(deadline);
  }
}
