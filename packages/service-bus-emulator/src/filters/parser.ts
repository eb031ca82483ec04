import type { Expression, PropertyReference, Statement } from "./expression.js";
import { FilterError } from "./filter-error.js";
import { type Token, tokenize } from "./lexer.js";

/** The longest expression that Azure takes (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas). */
const LONGEST_EXPRESSION = 1024;
const LONGEST_INTEGER = 2n ** 63n - 1n;
const COMPARISONS = ["=", "<>", "!=", ">", ">=", "<", "<="];
const KEYWORDS = new Set(["AND", "OR", "NOT", "IN", "LIKE", "ESCAPE", "IS", "NULL", "EXISTS", "TRUE", "FALSE", "SET", "REMOVE"]);

/**
 * Reads a SQL filter (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-sql-filter).
 * @throws FilterError
 */
export function parseFilter(expression: string): Expression {
  const parser = new Parser(expression);
  const predicate = parser.predicate();
  parser.expectEnd();
  return predicate;
}

/**
 * Reads a SQL action (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-sql-rule-action).
 * @throws FilterError
 */
export function parseAction(expression: string): Statement[] {
  const parser = new Parser(expression);
  const statements: Statement[] = [];
  while (!parser.atEnd) {
    statements.push(parser.statement());
    while (parser.acceptSymbol(";") || parser.acceptSymbol(",")) {}
  }
  if (statements.length === 0)
    throw new FilterError("An action has at least one statement: SET property = expression, or REMOVE property.");
  return statements;
}

/** By recursive descent: OR, AND, NOT, comparison, addition, multiplication, sign, in the order of binding. */
class Parser {
  readonly #tokens: readonly Token[];
  readonly #expression: string;
  #at = 0;

  constructor(expression: string) {
    if (expression.length > LONGEST_EXPRESSION) {
      throw new FilterError(`The expression has ${expression.length} characters; the most is ${LONGEST_EXPRESSION}.`);
    }
    this.#expression = expression;
    this.#tokens = tokenize(expression);
  }

  get atEnd(): boolean {
    return this.#token.kind === "end";
  }

  expectEnd(): void {
    if (!this.atEnd) this.#fail("the end");
  }

