import type { Story } from "../print/story.js";
import type { Settings } from "../settings.js";
import type { Cast } from "./cast.js";
import type { Checks } from "./checks.js";
import type { Customer } from "./customer.js";
import type { Journal } from "./journal.js";
import type { OutsideWorld } from "./outside-world.js";

/** All that a scenario works with. */
export interface Stage {
  readonly settings: Settings;
  readonly cast: Cast;
  readonly customer: Customer;
  readonly world: OutsideWorld;
  readonly journal: Journal;
  readonly story: Story;
  readonly checks: Checks;
}

export interface Scenario {
  readonly title: string;
  readonly gloss: string;
  readonly play: (stage: Stage) => Promise<void>;
}
