import { answersAmqp } from "./support/amqp-probe.mjs";
import { Broker } from "./support/broker.mjs";
import { canInstallPackages, installPackages } from "./support/debian.mjs";
import { BrokerUnavailable } from "./support/errors.mjs";
import { brokerDirectory, portFrom } from "./support/paths.mjs";
import { RabbitmqNode } from "./support/rabbitmq-node.mjs";
import { localPrograms } from "./support/rabbitmq-programs.mjs";
import { asServer, portsFor } from "./support/rabbitmq-server.mjs";

const NAME = "rabbitmq";
const NEEDS =
  'the package "rabbitmq-server" (installed by itself when root on Debian; `apt-get install rabbitmq-server` or `brew install rabbitmq` elsewhere)';

const ports = () => portsFor(portFrom("TROLLEYBUS_RABBITMQ_PORT", 5673), portFrom("TROLLEYBUS_RABBITMQ_MANAGEMENT_PORT", 15_673));

/**
 * A RabbitMQ of this machine's package (3.10 on Debian 12) to be started, stopped, killed and frozen at will.
 * @param {{ name?: string, amqpPort?: number }} [instance] a name and a port of its own make a server beside the one that everybody uses;
 *   the other ports follow from the AMQP port (see `portsFor`)
 * @returns {import("./support/rabbitmq-node.mjs").RabbitmqNode}
 */
export function rabbitmqControl({ name = NAME, amqpPort } = {}) {
  const programs = localPrograms();
  if (programs === undefined) throw new BrokerUnavailable(`RabbitMQ is not installed: it needs ${NEEDS}`);
  return new RabbitmqNode({
    name,
    directory: brokerDirectory(name),
    programs,
    ports: amqpPort === undefined ? ports() : portsFor(amqpPort),
  });
}

export const rabbitmq = new Broker({
  name: NAME,
  title: "RabbitMQ",
  variable: "RABBITMQ_URL",
  url: () => `amqp://guest:guest@127.0.0.1:${ports().amqp}`,
  answers: answersAmqp,
  managementUrl: () => `http://guest:guest@127.0.0.1:${ports().management}`,
  installed: () => localPrograms() !== undefined,
  canInstall: canInstallPackages,
  install: () => installPackages(["rabbitmq-server"]),
  needs: NEEDS,
  server: () => asServer(rabbitmqControl()),
  docker: {
    service: NAME,
    variables: () => ({ TROLLEYBUS_RABBITMQ_PORT: String(ports().amqp), TROLLEYBUS_RABBITMQ_MANAGEMENT_PORT: String(ports().management) }),
  },
});