  statement(): Statement {
    if (this.#acceptWord("REMOVE")) return { kind: "remove", property: this.#property() };
    if (!this.#acceptWord("SET")) this.#fail("SET or REMOVE");
    const property = this.#property();
    this.#expectSymbol("=");
    return { kind: "set", property, value: this.#sum() };
  }

  predicate(): Expression {
    let left = this.#conjunction();
    while (this.#acceptWord("OR")) left = { kind: "or", left, right: this.#conjunction() };
    return left;
  }

  acceptSymbol(text: string): boolean {
    if (this.#token.kind !== "symbol" || this.#token.text !== text) return false;
    this.#at++;
    return true;
  }

  #conjunction(): Expression {
    let left = this.#negation();
    while (this.#acceptWord("AND")) left = { kind: "and", left, right: this.#negation() };
    return left;
  }

  #negation(): Expression {
    return this.#acceptWord("NOT") ? { kind: "not", operand: this.#negation() } : this.#comparison();
  }

  #comparison(): Expression {
    const left = this.#sum();
    const token = this.#token;
    if (token.kind === "symbol" && COMPARISONS.includes(token.text)) {
      this.#at++;
      return { kind: "compare", operator: token.text, left, right: this.#sum() };
    }
    if (this.#acceptWord("IS")) {
      const negated = this.#acceptWord("NOT");
      if (!this.#acceptWord("NULL")) this.#fail("NULL");
      return { kind: "is-null", operand: left, negated };
    }
    const negated = this.#acceptWord("NOT");
    if (this.#acceptWord("IN")) return { kind: "in", operand: left, list: this.#list(), negated };
    if (this.#acceptWord("LIKE")) {
      const pattern = this.#sum();
      const escapeWith = this.#acceptWord("ESCAPE") ? this.#sum() : undefined;
      return { kind: "like", operand: left, pattern, escape: escapeWith, negated };
    }
    if (negated) this.#fail("IN or LIKE");
    return left;
  }

  #list(): Expression[] {
    this.#expectSymbol("(");
    const list = [this.#sum()];
    while (this.acceptSymbol(",")) list.push(this.#sum());
    this.#expectSymbol(")");
    return list;
  }

  #sum(): Expression {
    let left = this.#product();
    for (let operator = this.#acceptOneOf("+", "-"); operator; operator = this.#acceptOneOf("+", "-")) {
      left = { kind: "calculate", operator, left, right: this.#product() };
    }
    return left;
  }

  #product(): Expression {
    let left = this.#signed();
    for (let operator = this.#acceptOneOf("*", "/", "%"); operator; operator = this.#acceptOneOf("*", "/", "%")) {
      left = { kind: "calculate", operator, left, right: this.#signed() };
    }
    return left;
  }

  #signed(): Expression {
    if (this.acceptSymbol("-")) return { kind: "negate", operand: this.#signed() };
    if (this.acceptSymbol("+")) return { kind: "plus", operand: this.#signed() };
    return this.#primary();
  }

  #primary(): Expression {
    const token = this.#token;
    if (this.acceptSymbol("(")) {
      const inner = this.predicate();
      this.#expectSymbol(")");
      return inner;
    }
    switch (token.kind) {
      case "string":
        return this.#constant(token.text);
      case "decimal":
        return this.#constant(Number(token.text));
      case "integer":
        if (BigInt(token.text) > LONGEST_INTEGER) this.#fail("an integer of 64 bits");
        return this.#constant(BigInt(token.text));
      case "parameter":
        this.#at++;
        return { kind: "parameter", name: token.text };
      case "word":
        return this.#word(token);
      case "name":
        return { kind: "property", property: this.#property() };
      default:
        return this.#fail("a value");
    }
  }

  #word(token: Token): Expression {
    const word = token.text.toUpperCase();
    if (word === "TRUE" || word === "FALSE") return this.#constant(word === "TRUE");
    if (word === "NULL") return this.#constant(null);
    const next = this.#tokens[this.#at + 1];
    if (next?.kind !== "symbol" || next.text !== "(") return { kind: "property", property: this.#property() };
    this.#at += 2;
    const call = this.#call(word);
    this.#expectSymbol(")");
    return call;
  }

  #call(name: string): Expression {
    switch (name) {
      case "EXISTS":
        return { kind: "exists", property: this.#property() };
      case "NEWID":
        return { kind: "new-id" };
      case "PROPERTY":
      case "P":
        return { kind: "property-named", name: this.#sum() };
      default:
        this.#at -= 2;
        return this.#fail("EXISTS, newid, property or p: there are no other functions");
    }
  }

  #property(): PropertyReference {
    const first = this.#name();
    if (!this.acceptSymbol(".")) return { scope: "user", name: first };
    const scope = first.toLowerCase();
    if (scope !== "sys" && scope !== "user") {
      this.#at--;
      this.#fail(`"sys." or "user." before the point; a property whose name has a point is written [${first}.…]`);
    }
    return { scope: scope === "sys" ? "sys" : "user", name: this.#name() };
  }

  #name(): string {
    const token = this.#token;
    const isName = token.kind === "name" || (token.kind === "word" && !KEYWORDS.has(token.text.toUpperCase()));
    if (!isName) this.#fail("the name of a property");
    this.#at++;
    return token.text;
  }

  #constant(value: string | number | bigint | boolean | null): Expression {
    this.#at++;
    return { kind: "constant", value };
  }

  get #token(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "", at: this.#expression.length };
  }

  #acceptWord(word: string): boolean {
    if (this.#token.kind !== "word" || this.#token.text.toUpperCase() !== word) return false;
    this.#at++;
    return true;
  }

  #acceptOneOf(...symbols: string[]): string | undefined {
    return symbols.find((symbol) => this.acceptSymbol(symbol));
  }

  #expectSymbol(text: string): void {
    if (!this.acceptSymbol(text)) this.#fail(`'${text}'`);
  }

  #fail(expected: string): never {
    const { at, text } = this.#token;
    const found = this.atEnd ? "the end" : `'${text}'`;
    throw new FilterError(
      `There was an error parsing the expression '${this.#expression}': expected ${expected}, found ${found} at position ${at}.`,
    );
  }
}
