/** Names that some prototype of the chain has: an assignment to one of them would call a setter, or fail, instead of making a property. */
const inheritedNames = new WeakMap<object, ReadonlySet<string>>();

/**
 * Gives `target` the own enumerable properties of `source` one by one, as own properties, whatever its prototypes have under the same
 * names: no setter is called and `__proto__` is a name like any other.
 */
export function copyProperties(target: object, source: object): void {
  const inherited = inheritedNamesOf(Object.getPrototypeOf(target));
  const properties = target as Record<string, unknown>;
  for (const key of Object.keys(source)) {
    const value = (source as Readonly<Record<string, unknown>>)[key];
    if (inherited.has(key)) Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
    else properties[key] = value;
  }
}

function inheritedNamesOf(prototype: object): ReadonlySet<string> {
  const known = inheritedNames.get(prototype);
  if (known) return known;
  const names = new Set<string>();
  for (let level: object | null = prototype; level !== null; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) names.add(name);
  }
  inheritedNames.set(prototype, names);
  return names;
}
