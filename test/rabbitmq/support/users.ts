import { randomBytes } from "node:crypto";

export interface Permissions {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface TemporaryUser extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
  readonly password: string;
  permit(permissions: Permissions): Promise<void>;
  changePassword(password: string): Promise<void>;
  /** Takes the virtual host away from it. */
  forbid(): Promise<void>;
  limitConnections(most: number): Promise<void>;
}

/** A user of the broker's virtual host `/`, made over the management API and gone when disposed of. */
export async function withUser(url: string, managementUrl: string | undefined, permissions: Permissions): Promise<TemporaryUser> {
  if (managementUrl === undefined)
    throw new Error("this test makes users, for which it needs a broker of scripts/brokers, not one that is given by RABBITMQ_URL");
  const name = `u${randomBytes(4).toString("hex")}`;
  const password = `secret-${randomBytes(6).toString("hex")}`;
  const management = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${management.username}:${management.password}`).toString("base64")}`;
  const call = async (method: string, path: string, body?: object): Promise<void> => {
    const response = await fetch(`${management.origin}/api${path}`, {
      method,
      headers: { authorization, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path} gave ${response.status}: ${await response.text()}`);
  };
  const changePassword = (secret: string): Promise<void> => call("PUT", `/users/${name}`, { password: secret, tags: "" });
  const permit = (rights: Permissions): Promise<void> => call("PUT", `/permissions/%2F/${name}`, rights);
  const forbid = (): Promise<void> => call("DELETE", `/permissions/%2F/${name}`);
  const limitConnections = (value: number): Promise<void> => call("PUT", `/user-limits/${name}/max-connections`, { value });
  await changePassword(password);
  await permit(permissions);
  const own = new URL(url);
  own.username = name;
  own.password = password;
  return {
    url: own.href,
    name,
    password,
    permit,
    changePassword,
    forbid,
    limitConnections,
    [Symbol.asyncDispose]: () => call("DELETE", `/users/${name}`),
  };
}
