import { type CompiledAction, compileAction } from "../filters/action.js";
import { type CompiledFilter, compileFilter } from "../filters/filter.js";
import { FilterError } from "../filters/filter-error.js";
import type { RuleDescription } from "./contracts.js";
import { errors } from "./errors.js";
import type { MessageContent } from "./queued-message.js";
import { RuleMessage } from "./rule-message.js";

interface Rule {
  readonly description: RuleDescription & { readonly createdAt: number };
  readonly filter: CompiledFilter;
  readonly action: CompiledAction | undefined;
}

/** What the rules of a subscription make of a message. */
export interface Selection {
  /** The copies that go into the subscription. */
  readonly copies: readonly MessageContent[];
  /** What could not be evaluated. */
  readonly failure: FilterError | undefined;
}

const NOTHING: Selection = { copies: [], failure: undefined };

/** The rules of a subscription (https://learn.microsoft.com/azure/service-bus-messaging/topic-filters). */
export class Rules {
  readonly #rules = new Map<string, Rule>();

  get size(): number {
    return this.#rules.size;
  }

  find(name: string): (RuleDescription & { readonly createdAt: number }) | undefined {
    return this.#rules.get(name.toLowerCase())?.description;
  }

  /** In the order of their names, as Azure lists them. */
  list(): (RuleDescription & { readonly createdAt: number })[] {
    return [...this.#rules.values()].map((rule) => rule.description).sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
  }

  /** @throws BrokerError when an expression is wrong. */
  set(description: RuleDescription, now: number): void {
    const compiled = compileRule(description);
    this.#rules.set(description.name.toLowerCase(), {
      ...compiled,
      description: { ...description, createdAt: description.createdAt ?? now },
    });
  }

  /** Whether it was there. */
  remove(name: string): boolean {
    return this.#rules.delete(name.toLowerCase());
  }

  /**
   * All rules without an action give one copy together; each rule with an action gives one of its own, with the rule's name in the
   * application property RuleName.
   */
  select(content: MessageContent, position: { readonly sequence: number; readonly enqueuedTime: number }): Selection {
    if (this.#rules.size === 0) return NOTHING;
    const message = new RuleMessage(content, position);
    const copies: MessageContent[] = [];
    let plain = false;
    let failure: FilterError | undefined;
    for (const rule of this.#rules.values()) {
      if (plain && !rule.action) continue;
      try {
        if (!rule.filter(message)) continue;
        if (rule.action) copies.push(annotated(rule, rule.action, content, position));
        else plain = true;
      } catch (error) {
        if (!(error instanceof FilterError)) throw error;
        failure = error;
      }
    }
    if (plain) copies.unshift(content);
    return { copies, failure };
  }
}

function annotated(
  rule: Rule,
  action: CompiledAction,
  content: MessageContent,
  position: { readonly sequence: number; readonly enqueuedTime: number },
): MessageContent {
  const copy = new RuleMessage(content, position);
  action(copy);
  copy.setUser("RuleName", rule.description.name);
  return copy.changed;
}

function compileRule(description: RuleDescription): { readonly filter: CompiledFilter; readonly action: CompiledAction | undefined } {
  try {
    return { filter: compileFilter(description.filter), action: description.action && compileAction(description.action) };
  } catch (error) {
    if (error instanceof FilterError) throw errors.invalid(`The rule '${description.name}' is not valid: ${error.message}`);
    throw error;
  }
}
