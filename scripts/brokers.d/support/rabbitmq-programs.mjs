import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

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
  return { directory: scripts, wrap: (dataDirectory, command, args) => ({ command, args: [...args], dataDirectory }) };
}

/**
 * RabbitMQ's scripts inside another Debian's root folder. They run in a mount namespace of their own: /proc and the data folder are
 * mounted for that process alone and vanish with it, so that nothing stays mounted in a folder that somebody may delete.
 * @param {string} root
 * @returns {import("./rabbitmq-node.mjs").RabbitmqPrograms | undefined}
 */
export function programsInRoot(root) {
  if (!existsSync(join(root, DEBIAN, "rabbitmq-server"))) return undefined;
  const inside = "/srv/broker";
  const enter =
    'mkdir -p "$1$2" && mount -t proc proc "$1/proc" && mount --bind "$3" "$1$2" && root="$1" && shift 3 && exec chroot "$root" "$@"';
  return {
    directory: DEBIAN,
    wrap: (dataDirectory, command, args) => ({
      command: "unshare",
      args: ["--mount", "sh", "-c", enter, "sh", root, inside, dataDirectory, command, ...args],
      dataDirectory: inside,
    }),
  };
}
