/** What may be in a {@link LinkedSet}, in one at a time. */
export interface Linked {
  /** The set's own: its place there. */
  link?: Link | undefined;
}

interface Link {
  readonly item: Linked;
  set: object | undefined;
  previous: Link | undefined;
  next: Link | undefined;
}

/**
 * A set, in the order in which it was filled, for what comes and goes with each message. A `Set` of which as much is taken out as is put in makes itself a new
 * table now and then, to which the old one keeps referring: once one of them has grown old, all that follow it, with what was in them when they were left, are
 * kept until the next full collection of garbage: each message, in the end, with all that was made of it.
 */
export class LinkedSet<T extends Linked> {
  #first: Link | undefined;
  #last: Link | undefined;

  /** The one that was put in first. */
  get first(): T | undefined {
    return this.#first?.item as T | undefined;
  }

  /** Puts in what is in no other set. */
  add(item: T): void {
    if (item.link?.set === this) return;
    const link: Link = { item, set: this, previous: this.#last, next: undefined };
    if (this.#last) this.#last.next = link;
    else this.#first = link;
    this.#last = link;
    item.link = link;
  }

  /** @returns whether it was there */
  delete(item: T): boolean {
    const { link } = item;
    if (link?.set !== this) return false;
    const { previous, next } = link;
    if (previous) previous.next = next;
    else this.#first = next;
    if (next) next.previous = previous;
    else this.#last = previous;
    // One that has grown old must not keep what comes after it.
    link.set = undefined;
    link.previous = undefined;
    link.next = undefined;
    item.link = undefined;
    return true;
  }

  /** What is there now. */
  all(): T[] {
    const items: T[] = [];
    for (let link = this.#first; link; link = link.next) items.push(link.item as T);
    return items;
  }
}
