import { describe, expect, test } from "vitest";
import { importCycles, importedFile, importedPackage, parseSource } from "./source-tree.js";

describe("what the architecture tests see of a file", () => {
  test("imports of every kind, those of types too, and none in comments or strings", () => {
    const { imports } = parseSource(
      "src/a.ts",
      [
        'import { b } from "./b.js";',
        'import type { C } from "./c.js";',
        'export * from "./d.js";',
        'export type { E } from "./e.js";',
        'const f: import("f").F = await import("g");',
        '// import "./comment.js";',
        "const text = 'import \"./string.js\"';",
      ].join("\n"),
    );
    expect(imports.map(({ specifier, typeOnly, dynamic }) => [specifier, typeOnly, dynamic])).toEqual([
      ["./b.js", false, false],
      ["./c.js", true, false],
      ["./d.js", false, false],
      ["./e.js", true, false],
      ["f", true, false],
      ["g", false, true],
    ]);
  });

  test("shortcuts with their line: any, a non-null assertion, console, a silenced tool", () => {
    const { shortcuts } = parseSource("a.ts", "let a: any;\na!.b();\nconsole.log(a);\n// @ts-ignore\n/* v8 ignore next */\n");
    expect(shortcuts).toEqual(["a.ts:1 any", "a.ts:2 non-null assertion", "a.ts:3 console", "a.ts:4 @ts-ignore", "a.ts:5 v8 ignore"]);
  });

  test("words that only look like shortcuts are none", () => {
    expect(parseSource("a.ts", 'const any = "console.log(x!)"; // any console\nother.console.log(any);\n').shortcuts).toEqual([]);
  });

  test("lines as an editor counts them", () => {
    expect(parseSource("a.ts", "let a = 1;\nlet b = 2;\n").lines).toBe(2);
    expect(parseSource("a.ts", "let a = 1;\nlet b = 2;").lines).toBe(2);
  });
});

test("a relative import means a file and any other a package", () => {
  const of = (specifier: string) => ({ specifier, typeOnly: false, dynamic: false });
  expect(importedFile("src/wire/a.ts", of("../b.js"))).toBe("src/b.ts");
  expect(importedFile("src/a.ts", of("ulid"))).toBeUndefined();
  expect(importedPackage(of("@azure/service-bus/x"))).toBe("@azure/service-bus");
  expect(importedPackage(of("trolleybus/memory"))).toBe("trolleybus");
  expect(importedPackage(of("node:fs/promises"))).toBe("node:fs/promises");
  expect(importedPackage(of("./a.js"))).toBeUndefined();
});

describe("import cycles", () => {
  const tree = (files: Record<string, string>) => Object.entries(files).map(([path, text]) => parseSource(path, text));

  test("are found through several files and through types alone", () => {
    const files = tree({
      "a.ts": 'import "./b.js";',
      "b.ts": 'import type { C } from "./c.js";',
      "c.ts": 'export * from "./a.js";',
      "d.ts": 'import "./a.js";',
    });
    expect(importCycles(files)).toEqual([["a.ts", "b.ts", "c.ts"]]);
  });

  test("are found where a file imports itself", () => {
    expect(importCycles(tree({ "a.ts": 'import "./a.js";' }))).toEqual([["a.ts"]]);
  });

  test("are found each by itself", () => {
    const files = tree({
      "a.ts": 'import "./b.js";',
      "b.ts": 'import "./a.js"; import "./c.js";',
      "c.ts": 'import "./d.js";',
      "d.ts": 'import "./c.js";',
    });
    expect(importCycles(files)).toEqual([
      ["c.ts", "d.ts"],
      ["a.ts", "b.ts"],
    ]);
  });

  test("are none where two roads lead to one file", () => {
    const files = tree({ "a.ts": 'import "./b.js"; import "./c.js";', "b.ts": 'import "./d.js";', "c.ts": 'import "./d.js";', "d.ts": "" });
    expect(importCycles(files)).toEqual([]);
  });
});
