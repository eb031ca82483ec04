import { createServer, type Server, type Socket } from "node:net";
import { AmqpError } from "./amqp-error.js";
import { Connection, type ConnectionHandler, type ConnectionOptions } from "./connection.js";

const TICK_MILLISECONDS = 1_000;

/** Listens for AMQP connections and keeps those that there are. */
export class AmqpServer {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #ticker: NodeJS.Timeout;

  constructor(options: ConnectionOptions, createHandler: (connection: Connection) => ConnectionHandler) {
    this.#server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      const connection = new Connection(socket, options, createHandler);
      this.#connections.add(connection);
      socket.once("close", () => this.#connections.delete(connection));
    });
    const tick = Math.min(TICK_MILLISECONDS, Math.ceil(options.handshakeTimeOut / 4), Math.ceil(options.idleTimeOut / 4));
    this.#ticker = setInterval(() => this.#tick(), tick);
    this.#ticker.unref();
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** @returns the port; rejects with the system's error, for example EADDRINUSE */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      // A queue for connections that come all at once: many clients reconnect together.
      this.#server.listen({ host, port, backlog: 4_096 }, () => {
        this.#server.off("error", reject);
        // Running out of file descriptors while accepting is no reason to end.
        this.#server.on("error", () => {});
        const address = this.#server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  /** Closes every connection in order, those that do not answer at once after a moment, and frees the port. */
  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close(new AmqpError("amqp:connection:forced", "The emulator stops."));
    const patience = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, 500);
    await closed;
    clearTimeout(patience);
  }

  #tick(): void {
    const now = Date.now();
    for (const connection of this.#connections) connection.tick(now);
  }
}
