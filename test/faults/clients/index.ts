import type { ClientModule } from "./client.js";

const loaders: Readonly<Record<string, () => Promise<ClientModule>>> = {
  trolleybus: () => import("./trolleybus.js"),
  "raw-amqplib": () => import("./raw-amqplib.js"),
  rascal: () => import("./rascal.js"),
  "amqp-connection-manager": () => import("./amqp-connection-manager.js"),
};

/** @throws Error for a name that is not known. */
export function loadClient(name: string): Promise<ClientModule> {
  const load = loaders[name];
  if (!load) throw new Error(`there is no client "${name}"; there are ${CLIENTS.join(", ")}`);
  return load();
}

export const CLIENTS: readonly string[] = Object.keys(loaders);
