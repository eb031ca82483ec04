import type { Mistakes } from "../../src/util/mistakes.js";
import type { KeyAddress } from "./address.js";

/** What a URL says: the namespace, and options by their names in it. */
export interface UrlAddress {
  readonly address: KeyAddress;
  readonly parameters: URLSearchParams;
}

const EXAMPLE =
  'write it as "sb://POLICY:KEY@NAMESPACE.servicebus.windows.net", with policy and key percent-encoded ("+", "/" and "=" as %2B, %2F and %3D).';

/** Reads one URL; notes what is wrong, never quoting more of it than the scheme, since the rest can hold a key. */
export function addressFromUrl(url: string, mistakes: Mistakes): UrlAddress | undefined {
  const known = mistakes.all.length;
  if (!URL.canParse(url)) {
    mistakes.add(`the URL cannot be read; ${EXAMPLE}`);
    return undefined;
  }
  const parts = new URL(url);
  if (parts.protocol !== "sb:") mistakes.add(`the URL begins with "${parts.protocol}"; it must be "sb:".`);
  if (parts.hostname === "") mistakes.add(`the URL names no host; ${EXAMPLE}`);
  if (parts.hash !== "") mistakes.add('the URL has a "#": percent-encode it as %23.');
  if (parts.pathname.replace(/^\//, "") !== "")
    mistakes.add("the URL has a path after the host: the bus uses the whole namespace, and a key of one entity does not do.");
  const policy = decoded(parts.username, "the policy", mistakes);
  const key = decoded(parts.password, "the key", mistakes);
  if (policy === "" || key === "") mistakes.add(`the URL has no ${policy === "" ? "policy" : "key"}; ${EXAMPLE}`);
  const development = parts.searchParams.get("development");
  if (development !== null && development !== "true" && development !== "false")
    mistakes.add('the parameter "development" must be "true" or "false".');
  if (mistakes.all.length > known) return undefined;
  const parameters = new URLSearchParams(parts.searchParams);
  parameters.delete("development");
  return {
    address: {
      host: parts.hostname.replace(/^\[|\]$/g, ""),
      port: parts.port === "" ? undefined : Number(parts.port),
      policy,
      key,
      isDevelopment: development === "true",
    },
    parameters,
  };
}

function decoded(text: string, what: string, mistakes: Mistakes): string {
  try {
    return decodeURIComponent(text);
  } catch {
    mistakes.add(`${what} in the URL is not percent-encoded correctly.`);
    return "";
  }
}
