import { TrolleybusError } from "../errors.js";

/**
 * Collects what is wrong with some options, so that all of it is told at once. Used by the core and by the adapters for
 * their own options.
 */
export class Mistakes {
  readonly #found: string[] = [];

  /** Notes one mistake: a sentence that names the option, what it is and what it should be. */
  add(text: string): void {
    this.#found.push(text);
  }

  get any(): boolean {
    return this.#found.length > 0;
  }

  get all(): readonly string[] {
    return this.#found;
  }

  /** The text that an option is, if it is given. Anything else, and text without a character, is noted. */
  text(name: string, given: unknown): string | undefined {
    if (given === undefined || (typeof given === "string" && given !== "")) return given;
    this.add(`${name} must be text that is not empty.`);
    return undefined;
  }

  /** Notes every key of `given` that is not among `known`, with the nearest known name as a suggestion. */
  unknownKeys(where: string, given: object, known: readonly string[]): void {
    for (const key of Object.keys(given)) {
      if (known.includes(key)) continue;
      const near = nearest(key, known);
      this.add(`${where} has no option "${key}"${near ? `; did you mean "${near}"?` : `. It knows: ${known.join(", ")}.`}`);
    }
  }

  /** @throws TrolleybusError "configuration" listing everything that was noted; nothing when there was nothing. */
  throwIfAny(headline: string): void {
    if (!this.any) return;
    const text =
      this.#found.length === 1 ? `${headline}: ${this.#found[0]}` : `${headline}:\n${this.#found.map((m) => `  - ${m}`).join("\n")}`;
    throw new TrolleybusError("configuration", text, { cause: undefined, retryable: false });
  }
}

function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
