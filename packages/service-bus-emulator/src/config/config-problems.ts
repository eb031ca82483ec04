/** What is wrong with a configuration: all of it at once, each with the place where it stands. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
  readonly problems: readonly string[];

  constructor(where: string, problems: readonly string[]) {
    super(`${where} is not valid:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/** Reads JSON values of which nothing is known, and notes what is not as it should be. */
export class ConfigProblems {
  readonly all: string[] = [];

  add(place: string, text: string): void {
    this.all.push(`${place}: ${text}`);
  }

  /** An object with known keys; unknown ones are problems with the nearest known name. An empty one when it is none. */
  object(place: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (value === undefined) return {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.add(place, `an object was expected, not ${describe(value)}.`);
      return {};
    }
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const near = known.find((name) => name.toLowerCase() === key.toLowerCase()) ?? known.find((name) => isNear(name, key));
      this.add(place, `there is no "${key}"${near ? `; did you mean "${near}"?` : `. There are: ${known.join(", ")}.`}`);
    }
    return value as Record<string, unknown>;
  }

  /** A list; an empty one when it is none or is left out. */
  list(place: string, value: unknown): readonly unknown[] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    this.add(place, `a list was expected, not ${describe(value)}.`);
    return [];
  }

  /** A text that is not empty; `undefined` when it is none. */
  text(place: string, value: unknown): string | undefined {
    if (typeof value === "string" && value !== "") return value;
    this.add(place, `a text was expected, not ${describe(value)}.`);
    return undefined;
  }
}

export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : JSON.stringify(value);
}

/** Names that share their beginning or differ in few letters. */
function isNear(known: string, given: string): boolean {
  const [a, b] = [known.toLowerCase(), given.toLowerCase()];
  if (a.startsWith(b) || b.startsWith(a)) return true;
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  let sameEnd = 0;
  while (sameEnd < Math.min(a.length, b.length) - same && a.at(-1 - sameEnd) === b.at(-1 - sameEnd)) sameEnd++;
  return Math.max(a.length, b.length) - same - sameEnd <= 3;
}
