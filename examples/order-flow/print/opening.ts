import type { HostedService } from "../hosting/host.js";
import { attemptsWith, type BusSettings } from "../settings.js";
import type { Paint } from "./paint.js";

/** What is about to be seen: who talks to whom, over which broker, in which processes. */
export function opening(bus: BusSettings, services: readonly HostedService[], paint: Paint): string {
  const field = (name: string, text: string): string => `  ${paint(name.padEnd(10), "dim")} ${text}`;
  const { immediate, delays } = bus.retry;
  return [
    "",
    ` ${paint("Trolleybus", "bold")}  the order flow`,
    "",
    "  customer ─HTTP─▸ gateway ─HTTP─▸ orders ━OrderPlaced━┳━▸ shipping ━OrderShipped━┳━▸ orders",
    "                                                       ┣━▸ email                  ┗━▸ analytics",
    "                                                       ┗━▸ analytics",
    "",
    field("broker", withoutSecrets(bus.transport)),
    field("processes", processesOf(services)),
    field(
      "retry",
      `${immediate} at once, then after ${delays.join(" and ")}: ${attemptsWith(bus.retry)} attempts, then the dead-letter queue`,
    ),
  ].join("\n");
}

function processesOf(services: readonly HostedService[]): string {
  const [first, ...others] = new Set(services.map((service) => service.processId));
  if (others.length === 0) return `all services in one (${first}); set BUS_URL=amqp://... to give each its own`;
  return services.map((service) => `${service.name} ${service.processId}`).join(", ");
}

/** A broker's address as a person may see it: without user, password, keys and parameters. */
function withoutSecrets(transport: string): string {
  return transport.replace(/\/\/[^@/]*@/, "//").replace(/[?;].*$/, "");
}
