import { randomBytes } from "node:crypto";
import type { RecordContent } from "./driver.js";

/** With what a stand-in begins. Nothing else that is sent has it. */
export const MARK: Buffer = randomBytes(16);
const TICKET_BYTES = 4;
export const STAND_IN_BYTES: number = MARK.length + TICKET_BYTES;
const TICKETS = 2 ** 32;

const waiting = new Map<number, RecordBatchTicket>();
let tickets = 0;

/** Stands for all records of a batch. */
export interface Placeholder {
  readonly partition: number;
  readonly value: Buffer;
}

/** Records as they stand in a batch. */
export interface BatchContent {
  readonly count: number;
  readonly bytes: Buffer;
}

/**
 * The records of one partition in a request. kafkajs makes a buffer for each record and for each of its headers, and copies the request again and again, which takes
 * longer than everything else that a publish does: so it is given a single placeholder for all of them, of which a codec of ours makes a stand-in, and their
 * bytes take its place when the request is written (`filled-requests.ts`).
 */
export class RecordBatchTicket {
  readonly placeholders: Placeholder[];
  readonly records: readonly RecordContent[];
  /** Once they are encoded. */
  bytes: Buffer | undefined;
  readonly #number: number;

  constructor(partition: number, records: readonly RecordContent[]) {
    const value = Buffer.allocUnsafe(STAND_IN_BYTES);
    this.#number = tickets++ % TICKETS;
    MARK.copy(value);
    value.writeUInt32BE(this.#number, MARK.length);
    this.placeholders = [{ partition, value }];
    this.records = records;
    waiting.set(this.#number, this);
  }

  /** The request is over, whether or not it was ever written. */
  close(): void {
    waiting.delete(this.#number);
  }
}

/** The records for which a stand-in is at this place of a request; `undefined` when the request is over. */
export function contentAt(request: Buffer, at: number): BatchContent | undefined {
  const ticket = ticketAt(request, at);
  return ticket?.bytes && { count: ticket.records.length, bytes: ticket.bytes };
}

/** The ticket of the stand-in at this place; `undefined` when its request is over. */
export function ticketAt(buffer: Buffer, at: number): RecordBatchTicket | undefined {
  const isOurs = buffer.length >= at + STAND_IN_BYTES && MARK.equals(buffer.subarray(at, at + MARK.length));
  return isOurs ? waiting.get(buffer.readUInt32BE(at + MARK.length)) : undefined;
}
