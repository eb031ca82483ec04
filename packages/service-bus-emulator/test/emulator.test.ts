import { expect, test } from "vitest";
import { ConfigError } from "../src/config/config-problems.js";
import { startEmulator } from "../src/emulator.js";

test.each([
  [{ datafolder: "data" }, 'there is no "datafolder"; did you mean "dataFolder"?'],
  [{ tire: "Basic" }, 'did you mean "tier"?'],
  ["Config.json", "an object was expected"],
])("options that do not exist are an error, and nothing is started: %j", async (options, told) => {
  const started = startEmulator(options as object);
  await expect(started).rejects.toThrow(told);
  await expect(started).rejects.toBeInstanceOf(ConfigError);
});
