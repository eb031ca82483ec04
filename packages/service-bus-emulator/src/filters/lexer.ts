import { FilterError } from "./filter-error.js";

export type Token =
  | { readonly kind: "word"; readonly text: string; readonly at: number }
  /** An identifier in brackets or double quotation marks: never a keyword. */
  | { readonly kind: "name"; readonly text: string; readonly at: number }
  | { readonly kind: "string"; readonly text: string; readonly at: number }
  | { readonly kind: "integer" | "decimal"; readonly text: string; readonly at: number }
  | { readonly kind: "parameter"; readonly text: string; readonly at: number }
  | { readonly kind: "symbol"; readonly text: string; readonly at: number }
  | { readonly kind: "end"; readonly text: ""; readonly at: number };

const PATTERNS: readonly (readonly [Exclude<Token["kind"], "end">, RegExp])[] = [
  ["word", /[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ["name", /\[(?:[^\]]|\]\])+\]|"(?:[^"]|"")+"/y],
  ["string", /'(?:[^']|'')*'/y],
  ["decimal", /(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/y],
  ["integer", /\d+/y],
  ["parameter", /@[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ["symbol", /<>|!=|>=|<=|[=<>+\-*/%(),.;]/y],
];

/** The words of an expression. @throws FilterError at the first character that starts none. */
export function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(expression, 0);
  while (at < expression.length) {
    const token = tokenAt(expression, at);
    tokens.push({ ...token, text: unquote(token) } as Token);
    at = skipSpace(expression, at + token.text.length);
  }
  tokens.push({ kind: "end", text: "", at: expression.length });
  return tokens;
}

function tokenAt(expression: string, at: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const match = pattern.exec(expression);
    if (match) return { kind, text: match[0], at } as Token;
  }
  throw new FilterError(`There was an error parsing the expression at position ${at}, near '${expression.slice(at, at + 12)}'.`);
}

function unquote(token: Token): string {
  const inner = token.text.slice(1, -1);
  if (token.kind === "string") return inner.replaceAll("''", "'");
  if (token.kind !== "name") return token.text;
  return token.text.startsWith("[") ? inner.replaceAll("]]", "]") : inner.replaceAll('""', '"');
}

function skipSpace(expression: string, from: number): number {
  let at = from;
  while (at < expression.length && /\s/.test(expression.charAt(at))) at++;
  return at;
}
