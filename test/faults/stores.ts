import { memoryStore, type Store } from "trolleybus";

/** Where handled ids may be remembered. A new store is a line here. */
const makers: Readonly<Record<string, () => Store>> = {
  memory: () => memoryStore(),
};

export const STORES: readonly string[] = Object.keys(makers);

/** @throws Error for a name that is not known. */
export function storeNamed(name: string): Store {
  const make = makers[name];
  if (!make) throw new Error(`there is no store "${name}"; there are ${STORES.join(", ")}`);
  return make();
}
