import { setTimeout as sleep } from "node:timers/promises";
import type { Line } from "../services/service.js";
import type { Colour, Paint } from "./paint.js";

export type Speaker = "customer" | "gateway" | "orders" | "shipping" | "email" | "analytics" | "operator";

const COLOURS: Readonly<Record<Speaker, Colour>> = {
  customer: "bold",
  gateway: "blue",
  orders: "cyan",
  shipping: "yellow",
  email: "magenta",
  analytics: "green",
  operator: "bold",
};
const MOODS = { good: "✔", bad: "✘" } as const;

/** How long a line may be on its way from another process: lines are put in the order of their times before they are printed. */
const REORDER_MS = 50;

interface Spoken {
  readonly at: number;
  readonly speaker: Speaker;
  readonly line: Line;
}

/** Prints the account: scenarios with a heading, and below it one line for all that happens, with its time since the heading. */
export class Story {
  #began = 0;
  #ended = false;
  #pending: Spoken[] = [];

  constructor(
    private readonly write: (text: string) => void,
    private readonly paint: Paint,
  ) {}

  text(text: string): void {
    if (!this.#ended) this.write(`${text}\n`);
  }

  /** The last words: nothing is printed after them. */
  end(text: string): void {
    this.text(`\n ${text}\n`);
    this.#ended = true;
  }

  heading(number: number, title: string, gloss: string, at: number): void {
    this.text(`\n${this.paint(` ${number}  ${title}`, "bold")}`);
    this.text(`    ${this.paint(gloss, "dim")}\n`);
    this.#began = at;
  }

  tell(speaker: Speaker, at: number, line: Line): void {
    this.#pending.push({ at, speaker, line });
    setTimeout(() => this.#flush(at), REORDER_MS);
  }

  /** Resolves when all that was told so far is printed. */
  async settled(): Promise<void> {
    while (this.#pending.length > 0) await sleep(REORDER_MS / 5);
  }

  #flush(upTo: number): void {
    const due = this.#pending.filter(({ at }) => at <= upTo).sort((a, b) => a.at - b.at);
    this.#pending = this.#pending.filter(({ at }) => at > upTo);
    for (const spoken of due) this.#print(spoken);
  }

  #print({ at, speaker, line }: Spoken): void {
    const time = this.paint(`${Math.max(0, (at - this.#began) / 1000).toFixed(3)} s`.padStart(10), "dim");
    const who = this.paint(speaker.padEnd(9), COLOURS[speaker]);
    const subject = this.paint(line.subject.padEnd(15), "bold");
    const order = this.paint(customerOf(line.orderId).padEnd(6), "dim");
    const mark = line.mood ? MOODS[line.mood] : "·";
    const text = `${mark} ${line.text}`;
    const colour = line.mood === "good" ? "green" : line.mood === "bad" ? "red" : undefined;
    this.text(`${time}  ${who}  ${subject}  ${order}  ${colour ? this.paint(text, colour) : text}`);
  }
}

/** The part of an order's id that a reader can tell apart at a glance: `chloe` of `chloe-c87bee`. */
const customerOf = (orderId: string): string => orderId.replace(/-.*$/, "");
