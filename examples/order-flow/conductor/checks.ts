/** One thing that the run was to show, and what it did show. */
export interface Check {
  readonly text: string;
  readonly ok: boolean;
  readonly seen: string;
}

/** Collects what is expected. Nothing is thrown: the summary shows all of it, and the exit code follows from it. */
export class Checks {
  readonly all: Check[] = [];

  equal(text: string, seen: number | string, expected: number | string): void {
    const ok = seen === expected;
    this.all.push({ text, ok, seen: ok ? String(seen) : `${seen}, expected ${expected}` });
  }

  that(text: string, ok: boolean, seen: string): void {
    this.all.push({ text, ok, seen });
  }

  get failed(): readonly Check[] {
    return this.all.filter(({ ok }) => !ok);
  }
}
