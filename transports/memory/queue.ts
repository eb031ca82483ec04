import type { OutgoingMessage } from "../../src/contracts/transport.js";
import { Backlog } from "./backlog.js";
import { DeadLetters } from "./dead-letters.js";
import type { Delays, DelayTarget } from "./delays.js";
import type { StoredMessage } from "./mapping.js";
import { Feed, type MemoryReceiver } from "./receiver.js";

/**
 * An endpoint in the broker: what waits, what is dead, and the receivers that compete for it. It outlives them.
 *
 * With order "none" the receivers are served in turn. With order "key" one of them is active and the others stand by; when it
 * stops, the one that came next takes over, but gets no message of a key of which the earlier one still holds something.
 */
export class EndpointQueue extends Feed implements DelayTarget {
  readonly name: string;
  readonly order: "key" | "none";
  readonly deadLetters: DeadLetters = new DeadLetters();
  readonly #backlog = new Backlog();
  readonly #delays: Delays;
  readonly #maxLength: number;
  readonly #receivers: MemoryReceiver[] = [];
  /** With order "key": those that have stopped and still hold something. */
  #leaving: MemoryReceiver[] = [];
  #turn = 0;
  #size = 0;

  constructor(name: string, order: "key" | "none", maxLength: number, delays: Delays) {
    super();
    this.name = name;
    this.order = order;
    this.#maxLength = maxLength;
    this.#delays = delays;
  }

  override get source(): string {
    return this.name;
  }

  /** Messages that wait, are held by receivers or wait for a delayed retry. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether one more is taken. Of what handlers publish as many again are: who makes room here may wait for room itself, here or at an endpoint that waits for
   * this one. As long as handlers publish no more than they take, not all of these can fill up.
   */
  hasRoomFor({ publishedBy }: OutgoingMessage): boolean {
    return this.#size < (publishedBy === undefined ? this.#maxLength : 2 * this.#maxLength);
  }

  /** Messages that could be handed out now. */
  get waiting(): number {
    return this.#backlog.length;
  }

  /** Takes a message that was sent. The caller has looked at `hasRoomFor`. */
  accept(message: StoredMessage): void {
    this.#size++;
    this.due(message);
  }

  /** A delay is over, or there was none. */
  due(message: StoredMessage): void {
    this.#backlog.push(message);
    this.schedule();
  }

  override join(receiver: MemoryReceiver): void {
    this.#receivers.push(receiver);
    this.schedule();
  }

  override leave(receiver: MemoryReceiver): void {
    const index = this.#receivers.indexOf(receiver);
    if (index < 0) return;
    this.#receivers.splice(index, 1);
    if (this.order === "key" && receiver.holdsAny) this.#leaving.push(receiver);
    this.schedule();
  }

  override remove(): void {
    this.#size--;
  }

  override putBack(message: StoredMessage, position: number): void {
    this.#backlog.putBack(message, position);
  }

  /** Regardless of the bound: the copy takes the place of a message that is here already, and refusing it would save nothing. */
  override retry(message: StoredMessage, delayMs: number): void {
    this.#size++;
    this.#delays.add(delayMs, this, message);
  }

  override deadLetter(message: StoredMessage): void {
    this.deadLetters.add(message);
  }

  protected override get hasWork(): boolean {
    return this.#receivers.length > 0 && this.#backlog.length > 0;
  }

  protected override dispatch(): void {
    if (this.order === "key") this.#serveActive();
    else this.#serveInTurn();
  }

  #serveInTurn(): void {
    // Measured once: a core that settles within `deliver` would otherwise keep the event loop for the whole backlog.
    let room = 0;
    for (const receiver of this.#receivers) room += receiver.room;
    for (; room > 0; room--) {
      const receiver = this.#nextWithRoom();
      if (!receiver || !this.#hand(receiver)) return;
    }
  }

  #nextWithRoom(): MemoryReceiver | undefined {
    for (let tried = 0; tried < this.#receivers.length; tried++) {
      const receiver = this.#receivers[this.#turn % this.#receivers.length];
      this.#turn = (this.#turn + 1) % this.#receivers.length;
      if (receiver && receiver.room > 0) return receiver;
    }
    return undefined;
  }

  #serveActive(): void {
    if (this.#leaving.length > 0) this.#leaving = this.#leaving.filter((receiver) => receiver.holdsAny);
    const active = this.#receivers[0];
    for (let room = active?.room ?? 0; active && room > 0 && active.room > 0; room--) {
      if (this.#nextIsHeldUp() || !this.#hand(active)) return;
    }
  }

  /** Whether somebody who has stopped still holds an earlier message of the next one's key. His last settlement schedules a turn. */
  #nextIsHeldUp(): boolean {
    if (this.#leaving.length === 0) return false;
    const key = this.#backlog.peek()?.properties.partitionKey;
    return key !== undefined && this.#leaving.some((receiver) => receiver.holdsKey(key));
  }

  #hand(receiver: MemoryReceiver): boolean {
    const { position } = this.#backlog;
    const message = this.#backlog.shift();
    if (!message) return false;
    receiver.hand(message, position);
    return true;
  }
}
