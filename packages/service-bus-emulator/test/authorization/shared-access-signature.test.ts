import { describe, expect, it } from "vitest";
import { createSharedAccessSignature, parseSharedAccessSignature, sign } from "../../src/authorization/shared-access-signature.js";
import { DEVELOPMENT_KEY, SharedKeyAuthorizer } from "../../src/authorization/shared-key-authorizer.js";
import { ServiceBusNamespace } from "../../src/broker/service-bus-namespace.js";
import { refusal } from "../support/broker.js";

function setUp(keys = [DEVELOPMENT_KEY]): { namespace: ServiceBusNamespace; authorizer: SharedKeyAuthorizer } {
  const namespace = new ServiceBusNamespace();
  namespace.createQueue("orders");
  namespace.createTopic("events");
  namespace.createSubscription("events", "audit");
  return { namespace, authorizer: new SharedKeyAuthorizer(namespace, keys) };
}

const token = (resource: string, key = DEVELOPMENT_KEY.key, lifetimeSeconds = 60): string =>
  createSharedAccessSignature(resource, DEVELOPMENT_KEY.keyName, key, lifetimeSeconds);

describe("A shared access signature", () => {
  it("is HMAC-SHA256 over the encoded resource, a line feed and the expiry", () => {
    // Worked out once with openssl: printf 'sb%3A%2F%2Fx%2Fq\n1700000000' | openssl dgst -sha256 -hmac SAS_KEY_VALUE -binary | base64
    expect(sign("sb%3A%2F%2Fx%2Fq", "1700000000", "SAS_KEY_VALUE")).toBe("052leV/rAxicLnofnLfV7XNzjR85v+XAVNEltgHmSGA=");
  });

  it("is read with its fields in any order and in any letter case", () => {
    const parsed = parseSharedAccessSignature("sharedaccesssignature SE=5&sig=a%2Bb%3D&skn=Key%20One&sr=sb%3a%2f%2fhost%2fq");
    expect(parsed).toEqual({
      encodedResource: "sb%3a%2f%2fhost%2fq",
      resource: "sb://host/q",
      signature: "a+b=",
      expiry: "5",
      keyName: "Key One",
    });
  });

  it("is refused as a whole when a field is missing or broken", () => {
    for (const wrong of ["", "Bearer x", "SharedAccessSignature sr=a&sig=b&se=1", "SharedAccessSignature sr=%E0%A4%A&sig=b&se=1&skn=k"]) {
      expect(parseSharedAccessSignature(wrong)).toBeUndefined();
    }
  });
});

describe("The authorizer", () => {
  it("grants all rights for the documented development key", () => {
    const { authorizer } = setUp();
    const grant = authorizer.authorize(token("sb://localhost/orders"), "sb://localhost/orders");
    expect(grant.audience).toBe("orders");
    expect([...grant.rights]).toEqual(["Listen", "Send", "Manage"]);
    expect(grant.expiresAt).toBeGreaterThan(Date.now());
  });

  it.each([
    "sb://localhost/orders/$management",
    "amqp://127.0.0.1:5672/ORDERS/$DeadLetterQueue",
    "sb://localhost/events/Subscriptions/audit/$management",
    "sb://localhost/",
    "sb://localhost/$management",
  ])("takes a token of the namespace for %s", (audience) => {
    const { authorizer } = setUp();
    expect(authorizer.authorize(token("sb://localhost/"), audience).rights.has("Manage")).toBe(true);
  });

  it("answers 'unauthorized' to a wrong key, an unknown key name, an expired token and a token for something else", () => {
    const { authorizer } = setUp();
    const unauthorized = (given: string, audience = "sb://localhost/orders"): string =>
      refusal(() => authorizer.authorize(given, audience)).condition;
    expect(unauthorized(token("sb://localhost/orders", "wrong"))).toBe("amqp:unauthorized-access");
    expect(unauthorized(createSharedAccessSignature("sb://localhost/orders", "Nobody", DEVELOPMENT_KEY.key))).toBe(
      "amqp:unauthorized-access",
    );
    expect(unauthorized(token("sb://localhost/orders", DEVELOPMENT_KEY.key, -1))).toBe("amqp:unauthorized-access");
    expect(unauthorized(token("sb://localhost/order"))).toBe("amqp:unauthorized-access");
    expect(unauthorized("eyJhbGciOi.entra.token")).toBe("amqp:unauthorized-access");
  });

  it("answers 'not found' for an entity that does not exist, but only to who has the key", () => {
    const { authorizer } = setUp();
    expect(refusal(() => authorizer.authorize(token("sb://localhost/nothing"), "sb://localhost/nothing")).condition).toBe("amqp:not-found");
    expect(refusal(() => authorizer.authorize(token("sb://localhost/nothing", "wrong"), "sb://localhost/nothing")).condition).toBe(
      "amqp:unauthorized-access",
    );
  });

  it("grants only the rights of the key", () => {
    const { authorizer } = setUp([{ keyName: DEVELOPMENT_KEY.keyName, key: "listen-only", rights: ["Listen"] }]);
    expect([...authorizer.authorize(token("sb://localhost/", "listen-only"), "sb://localhost/orders").rights]).toEqual(["Listen"]);
  });

  it("takes the primary and the secondary key of an entity's own rule, for that entity alone", () => {
    const { namespace, authorizer } = setUp();
    const rule = { keyName: "sender", rights: ["Send"] as const, primaryKey: "p", secondaryKey: "s", createdTime: 0, modifiedTime: 0 };
    namespace.createQueue("own", { authorizationRules: [rule] });
    for (const key of ["p", "s"]) {
      const grant = authorizer.authorize(createSharedAccessSignature("sb://h/own", "sender", key), "sb://h/own");
      expect([...grant.rights]).toEqual(["Send"]);
    }
    const other = createSharedAccessSignature("sb://h/", "sender", "p");
    expect(refusal(() => authorizer.authorize(other, "sb://h/orders")).condition).toBe("amqp:unauthorized-access");
  });
});
