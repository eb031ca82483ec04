import type { Mistakes } from "../../src/util/mistakes.js";

/** One node of the broker and who we are there. */
export interface Address {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly virtualHost: string;
  readonly parameters: URLSearchParams;
}

/** Reads one URL; notes what is wrong, never quoting more of it than the scheme, since the rest can hold a password. */
export function addressFromUrl(url: unknown, name: string, mistakes: Mistakes): Address | undefined {
  const example = 'write it as "amqp://user:password@host:5672/vhost", with user and password percent-encoded.';
  const known = mistakes.all.length;
  if (typeof url !== "string" || !URL.canParse(url)) {
    mistakes.add(`${name} is ${url === undefined ? "missing" : "not a URL"}; ${example}`);
    return undefined;
  }
  const parts = new URL(url);
  if (parts.protocol !== "amqp:" && parts.protocol !== "amqps:")
    mistakes.add(`${name} begins with "${parts.protocol}"; it must be "amqp:" or "amqps:".`);
  if (parts.hostname === "") mistakes.add(`${name} names no host; ${example}`);
  if (parts.hash !== "") mistakes.add(`${name} has a "#": percent-encode it as %23 where it belongs to the password or the virtual host.`);
  const path = parts.pathname.slice(1);
  if (path.includes("/")) mistakes.add(`${name} has more than one "/" after the host: percent-encode those of the virtual host as %2F.`);
  const secure = parts.protocol === "amqps:";
  const address: Address = {
    secure,
    host: parts.hostname.replace(/^\[|\]$/g, ""),
    port: parts.port === "" ? (secure ? 5671 : 5672) : Number(parts.port),
    username: decoded(parts.username, `the user in ${name}`, mistakes) || "guest",
    password: decoded(parts.password, `the password in ${name}`, mistakes) || (parts.username === "" ? "guest" : ""),
    virtualHost: decoded(path, `the virtual host in ${name}`, mistakes) || "/",
    parameters: parts.searchParams,
  };
  return mistakes.all.length === known ? address : undefined;
}

function decoded(text: string, what: string, mistakes: Mistakes): string {
  try {
    return decodeURIComponent(text);
  } catch {
    mistakes.add(`${what} is not percent-encoded correctly.`);
    return "";
  }
}
