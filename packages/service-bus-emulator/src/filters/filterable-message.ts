import type { AmqpValue } from "../amqp/values.js";
import type { FilterValue } from "./filter-value.js";

/** A message as filters and actions see it. */
export interface FilterableMessage {
  /** A system property by its name, whatever the letter case. @throws FilterError when there is no such property. */
  system(name: string): FilterValue;
  /** An application property by its name, whatever the letter case; `undefined` when the message has none. */
  user(name: string): AmqpValue | undefined;
}

/** A message that an action changes. */
export interface ChangeableMessage extends FilterableMessage {
  /** @throws FilterError when there is no such property, or it cannot be set. */
  setSystem(name: string, value: FilterValue): void;
  /** `undefined` removes it. */
  setUser(name: string, value: AmqpValue | undefined): void;
}
