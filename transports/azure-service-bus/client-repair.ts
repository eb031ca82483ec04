import { createRequire } from "node:module";

/** What is looked at of the client's own dependency; nothing of it is taken for granted. */
interface RheaPromise {
  readonly Receiver?: { readonly prototype: object };
}

const mended = new WeakSet<object>();

/**
 * Mends a property of a package that the client depends on, without which a lost connection ends the process: timers of the client read the `address` of a link to
 * write it into an error, and for a link that is gone the property throws, in the timer, where nobody can catch it (rhea-promise 3.0.3, `Link.address`; a renewal or a settlement that was on its way when the connection
 * went). Does nothing where the package is another one than it seems, as in a bundle.
 */
export function mendAddressOfLostLinks(clientEntry: string): void {
  try {
    const { Receiver } = createRequire(clientEntry)("rhea-promise") as RheaPromise;
    const link: unknown = Receiver && Object.getPrototypeOf(Receiver.prototype);
    if (typeof link !== "object" || link === null || mended.has(link)) return;
    const { get, configurable } = Object.getOwnPropertyDescriptor(link, "address") ?? {};
    if (!get || configurable !== true) return;
    mended.add(link);
    Object.defineProperty(link, "address", {
      configurable: true,
      get(this: { readonly source?: unknown }): unknown {
        return this.source === undefined || this.source === null ? undefined : get.call(this);
      },
    });
  } catch {
    // Then it is as it was.
  }
}
