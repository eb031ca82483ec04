import { types } from "node:util";

/** What can be said of something that was thrown. */
export interface ErrorDescription {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** Describes whatever was thrown: `null`, a frozen or cyclic object, getters that throw. Never throws. */
export function describeError(thrown: unknown): ErrorDescription {
  if (isError(thrown)) {
    return {
      name: text(() => thrown.name) || "Error",
      message: text(() => thrown.message),
      stack: text(() => thrown.stack) || undefined,
    };
  }
  return {
    name: thrown === null ? "null" : typeof thrown,
    message: text(() => (typeof thrown === "object" ? JSON.stringify(thrown) : String(thrown))),
    stack: undefined,
  };
}

function isError(thrown: unknown): thrown is Error {
  try {
    // An error of another realm (a vm, a test's environment) is no instance of ours.
    return thrown instanceof Error || types.isNativeError(thrown);
  } catch {
    // A revoked proxy cannot even be asked.
    return false;
  }
}

function text(read: () => unknown): string {
  try {
    const value = read();
    return typeof value === "string" ? value : "";
  } catch {
    return "(it cannot be told: reading it throws)";
  }
}
