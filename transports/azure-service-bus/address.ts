import type { Mistakes } from "../../src/util/mistakes.js";

/** A namespace and the policy that opens it. */
export interface KeyAddress {
  readonly host: string;
  /** `undefined`: that of the protocol, 5671 (or 5672 without TLS). */
  readonly port: number | undefined;
  readonly policy: string;
  readonly key: string;
  /** An emulator: no TLS, and the administration on a port of its own. */
  readonly isDevelopment: boolean;
}

/** The connection string that the client takes; for the administration, that with its own port. */
export function connectionStringOf({ host, port, policy, key, isDevelopment }: KeyAddress): string {
  const authority = host.includes(":") ? `[${host}]` : host;
  return (
    `Endpoint=sb://${authority}${port === undefined ? "" : `:${port}`}/;SharedAccessKeyName=${policy};SharedAccessKey=${key}` +
    (isDevelopment ? ";UseDevelopmentEmulator=true" : "")
  );
}

/** Whether text is a connection string, as Azure's portal gives it, and no URL. */
export function isConnectionString(text: string): boolean {
  return /^\s*Endpoint\s*=\s*sb:\/\//i.test(text);
}

const PARTS = [
  "Endpoint",
  "SharedAccessKeyName",
  "SharedAccessKey",
  "EntityPath",
  "UseDevelopmentEmulator",
  "SharedAccessSignature",
] as const;

/** Reads a connection string; notes what is wrong, quoting nothing of it but the names of its parts, since the rest can hold a key. */
export function addressFromConnectionString(text: string, name: string, mistakes: Mistakes): KeyAddress | undefined {
  const known = mistakes.all.length;
  const parts = new Map<string, string>();
  for (const piece of text.split(";")) {
    const at = piece.indexOf("=");
    if (piece.trim() === "") continue;
    const given = piece.slice(0, Math.max(0, at)).trim();
    const part = PARTS.find((each) => each.toLowerCase() === given.toLowerCase());
    if (!part) mistakes.add(`${name} has a part that is none of ${PARTS.slice(0, 5).join(", ")}; parts are separated by ";".`);
    else parts.set(part, piece.slice(at + 1).trim());
  }
  const endpoint = parts.get("Endpoint") ?? "";
  const isUrl = /^sb:\/\/[^/\s]/i.test(endpoint) && URL.canParse(endpoint);
  if (!isUrl) mistakes.add(`${name} has no Endpoint such as "Endpoint=sb://NAMESPACE.servicebus.windows.net/".`);
  if (parts.has("EntityPath")) {
    mistakes.add(
      `${name} has an EntityPath: its key opens one queue or topic, and the bus needs several. Take the connection string of a shared access policy of the whole namespace.`,
    );
  }
  if (parts.has("SharedAccessSignature")) {
    mistakes.add(
      `${name} has a SharedAccessSignature, which expires and cannot be renewed. Give SharedAccessKeyName and SharedAccessKey, or a credential.`,
    );
  } else {
    for (const part of ["SharedAccessKeyName", "SharedAccessKey"]) if (!parts.get(part)) mistakes.add(`${name} has no ${part}.`);
  }
  if (!isUrl || mistakes.all.length > known) return undefined;
  const url = new URL(endpoint);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? undefined : Number(url.port),
    policy: parts.get("SharedAccessKeyName") ?? "",
    key: parts.get("SharedAccessKey") ?? "",
    isDevelopment: parts.get("UseDevelopmentEmulator")?.toLowerCase() === "true",
  };
}
