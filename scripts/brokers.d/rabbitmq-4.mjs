import { renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { answersAmqp } from "./support/amqp-probe.mjs";
import { Broker } from "./support/broker.mjs";
import { canInstallPackages, installPackages } from "./support/debian.mjs";
import { BrokerUnavailable } from "./support/errors.mjs";
import { brokersDirectory, portFrom } from "./support/paths.mjs";
import { RabbitmqNode } from "./support/rabbitmq-node.mjs";
import { directoryInRoot, programsInRoot } from "./support/rabbitmq-programs.mjs";
import { asServer, portsFor } from "./support/rabbitmq-server.mjs";
import { runVisibly } from "./support/run.mjs";

const NAME = "rabbitmq-4";
const NEEDS = "root on Debian, where Debian 13 with RabbitMQ 4.0 is unpacked into a folder (`scripts/brokers install rabbitmq-4`, 370 MB)";

const ports = () => portsFor(portFrom("TROLLEYBUS_RABBITMQ4_PORT", 5674), portFrom("TROLLEYBUS_RABBITMQ4_MANAGEMENT_PORT", 15_674));

/** Debian 13's own root folder: its package does not install on Debian 12. */
const root = () => join(brokersDirectory(), "trixie");
const programs = () => programsInRoot(root());

/**
 * A RabbitMQ 4.0 to be started, stopped, killed and frozen at will.
 * @param {{ name?: string, amqpPort?: number }} [instance] as for `rabbitmqControl`
 * @returns {import("./support/rabbitmq-node.mjs").RabbitmqNode}
 */
export function rabbitmq4Control({ name = NAME, amqpPort } = {}) {
  const found = programs();
  if (found === undefined) throw new BrokerUnavailable(`RabbitMQ 4 is not installed: it needs ${NEEDS}`);
  return new RabbitmqNode({
    name,
    directory: directoryInRoot(root(), name),
    programs: found,
    ports: amqpPort === undefined ? ports() : portsFor(amqpPort),
  });
}

async function install() {
  await installPackages(["debootstrap", "debian-archive-keyring"]);
  const unfinished = `${root()}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  const mirror = process.env["TROLLEYBUS_DEBIAN_MIRROR"] || "http://deb.debian.org/debian";
  await runVisibly("debootstrap", ["--variant=minbase", "--include=rabbitmq-server", "trixie", unfinished, mirror]);
  writeFileSync(join(unfinished, "etc/hosts"), `127.0.0.1 localhost ${hostname()}\n`);
  renameSync(unfinished, root());
}

export const rabbitmq4 = new Broker({
  name: NAME,
  title: "RabbitMQ 4",
  variable: "RABBITMQ4_URL",
  url: () => `amqp://guest:guest@127.0.0.1:${ports().amqp}`,
  answers: answersAmqp,
  managementUrl: () => `http://guest:guest@127.0.0.1:${ports().management}`,
  installed: () => programs() !== undefined && process.getuid?.() === 0,
  canInstall: canInstallPackages,
  install,
  needs: NEEDS,
  server: () => asServer(rabbitmq4Control()),
  docker: {
    service: NAME,
    variables: () => ({
      TROLLEYBUS_RABBITMQ4_PORT: String(ports().amqp),
      TROLLEYBUS_RABBITMQ4_MANAGEMENT_PORT: String(ports().management),
    }),
  },
});
