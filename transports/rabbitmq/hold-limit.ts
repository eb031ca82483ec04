import type { HeldDeliveries } from "./held-deliveries.js";

/** The age of the oldest delivery is looked at so often within the limit: each 23 s for 14 min. */
const LOOKS = 36;

/** Watches how long the oldest delivery of a channel is held, by noting now and then how far the channel had come: no clock is read for a message. */
export class HoldLimit {
  readonly #limitMs: number;
  readonly #reached: () => void;
  readonly #timer: NodeJS.Timeout;
  #held: HeldDeliveries | undefined;
  #marks: { readonly at: number; readonly newest: number }[] = [];

  /** @param reached called when the oldest has been held for `limitMs`, again and again until the channel is another */
  constructor(limitMs: number, reached: () => void) {
    this.#limitMs = limitMs;
    this.#reached = reached;
    this.#timer = setInterval(() => this.#look(), limitMs / LOOKS).unref();
  }

  /** A new channel is watched. */
  watch(held: HeldDeliveries): void {
    this.#held = held;
    this.#marks = [];
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const held = this.#held;
    if (!held?.isOpen) return;
    const now = performance.now();
    const { oldest } = held;
    this.#marks = oldest === undefined ? [] : this.#marks.filter(({ newest }) => newest >= oldest);
    this.#marks.push({ at: now, newest: held.newest });
    const [first] = this.#marks;
    if (oldest !== undefined && first && first.newest >= oldest && now - first.at >= this.#limitMs) this.#reached();
  }
}
