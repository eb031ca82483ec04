import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { resolve } from "node:path";

/**
 * Keeps two emulators from writing into one folder. It is a local socket that is listened on: the system takes it back however the process
 * ends, and what a killed one leaves behind answers to nobody.
 */
export class FolderLock {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws Error when another process holds the folder. */
  static async take(folder: string): Promise<FolderLock> {
    const path = socketPath(resolve(folder));
    if (await isAnswered(path)) throw new Error(`The data folder "${folder}" is used by another emulator that runs.`);
    if (process.platform !== "win32") await rm(path, { force: true });
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done, fail) => {
      server.once("error", fail);
      server.listen(path, done);
    });
    server.unref();
    return new FolderLock(server);
  }

  release(): Promise<void> {
    return new Promise((done) => this.#server.close(() => done()));
  }
}

/** Names of sockets have a limit of about 100 characters: where the folder's is too long, it is one made of it among the temporary files. */
const LONGEST_NAME = 100;

function socketPath(folder: string): string {
  const name = `trolleybus-${createHash("sha256").update(folder).digest("hex").slice(0, 24)}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\${name}`;
  const inside = `${folder}/lock.sock`;
  return Buffer.byteLength(inside) <= LONGEST_NAME ? inside : `${tmpdir()}/${name}.sock`;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection(path);
    const end = (answered: boolean): void => {
      socket.destroy();
      done(answered);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
