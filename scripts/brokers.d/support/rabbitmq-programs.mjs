import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join, relative } from "node:path";

/** Debian's wrapper in /usr/sbin insists on the user rabbitmq; the scripts behind it run as anybody. */
const DEBIAN = "/usr/lib/rabbitmq/bin";

/**
 * Where RabbitMQ's own scripts are on this machine.
 * @returns {import("./rabbitmq-node.mjs").RabbitmqPrograms | undefined}
 */
export function localPrograms() {
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "" && folder !== "/usr/sbin" && folder !== "/sbin");
  const scripts = [DEBIAN, ...onPath].find(
    (folder) => existsSync(join(folder, "rabbitmq-server")) && existsSync(join(folder, "rabbitmqctl")),
  );
  if (scripts === undefined) return undefined;
  return { directory: scripts, settings: [], wrap: (dataDirectory, command, args) => ({ command, args: [...args], dataDirectory }) };
}

/** Where the folder of a broker is inside another Debian's root. */
const INSIDE = "/srv/brokers";

/**
 * The folder of a broker that runs in another root. It has to be in there: without the right to mount (in a container), that is all it sees.
 * @param {string} root
 * @param {string} name
 */
export function directoryInRoot(root, name) {
  return join(root, INSIDE, name);
}

/**
 * RabbitMQ's scripts inside another Debian's root folder. They run in a mount namespace of their own where /proc is mounted for them alone
 * and vanishes with them, so that nothing stays mounted in a folder that somebody may delete. Where that is not allowed they do without.
 * @param {string} root
 * @returns {import("./rabbitmq-node.mjs").RabbitmqPrograms | undefined}
 */
export function programsInRoot(root) {
  if (!existsSync(join(root, DEBIAN, "rabbitmq-server"))) return undefined;
  const enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  return {
    directory: DEBIAN,
    // Without /proc the server cannot ask how much memory there is and how much it uses.
    settings: mayMount() ? [] : ["total_memory_available_override_value = 2GB", "vm_memory_calculation_strategy = allocated"],
    wrap(dataDirectory, command, args) {
      const inside = join("/", relative(root, dataDirectory));
      if (!mayMount()) return { command: "chroot", args: [root, command, ...args], dataDirectory: inside };
      return { command: "unshare", args: ["--mount", "sh", "-c", enter, root, command, ...args], dataDirectory: inside };
    },
  };
}

/** @type {boolean | undefined} asked once, since it takes a process to find out */
let mounts;

/** @returns {boolean} whether this process may have mounts of its own */
function mayMount() {
  mounts ??= spawnSync("unshare", ["--mount", "true"], { stdio: "ignore" }).status === 0;
  return mounts;
}
