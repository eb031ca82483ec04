import { Decoder } from "../../src/amqp/decoder.js";
import { encodeValue } from "../../src/amqp/encoder.js";
import { type AmqpValue, described, integerOf, isList, mapGet, stringMap, textOf, ulong } from "../../src/amqp/values.js";
import { type RawClient, source, target } from "./raw-client.js";

/** An answer of $cbs or $management. */
export interface Answer {
  readonly status: number;
  readonly condition: string | undefined;
  readonly description: string | undefined;
  readonly correlationId: AmqpValue;
  readonly applicationProperties: AmqpValue;
  readonly body: AmqpValue;
}

/** Sections by their numeric descriptor; those that there are more of, in their order. */
export function sectionsOf(message: Buffer): Map<number, AmqpValue[]> {
  const sections = new Map<number, AmqpValue[]>();
  const decoder = new Decoder(message);
  while (!decoder.atEnd) {
    const descriptor = decoder.readDescriptor() ?? -1;
    sections.set(descriptor, [...(sections.get(descriptor) ?? []), decoder.readValue()]);
  }
  return sections;
}

/** One encoded section. */
export const section = (descriptor: number, value: AmqpValue): Buffer => encodeValue(described(ulong(BigInt(descriptor)), value));

/** Requests to one node on a session of a raw client; the two links have handles of their own. */
export class Requests {
  readonly #client: RawClient;
  readonly #handle: number;
  #next = 0;

  private constructor(client: RawClient, handle: number) {
    this.#client = client;
    this.#handle = handle;
  }

  static async open(client: RawClient, address: string, handle: number): Promise<Requests> {
    await client.attachReceiver(handle + 1, address, { target: target(`reply-${handle}`) });
    client.flow({ handle: handle + 1, deliveryCount: 0, linkCredit: 1_000 });
    await client.attachSender(handle, address, { source: source(`reply-${handle}`) });
    await client.next("flow");
    return new Requests(client, handle);
  }

  async ask(operation: string, body: AmqpValue, more: Readonly<Record<string, AmqpValue>> = {}): Promise<Answer> {
    const id = ulong(BigInt(this.#next));
    const payload = Buffer.concat([
      section(0x73, [id, null, null, null, `reply-${this.#handle}`]),
      section(0x74, stringMap({ operation, ...more })),
      section(0x77, body),
    ]);
    this.#client.transfer(this.#handle, this.#next++, payload, { settled: true });
    const sections = sectionsOf((await this.#client.next("transfer")).payload);
    const applicationProperties = sections.get(0x74)?.[0] ?? null;
    const properties = sections.get(0x73)?.[0] ?? null;
    return {
      status: Number(integerOf(mapGet(applicationProperties, "status-code"))),
      condition: textOf(mapGet(applicationProperties, "errorCondition")),
      description: textOf(mapGet(applicationProperties, "statusDescription")),
      correlationId: isList(properties) ? (properties[5] ?? null) : null,
      applicationProperties,
      body: sections.get(0x77)?.[0] ?? null,
    };
  }
}
