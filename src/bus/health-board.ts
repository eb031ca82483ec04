import type { Health } from "../contracts/health.js";
import type { RunningEndpoint } from "../endpoint/running-endpoint.js";

interface Part {
  status: "up" | "degraded" | "down";
  reason: string | undefined;
  lag: number | undefined;
}

/** Where the transport and the store write how they are; `health()` is read from it. */
export class HealthBoard {
  readonly #endpoints: Map<string, Part> = new Map();
  #publisher: Part = { status: "up", reason: undefined, lag: undefined };
  #store: string | undefined;
  /** Where the bus is in its life. */
  life: "starting" | "started" | "stopped" = "starting";

  publisherIs(status: Part["status"], reason: string | undefined): void {
    this.#publisher = { status, reason, lag: undefined };
  }

  endpointIs(name: string, status: Part["status"], reason: string | undefined): void {
    Object.assign(this.#part(name), { status, reason });
  }

  storeIs(status: "up" | "down", reason: string | undefined): void {
    this.#store = status === "down" ? (reason ?? "the store is down") : undefined;
  }

  lagIs(name: string, messages: number): void {
    this.#part(name).lag = messages;
  }

  /** @param publishes whether this is a bus that only publishes and can, though it was not started */
  read(pending: number, running: readonly RunningEndpoint[], publishes = false): Health {
    const endpoints = running.map((endpoint) => endpoint.health(this.#part(endpoint.name)));
    const { status, reason } = this.#publisher;
    return {
      status: this.life === "stopped" || (this.life === "starting" && !publishes) ? this.life : this.#overall(endpoints),
      publisher: { status: status === "degraded" ? "blocked" : status, reason, pending },
      endpoints,
      outbox: undefined,
    };
  }

  #overall(endpoints: Health["endpoints"]): "up" | "degraded" | "down" {
    if (this.#publisher.status === "down" || (endpoints.length > 0 && endpoints.every((endpoint) => endpoint.status === "down")))
      return "down";
    const well = this.#publisher.status === "up" && this.#store === undefined && endpoints.every((endpoint) => endpoint.status === "up");
    return well ? "up" : "degraded";
  }

  #part(name: string): Part {
    let part = this.#endpoints.get(name);
    if (!part) {
      part = { status: "up", reason: undefined, lag: undefined };
      this.#endpoints.set(name, part);
    }
    return part;
  }
}
