import { BrokerError } from "../broker/broker-error.js";
import type { Authorizer, Grant, Right } from "../broker/contracts.js";
import { withoutHost } from "../broker/entity-path.js";
import { errors } from "../broker/errors.js";
import type { ServiceBusNamespace } from "../broker/service-bus-namespace.js";
import { isSignedWith, parseSharedAccessSignature } from "./shared-access-signature.js";

/** A key of the namespace. */
export interface SharedAccessKey {
  readonly keyName: string;
  readonly key: string;
  /** Default: all. */
  readonly rights?: readonly Right[];
}

/**
 * The key that Microsoft documents for its emulator, so that its connection strings work here too
 * (https://learn.microsoft.com/azure/service-bus-messaging/test-locally-with-service-bus-emulator).
 */
export const DEVELOPMENT_KEY: SharedAccessKey = { keyName: "RootManageSharedAccessKey", key: "SAS_KEY_VALUE" };

const ALL_RIGHTS: readonly Right[] = ["Listen", "Send", "Manage"];

/** Checks tokens with the keys of the namespace and those of its entities. */
export class SharedKeyAuthorizer implements Authorizer {
  readonly #namespace: ServiceBusNamespace;
  readonly #keys: readonly SharedAccessKey[];

  constructor(namespace: ServiceBusNamespace, keys: readonly SharedAccessKey[] = [DEVELOPMENT_KEY]) {
    this.#namespace = namespace;
    this.#keys = keys;
  }

  authorize(token: string, audience: string): Grant {
    const grant = this.verify(token, audience);
    if (grant.audience !== "" && this.#namespace.find(grant.audience) === undefined) throw errors.notFound(entityOf(audience));
    return grant;
  }

  /** As `authorize`, but whether the entity exists is not asked. */
  verify(token: string, audience: string): Grant {
    const signature = parseSharedAccessSignature(token);
    if (!signature) {
      throw unauthorized(
        'The token is no shared access signature ("SharedAccessSignature sr=…&sig=…&se=…&skn=…"). Tokens of Microsoft Entra ID are not supported.',
      );
    }
    const entity = entityOf(audience).toLowerCase();
    const rights = this.#keysFor(entity, signature.keyName).find(({ key }) => isSignedWith(signature, key))?.rights;
    if (!rights) throw unauthorized(`InvalidSignature: The token has an invalid signature (key '${signature.keyName}').`);
    const expiresAt = Number(signature.expiry) * 1000;
    if (!(expiresAt > this.#namespace.timers.now())) {
      throw unauthorized(`ExpiredToken: The token is expired. Expiration time: '${new Date(expiresAt).toUTCString()}'.`);
    }
    if (!covers(signature.resource, entity)) {
      throw unauthorized(`InvalidAudience: The token is for '${signature.resource}', not for '${audience}'.`);
    }
    return { audience: entity, rights: new Set(rights.includes("Manage") ? ALL_RIGHTS : rights), expiresAt };
  }

  /** The keys of this name that may be used for an entity: its own and the namespace's. */
  #keysFor(entity: string, keyName: string): { readonly key: string; readonly rights: readonly Right[] }[] {
    const keys = this.#keys
      .filter((candidate) => candidate.keyName === keyName)
      .map(({ key, rights }) => ({ key, rights: rights ?? ALL_RIGHTS }));
    const name = entity.replace(/\/subscriptions\/.*$|\/\$.*$/, "");
    const owner = this.#namespace.findQueue(name) ?? this.#namespace.findTopic(name);
    for (const rule of owner?.description.authorizationRules ?? []) {
      if (rule.keyName !== keyName) continue;
      for (const key of [rule.primaryKey, rule.secondaryKey]) keys.push({ key, rights: rule.rights });
    }
    return keys;
  }
}

/** The entity of an audience: no scheme, host, query, nor "/$management". */
function entityOf(audience: string): string {
  return withoutHost(audience.replace(/\?.*$/, "")).replace(/\/?\$management$/i, "");
}

/** A token for the namespace is good for all entities, one for a topic for its subscriptions too. Go's client writes the host without a scheme. */
function covers(resource: string, entity: string): boolean {
  const readings = /^[a-z]+:\/\//i.test(resource) ? [resource] : [resource, `sb://${resource}`];
  return readings.some((reading) => {
    const path = entityOf(reading).toLowerCase();
    return path === "" || path === entity || entity.startsWith(`${path}/`);
  });
}

function unauthorized(text: string): BrokerError {
  return new BrokerError("amqp:unauthorized-access", text);
}
