import { AmqpError } from "../amqp/amqp-error.js";
import type { Grant, Right } from "../broker/contracts.js";

/** What the tokens that a connection put allow it to do. */
export class Claims {
  /** By audience: a token that is renewed replaces the one before. */
  readonly #grants = new Map<string, Grant>();

  add(grant: Grant): void {
    this.#grants.set(pathOf(grant.audience), grant);
  }

  /** @throws AmqpError "amqp:unauthorized-access" when no token gives the right on the entity, or on something above it */
  demand(right: Right, address: string): void {
    const path = pathOf(address);
    const now = Date.now();
    for (const [audience, grant] of this.#grants) {
      const covers = audience === "" || path === audience || path.startsWith(`${audience}/`);
      if (covers && grant.expiresAt > now && (grant.rights.has(right) || grant.rights.has("Manage"))) return;
    }
    const text = `Unauthorized access. '${right}' claim(s) are required to perform this operation. Resource: '${address}'.`;
    throw new AmqpError("amqp:unauthorized-access", text);
  }

  /** For requests to $management, which both senders and receivers make. */
  demandAny(address: string): void {
    try {
      this.demand("Listen", address);
    } catch {
      this.demand("Send", address);
    }
  }
}

/** The path of an entity in an address or an audience: without scheme and host, without "$management", in lower case. */
export function pathOf(address: string): string {
  return address
    .toLowerCase()
    .replace(/^[a-z]+:\/\/[^/]*/, "")
    .replace(/^\/+|\/+$/g, "")
    .replace(/\/?\$management$/, "");
}
