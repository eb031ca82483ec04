import { readFileSync } from "node:fs";
import type { Mistakes } from "./mistakes.js";
import { isOptionsObject, optionsIn } from "./options-object.js";

/** Each as PEM text, or by a file: the option's name with "File" behind it. */
const TEXTS = ["ca", "cert", "key"] as const;
/** What an adapter's option `tls` may hold. */
const OPTIONS: readonly string[] = [...TEXTS, ...TEXTS.map((name) => `${name}File`), "passphrase", "serverName"];

type Source = () => string;

/** Of the options of Node's `tls.connect`. */
export interface TlsConnectOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
}

/** What connections with TLS are made with. Files are read for each connection: certificates are renewed while a process runs. */
export class TlsMaterial {
  readonly #sources: Readonly<Record<(typeof TEXTS)[number], Source | undefined>>;
  readonly #passphrase: string | undefined;
  /** The name that the server's certificate must bear; `undefined` for that of the host. */
  readonly serverName: string | undefined;

  /** @param given the option `tls`. @param parameters those of a URL, which may say the same: "ca-file", "server-name" */
  constructor(given: unknown, parameters: Readonly<Record<string, unknown>>, mistakes: Mistakes) {
    const options = optionsIn(given);
    if (isOptionsObject(given)) mistakes.unknownKeys("tls", given, OPTIONS);
    const [ca, cert, key] = TEXTS.map((name) => {
      const inline = mistakes.text(`tls.${name}`, options[name]);
      const path = mistakes.text(`tls.${name}File`, options[`${name}File`] ?? parameters[`${name}-file`]);
      if (inline !== undefined && path !== undefined) mistakes.add(`tls.${name} and tls.${name}File are both given; one is enough.`);
      if (inline !== undefined) return () => inline;
      return path === undefined ? undefined : contentOf(`tls.${name}File`, path, mistakes);
    });
    if ((cert === undefined) !== (key === undefined)) mistakes.add("tls.cert and tls.key belong together; one of them is missing.");
    this.#sources = { ca, cert, key };
    this.#passphrase = mistakes.text("tls.passphrase", options["passphrase"]);
    this.serverName = mistakes.text("tls.serverName", options["serverName"] ?? parameters["server-name"]);
  }

  get isGiven(): boolean {
    return [...Object.values(this.#sources), this.#passphrase, this.serverName].some((each) => each !== undefined);
  }

  /** What Node's `connect` takes, as it is now. */
  get connectOptions(): TlsConnectOptions {
    const { ca, cert, key } = this.#sources;
    return {
      ...(ca && { ca: ca() }),
      ...(cert && key && { cert: cert(), key: key() }),
      ...(this.#passphrase !== undefined && { passphrase: this.#passphrase }),
      ...(this.serverName !== undefined && { servername: this.serverName }),
    };
  }
}

function contentOf(name: string, path: string, mistakes: Mistakes): Source | undefined {
  let latest: string;
  try {
    latest = readFileSync(path, "utf8");
  } catch (error) {
    mistakes.add(`${name}: ${error instanceof Error ? error.message : String(error)}.`);
    return undefined;
  }
  return () => {
    try {
      latest = readFileSync(path, "utf8");
    } catch {
      // It may just be replaced; what it held may still be good, and the broker says when it is not.
    }
    return latest;
  };
}
