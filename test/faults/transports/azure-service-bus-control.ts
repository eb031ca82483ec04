import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../../packages/service-bus-emulator/dist/cli.js", import.meta.url));
/** On a machine with a load of thirty a process alone needs half a minute to begin. */
const READY_WITHIN_MS = 120_000;
const STOP_WITHIN_MS = 10_000;

/** An emulator of Service Bus in a process of its own, whose data outlive it. */
export class EmulatorProcess {
  readonly #port: number;
  readonly #adminPort: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "faults-service-bus-"));
  #child: ChildProcess | undefined;

  private constructor(port: number, adminPort: number) {
    this.#port = port;
    this.#adminPort = adminPort;
  }

  static async start(port: number, adminPort: number): Promise<EmulatorProcess> {
    const emulator = new EmulatorProcess(port, adminPort);
    await emulator.start();
    return emulator;
  }

  /** With the key that every emulator knows. */
  connectionStringOn(port: number): string {
    return `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;`;
  }

  /** Resolves when it answers. Does nothing when it runs. */
  async start(): Promise<void> {
    if (this.#child) return;
    const ports = ["--port", String(this.#port), "--admin-port", String(this.#adminPort)];
    const child = spawn(process.execPath, [CLI, ...ports, "--data", this.#folder], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    let said = "";
    child.stderr.on("data", (text: Buffer) => {
      said += text;
    });
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!(await this.#answers())) {
      if (this.#child !== child || performance.now() > deadline) throw new Error(`the emulator did not start: ${said.slice(0, 2_000)}`);
      await sleep(50);
    }
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** One of its hooks for faults. */
  async hook(name: "throttle" | "detach-links" | "drop-connections" | "expire-locks", milliseconds?: number): Promise<void> {
    const query = milliseconds === undefined ? "" : `?milliseconds=${milliseconds}`;
    const response = await fetch(`http://127.0.0.1:${this.#adminPort}/_emulator/${name}${query}`, { method: "POST" });
    if (!response.ok) throw new Error(`the emulator answers ${response.status} to ${name}: ${await response.text()}`);
  }

  /** It runs, and refuses nothing. */
  async mend(): Promise<void> {
    this.thaw();
    await this.start();
    await this.hook("throttle", 0);
  }

  /** Stops it and deletes its data. */
  async end(): Promise<void> {
    this.thaw();
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (!child) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
    await ended;
    clearTimeout(late);
    this.#child = undefined;
  }

  async #answers(): Promise<boolean> {
    try {
      return (await fetch(`http://127.0.0.1:${this.#adminPort}/health`, { signal: AbortSignal.timeout(1_000) })).ok;
    } catch {
      return false;
    }
  }
}
