import type { MessageClass } from "../../src/index.js";

/** The message of all tests: a number to count by, and whatever else JSON can carry. */
export interface Note {
  readonly n: number;
  readonly data: unknown;
}

export type NoteClass = MessageClass<Note> & (new (n: number, data?: unknown) => Note);

/** A hand-written message class of that type. */
export function noteClass(messageType: string): NoteClass {
  return class implements Note {
    static readonly messageType: string = messageType;
    readonly n: number;
    readonly data: unknown;

    constructor(n: number, data: unknown = null) {
      this.n = n;
      this.data = data;
    }
  };
}

/** `[0, 1, ..., count - 1]` */
export function numbersBelow(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

export function ascending(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}
