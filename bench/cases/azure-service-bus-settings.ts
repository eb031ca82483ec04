/** A connection string of an emulator: `npx trolleybus-service-bus-emulator`, in a process of its own. The administration is where its default is. */
export const connectionString: string =
  process.env["SERVICE_BUS_CONNECTION"] ??
  "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;";
export const adminPort: number = Number(process.env["SERVICE_BUS_ADMIN_PORT"] ?? 5300);
/** Counted; WARM_UP more come before them. */
export const MESSAGES = 40_000;
export const WARM_UP = 10_000;
/** Before publishes are counted: V8 compiles their road through bus and client piece by piece, and the first 40,000 cost twice as much as those of the long run. */
export const PUBLISH_WARM_UP = 60_000;
export const BACKLOG: number = WARM_UP + MESSAGES;
export const OUTSTANDING = 100;
export const PREFETCH = 100;
