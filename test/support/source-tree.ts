import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAst } from "vitest/node";

/** The root of the repository. */
export const projectRoot: string = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** One import or re-export of a file. */
export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** `import type`, `export type` and `import("x").T`: gone when the file is compiled. */
  readonly typeOnly: boolean;
  /** `import()` at run time. */
  readonly dynamic: boolean;
}

/** What the architecture tests know of a file. */
export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Things that shipped code does without, each with its line: `any`, non-null assertions, `console`, comments that silence a tool. */
  readonly shortcuts: readonly string[];
}

/** A part of a syntax tree: enough of ESTree's shape to walk it. */
interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Every file below these folders of the repository, sorted; folders that do not exist are empty. */
export function filesBelow(...folders: readonly string[]): string[] {
  return folders.flatMap(below).sort();
}

function below(folder: string): string[] {
  try {
    return readdirSync(join(projectRoot, folder), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(projectRoot.length + 1)
          .replaceAll("\\", "/"),
      );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The TypeScript files below these folders, parsed. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return filesBelow(...folders)
    .filter((path) => path.endsWith(".ts"))
    .map((path) => parseSource(path, readFileSync(join(projectRoot, path), "utf8")));
}

/** Parses one file; `path` is only a name. */
export function parseSource(path: string, text: string): SourceFile {
  const imports: Import[] = [];
  const shortcuts: string[] = [];
  const at = (node: { readonly start: number }): number => text.slice(0, node.start).split("\n").length;
  walk(parseAst(text, { lang: "ts" }) as unknown as SyntaxNode, (node) => {
    const found = importOf(node);
    if (found) imports.push(found);
    const shortcut = shortcutOf(node);
    if (shortcut) shortcuts.push(`${path}:${at(node)} ${shortcut}`);
  });
  for (const match of text.matchAll(/\/[/*].*?(@ts-ignore|@ts-nocheck|@ts-expect-error|eslint-disable|istanbul ignore|v8 ignore)/g)) {
    shortcuts.push(`${path}:${at({ start: match.index })} ${match[1]}`);
  }
  return { path, lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0), imports, shortcuts };
}

function importOf(node: SyntaxNode): Import | undefined {
  const specifier = (node["source"] as { value?: unknown } | null | undefined)?.value;
  if (typeof specifier !== "string") return undefined;
  switch (node.type) {
    case "ImportDeclaration":
      return { specifier, typeOnly: node["importKind"] === "type", dynamic: false };
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return { specifier, typeOnly: node["exportKind"] === "type", dynamic: false };
    case "ImportExpression":
      return { specifier, typeOnly: false, dynamic: true };
    case "TSImportType":
      return { specifier, typeOnly: true, dynamic: false };
    default:
      return undefined;
  }
}

function shortcutOf(node: SyntaxNode): string | undefined {
  if (node.type === "TSAnyKeyword") return "any";
  if (node.type === "TSNonNullExpression") return "non-null assertion";
  const object = node["object"] as { type?: unknown; name?: unknown } | undefined;
  return node.type === "MemberExpression" && object?.type === "Identifier" && object.name === "console" ? "console" : undefined;
}

function walk(node: SyntaxNode, visit: (node: SyntaxNode) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) if (isNode(child)) walk(child, visit);
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** The file of the repository that a relative import means, `undefined` for a package. */
export function importedFile(from: string, { specifier }: Import): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier).replace(/\.js$/, ".ts") : undefined;
}

/** The package that an import names (`@scope/name`, `name`, `node:fs`), `undefined` for a relative one. */
export function importedPackage({ specifier }: Import): string | undefined {
  if (specifier.startsWith(".")) return undefined;
  return specifier.startsWith("node:") ? specifier : specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The groups of files that import each other in a circle, types included (Tarjan's strongly connected components). */
export function importCycles(files: readonly SourceFile[]): string[][] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const index = new Map<string, number>();
  const open: string[] = [];
  const cycles: string[][] = [];

  const visit = (path: string): number => {
    const own = index.size;
    index.set(path, own);
    open.push(path);
    let low = own;
    for (const each of byPath.get(path)?.imports ?? []) {
      const target = importedFile(path, each);
      if (target === undefined || !byPath.has(target)) continue;
      if (!index.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, index.get(target) ?? low);
      if (target === path) cycles.push([path]);
    }
    if (low === own) {
      const group = open.splice(open.indexOf(path));
      if (group.length > 1) cycles.push(group.sort());
    }
    return low;
  };
  for (const { path } of files) if (!index.has(path)) visit(path);
  return cycles;
}
