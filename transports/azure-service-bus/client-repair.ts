import { createRequire } from "node:module";

/** What is looked at of the client's own dependency; nothing of it is taken for granted. */
interface RheaPromise {
  readonly Connection?: { readonly prototype: object };
  readonly Receiver?: { readonly prototype: object };
}

type Close = (this: object, ...given: unknown[]) => Promise<unknown>;
type Open = (this: { readonly options?: { tcp_no_delay?: boolean } }, ...given: unknown[]) => Promise<unknown>;

const mended = new WeakSet<object>();

/**
 * Mends what the client's own dependency does to the process when a link or a connection is lost, and how it opens connections. Does nothing where the package is another one
 * than it seems, as in a bundle.
 */
export function mendClient(clientEntry: string): void {
  try {
    const { Connection, Receiver } = createRequire(clientEntry)("rhea-promise") as RheaPromise;
    if (Connection) mendOpen(Connection.prototype);
    const link: unknown = Receiver && Object.getPrototypeOf(Receiver.prototype);
    if (typeof link !== "object" || link === null || mended.has(link)) return;
    mended.add(link);
    mendAddress(link);
    mendClose(link);
  } catch {
    // Then it is as it was.
  }
}

/**
 * Connections are opened with Nagle's algorithm at work, and no option of the client says otherwise: the end of each batch, and each settlement, waits until the service has
 * acknowledged the segment before it, which it may put off (rhea 3.0, `Connection.init`, `tcp_no_delay`).
 */
function mendOpen(connection: object): void {
  if (mended.has(connection)) return;
  mended.add(connection);
  const { value, configurable } = Object.getOwnPropertyDescriptor(connection, "open") ?? {};
  if (typeof value !== "function" || configurable !== true) return;
  const open = value as Open;
  Object.defineProperty(connection, "open", {
    configurable: true,
    writable: true,
    value: function openWithoutDelay(...given: unknown[]) {
      if (this.options) this.options.tcp_no_delay ??= true;
      return open.apply(this, given);
    } satisfies Open,
  });
}

/**
 * Timers of the client read the `address` of a link to write it into an error, and for a link that is gone the property throws, in the timer, where nobody can catch it
 * (rhea-promise 3.0.3, `Link.address`; a renewal or a settlement that was on its way when the connection went).
 */
function mendAddress(link: object): void {
  const { get, configurable } = Object.getOwnPropertyDescriptor(link, "address") ?? {};
  if (!get || configurable !== true) return;
  Object.defineProperty(link, "address", {
    configurable: true,
    get(this: { readonly source?: unknown }): unknown {
      return this.source === undefined || this.source === null ? undefined : get.call(this);
    },
  });
}

/**
 * A link that was not opened in time is closed by a promise that nobody waits for, and when the service answers that with an error, the process ends of an unhandled rejection
 * (rhea-promise 3.0.3, `Session.createReceiver`, `actionAfterTimeout`). Whatever the answer: the link is gone, and whoever closes one only writes the error down.
 */
function mendClose(link: object): void {
  const { value, configurable } = Object.getOwnPropertyDescriptor(link, "close") ?? {};
  if (typeof value !== "function" || configurable !== true) return;
  const close = value as Close;
  Object.defineProperty(link, "close", {
    configurable: true,
    writable: true,
    value(this: object, ...given: unknown[]): Promise<unknown> {
      return close.apply(this, given).catch(() => undefined);
    },
  });
}
