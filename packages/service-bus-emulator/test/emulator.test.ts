import { expect, test } from "vitest";
import { ConfigError } from "../src/config/config-problems.js";
import { startEmulator } from "../src/emulator.js";

test.each([
  [{ datafolder: "data" }, 'there is no "datafolder"; did you mean "dataFolder"?'],
  [{ tire: "Basic" }, 'did you mean "tier"?'],
  ["Config.json", "an object was expected"],
  [[], "an object was expected"],
  [{ tier: "Gold" }, 'tier: one of Basic, Standard, Premium was expected, not "Gold"'],
  [{ tier: "premium" }, "tier: one of"],
  [{ port: "5671" }, "port: a port from 0 (a free one) to 65535 was expected"],
  [{ adminPort: 65_536 }, "adminPort: a port"],
  [{ host: "" }, "host: a text was expected"],
  [{ dataFolder: 5 }, "dataFolder: a text was expected"],
  [{ keys: "secret" }, "keys: a list was expected"],
  [{ keys: [] }, "keys: the list is empty"],
  [{ keys: [undefined] }, "keys[0]: an object was expected"],
  [{ keys: [{ name: "a", key: "b" }] }, 'keys[0]: there is no "name"; did you mean "keyName"?'],
  [{ keys: [{ keyName: "a", key: 5 }] }, "keys[0].key: a text was expected."],
  [{ keys: [{ keyName: "a", key: "b", rights: ["Read"] }] }, "keys[0].rights: each is one of Listen, Send, Manage"],
])("options that do not exist or cannot be are an error, and nothing is started: %j", async (options, told) => {
  const started = startEmulator(options as object);
  await expect(started).rejects.toThrow(told);
  await expect(started).rejects.toBeInstanceOf(ConfigError);
});

test("entities of a Premium namespace take messages of 1 MB, however they are made", async () => {
  const config = { UserConfig: { Namespaces: [{ Name: "premium", Queues: [{ Name: "configured" }], Topics: [{ Name: "topic" }] }] } };
  const emulator = await startEmulator({ tier: "Premium", config });
  try {
    const { namespace } = emulator;
    const sizes = [namespace.findQueue("configured"), namespace.findTopic("topic"), namespace.createQueue("made")];
    expect(sizes.map((entity) => entity?.maxMessageSize)).toEqual([1_048_576, 1_048_576, 1_048_576]);
  } finally {
    await emulator.stop();
  }
});
