import type { NativeProperties } from "../contracts/transport.js";
import type { Envelope, WireFormat } from "../contracts/wire-format.js";
import { TrolleybusError } from "../errors.js";
import { UndecodableError } from "./undecodable-error.js";

/**
 * The formats that are registered: the first writes, all read. The reader is chosen by content type: the exact one, else for
 * `...+json` the one that reads `application/json`. Where there is no content type, as many a producer for RabbitMQ leaves it,
 * the writer's own format is tried.
 */
export class WireFormats {
  readonly writer: WireFormat;
  readonly #readers: ReadonlyMap<string, WireFormat>;

  /** @throws TrolleybusError "configuration" when there is none, or when two read the same content type. */
  constructor(formats: readonly WireFormat[]) {
    const [writer] = formats;
    if (writer === undefined) throw mistake("No wire format is registered: give at least one, the first writes.");
    const readers = new Map<string, WireFormat>();
    for (const format of formats) {
      for (const contentType of format.contentTypes) {
        const other = readers.get(contentType);
        if (other) throw mistake(`The wire formats "${other.name}" and "${format.name}" both read "${contentType}": register one of them.`);
        readers.set(contentType, format);
      }
    }
    this.writer = writer;
    this.#readers = readers;
  }

  /** @throws UndecodableError naming what is wrong with the body, or the content type that nothing reads. */
  decode(body: Uint8Array, properties: Partial<NativeProperties>, headers: Readonly<Record<string, string>>): Envelope {
    const reader = this.#readerOf(properties.contentType);
    try {
      return reader.decode(body, properties, headers);
    } catch (error) {
      if (error instanceof UndecodableError) throw error;
      throw new UndecodableError(`The wire format "${reader.name}" could not read the body: ${textOf(error)}`, error);
    }
  }

  #readerOf(contentType: string | undefined): WireFormat {
    if (contentType === undefined || contentType === "") return this.writer;
    const exact = this.#readers.get(contentType);
    if (exact) return exact;
    const type = contentType.split(";", 1).join().trim().toLowerCase();
    const reader = this.#readers.get(type) ?? (type.endsWith("+json") ? this.#readers.get("application/json") : undefined);
    if (reader) return reader;
    const known = [...this.#readers.keys()].join(", ");
    throw new UndecodableError(`Nothing reads the content type ${JSON.stringify(contentType.slice(0, 100))}; known are: ${known}.`);
  }
}

function mistake(text: string): TrolleybusError {
  return new TrolleybusError("configuration", text, { cause: undefined, retryable: false });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : "it threw no Error";
}
