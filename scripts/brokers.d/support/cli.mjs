import { brokers } from "../index.mjs";
import { BrokerUnavailable } from "./errors.mjs";
import { brokersDirectory } from "./paths.mjs";

const USAGE = `The real servers that the tests, the examples and the benchmarks talk to.

  scripts/brokers install [NAME...]         install what is missing (root on Debian); all brokers without a name
  scripts/brokers up [NAME...]              bring brokers up; rabbitmq without a name
  scripts/brokers down [NAME...]            stop what was started here and nothing else; all without a name
  scripts/brokers down --delete-data [...]  and forget its data
  scripts/brokers status [--json]           what runs, and where
  scripts/brokers env [--json]              the URLs of what runs, as lines for a shell: eval "$(scripts/brokers env)"

Brokers:
${brokers.map(({ name, title, variable }) => `  ${name.padEnd(18)} ${title.padEnd(26)} its URL: ${variable}`).join("\n")}

A broker that answers at its URL in the environment is used as it is. Else this machine's server is started (and installed where that can
be done), else a container of compose.yaml, if a Docker engine answers. Everything listens on 127.0.0.1 alone.

  TROLLEYBUS_BROKERS_DIR    where data, logs and pid files are kept (now ${brokersDirectory()})
  TROLLEYBUS_RABBITMQ_PORT, TROLLEYBUS_RABBITMQ4_PORT, TROLLEYBUS_RABBITMQ_CLUSTER_PORT (the first of three)
  TROLLEYBUS_RABBITMQ_MANAGEMENT_PORT, TROLLEYBUS_RABBITMQ4_MANAGEMENT_PORT
  TROLLEYBUS_KAFKA_PORT, TROLLEYBUS_KAFKA3_PORT, TROLLEYBUS_KAFKA_CLUSTER_PORT (the first of three)

Exit codes: 0 done; 1 something went wrong; 2 a wrong command line; 3 a broker cannot be had on this machine.
`;

const EXIT = { done: 0, failed: 1, usage: 2, unavailable: 3 };

/** A command line that means nothing. */
class UsageError extends Error {}

/**
 * @param {readonly string[]} args
 * @returns {Promise<number>} the exit code
 */
export async function main(args) {
  const [command, ...rest] = args;
  const names = rest.filter((each) => !each.startsWith("--"));
  const flags = new Set(rest.filter((each) => each.startsWith("--")));
  try {
    return await dispatch(command ?? "help", names, flags);
  } catch (error) {
    console.error(error instanceof Error ? describe(error) : error);
    if (error instanceof UsageError) return EXIT.usage;
    return error instanceof BrokerUnavailable ? EXIT.unavailable : EXIT.failed;
  }
}

/**
 * @param {string} command
 * @param {readonly string[]} names
 * @param {Set<string>} flags
 * @returns {Promise<number>}
 */
async function dispatch(command, names, flags) {
  switch (command) {
    case "install":
      allow(flags, []);
      for (const broker of chosen(names, "all")) await install(broker);
      return EXIT.done;
    case "up":
      allow(flags, []);
      for (const broker of chosen(names, "first")) await up(broker);
      return EXIT.done;
    case "down":
      allow(flags, ["--delete-data"]);
      for (const broker of chosen(names, "all")) await down(broker, flags.has("--delete-data"));
      return EXIT.done;
    case "status":
      allow(flags, ["--json"]);
      await status(chosen(names, "all"), flags.has("--json"));
      return EXIT.done;
    case "env":
      allow(flags, ["--json"]);
      await environment(chosen(names, "all"), flags.has("--json"));
      return EXIT.done;
    case "help":
    case "--help":
    case "-h":
      console.log(USAGE);
      return EXIT.done;
    default:
      throw new UsageError(`There is no command "${command}".\n\n${USAGE}`);
  }
}

/** @typedef {import("./broker.mjs").Broker} Broker */

/** @param {Broker} broker */
async function install(broker) {
  if (broker.installed) console.log(`${broker.name}: installed`);
  else {
    await broker.install();
    console.log(`${broker.name}: installed now`);
  }
}

/** @param {Broker} broker */
async function up(broker) {
  const started = Date.now();
  const { url, origin, managementUrl } = await broker.up();
  console.log(
    `${broker.name}: up after ${((Date.now() - started) / 1000).toFixed(1)} s at ${url} (${originText(origin, broker)})${managementUrl ? `, management at ${managementUrl}` : ""}`,
  );
}

/**
 * @param {Broker} broker
 * @param {boolean} deleteData
 */
async function down(broker, deleteData) {
  if (deleteData) await broker.deleteData();
  else await broker.down();
  const still = await broker.running();
  console.log(
    still
      ? `${broker.name}: left alone, it was not started here (${still.url})`
      : `${broker.name}: down${deleteData ? ", data deleted" : ""}`,
  );
}

/**
 * @param {readonly Broker[]} asked
 * @param {boolean} json
 */
async function status(asked, json) {
  const all = await Promise.all(asked.map(async (broker) => ({ broker, running: await broker.running() })));
  if (json) {
    console.log(
      JSON.stringify(
        all.map(({ broker, running }) => ({
          name: broker.name,
          title: broker.title,
          variable: broker.variable,
          installed: broker.installed,
          running: running ?? null,
        })),
        undefined,
        2,
      ),
    );
    return;
  }
  for (const { broker, running } of all) {
    const state = running
      ? `up at ${running.url} (${originText(running.origin, broker)})`
      : `down${broker.installed ? "" : ", not installed"}`;
    console.log(`${broker.name.padEnd(18)} ${state}`);
  }
}

/**
 * @param {readonly Broker[]} asked
 * @param {boolean} json
 */
async function environment(asked, json) {
  /** @type {Record<string, string>} */
  const variables = {};
  for (const broker of asked) {
    const running = await broker.running();
    if (running) variables[broker.variable] = running.url;
  }
  if (json) console.log(JSON.stringify(variables, undefined, 2));
  else for (const [name, value] of Object.entries(variables)) console.log(`export ${name}='${value}'`);
}

/**
 * @param {import("./broker.mjs").Origin} origin
 * @param {Broker} broker
 */
function originText(origin, broker) {
  if (origin === "environment") return `given by ${broker.variable}`;
  return origin === "local" ? "a process of this machine" : "a container";
}

/**
 * @param {readonly string[]} names
 * @param {"all" | "first"} otherwise what no name means
 */
function chosen(names, otherwise) {
  if (names.length === 0) return otherwise === "all" ? brokers : brokers.slice(0, 1);
  return names.map((name) => {
    const broker = brokers.find((each) => each.name === name);
    if (!broker) throw new UsageError(`There is no broker "${name}"; there are ${brokers.map((each) => each.name).join(", ")}.`);
    return broker;
  });
}

/**
 * @param {Set<string>} flags
 * @param {readonly string[]} known
 */
function allow(flags, known) {
  for (const flag of flags)
    if (!known.includes(flag))
      throw new UsageError(`There is no option "${flag}" here${known.length > 0 ? `, only ${known.join(", ")}` : ""}.`);
}

/** @param {Error} error */
function describe(error) {
  const causes = [];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) causes.push(`  because: ${cause.message}`);
  return [error.message, ...causes].join("\n");
}
