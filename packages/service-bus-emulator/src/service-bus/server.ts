import { randomUUID } from "node:crypto";
import { AmqpError } from "../amqp/amqp-error.js";
import type { ConnectionOptions } from "../amqp/connection.js";
import { AmqpServer } from "../amqp/server.js";
import type { ProtocolOptions, ProtocolServer, StartProtocol } from "../broker/contracts.js";
import { ServiceBusConnection } from "./connection-handler.js";

/** Limits that tests make shorter; the defaults are those of the service where it is known. */
export type ProtocolLimits = Partial<Pick<ConnectionOptions, "maxFrameSize" | "idleTimeOut" | "handshakeTimeOut">>;

const DEFAULTS = { maxFrameSize: 65_536, idleTimeOut: 240_000, handshakeTimeOut: 30_000 } as const;

/** MSSBCBS is the service's own name for "no credentials here, tokens follow at $cbs". */
const SASL_MECHANISMS = ["MSSBCBS", "PLAIN", "ANONYMOUS"];

/** Listens for clients of Service Bus. */
export const startProtocol: StartProtocol = (options) => startProtocolWith(options, {});

/** As {@link startProtocol}, with limits of one's own. */
export async function startProtocolWith(options: ProtocolOptions, limits: ProtocolLimits): Promise<ProtocolServer> {
  const { host, port, namespace, authorizer } = options;
  const containerId = randomUUID();
  const server = new AmqpServer({ ...DEFAULTS, ...limits, containerId, saslMechanisms: SASL_MECHANISMS }, () => {
    return new ServiceBusConnection(namespace, authorizer);
  });
  const listening = await server.listen(host, port);
  return {
    port: listening,
    get connections(): number {
      return server.connections.size;
    },
    detachLinks(): void {
      for (const connection of server.connections) {
        for (const link of connection.links) {
          const text = "The link is force detached. Error Code: consumer link or publisher link is closed by the emulator's fault hook.";
          if (link.address !== "$cbs") link.detach(new AmqpError("amqp:link:detach-forced", text));
        }
      }
    },
    dropConnections(): void {
      for (const connection of server.connections) connection.destroy();
    },
    stop: () => server.stop(),
  };
}
