import type { FilterValue } from "./filter-value.js";

/** A property as an expression names it. */
export interface PropertyReference {
  readonly scope: "sys" | "user";
  readonly name: string;
}

/** A parsed expression; predicates are expressions whose value is a boolean. */
export type Expression =
  | { readonly kind: "constant"; readonly value: FilterValue }
  | { readonly kind: "parameter"; readonly name: string }
  | { readonly kind: "property"; readonly property: PropertyReference }
  | { readonly kind: "property-named"; readonly name: Expression }
  | { readonly kind: "new-id" }
  | { readonly kind: "negate"; readonly operand: Expression }
  | { readonly kind: "plus"; readonly operand: Expression }
  | { readonly kind: "calculate"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "compare"; readonly operator: string; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "is-null"; readonly operand: Expression; readonly negated: boolean }
  | { readonly kind: "in"; readonly operand: Expression; readonly list: readonly Expression[]; readonly negated: boolean }
  | {
      readonly kind: "like";
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly escape: Expression | undefined;
      readonly negated: boolean;
    }
  | { readonly kind: "exists"; readonly property: PropertyReference }
  | { readonly kind: "not"; readonly operand: Expression }
  | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression };

/** One statement of an action. */
export type Statement =
  | { readonly kind: "set"; readonly property: PropertyReference; readonly value: Expression }
  | { readonly kind: "remove"; readonly property: PropertyReference };
