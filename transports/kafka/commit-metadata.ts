/**
 * What is committed beside an offset, as text (a broker takes 4,096 bytes by default): what is done beyond the offset, and how often the
 * partition, or one record of it, was begun without an end. So neither needs a store.
 */
export interface CommitMetadata {
  /** Who wrote it: one receiver of one process. Whoever finds his own name knows that nobody has had the partition since. */
  readonly writer: string;
  /** How many members began to read the partition, one after the other, without its prefix growing or a clean end. */
  readonly starts: number;
  /** The record that was begun alone, and how many such runs never ended. */
  readonly alone: AloneRun | undefined;
  /** A bit for each offset from the committed one on, the lowest first: set where the record is done. */
  readonly done: Uint8Array;
}
export interface AloneRun {
  readonly offset: number;
  readonly runs: number;
}

/** Below `offset.metadata.max.bytes` of a broker (4,096 unless changed). */
export const MAX_METADATA_BYTES = 4_000;

const VERSION = "tb1";
const MAX_COUNT = 99;

/** @returns at most {@link MAX_METADATA_BYTES} of ASCII; a bitmap of `MAX_SPREAD` bits fits */
export function writeCommitMetadata({ writer, starts, alone, done }: CommitMetadata): string {
  let text = `${VERSION};w=${writer}`;
  if (starts > 0) text += `;s=${Math.min(starts, MAX_COUNT)}`;
  if (alone) text += `;a=${alone.offset}:${Math.min(alone.runs, MAX_COUNT)}`;
  if (done.length === 0) return text;
  const bitmap = Buffer.from(done.buffer, done.byteOffset, done.byteLength).toString("base64url");
  // It cannot happen while the spread is bounded; without the bitmap the records in it are handled again, and nothing is lost.
  return text.length + bitmap.length + 3 <= MAX_METADATA_BYTES ? `${text};d=${bitmap}` : text;
}

/** Reads what anybody may have written: what makes no sense is taken for nothing. */
export function readCommitMetadata(text: string): CommitMetadata {
  const [version, ...fields] = text.split(";");
  let writer = "";
  let starts = 0;
  let alone: AloneRun | undefined;
  let done: Uint8Array = new Uint8Array(0);
  if (version === VERSION) {
    for (const field of fields) {
      const value = field.slice(2);
      if (field.startsWith("w=")) writer = value;
      else if (field.startsWith("s=")) starts = countOf(value);
      else if (field.startsWith("a=")) alone = aloneOf(value);
      else if (field.startsWith("d=")) done = Buffer.from(value, "base64url");
    }
  }
  return { writer, starts, alone, done };
}

function countOf(text: string): number {
  return /^\d{1,2}$/.test(text) ? Number(text) : 0;
}

function aloneOf(text: string): AloneRun | undefined {
  const match = /^(\d{1,16}):(\d{1,2})$/.exec(text);
  return match ? { offset: Number(match[1]), runs: Number(match[2]) } : undefined;
}
