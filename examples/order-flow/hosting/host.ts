import type { ServiceName } from "../services/index.js";
import type { Settings } from "../settings.js";
import type { OnReport } from "./report.js";

/** A service that runs somewhere. */
export interface HostedService {
  readonly name: ServiceName;
  readonly url: string;
  readonly processId: number;
  /** Rejects when it did not end cleanly. */
  readonly stop: () => Promise<void>;
}

/** Where services run: `startInProcess` or `startInChildProcess`. */
export type StartHosted = (name: ServiceName, settings: Settings, onReport: OnReport) => Promise<HostedService>;
