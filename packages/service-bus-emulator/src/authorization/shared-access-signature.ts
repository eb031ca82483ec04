import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * A shared access signature, taken apart: "SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY&skn=KEYNAME"
 * (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas).
 */
export interface SharedAccessSignature {
  /** The URI that it is for, as it stands in the token: percent-encoded. The signature is over this text. */
  readonly encodedResource: string;
  readonly resource: string;
  /** Base64. */
  readonly signature: string;
  /** Seconds since 1970, as text: the signature is over it. */
  readonly expiry: string;
  readonly keyName: string;
}

const PREFIX = /^SharedAccessSignature\s+/i;

/** `undefined` when the text is no shared access signature. */
export function parseSharedAccessSignature(token: string): SharedAccessSignature | undefined {
  if (!PREFIX.test(token)) return undefined;
  const fields = new Map<string, string>();
  for (const pair of token.replace(PREFIX, "").trim().split("&")) {
    const at = pair.indexOf("=");
    if (at > 0) fields.set(pair.slice(0, at).toLowerCase(), pair.slice(at + 1));
  }
  const [encodedResource, signature, expiry, keyName] = ["sr", "sig", "se", "skn"].map((name) => fields.get(name));
  if (!encodedResource || !signature || !expiry || !keyName) return undefined;
  const [resource, decodedSignature, decodedKeyName] = [encodedResource, signature, keyName].map(decoded);
  if (resource === undefined || decodedSignature === undefined || decodedKeyName === undefined) return undefined;
  return { encodedResource, resource, signature: decodedSignature, expiry, keyName: decodedKeyName };
}

/** The signature that a key gives, base64: HMAC-SHA256 over the encoded resource and the expiry, the key taken as text. */
export function sign(encodedResource: string, expiry: string, key: string): string {
  return createHmac("sha256", key).update(`${encodedResource}\n${expiry}`, "utf8").digest("base64");
}

/** Whether a token was signed with this key. */
export function isSignedWith(token: SharedAccessSignature, key: string): boolean {
  const expected = Buffer.from(sign(token.encodedResource, token.expiry, key));
  const given = Buffer.from(token.signature);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

/** A token for a resource. @param lifetimeSeconds from now on. */
export function createSharedAccessSignature(resource: string, keyName: string, key: string, lifetimeSeconds = 3600): string {
  const encodedResource = encodeURIComponent(resource);
  const expiry = String(Math.floor(Date.now() / 1000) + lifetimeSeconds);
  const signature = encodeURIComponent(sign(encodedResource, expiry, key));
  return `SharedAccessSignature sr=${encodedResource}&sig=${signature}&se=${expiry}&skn=${encodeURIComponent(keyName)}`;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
