import type { PeekMessagesOptions, ServiceBusReceivedMessage, ServiceBusReceiver } from "@azure/service-bus";

/** A sequence number as the client takes it. */
type ClientNumber = NonNullable<PeekMessagesOptions["fromSequenceNumber"]>;

/** The number of a message in its queue, 64 bits: the upper 16 are a partition's, so that it does not fit a JavaScript number. */
export function sequenceNumberOf({ sequenceNumber }: ServiceBusReceivedMessage): bigint {
  return sequenceNumber === undefined ? 0n : BigInt(sequenceNumber.toString());
}

/**
 * Looks at what is in a queue, locked or not, in its order, without taking it. Not the client's own way of leaving `fromSequenceNumber` out, which goes on where
 * the last look of anybody ended.
 */
export function peekFrom(
  receiver: Pick<ServiceBusReceiver, "peekMessages">,
  from: bigint,
  count: number,
): Promise<ServiceBusReceivedMessage[]> {
  return receiver.peekMessages(count, { fromSequenceNumber: clientNumber(from) });
}

/** What is in a queue now. */
export interface QueueMeasure {
  readonly highest: bigint;
  /** `undefined` when there are more than {@link MAX_COUNTED}. */
  readonly count: number | undefined;
}

const PAGE = 250;
const MAX_COUNTED = 1_000;

/** Counts what is in a queue, up to a bound; a page may be cut short for its size, so only an empty one is the end. @returns `undefined` for an empty queue */
export async function measureQueue(receiver: Pick<ServiceBusReceiver, "peekMessages">): Promise<QueueMeasure | undefined> {
  let highest: bigint | undefined;
  for (let count = 0; count <= MAX_COUNTED; ) {
    const page = await peekFrom(receiver, highest === undefined ? 0n : highest + 1n, PAGE);
    const last = page.at(-1);
    if (!last) return highest === undefined ? undefined : { highest, count };
    highest = sequenceNumberOf(last);
    count += page.length;
  }
  return { highest: await highestSequenceNumber(receiver, highest ?? 0n), count: undefined };
}

/**
 * The highest sequence number in a queue, at least `known`: in steps that double until there is nothing beyond, and then halve, so that a queue of any length takes few looks.
 */
async function highestSequenceNumber(receiver: Pick<ServiceBusReceiver, "peekMessages">, known: bigint): Promise<bigint> {
  let highest = known;
  let step = 1n;
  let empty: bigint | undefined;
  while (empty === undefined || highest + 1n < empty) {
    const from = empty === undefined ? highest + step : (highest + empty) / 2n;
    if (from > MAX_SEQUENCE_NUMBER) {
      empty = MAX_SEQUENCE_NUMBER;
      continue;
    }
    const [found] = await peekFrom(receiver, from, 1);
    if (found) highest = sequenceNumberOf(found);
    else empty = from;
    step *= 2n;
  }
  return highest;
}

const MAX_SEQUENCE_NUMBER = 2n ** 63n - 1n;

// The client's type is a class of the package long, which it neither exports nor lets us depend on; of a number it asks these two members alone.
function clientNumber(value: bigint): ClientNumber {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  const number: Pick<ClientNumber, "toBytesBE"> & { readonly __isLong__: true } = { __isLong__: true, toBytesBE: () => [...bytes] };
  return number as unknown as ClientNumber;
}
