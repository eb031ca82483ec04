import type { AmqpError } from "../../src/amqp/amqp-error.js";
import type { ConnectionOptions } from "../../src/amqp/connection.js";
import { type IncomingDelivery, IncomingLink } from "../../src/amqp/incoming-link.js";
import type { OutgoingLink } from "../../src/amqp/outgoing-link.js";
import { AmqpServer } from "../../src/amqp/server.js";

/** A server of the AMQP layer alone: it takes what is sent, and sends what a test gives it. */
export class EchoServer implements AsyncDisposable {
  readonly port: number;
  readonly received: IncomingDelivery[] = [];
  readonly outgoing: OutgoingLink[] = [];
  /** How often a link was told that it has gone. */
  gone = 0;
  readonly server: AmqpServer;

  private constructor(server: AmqpServer, port: number) {
    this.server = server;
    this.port = port;
  }

  /** @param source what links that receive are sent: `next` is asked whenever one can be sent */
  static async start(
    options: { limits?: Partial<ConnectionOptions>; maxMessageSize?: number; refuse?: AmqpError; next?: () => Buffer | undefined } = {},
  ): Promise<EchoServer> {
    const self: { echo?: EchoServer } = {};
    const server = new AmqpServer(
      {
        containerId: "echo",
        maxFrameSize: 4_096,
        idleTimeOut: 60_000,
        handshakeTimeOut: 60_000,
        saslMechanisms: ["ANONYMOUS"],
        ...options.limits,
      },
      () => ({
        authenticate: () => true,
        onAttach: (link) => {
          if (options.refuse) throw options.refuse;
          self.echo?.open(link, options.maxMessageSize ?? 100_000, options.next);
        },
        onClosed: () => {},
      }),
    );
    const port = await server.listen("127.0.0.1", 0);
    self.echo = new EchoServer(server, port);
    return self.echo;
  }

  open(link: IncomingLink | OutgoingLink, maxMessageSize: number, next: (() => Buffer | undefined) | undefined): void {
    const onGone = (): void => {
      this.gone++;
    };
    if (link instanceof IncomingLink) {
      const onDelivery = (delivery: IncomingDelivery): void => {
        this.received.push(delivery);
        link.accepted(delivery);
      };
      link.use({ onDelivery, onGone }, maxMessageSize);
    } else {
      this.outgoing.push(link);
      const pump = (): void => {
        while (link.deliverable > 0) {
          const payload = next?.();
          if (!payload) return;
          link.deliver(Buffer.from("tag"), false, payload);
        }
      };
      link.use({ onCredit: pump, onDrain: pump, onGone, onSettlement: (settlement) => link.settle(settlement.deliveryId, settlement.raw) });
    }
    link.accept({ maxMessageSize });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
  }
}
